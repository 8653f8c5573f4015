"""The season of each segment: what its members bought month by month."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import MONEY, Column, Table

SEGMENT_MONTHS = Table(
    name="segment_months",
    path=Path("data/segment_months.parquet"),
    row="one month of the file in one segment (its members at the last snapshot), zeros included",
    columns=(
        Column("segment_id", pa.int32(), "0 = the most valuable", rule="segment_id >= 0"),
        Column("segment", pa.string(), "the segment's name"),
        Column("month", pa.date32(), "first day of the month"),
        Column("is_whole", pa.bool_(), "the data covers the month from its first to its last day"),
        Column("orders", pa.int64(), "orders of that month of which anything was kept"),
        Column("buyers", pa.int64(), "members who ordered"),
        Column("spend", MONEY, "what they spent and kept", unit="currency"),
        Column("spend_share", pa.float64(), "of the segment's spend in the whole file"),
        Column("rest_share", pa.float64(), "the same for all other customers"),
    ),
    key=("segment_id", "month"),
    order=("segment_id", "month"),
)

"""How many of each segment's members stayed members, snapshot by snapshot."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table

SEGMENT_RETENTION = Table(
    name="segment_retention",
    path=Path("data/segment_retention.parquet"),
    row="one segment between one snapshot and the next",
    columns=(
        Column("segment_id", pa.int32(), "0 = the most valuable", rule="segment_id >= 0"),
        Column("segment", pa.string(), "the segment's name"),
        Column("from_date", pa.date32(), "the earlier snapshot"),
        Column("to_date", pa.date32(), "the later snapshot"),
        Column("days", pa.int32(), "between them; fewer than 28 = not a whole month", unit="days"),
        Column("customers", pa.int64(), "members at from_date", rule="customers > 0"),
        Column("stayed", pa.int64(), "of them members at to_date"),
        Column("rose", pa.int64(), "of them in a more valuable segment at to_date"),
        Column("fell", pa.int64(), "of them in a less valuable segment at to_date"),
        Column("retention", pa.float64(), "stayed / customers"),
        Column("retention_low", pa.float64(), "95 % Wilson interval"),
        Column("retention_high", pa.float64(), "95 % Wilson interval"),
    ),
    key=("segment_id", "from_date"),
    order=("segment_id", "from_date"),
    rules=("stayed + rose + fell = customers",),
)

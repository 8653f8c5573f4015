"""Where the members of each segment are."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import MONEY, Column, Table

SEGMENT_COUNTRIES = Table(
    name="segment_countries",
    path=Path("data/segment_countries.parquet"),
    row="one country in one segment; a customer counts where most of the orders went",
    columns=(
        Column("segment_id", pa.int32(), "0 = the most valuable", rule="segment_id >= 0"),
        Column("segment", pa.string(), "the segment's name"),
        Column("country", pa.string(), "the country's name, `unknown` where the lines say none"),
        Column("customers", pa.int64(), "members there", rule="customers > 0"),
        Column("customer_share", pa.float64(), "of the segment's members"),
        Column("rest_share", pa.float64(), "share of all other customers that are there"),
        Column("spend", MONEY, "what they spent and kept", unit="currency"),
        Column("spend_share", pa.float64(), "of the segment's spend"),
    ),
    key=("segment_id", "country"),
    order=("segment_id", "customers", "country"),
)

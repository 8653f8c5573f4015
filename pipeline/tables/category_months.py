"""The season of each category."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import MONEY, Column, Table

CATEGORY_MONTHS = Table(
    name="category_months",
    path=Path("data/category_months.parquet"),
    row="one category and month with sales",
    columns=(
        Column("category", pa.string(), "the category's key"),
        Column("month", pa.date32(), "the month's first day"),
        Column("units_sold", pa.int64(), "units sold, before returns", unit="units"),
        Column("revenue", MONEY, "net of returns", unit="currency"),
        Column(
            "season_index",
            pa.float64(),
            "its share of the month's revenue over its share of all revenue; 1 = as usual",
            nullable=True,
        ),
    ),
    key=("category", "month"),
    order=("category", "month"),
)

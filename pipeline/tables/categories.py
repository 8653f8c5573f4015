"""What each category is, holds and earns."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import MONEY, Column, Table

CATEGORIES = Table(
    name="categories",
    path=Path("data/categories.parquet"),
    row="one category that has products",
    columns=(
        Column("category", pa.string(), "the category's key"),
        Column("category_title", pa.string(), "its name, as people read it"),
        Column("about", pa.string(), "what it is for, in a sentence; its words where discovered"),
        Column("products", pa.int64(), "its products", rule="products > 0"),
        Column("units_sold", pa.int64(), "units sold, before returns", unit="units"),
        Column("revenue", MONEY, "net of returns", unit="currency"),
        Column(
            "return_rate",
            pa.float64(),
            "units returned / units sold",
            rule="return_rate between 0 and 1",
        ),
        Column("confidence", pa.float64(), "mean over products", rule="confidence between 0 and 1"),
        Column("telling_words", pa.string(), "words that tell most of it, by comma"),
        Column("examples", pa.string(), "its products of highest revenue, by ' | '"),
    ),
    key=("category",),
    order=("category",),
)

"""Every product in exactly one named category."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table

PRODUCT_CATEGORIES = Table(
    name="product_categories",
    path=Path("data/product_categories.parquet"),
    row="one product (stock code) of `sales`",
    columns=(
        Column("stock_code", pa.string(), "the product's code"),
        Column("description", pa.string(), "the one canonical text: its most frequent description"),
        Column("category", pa.string(), "the category's key, as columns and files name it"),
        Column("category_title", pa.string(), "the category's name, as people read it"),
        Column(
            "confidence",
            pa.float64(),
            "how sure the category is (1 = set by hand)",
            rule="confidence between 0 and 1",
        ),
        Column("runner_up", pa.string(), "the next best category's key", nullable=True),
        Column(
            "decided_by",
            pa.string(),
            "what decided: override, seed, spread, cluster (no taxonomy) or prior (nothing known)",
            rule="decided_by in ('override', 'seed', 'spread', 'cluster', 'prior')",
        ),
        Column("map_x", pa.float64(), "position on the map of products"),
        Column("map_y", pa.float64(), "position on the map of products"),
    ),
    key=("stock_code",),
    order=("stock_code",),
)

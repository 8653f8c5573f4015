"""What the sample's generator planted: the type of each customer, the category of each product."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table

SAMPLE_TRUTH = Table(
    name="sample_truth",
    path=Path("data/raw/sample_truth.parquet"),
    row="one customer or one product of the sample",
    columns=(
        Column("kind", pa.string(), "customer or product", rule="kind in ('customer', 'product')"),
        Column("id", pa.string(), "the customer's id, or the product's code in upper case"),
        Column("truth", pa.string(), "the planted type of customer or category of product"),
    ),
    key=("kind", "id"),
    order=("kind", "id"),
)

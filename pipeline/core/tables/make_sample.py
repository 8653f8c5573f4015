"""What make_sample writes beside the order lines: the truth that it planted."""

from pathlib import Path

from pipeline.core.tables.contract import Table, text

SAMPLE_TRUTH = Table(
    "sample_truth",
    row="one customer or one product of the sample",
    path=Path("data/raw/sample_truth.parquet"),
    columns=(
        text("kind", "customer or product", among=("customer", "product")),
        text("id", "the customer's id, or the product's code in upper case"),
        text("truth", "the planted type of customer or category of product"),
    ),
    key=("kind", "id"),
)

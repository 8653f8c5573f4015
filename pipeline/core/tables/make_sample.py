"""What make_sample writes beside the order lines: the truth that it planted."""

from pathlib import Path

from pipeline.core.tables.contract import Table, amount, count, day, text

SAMPLE_TRUTH = Table(
    "sample_truth",
    row="one customer or one product of the sample",
    path=Path("data/sample/sample_truth.parquet"),
    columns=(
        text("kind", "customer or product", among=("customer", "product")),
        text("id", "the customer's id, or the product's code in upper case"),
        text("truth", "the planted type of customer or category of product"),
    ),
    key=("kind", "id"),
)

SAMPLE_LATER = Table(
    "sample_later",
    row="one customer of the sample on one day after its end, in two years; no stage reads it",
    path=Path("data/sample/sample_later.parquet"),
    columns=(
        text("customer_id", "the customer"),
        day("day", "the day of the orders"),
        count("orders", "orders of which anything is kept", least=1),
        amount("spend", "spend on what is kept"),
    ),
    key=("customer_id", "day"),
)

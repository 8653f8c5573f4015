"""What customers bought after a snapshot: outcomes to judge by, never features."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import MONEY, Column, Table

LATER_PURCHASES = Table(
    name="later_purchases",
    path=Path("data/later_purchases.parquet"),
    row="one row of `customers` whose snapshot has a whole horizon after it in the data",
    columns=(
        Column("snapshot_date", pa.date32(), "the snapshot that the horizon follows"),
        Column("customer_id", pa.string(), "the customer"),
        Column(
            "later_orders",
            pa.int32(),
            "orders in the horizon, less those taken back whole within it",
            unit="orders",
            rule="later_orders >= 0",
        ),
        Column(
            "later_spend",
            MONEY,
            "spend in the horizon on what was not taken back within it",
            unit="currency",
            rule="later_spend >= 0",
        ),
    ),
    key=("snapshot_date", "customer_id"),
    order=("snapshot_date", "customer_id"),
    rules=("(later_orders = 0) = (later_spend = 0)",),
)

"""The key patterns of the sales, in one long and tidy table: a row is a bucket of a pattern."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import MONEY, Column, Table

# What `bucket`, `sub_bucket` and `share` mean in each pattern.
PATTERNS = {
    "month": "month of the order (2011-11); share of the revenue",
    "weekday_hour": "weekday of the order (1 = Monday), its hour (09); share of the orders",
    "country": "country of the order; share of the revenue",
    "basket_lines": "lines on an order (6-10); share of the orders",
    "basket_value": "net value of an order (100-200); share of the orders",
    "orders_per_customer": "kept orders of a customer (2); share of the customers",
    "product_by_revenue": "stock code, description; share of the revenue",
    "product_by_orders": "stock code, description; share of all orders that it is on",
    "product_by_returns": "stock code, description; share of its own sales taken back",
    "return_rate": "month of the sale; share of that month's sales taken back since",
    "return_delay": "days from sale to return (8-30); share of the returned money",
    "no_customer": "month of the order; share of the month's lines without a customer",
    "concentration": "the best so many percent of the customers (020); their share of the revenue",
    "cohort": "month of the first order, months since (03); share of the cohort who ordered then",
}

EXPLORATION = Table(
    name="exploration",
    path=Path("data/exploration.parquet"),
    row="one bucket of one pattern",
    columns=(
        Column(
            "pattern",
            pa.string(),
            "; ".join(f"{name}: {doc}" for name, doc in PATTERNS.items()),
            rule=f"pattern in {tuple(PATTERNS)}",
        ),
        Column("position", pa.int32(), "place in the pattern, from 1", rule="position >= 1"),
        Column("bucket", pa.string(), "the bucket, by the pattern"),
        Column("sub_bucket", pa.string(), "the second coordinate, by the pattern, or empty"),
        Column("lines", pa.int64(), "sale lines", nullable=True, rule="lines >= 0"),
        Column(
            "orders",
            pa.int64(),
            "orders of which anything was kept",
            nullable=True,
            rule="orders >= 0",
        ),
        Column("customers", pa.int64(), "known customers", nullable=True, rule="customers >= 0"),
        Column("units", pa.int64(), "units kept", nullable=True, unit="units", rule="units >= 0"),
        Column(
            "amount",
            MONEY,
            "revenue: spend on what was kept",
            nullable=True,
            unit="currency",
            rule="amount >= 0",
        ),
        Column(
            "returned_amount",
            MONEY,
            "spend on what was taken back",
            nullable=True,
            unit="currency",
            rule="returned_amount >= 0",
        ),
        Column("share", pa.float64(), "the pattern's own share", rule="share between 0 and 1"),
    ),
    key=("pattern", "bucket", "sub_bucket"),
    order=("pattern", "position", "bucket", "sub_bucket"),
)

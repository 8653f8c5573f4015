"""One row per customer and snapshot, from nothing that happened after the snapshot's day."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import MONEY, Column, Table

CUSTOMERS = Table(
    name="customers",
    path=Path("data/customers.parquet"),
    row="one customer who bought goods by the end of the snapshot's day",
    columns=(
        Column("snapshot_date", pa.date32(), "the day by whose end everything here is known"),
        Column("customer_id", pa.string(), "the customer"),
        Column(
            "recency_days",
            pa.int32(),
            "days from the last kept order to the snapshot; null where nothing was kept",
            nullable=True,
            unit="days",
            rule="recency_days >= 0",
        ),
        Column(
            "frequency",
            pa.int32(),
            "orders of which anything was kept",
            unit="orders",
            rule="frequency >= 0",
        ),
        Column("monetary", MONEY, "spend on what was kept", unit="currency", rule="monetary >= 0"),
        Column(
            "tenure_days",
            pa.int32(),
            "days from the first order, kept or not, to the snapshot",
            unit="days",
            rule="tenure_days >= 0",
        ),
        Column(
            "average_order_value",
            pa.float64(),
            "monetary / frequency, 0 where nothing was kept",
            unit="currency",
        ),
        Column(
            "items_per_order",
            pa.float64(),
            "units kept / frequency, 0 where nothing was kept",
            unit="units",
        ),
        Column(
            "days_between_orders",
            pa.float64(),
            "mean gap between the days of kept orders; null below two such days",
            nullable=True,
            unit="days",
        ),
        Column(
            "return_rate",
            pa.float64(),
            "share of the money spent that was taken back",
            rule="return_rate between 0 and 1",
        ),
        Column("distinct_products", pa.int32(), "products of which anything was kept"),
        Column(
            "units_per_line",
            pa.float64(),
            "mean units sold on a line, the measure of a wholesaler",
            unit="units",
        ),
        Column(
            "recency_score",
            pa.int8(),
            "fifth of the customers by recency, 5 = bought last; equal customers, equal scores",
            rule="recency_score between 1 and 5",
        ),
        Column(
            "frequency_score",
            pa.int8(),
            "fifth by frequency, 5 = most orders",
            rule="frequency_score between 1 and 5",
        ),
        Column(
            "monetary_score",
            pa.int8(),
            "fifth by monetary, 5 = most spend",
            rule="monetary_score between 1 and 5",
        ),
        Column(
            "spend_share_*",
            pa.float64(),
            "share of monetary in the category of that key, 0 where nothing was kept",
            rule="spend_share_* between 0 and 1",
        ),
    ),
    key=("snapshot_date", "customer_id"),
    order=("snapshot_date", "customer_id"),
    rules=("(frequency = 0) = (recency_days is null)", "(frequency = 0) = (monetary = 0)"),
)

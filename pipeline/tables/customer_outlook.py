"""Each customer at the last snapshot: segment, outlook and what to do."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import MONEY, Column, Table

CUSTOMER_OUTLOOK = Table(
    name="customer_outlook",
    path=Path("data/customer_outlook.parquet"),
    row="one customer at the last snapshot",
    columns=(
        Column("customer_id", pa.string(), "the customer"),
        Column("segment_id", pa.int32(), "0 = the most valuable", rule="segment_id >= 0"),
        Column("segment", pa.string(), "the segment's name"),
        Column("confidence", pa.float64(), "how clearly the customer belongs there"),
        Column(
            "recency_days", pa.int32(), "days since the last kept order", nullable=True, unit="days"
        ),
        Column("frequency", pa.int32(), "kept orders", unit="orders"),
        Column("monetary", MONEY, "spend so far", unit="currency"),
        Column("country", pa.string(), "where most of the orders went"),
        Column("top_category", pa.string(), "key of the category with most spend", nullable=True),
        Column("top_category_title", pa.string(), "its name", nullable=True),
        Column(
            "next_category",
            pa.string(),
            "key of the likeliest category of those never bought; who bought all: the one where "
            "the own share lies furthest below the segment's",
            nullable=True,
        ),
        Column("next_category_title", pa.string(), "its name", nullable=True),
        Column(
            "buying_probability",
            pa.float64(),
            "of an order within the horizon (null, as all that is expected, where no snapshot "
            "has a whole horizon after it)",
            nullable=True,
            rule="buying_probability between 0 and 1",
        ),
        Column(
            "expected_orders",
            pa.float64(),
            "within the horizon",
            nullable=True,
            rule="expected_orders >= 0",
        ),
        Column(
            "expected_spend",
            pa.float64(),
            "within the horizon",
            nullable=True,
            unit="currency",
            rule="expected_spend >= 0",
        ),
        Column("action", pa.string(), "what to do, in a sentence made for this customer"),
        Column("map_x", pa.float64(), "place on the map, 0 to 1: 1 = bought last of all"),
        Column("map_y", pa.float64(), "place on the map, 0 to 1: 1 = most orders and spend of all"),
        Column(
            "is_on_map",
            pa.bool_(),
            "drawn on the map: all customers, or a fair sample of every segment where they are "
            "more than profile.map_customers",
        ),
    ),
    key=("customer_id",),
    order=("customer_id",),
)

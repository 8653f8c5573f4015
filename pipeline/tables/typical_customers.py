"""Real customers who stand for their segment."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table

TYPICAL_CUSTOMERS = Table(
    name="typical_customers",
    path=Path("data/typical_customers.parquet"),
    row="one typical customer of one segment: least total distance to the other members",
    columns=(
        Column("segment_id", pa.int32(), "0 = the most valuable", rule="segment_id >= 0"),
        Column("segment", pa.string(), "the segment's name"),
        Column("rank", pa.int32(), "1 = the medoid, then the next most typical", rule="rank >= 1"),
        Column("customer_id", pa.string(), "the customer"),
        Column(
            "recency_days", pa.int32(), "days since the last kept order", nullable=True, unit="days"
        ),
        Column("frequency", pa.int32(), "kept orders", unit="orders"),
        Column("monetary", pa.float64(), "spend so far", unit="currency"),
        Column("tenure_days", pa.int32(), "days since the first order", unit="days"),
        Column("average_order_value", pa.float64(), "mean order", unit="currency"),
        Column("top_category_title", pa.string(), "category with most spend", nullable=True),
        Column("country", pa.string(), "where most of the orders went"),
        Column("sentence", pa.string(), "the customer in a sentence"),
    ),
    key=("segment_id", "rank"),
    order=("segment_id", "rank"),
)

"""Each segment at a glance: what it is, what it is worth, what to do."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import MONEY, Column, Table

LEVELS = "in ('low', 'mid', 'high')"

PROFILES = Table(
    name="profiles",
    path=Path("data/profiles.parquet"),
    row="one segment that has customers at the last snapshot",
    columns=(
        Column("segment_id", pa.int32(), "0 = the most valuable", rule="segment_id >= 0"),
        Column("segment", pa.string(), "the segment's name"),
        Column("group", pa.string(), "declared group's key (wholesale, kept_nothing), else empty"),
        Column("summary", pa.string(), "what the segment is, in two or three sentences"),
        Column("action", pa.string(), "the one thing to do, in a few words"),
        Column("snapshot_date", pa.date32(), "the last snapshot, that all of this describes"),
        Column("customers", pa.int64(), "members", rule="customers > 0"),
        Column("customer_share", pa.float64(), "of all customers"),
        Column("revenue", MONEY, "what its members spent and kept so far", unit="currency"),
        Column("revenue_share", pa.float64(), "of the revenue with known customers"),
        Column("orders", pa.int64(), "orders of which anything was kept"),
        Column(
            "recency_level", pa.string(), "high = bought lately", rule=f"recency_level {LEVELS}"
        ),
        Column("frequency_level", pa.string(), "high = many", rule=f"frequency_level {LEVELS}"),
        Column(
            "monetary_level", pa.string(), "high = spends much", rule=f"monetary_level {LEVELS}"
        ),
        Column(
            "median_recency_days",
            pa.float64(),
            "days since the last kept order; null where nobody kept anything",
            nullable=True,
            unit="days",
        ),
        Column("median_frequency", pa.float64(), "kept orders", unit="orders"),
        Column("median_monetary", pa.float64(), "spend so far", unit="currency"),
        Column("median_tenure_days", pa.float64(), "days since the first order", unit="days"),
        Column("median_order_value", pa.float64(), "a customer's mean order", unit="currency"),
        Column("return_rate", pa.float64(), "share of the money spent that was taken back"),
        Column("mean_confidence", pa.float64(), "how clearly members belong, 0 to 1"),
        Column("rule", pa.string(), "the segment's rules in words, joined by: ; or"),
        Column("rule_precision", pa.float64(), "share of the rule's customers that are members"),
        Column("rule_recall", pa.float64(), "share of the members on whom the rule holds"),
        Column("first_order_text", pa.string(), "the typical first order, in a sentence"),
        Column("first_order_value", pa.float64(), "median of the first order", unit="currency"),
        Column("first_order_units", pa.float64(), "median units of the first order", unit="units"),
        Column("first_order_products", pa.float64(), "median products of the first order"),
        Column(
            "first_order_category",
            pa.string(),
            "key of the category that took most of the most first orders; null without categories",
            nullable=True,
        ),
        Column("first_order_category_title", pa.string(), "its name", nullable=True),
        Column(
            "first_order_category_share",
            pa.float64(),
            "share of members whose first order it led",
            nullable=True,
        ),
        Column(
            "buying_rate",
            pa.float64(),
            "expected share of members who buy within the horizon (null, as all that is "
            "expected, where no snapshot has a whole horizon after it)",
            nullable=True,
        ),
        Column("buying_rate_low", pa.float64(), "its 95 % interval", nullable=True),
        Column("buying_rate_high", pa.float64(), "its 95 % interval", nullable=True),
        Column("expected_orders", pa.float64(), "of all members in the horizon", nullable=True),
        Column("expected_orders_low", pa.float64(), "its 95 % interval", nullable=True),
        Column("expected_orders_high", pa.float64(), "its 95 % interval", nullable=True),
        Column(
            "expected_spend",
            pa.float64(),
            "of all members in the horizon",
            nullable=True,
            unit="currency",
        ),
        Column(
            "expected_spend_low",
            pa.float64(),
            "its 95 % interval, that of customers (bootstrap) and of seasons (held-out error)",
            nullable=True,
            unit="currency",
        ),
        Column("expected_spend_high", pa.float64(), "as above", nullable=True, unit="currency"),
        Column(
            "expected_spend_per_customer",
            pa.float64(),
            "expected_spend / customers",
            nullable=True,
            unit="currency",
        ),
        Column(
            "expected_spend_share", pa.float64(), "of all customers' expected_spend", nullable=True
        ),
        Column(
            "retention",
            pa.float64(),
            "share of the members of a month before that are still members, mean of the months",
            nullable=True,
        ),
    ),
    key=("segment_id",),
    order=("segment_id",),
    rules=(
        "customer_share between 0 and 1",
        "revenue_share between 0 and 1",
        "rule_precision between 0 and 1",
        "rule_recall between 0 and 1",
    ),
)

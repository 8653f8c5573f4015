"""What aggregate_rfm writes: customers as of each snapshot, and what they bought later."""

from pipeline.core.tables.contract import (
    Table,
    amount,
    day,
    integer,
    money,
    number,
    score,
    share,
    text,
)

CUSTOMERS = Table(
    "customers",
    row="one customer who bought goods by the end of the snapshot's day",
    columns=(
        day("snapshot_date", "the day by whose end everything here is known"),
        text("customer_id", "the customer"),
        integer(
            "recency_days",
            "days from the last kept order to the snapshot; null where nothing was kept",
            least=0,
            unit="days",
            null=True,
        ),
        integer("frequency", "orders of which anything was kept", least=0, unit="orders"),
        money("monetary", "spend on what was kept", least=0),
        integer(
            "tenure_days",
            "days from the first order, kept or not, to the snapshot",
            least=0,
            unit="days",
        ),
        amount("average_order_value", "monetary / frequency, 0 where nothing was kept"),
        number("items_per_order", "units kept / frequency, 0 where nothing was kept", unit="units"),
        number(
            "days_between_orders",
            "mean gap between the days of kept orders; null below two such days",
            unit="days",
            null=True,
        ),
        share("return_rate", "share of the money spent that was refunded"),
        integer("distinct_products", "products of which anything was kept"),
        number(
            "units_per_line", "mean units sold on a line, the measure of a wholesaler", unit="units"
        ),
        score(
            "recency_score",
            "fifth of the customers by recency, 5 = bought last; equal customers, equal scores",
        ),
        score("frequency_score", "fifth by frequency, 5 = most orders"),
        score("monetary_score", "fifth by monetary, 5 = most spend"),
        share(
            "spend_share_*",
            "share of monetary in the category of that key, 0 where nothing was kept",
        ),
    ),
    key=("snapshot_date", "customer_id"),
    rules=("(frequency = 0) = (recency_days is null)", "(frequency = 0) = (monetary = 0)"),
)

LATER_PURCHASES = Table(
    "later_purchases",
    row="one row of `customers` whose snapshot has a whole horizon after it in the data",
    columns=(
        day("snapshot_date", "the snapshot that the horizon follows"),
        text("customer_id", "the customer"),
        integer(
            "later_orders",
            "orders in the horizon, less those returned whole within it",
            least=0,
            unit="orders",
        ),
        money("later_spend", "spend in the horizon, less what was returned within it", least=0),
    ),
    key=("snapshot_date", "customer_id"),
    rules=("(later_orders = 0) = (later_spend = 0)",),
)

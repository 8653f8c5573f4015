"""What explore writes: the key patterns in one long and tidy table."""

from pipeline.core.tables.contract import Table, count, integer, money, share, text

# What `bucket`, `sub_bucket` and `share` mean in each pattern.
PATTERNS = {
    "month": "month of the order (2011-11); share of the revenue",
    "weekday_hour": "weekday of the order (1 = Monday), its hour (09); share of the orders",
    "country": "country of the order; share of the revenue",
    "basket_value": "net value of an order (100-200); share of the orders",
    "orders_per_customer": "kept orders of a customer (2); share of the customers",
    "product_by_revenue": "stock code, description; share of the revenue",
    "product_by_returns": "stock code, description; share of its own sales returned",
    "concentration": "the top N percent of the customers (020); their share of the revenue",
    "cohort": "month of the first order, months since (03); share of the cohort who ordered then",
}

EXPLORATION = Table(
    "exploration",
    row="one bucket of one pattern",
    columns=(
        text(
            "pattern",
            "; ".join(f"{name}: {doc}" for name, doc in PATTERNS.items()),
            among=tuple(PATTERNS),
        ),
        integer("position", "place in the pattern, from 1", least=1),
        text("bucket", "the bucket, by the pattern"),
        text("sub_bucket", "the second coordinate, by the pattern, or empty"),
        count("lines", "sale lines", least=0, null=True),
        count("orders", "orders of which anything was kept", least=0, null=True),
        count("customers", "known customers who kept an order", least=0, null=True),
        count("units", "units kept", least=0, unit="units", null=True),
        money("amount", "revenue: spend on what was kept", least=0, null=True),
        money("returned_amount", "spend on what was returned", least=0, null=True),
        share("share", "the pattern's own share"),
    ),
    key=("pattern", "bucket", "sub_bucket"),
    order=("pattern", "position", "bucket", "sub_bucket"),
)

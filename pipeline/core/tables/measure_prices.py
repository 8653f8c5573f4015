"""What measure_prices writes: margin and discounts of customers, and the costs that it read."""

from pipeline.core.tables.contract import Table, amount, count, flag, money, share, text

COSTS = Table(
    "costs",
    row="one span of one product in which a unit cost the same",
    columns=(
        text("stock_code", "the product"),
        count("from_day", "first day, as a number (Python's date.toordinal)"),
        count("until_day", "first day on which it no longer holds"),
        money("file_cost", "what one unit cost", least=0),
    ),
    key=("stock_code", "from_day"),
)

CUSTOMER_PRICES = Table(
    "customer_prices",
    row="one customer of the last snapshot",
    columns=(
        text("customer_id", "the customer"),
        text("segment", "the segment's name"),
        amount("revenue", "spend on what was kept, by the snapshot"),
        amount("costed_revenue", "of it on units of which the cost is known"),
        amount("margin", "costed_revenue less the cost; null where none is known", null=True),
        share("cost_known_share", "costed_revenue / revenue; 0 where nothing was kept"),
        share(
            "discounted_share",
            "of what was bought, at list price, the share on lines sold below it; null where the "
            "file knows no discounts",
            null=True,
        ),
        share("discount_depth", "mean discount on those lines; null alike, or without", null=True),
        flag("buys_on_promotion", "nearly all at a discount, in two orders or more"),
    ),
    key=("customer_id",),
)

"""What describes a buyer at the end of a snapshot's day, from nothing that happened after it.

Snapshots cut time into periods: period 0 ends with the first snapshot's day, and so on. What
movements change is summed by customer and period, and a running sum over the periods gives every
snapshot, so that the lines are read once, not once per snapshot. An order counts from its sale
until all of it was returned; so do a day with orders and a product.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from functools import reduce
from typing import Any

import narwhals as nw

from pipeline.aggregate_rfm.calendar import snapshots_frame
from pipeline.aggregate_rfm.movements import Keep
from pipeline.core.engines.expressions import day_number, whole_numbers

Lines = nw.LazyFrame[Any]

MONEY_UNIT = Decimal("0.0001")
NEVER = 9_999_999  # a day number after every date
SUMS = ("lines", "units_sold", "units", "amount_sold", "amount")
COUNTS = ("orders", "days", "products")
BY = ["customer_id", "period"]


def customer_features(
    moved: Lines,
    orders: Lines,
    product_categories: Lines,
    *,
    categories: Sequence[str],
    snapshots: Sequence[date],
    keep: Keep,
) -> Lines:
    """Return one row per snapshot and customer who bought by its end: `customers` without scores.

    `moved` are movements by the ascending `snapshots`, `orders` their `order_changes`. `categories`
    are the keys of `product_categories` that become `spend_share_<key>` columns. Two columns more
    than the contract's, by which scores rank: `amount` (monetary in ten-thousandths) and
    `last_kept_day`.
    """
    periods = keep(snapshots_frame(product_categories, snapshots))
    days = keep(spans_of_days(orders))
    since = days.group_by("customer_id").agg(
        nw.col("sold_day").min().alias("first_day"), nw.col("period").min().alias("since")
    )
    grid = since.join(periods, how="cross").filter(nw.col("period") >= nw.col("since"))
    shares = _spend_names(categories)
    changes = (
        _summed(orders, *SUMS),
        counted(orders, "invoice_id", "orders", keep),
        counted(orders, "sold_day", "days", keep),
        keep(counted(moved, "stock_code", "products", keep)),
        keep(category_spend(moved, keep(_numbered(product_categories, categories)), categories)),
        _kept_days(days.filter(nw.col("amount") > 0)),
    )
    running = reduce(lambda frame, part: frame.join(part, on=BY, how="left"), changes, grid)
    running = running.with_columns(
        nw.col(*SUMS, *COUNTS, *shares, "last_kept_day").fill_null(0),
        nw.col("first_kept_day").fill_null(NEVER),
    )
    if len(snapshots) > 1:  # one period alone is its own running sum
        running = running.with_columns(
            *(_running(nw.col(c).cum_sum(), c) for c in (*SUMS, *COUNTS, *shares)),
            _running(nw.col("first_kept_day").cum_min(), "first_kept_day"),
            _running(nw.col("last_kept_day").cum_max(), "last_kept_day"),
        )
    return _describe(keep(_with_ended_days(running, days, periods)), categories)


def order_changes(moved: Lines) -> Lines:
    """Return the movements summed by order, day of sale and day, days as numbers."""
    is_sale = nw.col("returns") == 0
    sold = {
        "units_sold": nw.when(is_sale).then(nw.col("units")).otherwise(nw.lit(0, nw.Int64)),
        "amount_sold": nw.when(is_sale).then(nw.col("amount")).otherwise(nw.lit(0, nw.Int64)),
        "lines": 1 - nw.col("returns"),
    }
    return (
        moved.with_columns(**sold)
        .group_by("customer_id", "invoice_id", "sold_day", "day", "period")
        .agg(nw.col(*SUMS, "returns").sum())
        .with_columns(
            whole_numbers(*SUMS, "returns"),
            *(day_number(nw.col(day)).alias(day) for day in ("sold_day", "day")),
        )
    )


def spans_of_days(orders: Lines) -> Lines:
    """Return each customer's days with orders: their period, the last with a return, what is left.

    What is left only falls: all of a day's orders are sold in one period.
    """
    return (
        orders.group_by("customer_id", "sold_day")
        .agg(
            nw.col("amount").sum(),
            nw.col("period").min(),
            nw.col("period").max().alias("last_period"),
        )
        .with_columns(whole_numbers("amount"))
    )


def counted(changes: Lines, what: str, count: str, keep: Keep) -> Lines:
    """Return how the number of distinct `what` of which anything is kept changes.

    One row by customer and period. What was never returned counts from its first period on; only
    the rest, which is little, is followed from period to period.
    """
    thing = ["customer_id", what]
    returned = keep(changes.filter(nw.col("returns") > 0).select(*thing).unique(thing))
    never = (
        changes.join(returned, on=thing, how="anti")
        .group_by(*thing)
        .agg(nw.col("period").min())
        .select(*BY, nw.lit(1, nw.Int64).alias(count))
    )
    after = nw.col("amount").cum_sum().over(*thing, order_by="period").cast(nw.Int64)
    followed = (
        changes.join(returned, on=thing, how="semi")
        .group_by(*thing, "period")
        .agg(nw.col("amount").sum())
        .with_columns(whole_numbers("amount"))
        .with_columns(after=after)
        .select(*BY, (_exists("after") - _exists("after", "amount")).alias(count))
    )
    return _summed(nw.concat([never, followed]), count)


def _exists(amount: str, less: str | None = None) -> nw.Expr:
    left = nw.col(amount) - nw.col(less) if less else nw.col(amount)
    return (left > 0).cast(nw.Int64)


def _numbered(product_categories: Lines, categories: Sequence[str]) -> Lines:
    """Each product with the number of its category: less to compare than a key."""
    number = nw.lit(0, nw.Int64)
    for position, key in enumerate(categories):
        is_key = nw.col("category") == key
        number = nw.when(is_key).then(nw.lit(position, nw.Int64)).otherwise(number)
    return product_categories.select("stock_code", number.alias("number"))


def category_spend(moved: Lines, numbered: Lines, categories: Sequence[str]) -> Lines:
    """Return the changes of spend by customer and period, a column `spend_<key>` each."""
    names = _spend_names(categories)
    by_category = (
        moved.join(numbered, on="stock_code", how="inner")
        .group_by(*BY, "number")
        .agg(nw.col("amount").sum())
        .with_columns(whole_numbers("amount"))
    )
    of_category = (
        nw.when(nw.col("number") == position)
        .then(nw.col("amount"))
        .otherwise(nw.lit(0, nw.Int64))
        .alias(name)
        for position, name in enumerate(names)
    )
    return _summed(by_category.with_columns(*of_category), *names)


def _spend_names(categories: Sequence[str]) -> list[str]:
    return [f"spend_{key}" for key in categories]


def _summed(frame: Lines, *columns: str) -> Lines:
    """The columns summed by customer and period."""
    sums = frame.group_by(*BY).agg(nw.col(*columns).sum())
    return sums.with_columns(whole_numbers(*columns))


def _running(expression: nw.Expr, name: str) -> nw.Expr:
    return expression.over("customer_id", order_by="period").cast(nw.Int64).alias(name)


def _kept_days(days: Lines) -> Lines:
    """The first and the last of the days, by customer and period."""
    return days.group_by(*BY).agg(
        nw.col("sold_day").min().alias("first_kept_day"),
        nw.col("sold_day").max().alias("last_kept_day"),
    )


def _with_ended_days(running: Lines, days: Lines, periods: Lines) -> Lines:
    """The days too of which something was kept at the snapshot and nothing at the end."""
    ended = (
        days.filter(nw.col("amount") == 0)
        .rename({"period": "since"})
        .join(periods.select("period"), how="cross")
        .filter(nw.col("period") >= nw.col("since"), nw.col("period") < nw.col("last_period"))
    )
    days_of = _kept_days(ended).rename(
        {"first_kept_day": "first_ended", "last_kept_day": "last_ended"}
    )
    return (
        running.join(days_of, on=BY, how="left")
        .with_columns(nw.col("first_ended").fill_null(NEVER), nw.col("last_ended").fill_null(0))
        .with_columns(
            nw.min_horizontal("first_kept_day", "first_ended").alias("first_kept_day"),
            nw.max_horizontal("last_kept_day", "last_ended").alias("last_kept_day"),
        )
    )


def _describe(running: Lines, categories: Sequence[str]) -> Lines:
    """The features, from the running sums at each snapshot."""
    money = nw.col("amount") * nw.lit(MONEY_UNIT)
    return running.select(
        "snapshot_date",
        "customer_id",
        nw.when(nw.col("orders") > 0)
        .then(nw.col("snapshot_day") - nw.col("last_kept_day"))
        .alias("recency_days"),
        nw.col("orders").alias("frequency"),
        money.alias("monetary"),
        (nw.col("snapshot_day") - nw.col("first_day")).alias("tenure_days"),
        _ratio("amount", nw.col("orders") * 10_000).alias("average_order_value"),
        _ratio("units", nw.col("orders") * 10_000).alias("items_per_order"),
        nw.when(nw.col("days") > 1)
        .then((nw.col("last_kept_day") - nw.col("first_kept_day")) / (nw.col("days") - 1))
        .alias("days_between_orders"),
        ((nw.col("amount_sold") - nw.col("amount")) / nw.col("amount_sold")).alias("return_rate"),
        nw.col("products").alias("distinct_products"),
        (nw.col("units_sold") / (nw.col("lines") * 10_000)).alias("units_per_line"),
        *(
            _ratio(f"spend_{key}", nw.col("amount")).alias(f"spend_share_{key}")
            for key in categories
        ),
        "amount",
        "last_kept_day",
    )


def _ratio(column: str, by: nw.Expr) -> nw.Expr:
    """A quotient that is 0 where nothing was kept."""
    return nw.when(by > 0).then(nw.col(column) / by).otherwise(nw.lit(0.0))

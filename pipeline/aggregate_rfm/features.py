"""What describes a buyer at the end of a snapshot's day, from nothing that happened after it.

Snapshots cut time into periods: period 0 ends with the first snapshot's day, and so on. What adds
up (spend, units, orders) is counted once per customer and period, as gains and losses; a running
sum over the periods then gives every snapshot, so that the lines are read once, not once per
snapshot. A return is a loss in the period of the return. What was taken back whole is the one
thing that does not add up (an order with one line left still counts), and it is rare: it is
followed line by line, from the period of the sale to that of the return.

Money is counted in ten-thousandths, as whole numbers: exact, fast, and the same on every engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import narwhals as nw

from pipeline.aggregate_rfm.calendar import period_of, snapshots_frame
from pipeline.core.engines.expressions import day_number, ten_thousandths, whole_numbers

Lines = nw.LazyFrame[Any]
Keep = Callable[[Lines], Lines]  # computes a frame that is used more than once, once

MONEY_UNIT = Decimal("0.0001")
NEVER = 9_999_999  # a day number after every date
SUMS = ("lines", "units_sold", "units", "amount", "amount_sold", "orders", "days", "products")


def customer_features(
    sales: Lines,
    returned_units: Lines,
    product_categories: Lines,
    *,
    categories: Sequence[str],
    snapshots: Sequence[date],
    keep: Keep,
) -> Lines:
    """Return one row per snapshot and customer who bought by its end: `customers` without scores.

    `snapshots` ascend; nothing after the last one is looked at. `categories` are the keys of
    `product_categories` that become `spend_share_<key>` columns. Beside the contract's columns
    stand `amount` (monetary in ten-thousandths) and `last_kept_day`, by which scores rank.
    """
    known = known_sales(sales, snapshots[-1])
    periods = keep(snapshots_frame(sales, snapshots))
    order_days = keep(count_order_days(known, snapshots))
    returns = keep(returns_of(known, returned_units, snapshots))
    gone = keep(spans_of_gone_lines(returns, periods))
    kept = known.filter(nw.col("amount") > 0)
    kept_days = order_days.filter(nw.col("kept_lines") > 0)
    spend = keep(category_spend(known, returns, product_categories, categories, snapshots))
    in_question = gone.group_by("customer_id", "stock_code").agg(nw.len().alias("lines"))
    kept_in_question = kept.join(in_question, on=["customer_id", "stock_code"], how="semi")
    products = keep(  # by itself: nearly a row for every line is counted here
        _changes(
            _first_kept(kept, "stock_code", snapshots),
            _first_kept(kept_in_question, "stock_code", snapshots),
            gone,
            "stock_code",
            "products",
        )
    )
    first_period = order_days.group_by("customer_id").agg(nw.col("period").min().alias("since"))
    grid = first_period.join(periods.select("period"), how="cross").filter(
        nw.col("period") >= nw.col("since")
    )
    shares = tuple(f"spend_{key}" for key in categories)
    sums = _add_up(
        (*SUMS, *shares),
        grid,
        _sums_of_sales(order_days),
        _sums_of_returns(returns, len(snapshots)),
        _alive(kept_days, gone, "invoice_id", "orders"),
        _alive(kept_days, gone, "day_number", "days"),
        products,
        spend,
    )
    days = _kept_days(order_days, kept_days, grid)
    running = sums.join(days, on=["customer_id", "period"], how="inner")
    if len(snapshots) > 1:  # one period alone is its own running sum
        running = running.with_columns(
            *(_running(nw.col(c).cum_sum(), c) for c in (*SUMS, *shares)),
            _running(nw.col("first_day").cum_min(), "first_day"),
            _running(nw.col("first_kept_day").cum_min(), "first_kept_day"),
            _running(nw.col("last_kept_day").cum_max(), "last_kept_day"),
        )
    running = keep(running)
    return _describe(_with_gone_days(running, gone).join(periods, on="period"), categories)


def known_sales(sales: Lines, last: date) -> Lines:
    """Sales to known customers up to a day, with `day`, `kept` (units) and `amount`."""
    return (
        sales.filter(~nw.col("customer_id").is_null())
        .with_columns(nw.col("sold_at").dt.date().alias("day"))
        .filter(nw.col("day") <= nw.lit(last))
        .with_columns(
            (nw.col("quantity") - nw.col("quantity_returned")).alias("kept"),
            ten_thousandths("net_amount").alias("amount"),
        )
    )


def count_order_days(known: Lines, snapshots: Sequence[date]) -> Lines:
    """Return one row per customer, invoice and day: a twentieth of the lines, or less."""
    return (
        known.with_columns((nw.col("amount") > 0).cast(nw.Int64).alias("is_kept"))
        .group_by("customer_id", "invoice_id", "day")
        .agg(
            nw.len().alias("lines"),
            nw.col("quantity").sum().alias("units_sold"),
            nw.col("kept").sum().alias("units"),
            nw.col("amount").sum(),
            nw.col("is_kept").sum().alias("kept_lines"),
        )
        .with_columns(
            whole_numbers("lines", "units_sold", "units", "amount", "kept_lines"),
            period_of(nw.col("day"), snapshots).alias("period"),
            day_number(nw.col("day")).alias("day_number"),
        )
    )


def returns_of(known: Lines, returned_units: Lines, snapshots: Sequence[date]) -> Lines:
    """Return what was taken back of the sales, whenever it was: a few lines in a hundred.

    A return after the last snapshot has the period `len(snapshots)`. `whole` says that nothing
    of the sale line was left at the end of the file.
    """
    taken = returned_units.select(
        "line_id",
        nw.col("quantity").alias("units_returned"),
        ten_thousandths("amount").alias("amount_returned"),
        nw.col("returned_at").dt.date().alias("returned_day"),
    )
    return (
        known.select("line_id", "customer_id", "invoice_id", "stock_code", "day", "amount")
        .join(taken, on="line_id", how="inner")
        .with_columns(
            period_of(nw.col("day"), snapshots).alias("period"),
            period_of(nw.col("returned_day"), snapshots).alias("return_period"),
            day_number(nw.col("day")).alias("day_number"),
            (nw.col("amount") == 0).alias("whole"),
        )
    )


def spans_of_gone_lines(returns: Lines, periods: Lines) -> Lines:
    """Return a row for each snapshot at which a line that was later taken back whole still stood.

    Columns: `customer_id`, `invoice_id`, `stock_code`, `day_number`, `period`.
    """
    gone = (
        returns.filter(nw.col("whole"))
        .group_by("line_id", "customer_id", "invoice_id", "stock_code", "day_number")
        .agg(nw.col("period").min().alias("born"), nw.col("return_period").max().alias("gone"))
        .filter(nw.col("born") < nw.col("gone"))
    )
    return (
        gone.join(periods.select("period"), how="cross")
        .filter((nw.col("period") >= nw.col("born")) & (nw.col("period") < nw.col("gone")))
        .select("customer_id", "invoice_id", "stock_code", "day_number", "period")
    )


def category_spend(
    known: Lines,
    returns: Lines,
    product_categories: Lines,
    categories: Sequence[str],
    snapshots: Sequence[date],
) -> Lines:
    """Return gains and losses of spend by customer and period, one column `spend_<key>` each.

    `uncategorized` counts the lines whose product has no category.
    """
    category_of = product_categories.select("stock_code", "category")
    sold = (
        known.join(category_of, on="stock_code", how="left")
        .with_columns(period_of(nw.col("day"), snapshots).alias("period"))
        .group_by("customer_id", "category", "period")
        .agg(nw.col("amount").sum())
        .with_columns(whole_numbers("amount"))
    )
    changes = _gains_and_losses(
        returns.join(category_of, on="stock_code", how="left"), len(snapshots), "amount_returned"
    ).select("customer_id", "category", "period", nw.col("amount_returned").alias("amount"))
    spend = nw.concat([sold, changes])
    by_key = spend.with_columns(
        *(
            nw.when(nw.col("category") == key)
            .then(nw.col("amount"))
            .otherwise(nw.lit(0, nw.Int64))
            .alias(f"spend_{key}")
            for key in categories
        ),
        nw.col("category").is_null().cast(nw.Int64).alias("uncategorized"),
    )
    columns = (*(f"spend_{key}" for key in categories), "uncategorized")
    return _summed(by_key, columns)


def _gains_and_losses(returns: Lines, periods: int, *columns: str) -> Lines:
    """What sales had before returns, given back to the sale's period, taken in the return's."""
    gains = returns.with_columns(nw.col("period").alias("period"))
    losses = returns.filter(nw.col("return_period") < periods).with_columns(
        nw.col("return_period").alias("period"), *((-nw.col(c)).alias(c) for c in columns)
    )
    return nw.concat([gains, losses])


def _sums_of_sales(order_days: Lines) -> Lines:
    sums = _summed(order_days, ("lines", "units_sold", "units", "amount"))
    return sums.with_columns(nw.col("amount").alias("amount_sold"))


def _sums_of_returns(returns: Lines, periods: int) -> Lines:
    changes = _gains_and_losses(returns, periods, "units_returned", "amount_returned")
    sums = changes.with_columns(
        nw.when(nw.col("amount_returned") > 0)
        .then(nw.col("amount_returned"))
        .otherwise(nw.lit(0, nw.Int64))
        .alias("amount_sold"),
        nw.col("units_returned").alias("units"),
        nw.col("amount_returned").alias("amount"),
    )
    return _summed(sums, ("units", "amount", "amount_sold"))


def _first_kept(kept: Lines, what: str, snapshots: Sequence[date]) -> Lines:
    """The first period in which a customer kept anything of each `what`."""
    return (
        kept.group_by("customer_id", what)
        .agg(nw.col("day").min())
        .with_columns(period_of(nw.col("day"), snapshots).alias("period"))
    )


def _alive(stands: Lines, gone: Lines, what: str, count: str) -> Lines:
    """Changes, by customer and period, of the number of distinct `what` with anything kept.

    `stands` are rows that nothing ever takes back: from the first of them on, one more. Before
    that, lines that were taken back later count for the snapshots at which they still stood.
    """
    since = stands.group_by("customer_id", what).agg(nw.col("period").min())
    return _changes(since, since, gone, what, count)


def _changes(since: Lines, since_of_gone: Lines, gone: Lines, what: str, count: str) -> Lines:
    """The changes from the first period of what is never taken back, one row for each of it.

    `since_of_gone` holds at least the rows of `since` whose `what` is among the gone.
    """
    for_now = (
        gone.select("customer_id", what, "period")
        .unique(["customer_id", what, "period"])
        .join(
            since_of_gone.with_columns(nw.col("period").alias("since")).drop("period"),
            on=["customer_id", what],
            how="left",
        )
        .filter(nw.col("since").is_null() | (nw.col("period") < nw.col("since")))
    )
    one = nw.lit(1, nw.Int64).alias(count)
    lost = (nw.col("period") + 1).alias("period")
    changes = [
        since.select("customer_id", "period", one),
        for_now.select("customer_id", "period", one),
        for_now.select("customer_id", lost, nw.lit(-1, nw.Int64).alias(count)),
    ]
    return _summed(nw.concat(changes), (count,))


def _add_up(columns: Sequence[str], grid: Lines, *parts: Lines) -> Lines:
    """The parts' columns summed by customer and period, a row for every row of the grid.

    Each part has one row by customer and period. A column may stand in several parts.
    """
    by = ["customer_id", "period"]
    extra = [c for c in ("uncategorized",) if any(c in _names(part) for part in parts)]
    found: dict[str, list[nw.Expr]] = {name: [] for name in (*columns, *extra)}
    joined = grid.select(*by)
    for number, part in enumerate(parts):
        names = {name: f"{name}_{number}" for name in _names(part) if name not in by}
        joined = joined.join(part.rename(names), on=by, how="left")
        for name, renamed in names.items():
            found[name].append(nw.col(renamed).fill_null(0))
    return joined.select(
        *by,
        *(
            sum(terms[1:], terms[0]).cast(nw.Int64).alias(name)
            for name, terms in found.items()
            if terms
        ),
    )


def _summed(frame: Lines, columns: Sequence[str]) -> Lines:
    """The columns summed by customer and period."""
    sums = frame.group_by("customer_id", "period").agg(*(nw.col(c).sum() for c in columns))
    return sums.with_columns(whole_numbers(*columns))


def _names(frame: Lines) -> list[str]:
    return frame.collect_schema().names()


def _kept_days(order_days: Lines, kept_days: Lines, grid: Lines) -> Lines:
    """First day, first and last kept day by customer and period; NEVER or 0 where none is."""
    first = order_days.group_by("customer_id", "period").agg(
        nw.col("day_number").min().alias("first_day")
    )
    kept = kept_days.group_by("customer_id", "period").agg(
        nw.col("day_number").min().alias("first_kept_day"),
        nw.col("day_number").max().alias("last_kept_day"),
    )
    by = ["customer_id", "period"]
    return (
        grid.select(*by)
        .join(first, on=by, how="left")
        .join(kept, on=by, how="left")
        .with_columns(
            nw.col("first_day").fill_null(NEVER),
            nw.col("first_kept_day").fill_null(NEVER),
            nw.col("last_kept_day").fill_null(0),
        )
    )


def _running(expression: nw.Expr, name: str) -> nw.Expr:
    return expression.over("customer_id", order_by="period").cast(nw.Int64).alias(name)


def _with_gone_days(running: Lines, gone: Lines) -> Lines:
    """The days of orders that stood at the snapshot and were taken back whole later, too."""
    days = gone.group_by("customer_id", "period").agg(
        nw.col("day_number").min().alias("first_gone"),
        nw.col("day_number").max().alias("last_gone"),
    )
    return (
        running.join(days, on=["customer_id", "period"], how="left")
        .with_columns(nw.col("first_gone").fill_null(NEVER), nw.col("last_gone").fill_null(0))
        .with_columns(
            nw.min_horizontal("first_kept_day", "first_gone").alias("first_kept_day"),
            nw.max_horizontal("last_kept_day", "last_gone").alias("last_kept_day"),
        )
    )


def _describe(running: Lines, categories: Sequence[str]) -> Lines:
    """The features, from the running sums at each snapshot."""
    kept_any = nw.col("orders") > 0
    money = nw.col("amount") * nw.lit(MONEY_UNIT)
    return running.select(
        "snapshot_date",
        "customer_id",
        nw.when(kept_any)
        .then(nw.col("snapshot_day") - nw.col("last_kept_day"))
        .alias("recency_days"),
        nw.col("orders").alias("frequency"),
        money.alias("monetary"),
        (nw.col("snapshot_day") - nw.col("first_day")).alias("tenure_days"),
        _ratio("amount", nw.col("orders") * 10_000).alias("average_order_value"),
        _ratio("units", nw.col("orders")).alias("items_per_order"),
        nw.when(nw.col("days") > 1)
        .then((nw.col("last_kept_day") - nw.col("first_kept_day")) / (nw.col("days") - 1))
        .alias("days_between_orders"),
        ((nw.col("amount_sold") - nw.col("amount")) / nw.col("amount_sold")).alias("return_rate"),
        nw.col("products").alias("distinct_products"),
        (nw.col("units_sold") / nw.col("lines")).alias("units_per_line"),
        *(
            _ratio(f"spend_{key}", nw.col("amount")).alias(f"spend_share_{key}")
            for key in categories
        ),
        "amount",
        "last_kept_day",
        "uncategorized",
    )


def _ratio(column: str, by: nw.Expr) -> nw.Expr:
    """A quotient that is 0 where nothing was kept."""
    return nw.when(by > 0).then(nw.col(column) / by).otherwise(nw.lit(0.0))

"""Net returns against purchases, last in, first out, with window functions and no loop.

For one customer and product in time order, the units held are a stack: a purchase lays its units on
top, a return takes units off the top, and what it takes beyond an empty stack was bought before the
file begins. With B the running sum of signed quantities, the units held are B less the least that
B has been below zero; a purchase lies between the heights held before and after it, and keeps what
no later return reaches down to.

Lines of one minute have no order of their own: purchases come before returns, then the content
decides and the position in the source only between lines that are equal in every column, so that
the order of the lines within a minute changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import narwhals as nw

Lines = nw.LazyFrame[Any]
Keep = Callable[[Lines], Lines]

PAIR = ("customer_id", "stock_code")
TIME = ("sold_at", "is_return", "invoice_id", "unit_price", "quantity", "country", "line_id")
NUMBER = ("event",)


def held_units(goods: Lines) -> Lines:
    """Return every line of a customer x product pair that has a return, with what was held.

    `goods` are lines with `line_id`, PAIR, `quantity` (negative on returns), `sold_at`,
    `invoice_id`, `unit_price`, `country`. Added: `event` (position in the pair's time order, from
    1), `held_before` and `held_after` (units), `units_kept` (of a purchase, at the end of the
    file), `units_matched` (of a return), and `episode`, which counts how often the stack began
    from nothing: a return never reaches into an earlier episode.
    """
    returned = goods.filter((nw.col("quantity") < 0) & ~nw.col("customer_id").is_null())
    pairs = returned.group_by(*PAIR).agg(nw.len().alias("returns")).select(*PAIR)
    events = goods.join(pairs, on=list(PAIR), how="semi").with_columns(
        is_return=(nw.col("quantity") < 0).cast(nw.Int64), country=nw.col("country").fill_null("")
    )
    balance = events.with_columns(
        balance=nw.col("quantity").cum_sum().over(*PAIR, order_by=TIME).cast(nw.Int64),
        event=nw.col("line_id").cum_count().over(*PAIR, order_by=TIME).cast(nw.Int64),
    )
    lowest = nw.col("balance").cum_min().over(*PAIR, order_by=NUMBER)
    held = balance.with_columns(lowest=lowest.cast(nw.Int64)).with_columns(
        held_after=nw.col("balance") - nw.min_horizontal(nw.col("lowest"), nw.lit(0))
    )
    before = nw.col("held_after").shift(1).over(*PAIR, order_by=NUMBER)
    later_low = nw.col("held_after").cum_min(reverse=True).over(*PAIR, order_by=NUMBER)
    stacked = held.with_columns(
        held_before=before.fill_null(0).cast(nw.Int64), later_low=later_low.cast(nw.Int64)
    ).with_columns(
        begins=(nw.col("held_before") == 0).cast(nw.Int64),
        units_kept=nw.max_horizontal(
            nw.min_horizontal(nw.col("later_low") - nw.col("held_before"), nw.col("quantity")),
            nw.lit(0),
        ),
        units_matched=nw.max_horizontal(nw.col("held_before") - nw.col("held_after"), nw.lit(0)),
    )
    episode = nw.col("begins").cum_sum().over(*PAIR, order_by=NUMBER)
    return stacked.with_columns(episode=episode.cast(nw.Int64)).drop(
        "balance", "lowest", "later_low", "begins"
    )


def units_taken_back(held: Lines) -> Lines:
    """Return one row per sale line and return line that took back units of it.

    `held` comes from `held_units`. Columns: line_id, return_line_id, returned_at, quantity (units).
    Each purchase meets the later returns of its episode only, and only where units of it were
    taken back at all: quadratic within an episode, which real customers keep short.
    """
    purchases = held.filter(
        (nw.col("quantity") > 0) & (nw.col("units_kept") < nw.col("quantity"))
    ).select("line_id", *PAIR, "episode", "quantity", "held_before", bought="event")
    returns = held.filter(nw.col("units_matched") > 0).select(
        *PAIR, "episode", "event", "held_after", return_line_id="line_id", returned_at="sold_at"
    )
    met = purchases.join(returns, on=[*PAIR, "episode"], how="inner").filter(
        nw.col("event") > nw.col("bought")
    )
    lowest = nw.col("held_after").cum_min().over("line_id", order_by=NUMBER).cast(nw.Int64)
    left = nw.max_horizontal(
        nw.min_horizontal(nw.col("lowest") - nw.col("held_before"), nw.col("quantity")), nw.lit(0)
    )
    after = met.with_columns(lowest=lowest).with_columns(left=left)
    left_before = nw.col("left").shift(1).over("line_id", order_by=NUMBER)
    taken = after.with_columns(left_before=left_before).with_columns(
        taken=nw.when(nw.col("left_before").is_null())
        .then(nw.col("quantity"))
        .otherwise(nw.col("left_before"))
        - nw.col("left")
    )
    return taken.filter(nw.col("taken") > 0).select(
        "line_id", "return_line_id", "returned_at", quantity=nw.col("taken").cast(nw.Int64)
    )

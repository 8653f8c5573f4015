"""Net returns against purchases, last in, first out, by a stack in one pass over sorted lines.

For one customer and product in time order, the units held are a stack: a purchase lays its units on
top, a return takes units off the top, and what it takes beyond an empty stack was bought before the
file begins. A return on the order of a purchase takes that purchase's units first. Only lines of
customer x product pairs with a return are looked at, a few in a hundred.

Lines of one minute have no order of their own: purchases come before returns, then the content
decides and the position in the source only between lines that are equal in every column, so that
the order of the lines within a minute changes nothing.
"""

from __future__ import annotations

from array import array
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.core.engines.expressions import ten_thousandths

Lines = nw.LazyFrame[Any]

CENT = 100  # ten-thousandths
PAIR = ("customer_id", "stock_code")
TIME = ("sold_at", "is_return", "invoice_id", "unit_price", "quantity", "country", "line_id")


def match_returns(goods: Lines) -> pa.Table:
    """Return one row per sale line and return line that took back units of it.

    `goods` are lines with `line_id`, PAIR, `quantity` (negative on returns), `sold_at`,
    `invoice_id`, `unit_price`, `amount`, `country`. Columns: line_id of the sale, return_line_id,
    returned_at, units and money (what was paid for them), both in ten-thousandths.
    """
    events = events_in_time(goods).collect("pyarrow").to_native().combine_chunks()
    matches = match_units(
        first_of_pairs(events),
        *(events[name].to_pylist() for name in ("units", "paid", "invoice_id")),
    )
    sale, back = events.take(matches["sale"]), events.take(matches["back"])
    return pa.table(
        {
            "line_id": sale["line_id"],
            "return_line_id": back["line_id"],
            "returned_at": back["sold_at"],
            "units": matches["units"],
            "money": matches["money"],
        }
    )


def events_in_time(goods: Lines) -> Lines:
    """Return the lines of every customer x product pair that has a return, in time order."""
    returned = goods.filter((nw.col("quantity") < 0) & ~nw.col("customer_id").is_null())
    pairs = returned.group_by(*PAIR).agg(nw.len().alias("returns")).select(*PAIR)
    return (
        goods.join(pairs, on=list(PAIR), how="semi")
        .with_columns(
            is_return=(nw.col("quantity") < 0).cast(nw.Int64),
            country=nw.col("country").fill_null(""),
            units=ten_thousandths("quantity"),
            paid=ten_thousandths("amount"),
        )
        .sort(*PAIR, *TIME)
        .select(*PAIR, "line_id", "invoice_id", "units", "paid", "sold_at")
    )


def first_of_pairs(events: pa.Table) -> list[bool]:
    """Return for each row whether it is the first of its customer and product."""
    if not len(events):
        return []
    before, after = events.slice(0, len(events) - 1), events.slice(1)
    differ = [pc.not_equal(after[name], before[name]).to_numpy() for name in PAIR]
    return [True, *np.logical_or(*differ).tolist()]


def match_units(
    firsts: list[bool], quantities: list[int], paid: list[int], orders: list[str]
) -> pa.Table:
    """Return which `sale` lost how many `units` to which return (`back`); lines by position.

    `money` is the share of what was paid for the units: the parts of a line add up to the whole.
    """
    columns = {name: array("q") for name in ("sale", "back", "units", "money")}
    left, worth = quantities.copy(), paid.copy()  # of each purchase: what was not returned
    held: list[int] = []  # positions of purchases, the latest last
    by_order: dict[str, list[int]] = {}
    for position, (is_first, quantity) in enumerate(zip(firsts, quantities, strict=True)):
        if is_first:
            held, by_order = [], {}
        if quantity > 0:
            held.append(position)
            by_order.setdefault(orders[position], []).append(position)
            continue
        wanted = -quantity
        for stack in (by_order.get(orders[position], []), held):
            while wanted and stack:
                sale = stack[-1]
                if not left[sale]:
                    stack.pop()
                    continue
                taken = min(wanted, left[sale])
                coin = 1 if paid[sale] % CENT else CENT
                half = left[sale] // 2
                money = (worth[sale] // coin * taken + half) // left[sale] * coin
                for name, value in zip(columns, (sale, position, taken, money), strict=True):
                    columns[name].append(value)
                wanted -= taken
                left[sale] -= taken
                worth[sale] -= money
    return pa.table({name: np.array(values, np.int64) for name, values in columns.items()})

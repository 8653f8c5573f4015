"""Net refunds of money against orders: the order that a refund names, else the latest ones.

A refund is a line of no units and a negative amount. Where its order is in the file, each line of
that order gives its share; else the customer's latest purchases give what they still hold, last in,
first out, in amounts. What it takes beyond is unmatched: it was paid before the file begins, or for
postage.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import narwhals as nw
import pyarrow as pa

from pipeline.core.engines.expressions import ten_thousandths

Lines = nw.LazyFrame[Any]

COLUMNS = ("line_id", "invoice_id", "stock_code", "customer_id", "sold_at")


def match_refunds(placed: Lines, returned: pa.Table) -> pa.Table:
    """Return one row per sale line and refund that took back money of it.

    `placed` are lines with `place` (`goods` or `refund`), `returned` what `match_returns` gave.
    Columns: line_id, return_line_id, returned_at, units (0) and money (ten-thousandths).
    """
    lines = placed.select(*COLUMNS, "place", "quantity", money=ten_thousandths("amount"))
    refunds = lines.filter(nw.col("quantity") == 0, nw.col("place") == "refund")
    wanted = _in_time(refunds.select(*COLUMNS, "money"))
    if not wanted:
        return returned.schema.empty_table()
    sales = lines.filter((nw.col("place") == "goods") & (nw.col("quantity") > 0))
    touched = nw.concat(
        [
            sales.join(refunds.select(key).unique(), on=key, how="semi").select(*COLUMNS, "money")
            for key in ("invoice_id", "customer_id")
        ]
    ).unique()
    back: dict[int, int] = defaultdict(int)
    for line, money in zip(*(returned[n].to_pylist() for n in ("line_id", "money")), strict=True):
        back[line] += money
    purchases = _in_time(touched)
    for row in purchases:
        row["left"] = row["money"] - back[row["line_id"]]
    found = take_back(purchases, wanted)
    return pa.Table.from_pylist(found, schema=returned.schema)


def _in_time(lines: Lines) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lines.collect("pyarrow").to_native().to_pylist()
    return sorted(rows, key=lambda row: (row["sold_at"], row["invoice_id"], row["line_id"]))


def take_back(
    purchases: list[dict[str, Any]], refunds: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return what each refund takes of which purchase; both in time order, `left` is used up."""
    by_order: dict[str, list[dict[str, Any]]] = defaultdict(list)
    by_customer: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in purchases:
        by_order[row["invoice_id"]].append(row)
    found: list[dict[str, Any]] = []
    coming = iter([*purchases, None])
    purchase = next(coming)
    for refund in refunds:
        while purchase is not None and purchase["sold_at"] <= refund["sold_at"]:
            by_customer[purchase["customer_id"]].append(purchase)
            purchase = next(coming)
        wanted = -refund["money"]
        if order := by_order.get(refund["invoice_id"]):
            same = [row for row in order if row["stock_code"] == refund["stock_code"]]
            shares = _shares(wanted, same or order)
        elif refund["customer_id"] is None:
            shares = []
        else:
            shares = _latest(wanted, by_customer[refund["customer_id"]])
        for row, money in shares:
            row["left"] -= money
            found.append(
                {
                    "line_id": row["line_id"],
                    "return_line_id": refund["line_id"],
                    "returned_at": refund["sold_at"],
                    "units": 0,
                    "money": money,
                }
            )
    return found


def _shares(wanted: int, order: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """Each line's share of the money, by what it still holds: largest remainder."""
    held = sum(row["left"] for row in order)
    taken = min(wanted, held)
    if not taken:
        return []
    shares = [(taken * row["left"] // held, taken * row["left"] % held, row) for row in order]
    over = taken - sum(share for share, _, _ in shares)
    by_rest = sorted(range(len(shares)), key=lambda n: -shares[n][1])[:over]
    exact = [(row, share + (n in by_rest)) for n, (share, _, row) in enumerate(shares)]
    return [(row, share) for row, share in exact if share]


def _latest(wanted: int, held: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """What the latest purchases give, last in, first out; those that hold nothing more are gone."""
    taken: list[tuple[dict[str, Any], int]] = []
    while wanted and held:
        money = min(wanted, held[-1]["left"])
        if money:
            taken.append((held[-1], money))
        wanted -= money
        if money == held[-1]["left"]:
            held.pop()
    return taken

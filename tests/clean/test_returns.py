"""Returns against a brute-force stack: last in, first out, for one customer and product."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import duckdb
import narwhals as nw
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shops import paid

from pipeline.clean.refunds import take_back
from pipeline.clean.returns import match_returns
from pipeline.core.tables.ingest import INVOICE_LINES

START = datetime(2011, 1, 3, 9, 0)  # noqa: DTZ001, the shop's own time, of no zone


class Line(NamedTuple):
    """A line of goods; minutes count from START."""

    minute: int
    units: int
    customer: str | None = "A"
    product: str = "CUP"
    invoice: str = "1"
    price: str = "2.50"
    country: str | None = "Malta"
    line_id: int = 0  # 0 = its position in the list, from 1


def numbered(lines: list[Line]) -> list[Line]:
    return [line._replace(line_id=line.line_id or n) for n, line in enumerate(lines, 1)]


def lazy(lines: list[Line]) -> nw.LazyFrame[Any]:
    rows = [
        paid(
            {
                "line_id": line.line_id,
                "invoice_id": line.invoice,
                "stock_code": line.product,
                "description": None,
                "quantity": line.units,
                "sold_at": START + timedelta(minutes=line.minute),
                "unit_price": Decimal(line.price),
                "customer_id": line.customer,
                "country": line.country,
            }
        )
        for line in lines
    ]
    table = pa.Table.from_pylist(rows, schema=INVOICE_LINES.schema)
    return nw.from_native(duckdb.from_arrow(table))


Taken = dict[tuple[int, int], int]  # units by sale line and return line


def netted(lines: list[Line]) -> Taken:
    rows = match_returns(lazy(numbered(lines))).to_pylist()
    by_id = {line.line_id: line for line in numbered(lines)}
    for row in rows:
        came_back = START + timedelta(minutes=by_id[row["return_line_id"]].minute)
        assert row["returned_at"] == came_back
        assert row["money"] == row["units"] * Decimal(by_id[row["line_id"]].price)
    taken = {(row["line_id"], row["return_line_id"]): row["units"] // 10_000 for row in rows}
    assert len(taken) == len(rows)
    return taken


def stacked(lines: list[Line]) -> Taken:
    """The same unit by unit, a stack for each customer and product: the reference."""
    stacks: dict[tuple[str, str], list[int]] = defaultdict(list)
    taken: Counter[tuple[int, int]] = Counter()
    by_id = {line.line_id: line for line in numbered(lines)}

    def in_time(line: Line) -> tuple[Any, ...]:
        content = (line.invoice, Decimal(line.price), line.units, line.country or "")
        return line.minute, line.units < 0, *content, line.line_id

    for line in sorted(numbered(lines), key=in_time):
        if not line.customer:
            continue
        stack = stacks[line.customer, line.product]
        stack += [line.line_id] * line.units
        for _ in range(min(-line.units, len(stack))):
            same = [n for n in stack if by_id[n].invoice == line.invoice]
            sale = (same or stack)[-1]
            stack.reverse()
            stack.remove(sale)
            stack.reverse()
            taken[sale, line.line_id] += 1
    return dict(taken)


some_lines = st.lists(
    st.builds(
        Line,
        minute=st.integers(0, 4),
        units=st.integers(-7, 7).filter(bool),
        customer=st.sampled_from(["A", "A", "A", "B", None]),
        product=st.sampled_from(["CUP", "CUP", "BOX"]),
        invoice=st.sampled_from(["1", "2"]),
        price=st.sampled_from(["2.50", "2.25"]),
        country=st.sampled_from(["Malta", None]),
        line_id=st.just(0),
    ),
    max_size=14,
)
often = settings(max_examples=40, deadline=None)


@often
@given(lines=some_lines)
def test_one_pass_gives_what_a_stack_of_units_gives(lines):
    assert netted(lines) == stacked(lines)


@often
@given(lines=some_lines, day=st.integers(-1, 5))
def test_lines_up_to_a_moment_give_the_returns_up_to_it(lines, day):
    lines = numbered(lines)
    known = [line for line in lines if line.minute <= day]
    minute_of = {line.line_id: line.minute for line in lines}
    whole = netted(lines)
    assert netted(known) == {key: units for key, units in whole.items() if minute_of[key[1]] <= day}


def test_one_customer_and_product_may_have_many_returns():
    units = [3, 3, -4] * 20_000 + [-3] * 10_000
    lines = numbered([Line(minute, number) for minute, number in enumerate(units)])
    assert netted(lines) == stacked(lines)


CHEAP, DEAR = Line(0, 2, price="1.00"), Line(0, 2, price="9.00")


@pytest.mark.parametrize(
    ("lines", "taken"),
    [
        ([Line(0, 5), Line(1, 3), Line(2, -4)], {(2, 3): 3, (1, 3): 1}),  # the latest first
        # in the minute of its purchase it finds it wherever it stands
        ([Line(0, -2), Line(0, 5)], {(2, 1): 2}),
        ([Line(0, 5), Line(0, -2)], {(1, 2): 2}),
        # within a minute the content decides
        ([CHEAP, DEAR, Line(1, -3)], {(2, 3): 2, (1, 3): 1}),
        ([DEAR, CHEAP, Line(1, -3)], {(1, 3): 2, (2, 3): 1}),
        # beyond the stack it leaves no debt for the next return
        ([Line(0, 1), Line(1, -4), Line(2, 5), Line(3, -2)], {(1, 2): 1, (3, 4): 2}),
    ],
)
def test_a_return_takes_back_what_was_bought_last(lines, taken):
    assert netted(lines) == stacked(lines) == taken


@pytest.mark.parametrize(
    ("refunds", "left"),
    [
        ([(5, "R", 30)], {"1": 50, "2": 20, "3": 0}),  # the latest order's money, then some before
        ([(5, "R", 10), (6, "S", 25)], {"1": 50, "2": 15, "3": 0}),
        ([(3, "R", 30)], {"1": 50, "2": 0, "3": 20}),  # what is bought later is not taken
        ([(5, "1", 15)], {"1": 35, "2": 30, "3": 20}),  # it names its order
        ([(5, "R", 500)], {"1": 0, "2": 0, "3": 0}),
    ],
)
def test_a_refund_without_an_order_takes_back_the_latest_orders_money(refunds, left):
    def rows(of: list[tuple[int, str, int]], sign: int) -> list[dict[str, Any]]:
        return [
            {"line_id": at, "invoice_id": order, "stock_code": "CUP", "customer_id": "A",
             "sold_at": START + timedelta(minutes=at), "money": sign * money, "left": money}
            for at, order, money in of
        ]  # fmt: skip

    purchases = rows([(1, "1", 50), (2, "2", 30), (4, "3", 20)], 1)
    found = take_back(purchases, rows(refunds, -1))
    assert {row["invoice_id"]: row["left"] for row in purchases} == left
    assert sum(row["money"] for row in found) == 100 - sum(left.values())

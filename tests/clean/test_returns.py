"""Returns against a brute-force stack: last in, first out, for one customer and product."""

from __future__ import annotations

import importlib.util
import random
import shutil
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import duckdb
import narwhals as nw
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import skip_unless
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clean.returns import held_units, units_taken_back
from pipeline.core.engines.spark import SparkEngine, open_spark
from pipeline.core.tables.ingest import INVOICE_LINES

ENGINES = ("duckdb", "pandas")
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


def lazy(engine: str | SparkEngine, lines: list[Line]) -> nw.LazyFrame[Any]:
    rows = [
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
        for line in lines
    ]
    table = pa.Table.from_pylist(rows, schema=INVOICE_LINES.schema)
    if engine == "pandas":
        return nw.from_native(table.to_pandas(types_mapper=pd.ArrowDtype)).lazy()
    if isinstance(engine, SparkEngine):
        file = engine.folder / "lines.parquet"
        pq.write_table(table, file)
        return nw.from_native(engine.session.read.parquet(str(file)))
    return nw.from_native(duckdb.from_arrow(table))


def rows_of(frame: nw.LazyFrame[Any]) -> list[dict[str, Any]]:
    native = frame.collect().to_native()
    table = native if isinstance(native, pa.Table) else pa.Table.from_pandas(native)
    return [
        {name: value for name, value in row.items() if not name.startswith("__")}
        for row in table.to_pylist()
    ]


class Netted(NamedTuple):
    """What came back: units by (sale line, return line), and units left and matched by line."""

    taken: dict[tuple[int, int], int]
    kept: dict[int, int]
    matched: dict[int, int]


def netted(engine: str | SparkEngine, lines: list[Line]) -> Netted:
    held = held_units(lazy(engine, numbered(lines)))
    rows = rows_of(held)
    taken = rows_of(units_taken_back(held))
    moment = {line.line_id: START + timedelta(minutes=line.minute) for line in numbered(lines)}
    assert all(row["returned_at"] == moment[row["return_line_id"]] for row in taken)
    keys = [(row["line_id"], row["return_line_id"]) for row in taken]
    assert len(keys) == len(set(keys))
    return Netted(
        {key: row["quantity"] for key, row in zip(keys, taken, strict=True)},
        {row["line_id"]: row["units_kept"] for row in rows if row["quantity"] > 0},
        {row["line_id"]: row["units_matched"] for row in rows if row["quantity"] < 0},
    )


def stacked(lines: list[Line]) -> Netted:
    """The same by a stack for each customer and product: the reference."""
    stacks: dict[tuple[str, str], list[list[int]]] = defaultdict(list)
    taken: Counter[tuple[int, int]] = Counter()
    matched: dict[int, int] = {}
    returning = {(n.customer, n.product) for n in lines if n.units < 0 and n.customer}

    def in_time(line: Line) -> tuple[Any, ...]:
        is_return = line.units < 0
        content = (line.invoice, Decimal(line.price), line.units, line.country or "")
        return line.minute, is_return, *content, line.line_id

    for line in sorted(numbered(lines), key=in_time):
        pair = (line.customer, line.product)
        if pair not in returning:
            continue
        stack = stacks[pair]
        if line.units > 0:
            stack.append([line.line_id, line.units])
            continue
        left = -line.units
        while left and stack:
            top = stack[-1]
            units = min(left, top[1])
            taken[top[0], line.line_id] += units
            top[1] -= units
            left -= units
            if not top[1]:
                stack.pop()
        matched[line.line_id] = -line.units - left
    bought = {n.line_id: n.units for n in numbered(lines) if n.units > 0}
    back = Counter()
    for (line_id, _), units in taken.items():
        back[line_id] += units
    kept = {
        n.line_id: bought[n.line_id] - back[n.line_id]
        for n in numbered(lines)
        if n.units > 0 and (n.customer, n.product) in returning
    }
    return Netted(dict(taken), kept, matched)


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


@pytest.mark.parametrize("engine", ENGINES)
@often
@given(lines=some_lines)
def test_windows_give_what_a_stack_gives(engine, lines):
    assert netted(engine, lines) == stacked(lines)


@pytest.mark.parametrize("engine", ENGINES)
@often
@given(lines=some_lines)
def test_quantities_are_conserved(engine, lines):
    result = netted(engine, lines)
    bought = {n.line_id: n.units for n in numbered(lines) if n.units > 0}
    back: Counter[int] = Counter()
    by_return: Counter[int] = Counter()
    for (line_id, return_line_id), units in result.taken.items():
        assert units > 0
        back[line_id] += units
        by_return[return_line_id] += units
    for line_id, kept in result.kept.items():
        assert 0 <= kept <= bought[line_id]
        assert kept + back[line_id] == bought[line_id]
    assert by_return == Counter({n: units for n, units in result.matched.items() if units})


@pytest.mark.parametrize("engine", ENGINES)
@often
@given(lines=some_lines, day=st.integers(-1, 5))
def test_lines_up_to_a_moment_give_the_returns_up_to_it(engine, lines, day):
    lines = numbered(lines)
    known = [line for line in lines if line.minute <= day]
    minute_of = {line.line_id: line.minute for line in lines}
    whole = netted(engine, lines).taken
    assert netted(engine, known).taken == {
        key: units for key, units in whole.items() if minute_of[key[1]] <= day
    }


@pytest.mark.parametrize("engine", ENGINES)
@often
@given(lines=some_lines, chance=st.randoms(use_true_random=False))
def test_another_order_of_the_lines_changes_nothing_but_their_numbers(engine, lines, chance):
    lines = numbered(lines)
    shuffled = lines.copy()
    chance.shuffle(shuffled)
    shuffled = [line._replace(line_id=n) for n, line in enumerate(shuffled, 1)]

    def by_content(given_lines: list[Line]) -> Counter[tuple[Any, ...]]:
        content = {line.line_id: line._replace(line_id=0) for line in given_lines}
        result = netted(engine, given_lines)
        kept = [(content[n], "kept", units) for n, units in result.kept.items()]
        matched = [(content[n], "matched", units) for n, units in result.matched.items()]
        return Counter(kept + matched)

    assert by_content(shuffled) == by_content(lines)


def random_lines(seed: int, customers: int) -> list[Line]:
    """Many small histories in one frame: what one run of a heavy engine can check."""
    chance = random.Random(seed)
    return numbered(
        [
            Line(
                minute=chance.randint(0, 6),
                units=chance.choice([-9, -4, -3, -2, -1, 1, 2, 3, 4, 12]),
                customer=None if customer == 0 else f"C{customer}",
                product=chance.choice(["CUP", "BOX"]),
                invoice=chance.choice(["1", "2"]),
                price=chance.choice(["2.50", "2.25"]),
                country=chance.choice(["Malta", None]),
            )
            for customer in range(customers)
            for _ in range(chance.randint(1, 12))
        ]
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_many_customers_at_once_give_what_their_stacks_give(engine):
    lines = random_lines(352, 400)
    assert netted(engine, lines) == stacked(lines)


@pytest.mark.spark
def test_many_customers_on_spark_give_what_their_stacks_give(tmp_path, monkeypatch):
    skip_unless(importlib.util.find_spec("pyspark"), "PySpark")
    skip_unless(shutil.which("java"), "Java")
    monkeypatch.setenv("SPARK_MASTER", "local[2]")
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    monkeypatch.setenv("PIPELINE_SPILL", str(tmp_path))
    lines = random_lines(353, 1_500)
    with open_spark() as engine:
        assert netted(engine, lines) == stacked(lines)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_return_takes_back_the_latest_purchase_first(engine):
    lines = [Line(0, 5), Line(1, 3), Line(2, -4)]
    assert netted(engine, lines) == Netted({(2, 3): 3, (1, 3): 1}, {1: 4, 2: 0}, {3: 4})


@pytest.mark.parametrize("engine", ENGINES)
def test_a_return_in_the_minute_of_its_purchase_finds_it_wherever_it_stands(engine):
    assert netted(engine, [Line(0, -2), Line(0, 5)]).taken == {(2, 1): 2}
    assert netted(engine, [Line(0, 5), Line(0, -2)]).taken == {(1, 2): 2}


@pytest.mark.parametrize("engine", ENGINES)
def test_purchases_of_one_minute_are_ordered_by_their_content(engine):
    cheap, dear = Line(0, 2, price="1.00"), Line(0, 2, price="9.00")
    assert netted(engine, [cheap, dear, Line(1, -3)]).taken == {(2, 3): 2, (1, 3): 1}
    assert netted(engine, [dear, cheap, Line(1, -3)]).taken == {(1, 3): 2, (2, 3): 1}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_return_larger_than_any_purchase_takes_several_and_the_rest_is_unmatched(engine):
    lines = [Line(0, 2), Line(1, 3), Line(2, -9)]
    assert netted(engine, lines) == Netted({(2, 3): 3, (1, 3): 2}, {1: 0, 2: 0}, {3: 5})


@pytest.mark.parametrize("engine", ENGINES)
def test_a_return_before_any_purchase_takes_nothing_of_a_later_one(engine):
    lines = [Line(0, -4), Line(1, 3)]
    assert netted(engine, lines) == Netted({}, {2: 3}, {1: 0})


@pytest.mark.parametrize("engine", ENGINES)
def test_a_return_beyond_the_stack_leaves_no_debt_for_the_next_return(engine):
    lines = [Line(0, 1), Line(1, -4), Line(2, 5), Line(3, -2)]
    assert netted(engine, lines) == Netted({(1, 2): 1, (3, 4): 2}, {1: 0, 3: 3}, {2: 1, 4: 2})


@pytest.mark.parametrize("engine", ENGINES)
def test_identical_lines_are_lines_of_their_own(engine):
    result = netted(engine, [Line(0, 2), Line(0, 2), Line(0, -1), Line(0, -1)])
    assert result == Netted({(2, 3): 1, (2, 4): 1}, {1: 2, 2: 0}, {3: 1, 4: 1})


@pytest.mark.parametrize("engine", ENGINES)
def test_lines_without_a_customer_are_never_matched(engine):
    lines = [Line(0, 5, customer=None), Line(1, -2, customer=None), Line(0, 5), Line(1, -1)]
    assert netted(engine, lines) == Netted({(3, 4): 1}, {3: 4}, {4: 1})


@pytest.mark.parametrize("engine", ENGINES)
def test_other_customers_and_products_are_left_alone(engine):
    lines = [Line(0, 5, "A", "CUP"), Line(0, 5, "B", "CUP"), Line(0, 5, "A", "BOX")]
    result = netted(engine, [*lines, Line(1, -2, "A", "CUP")])
    assert result == Netted({(1, 4): 2}, {1: 3}, {4: 2})

"""Customers per snapshot: against a brute-force reference, and never from anything later."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb
import narwhals as nw
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shops import paid

from pipeline.aggregate_rfm.__main__ import SPAN, TOTALS, days_of_sales, snapshot_dates
from pipeline.aggregate_rfm.calendar import period_of
from pipeline.aggregate_rfm.features import customer_features, order_changes
from pipeline.aggregate_rfm.later_purchases import later_purchases, whole_horizons
from pipeline.aggregate_rfm.movements import movements
from pipeline.aggregate_rfm.rfm_scores import with_scores
from pipeline.core.engines.expressions import day_number
from pipeline.core.run.errors import InputError
from pipeline.core.tables.clean import RETURNED_UNITS, SALES

START = date(2011, 1, 30)
CATEGORIES = {"P1": "kitchen", "P2": "kitchen", "P3": "party"}
NEXT_YEAR = date(2012, 12, 31)


def sale(  # noqa: PLR0917, a line reads as a row
    line: int,
    invoice: str,
    product: str,
    units: int,
    day: int,
    customer: str | None,
    price: str = "1.50",
    returns: tuple[tuple[int, int], ...] = (),
) -> dict[str, Any]:
    """A sale line with its returns (day, units); days count from START."""
    back = sum(n for _, n in returns)
    return paid(
        {
            "line_id": line,
            "invoice_id": invoice,
            "stock_code": product,
            "description": product,
            "quantity": units,
            "sold_at": datetime.combine(START, datetime.min.time()) + timedelta(days=day, hours=9),
            "unit_price": Decimal(price),
            "customer_id": customer,
            "country": "Malta",
            "quantity_returned": back,
            "net_amount": (units - back) * Decimal(price),
            "returns": returns,
        }
    )


def lazy(table: pa.Table) -> nw.LazyFrame[Any]:
    return nw.from_native(duckdb.from_arrow(table))


def frames(sales: list[dict[str, Any]]) -> tuple[nw.LazyFrame[Any], ...]:
    """Sales, returned units and product categories."""
    lines = [{k: v for k, v in row.items() if k != "returns"} for row in sales]
    returned = [
        {
            "line_id": row["line_id"],
            "return_line_id": 1000 * row["line_id"] + number,
            "returned_at": datetime.combine(START, datetime.min.time())
            + timedelta(days=day, hours=9, minutes=1),
            "quantity": units,
            "amount": units * row["unit_price"],
        }
        for row in sales
        for number, (day, units) in enumerate(row["returns"])
    ]
    categories = {"stock_code": list(CATEGORIES), "category": list(CATEGORIES.values())}
    return (
        lazy(pa.Table.from_pylist(lines, schema=SALES.schema)),
        lazy(pa.Table.from_pylist(returned, schema=RETURNED_UNITS.schema)),
        lazy(pa.table(categories)),
    )


def collected(frame: nw.LazyFrame[Any]) -> list[dict[str, Any]]:
    rows = frame.collect().to_native().to_pylist()
    return sorted(rows, key=lambda row: (row["snapshot_date"], row["customer_id"]))


def features(sales: list[dict[str, Any]], snapshots: tuple[date, ...]) -> list[dict[str, Any]]:
    return collected(scored(sales, snapshots))


def keep(frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    return lazy(frame.to_native().to_arrow_table())


def moved(
    sales: list[dict[str, Any]], snapshots: tuple[date, ...] = (NEXT_YEAR,)
) -> nw.LazyFrame[Any]:
    lines, returned, _ = frames(sales)
    return movements(lines, returned, snapshots, keep)


def scored(sales: list[dict[str, Any]], snapshots: tuple[date, ...]) -> nw.LazyFrame[Any]:
    return with_scores(
        customer_features(
            moved(sales, snapshots),
            order_changes(moved(sales, snapshots)),
            frames(sales)[2],
            categories=("kitchen", "party"),
            snapshots=snapshots,
            keep=keep,
        )
    )


def reference(sales: list[dict[str, Any]], snapshot: date) -> list[dict[str, Any]]:
    """Each customer recomputed from the lines and returns up to the snapshot, plainly."""
    lines = defaultdict(list)
    for row in sales:
        day = row["sold_at"].date()
        if row["customer_id"] is not None and day <= snapshot:
            kept = row["quantity"] - sum(
                n for d, n in row["returns"] if START + timedelta(days=d) <= snapshot
            )
            lines[row["customer_id"]].append((row, day, kept))
    result = [describe(snapshot, customer, bought) for customer, bought in sorted(lines.items())]
    for measure, key in (
        ("recency", lambda row: -(10**6) if row["recency_days"] is None else -row["recency_days"]),
        ("frequency", lambda row: row["frequency"]),
        ("monetary", lambda row: row["monetary"]),
    ):
        for row in result:
            worse = sum(key(other) < key(row) for other in result)
            row[f"{measure}_score"] = min(5, 1 + 5 * worse // len(result))
    return result


def describe(snapshot: date, customer: str, bought: list[Any]) -> dict[str, Any]:
    kept = [(row, day, units) for row, day, units in bought if units > 0]
    money = sum((units * row["unit_price"] for row, _, units in kept), Decimal(0))
    sold = sum((row["quantity"] * row["unit_price"] for row, _, _ in bought), Decimal(0))
    orders = len({row["invoice_id"] for row, _, _ in kept})
    days = sorted({day for _, day, _ in kept})
    units_kept = sum(units for _, _, units in kept)
    result = {
        "snapshot_date": snapshot,
        "customer_id": customer,
        "recency_days": (snapshot - days[-1]).days if kept else None,
        "frequency": orders,
        "monetary": money,
        "tenure_days": (snapshot - min(day for _, day, _ in bought)).days,
        "average_order_value": float(Fraction(money) / orders) if kept else 0.0,
        "items_per_order": units_kept / orders if kept else 0.0,
        "days_between_orders": (days[-1] - days[0]).days / (len(days) - 1)
        if len(days) > 1
        else None,
        "return_rate": float(Fraction(sold - money) / Fraction(sold)),
        "distinct_products": len({row["stock_code"] for row, _, _ in kept}),
        "units_per_line": sum(row["quantity"] for row, _, _ in bought) / len(bought),
    }
    for key in ("kitchen", "party"):
        part = sum(
            (u * row["unit_price"] for row, _, u in kept if CATEGORIES[row["stock_code"]] == key),
            Decimal(0),
        )
        result[f"spend_share_{key}"] = float(Fraction(part) / Fraction(money)) if money else 0.0
    return result


@st.composite
def some_sales(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Lines of few customers, invoices and products, so that all of them meet often."""
    rows = []
    for line in range(1, draw(st.integers(1, 12)) + 1):
        day = draw(st.integers(0, 70))
        units = draw(st.integers(1, 4))
        left, returns = units, []
        for later in sorted(draw(st.lists(st.integers(0, 60), max_size=3))):
            back = draw(st.integers(1, max(left, 1)))
            if left >= back:
                returns.append((day + later, back))
                left -= back
        rows.append(
            sale(
                line,
                draw(st.sampled_from(["1", "2", "3", "4"])),
                draw(st.sampled_from(sorted(CATEGORIES))),
                units,
                day,
                draw(st.sampled_from(["A", "B", None])),
                draw(st.sampled_from(["0.0001", "1.25", "2.10"])),
                tuple(returns),
            )
        )
    return rows


SNAPSHOTS = (date(2011, 1, 31), date(2011, 2, 28), date(2011, 3, 31), date(2011, 4, 12))


@settings(max_examples=25, deadline=None)
@given(some_sales())
def test_every_snapshot_equals_a_recomputation_from_its_lines(sales):
    found = collected(scored(sales, SNAPSHOTS).drop("amount", "last_kept_day"))
    assert found == [row for snapshot in SNAPSHOTS for row in reference(sales, snapshot)]


def test_an_invoice_of_two_days_counts_once_while_any_of_it_is_kept():
    sales = [
        # Its first line is taken back before the second is sold: for a while it is no order.
        sale(1, "1", "P1", 1, 0, "A", returns=((20, 1),)),
        sale(2, "1", "P2", 1, 40, "A"),
    ]
    found = features(sales, SNAPSHOTS)
    assert [row["frequency"] for row in found] == [1, 0, 1, 1]
    assert [row["recency_days"] for row in found] == [1, None, 20, 32]


def brute_force_later(
    sales: list[dict[str, Any]], snapshot: date, horizon: int, customers: list[str]
) -> list[dict[str, Any]]:
    end = snapshot + timedelta(days=horizon)
    result = []
    for customer in customers:
        kept = [
            (
                row,
                row["quantity"] - sum(n for d, n in row["returns"] if START + timedelta(d) <= end),
            )
            for row in sales
            if row["customer_id"] == customer and snapshot < row["sold_at"].date() <= end
        ]
        result.append(
            {
                "snapshot_date": snapshot,
                "customer_id": customer,
                "later_orders": len({row["invoice_id"] for row, units in kept if units > 0}),
                "later_spend": sum((u * row["unit_price"] for row, u in kept), Decimal(0)),
            }
        )
    return result


@settings(max_examples=12, deadline=None)
@given(some_sales())
def test_later_purchases_equal_a_recomputation(sales):
    snapshots = SNAPSHOTS[:2]
    found = collected(
        later_purchases(order_changes(moved(sales)), scored(sales, SNAPSHOTS), snapshots, 30)
    )
    assert found == [
        row
        for snapshot in snapshots
        for row in brute_force_later(
            sales, snapshot, 30, [r["customer_id"] for r in reference(sales, snapshot)]
        )
    ]


def test_without_a_whole_horizon_nothing_is_judged():
    sales = [sale(1, "1", "P1", 1, 0, "A")]
    customers = scored(sales, SNAPSHOTS[:1])
    assert collected(later_purchases(order_changes(moved(sales)), customers, (), 90)) == []
    assert whole_horizons(SNAPSHOTS, date(2011, 4, 1), 60) == SNAPSHOTS[:1]
    assert whole_horizons(SNAPSHOTS, date(2011, 4, 29), 60) == SNAPSHOTS[:2]


def test_snapshots_are_the_month_ends_and_the_day_after_the_last_sale():
    first, last = date(2010, 12, 1), date(2011, 2, 9)
    ends = (date(2010, 12, 31), date(2011, 1, 31))
    assert snapshot_dates(first, last, None) == (*ends, date(2011, 2, 10))
    assert snapshot_dates(first, last, date(2011, 1, 31)) == ends
    assert snapshot_dates(first, last, date(2010, 12, 20)) == (date(2010, 12, 20),)


@pytest.mark.parametrize("as_of", [date(2010, 11, 30), date(2099, 1, 1)])
def test_an_as_of_outside_the_data_says_what_the_data_span(as_of):
    with pytest.raises(InputError, match=f"rfm.as_of: {as_of} .* 2010-12-01 to 2011-02-09"):
        snapshot_dates(date(2010, 12, 1), date(2011, 2, 9), as_of)


def test_the_span_of_sales_needs_a_known_customer():
    sales = [sale(1, "1", "P1", 1, 0, None), sale(2, "2", "P1", 1, 3, "A")]

    def span(some: list[dict[str, Any]]) -> tuple[date, date]:
        return days_of_sales(frames(some)[0].select(**SPAN).collect().to_pandas())

    assert span(sales) == (START + timedelta(days=3), START + timedelta(days=3))
    with pytest.raises(InputError, match="no sale has a customer"):
        span(sales[:1])


@given(st.dates(date(1900, 1, 1), date(2199, 12, 31)))
@settings(max_examples=30, deadline=None)
def test_day_numbers_are_python_s_ordinals(day):
    frame = lazy(pa.table({"day": pa.array([day], pa.date32())}))
    assert frame.select(day_number(nw.col("day"))).collect()["day"].to_list() == [day.toordinal()]


def test_the_period_of_a_day_is_the_first_end_not_before_it():
    days = [date(2011, 1, 31), date(2011, 2, 1), date(2011, 4, 12), date(2011, 4, 13)]
    frame = lazy(pa.table({"day": pa.array(days, pa.date32())}))
    found = frame.select(period_of(nw.col("day"), SNAPSHOTS)).collect()
    assert found.to_native().column(0).to_pylist() == [0, 1, 3, 4]


def test_the_totals_are_sums_and_medians_of_customers():
    sales = [
        sale(1, "1", "P1", 2, 0, "A", returns=((1, 2),)),
        sale(2, "2", "P2", 4, 0, "B"),
        sale(3, "3", "P3", 2, 9, "B"),
    ]
    (found,) = scored(sales, SNAPSHOTS[1:2]).select(**TOTALS).collect().to_native().to_pylist()
    assert found == {
        "customers": 2,
        "returned_everything": 1,
        "orders": 2,
        "monetary": 90_000,
        "median_recency_days": 20,
        "median_frequency": 1,
        "median_monetary": 45_000,
    }

"""What lines tell about segments, and that nothing after the snapshot's day is known."""

from __future__ import annotations

from datetime import date, datetime

import narwhals as nw
import pandas as pd

from pipeline.profile_segments.from_lines import (
    first_order_categories,
    first_orders,
    lines_until,
    money_spent,
    order_countries,
    order_events,
)


def lazy(frame: pd.DataFrame) -> nw.LazyFrame:
    return nw.from_native(frame.convert_dtypes(dtype_backend="pyarrow")).lazy()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


SALES = pd.DataFrame(
    [
        (1, "i1", "P", "a", "France", at("2011-01-05 10:00"), 2, 1.5),
        (2, "i1", "Q", "a", "France", at("2011-01-05 10:00"), 1, 4.0),
        (3, "i2", "P", "a", "Spain", at("2011-02-01 09:00"), 1, 1.5),
        (4, "i3", "P", "b", None, at("2011-01-07 09:00"), 3, 1.5),
        (5, "i4", "Q", None, "France", at("2011-01-08 09:00"), 9, 4.0),
        (6, "i5", "Q", "b", None, at("2011-03-01 09:00"), 1, 4.0),
    ],
    columns=[
        "line_id", "invoice_id", "stock_code", "customer_id", "country", "sold_at", "quantity",
        "unit_price",
    ],
).assign(amount=lambda lines: lines["quantity"] * lines["unit_price"])  # fmt: skip
RETURNED = pd.DataFrame(
    [(1, at("2011-01-20 10:00"), 1, 1.5), (1, at("2011-02-20 10:00"), 1, 1.5),
     (4, at("2011-01-31 23:59"), 3, 4.5)],
    columns=["line_id", "returned_at", "quantity", "amount"],
)  # fmt: skip
JANUARY = date(2011, 1, 31)


def lines(day: date = JANUARY) -> nw.LazyFrame:
    return lines_until(lazy(SALES), lazy(RETURNED), day)


def rows(frame: nw.LazyFrame) -> pd.DataFrame:
    return frame.collect().to_pandas()


def test_only_what_happened_by_the_end_of_the_day_is_known():
    found = rows(lines()).set_index(["customer_id", "invoice_id", "stock_code"])
    assert sorted(found.index) == [("a", "i1", "P"), ("a", "i1", "Q"), ("b", "i3", "P")]
    assert found.loc[("a", "i1", "P"), ["gross", "net"]].tolist() == [30000, 15000]
    assert found.loc[("b", "i3", "P"), "net"] == 0
    later = rows(lines(date(2011, 3, 31))).set_index(["customer_id", "invoice_id", "stock_code"])
    assert later.loc[("a", "i1", "P"), "net"] == 0
    assert len(later) == 5


def test_orders_are_counted_by_country_once_each():
    found = rows(order_countries(lines(date(2011, 3, 31))))
    counted = {(r.customer_id, r.country): r.orders for r in found.itertuples()}
    assert counted == {("a", "France"): 1, ("a", "Spain"): 1, ("b", "unknown"): 2}


def test_a_return_is_an_event_of_the_day_on_which_it_came_back():
    found = rows(order_events(lines(), lazy(RETURNED), JANUARY))
    events = {(r.invoice_id, r.known - r.day, r.amount) for r in found.itertuples()}
    assert events == {("i1", 0, 70000), ("i1", 15, -15000), ("i3", 0, 45000), ("i3", 24, -45000)}
    money = rows(money_spent(lines())).set_index("customer_id")
    assert money.loc["a", ["gross", "net"]].tolist() == [70000, 55000]
    assert money.loc["b", ["gross", "net"]].tolist() == [45000, 0]


def test_the_first_order_is_as_it_was_placed_and_of_two_in_a_minute_the_lesser_number():
    found = rows(first_orders(lines(date(2011, 3, 31)))).set_index("customer_id")
    assert found.loc["a", ["invoice_id", "value", "units", "products"]].tolist() == [
        "i1", 70000, 3, 2,
    ]  # fmt: skip
    assert found.loc["b", "value"] == 45000
    twice = SALES.assign(sold_at=at("2011-01-05 10:00"))
    first = rows(first_orders(lines_until(lazy(twice), lazy(RETURNED), JANUARY)))
    assert sorted(first["invoice_id"]) == ["i1", "i3"]


def test_the_categories_of_first_orders_are_those_of_their_goods():
    known = lines(date(2011, 3, 31))
    categories = lazy(pd.DataFrame({"stock_code": ["P", "Q"], "category": ["x", "y"]}))
    found = rows(first_order_categories(known, first_orders(known), categories))
    spent = {(r.customer_id, r.category): r.gross for r in found.itertuples()}
    assert spent == {("a", "x"): 30000, ("a", "y"): 40000, ("b", "x"): 45000}

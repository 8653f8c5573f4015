"""What is known of each segment, against a shop of five customers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from pipeline.core.run.errors import InputError
from pipeline.core.tables.measure_prices import CUSTOMER_PRICES
from pipeline.core.tables.profile_segments import PROFILES, SEGMENT_MONTHS
from pipeline.profile_segments.facts import (
    PRICES,
    FromLines,
    Shop,
    category_titles,
    customer_months,
    first_order_facts,
    fitted,
    forecast_facts,
    goods_facts,
    join_shop,
    largest_facts,
    months_of_segments,
    out_of_season,
    peak_facts,
    segment_facts,
    with_prices,
)
from pipeline.profile_segments.forecast_check import ShopForecast
from pipeline.profile_segments.purchases import Purchases

DAY = date(2011, 3, 31)
TITLES = {"bags": "Bags", "lights": "Lights", "other": "Other"}
ORDERS = [
    ("a", "2011-01-03", 30), ("b", "2011-01-10", 10), ("b", "2011-01-14", 5),
    ("c", "2011-03-01", 5), ("c", "2011-03-13", 5), ("c", "2011-03-28", 5),
    ("d", "2011-03-05", 5), ("e", "2011-03-06", 0),
]  # fmt: skip


def lines(orders=ORDERS) -> FromLines:
    days = [date.fromisoformat(day).toordinal() for _, day, _ in orders]
    purchases = Purchases.of(
        pd.DataFrame(
            {
                "customer_id": [order[0] for order in orders],
                "invoice_id": range(len(orders)),
                "day": days,
                "known": days,
                "amount": [float(order[2]) for order in orders],
            }
        )
    )
    return FromLines(
        countries=pd.DataFrame(
            [("a", "Spain", 1), ("a", "France", 2), ("b", "Spain", 1), ("b", "France", 1)],
            columns=["customer_id", "country", "orders"],
        ),
        money=pd.DataFrame({"customer_id": ["a", "b"], "gross": [9, 3], "net": [6, 3]}),
        first_orders=pd.DataFrame(
            {
                "customer_id": ["a", "b", "c", "d", "gone"],
                "value": [10_000, 30_000, 90_000, 70_000, 1],
                "units": [1, 5, 6, 2, 1],
                "products": [1, 2, 4, 1, 1],
            }
        ),
        first_categories=pd.DataFrame(
            [("a", "bags", 5), ("a", "lights", 9), ("b", "lights", 7), ("b", "bags", 7),
             ("c", "lights", 3), ("d", "other", 4), ("gone", "bags", 1)],
            columns=["customer_id", "category", "gross"],
        ),
        purchases=purchases,
        bought=None,
    )  # fmt: skip


def shop(orders=ORDERS) -> Shop:
    last = pd.DataFrame(
        {
            "snapshot_date": [DAY] * 5,
            "customer_id": ["a", "b", "c", "d", "e"],
            "segment_id": [0, 0, 0, 1, 1],
            "frequency": [1, 2, 6, 1, 0],
            "monetary": [Decimal(x) for x in ("10.00", "30.00", "50.00", "10.00", "0.00")],
            "recency_days": [1.0, 5, 6, 40, np.nan],
            "average_order_value": [10.0, 15, 25, 10, 0],
            "units_per_line": [1.0, 2, 9, 4, 6],
            "days_between_orders": [np.nan, 4.0, 8.0, np.nan, np.nan],
            "confidence": [0.5, 0.7, 0.9, 1.0, 1.0],
            "country": ["Spain", "France", "France", "France", "France"],
            "next_category": ["lights", "lights", "bags", None, None],
        }
    )
    names = pd.DataFrame(
        {
            "segment_id": [0, 1],
            "segment": ["loyal", "lost"],
            "group": ["kept", "gone"],
            "play": ["thank", "leave"],
        }
    )
    in_season, none = frozenset({"bags", "lights"}), frozenset()
    prices = pd.DataFrame(
        [("a", 20.0, 5.0, 0.5, 0.0, False), ("b", 0.0, None, 0.0, 1.0, True)],
        columns=["customer_id", *PRICES, "buys_on_promotion"],
    )
    last = with_prices(last, prices)
    return Shop(last, last, pd.DataFrame(), names, TITLES, in_season, {}, none, lines(orders))


GOODS = pd.DataFrame(
    [
        (0, "other", "Other", 90.0, 1, "over", 9.0),
        (0, "bags", "Bags", 60.0, 2, "like the rest", 1.1),
        (0, "lights", "Lights", 30.0, 3, "over", 2.0),
        (1, "bags", "Bags", 0.0, 1, "over", 5.0),
    ],
    columns=["segment_id", "category", "category_title", "spend", "rank", "verdict", "lift"],
)
SUMS = pd.DataFrame(
    {
        "segment_id": [0], "buyers": 1.5, "buyers_low": 0.6, "buyers_high": 2.4,
        "orders": 4.0, "orders_low": 2.0, "orders_high": 8.0,
        "spend": 30.004, "spend_low": 15.006, "spend_high": 60.001,
        "spend_low80": 20.0, "spend_high80": 45.0,
        "spend_year": 90.0, "spend_year_low": 40.0, "spend_year_high": 200.0,
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def facts() -> pd.DataFrame:
    january, february = date(2011, 1, 31), date(2011, 2, 28)
    moved = pd.DataFrame(
        [("month", 0, "lost", "fell", 1, january, february),
         ("month", 0, "loyal", "stayed", 3, january, february)],
        columns=["span", "from_segment_id", "to_segment", "direction", "customers", "from_date",
                 "to_date"],
    )  # fmt: skip
    retention = pd.DataFrame(
        {"segment_id": [0, 0, 1], "days": [28, 3, 3], "stayed": [3, 0, 1], "customers": [4, 9, 1]}
    )
    judged = pd.DataFrame(
        {"segment_id": [0, 0], "rule": ["x", "y"], "customers": [3, 1], "precision": [1.0, 0.5],
         "recall": [0.5, 0.25]}
    )  # fmt: skip
    months = pd.DataFrame(
        [(0, date(2010, m, 1), True, Decimal(m == 5)) for m in range(1, 8)],
        columns=["segment_id", "month", "is_whole", "spend"],
    )
    nothing = pd.DataFrame()
    return segment_facts(
        shop(),
        forecast=ShopForecast(None, nothing, SUMS, nothing, {}),
        judged=judged,
        moved=moved,
        retention=retention,
        goods=GOODS,
        months=months,
    )


def test_the_figures_of_a_segment_are_the_ones_worked_out_by_hand(facts):
    found = facts.iloc[0].to_dict()
    expected = {
        "segment": "loyal", "group": "kept", "play": "thank", "customers": 3,
        "customer_share": 0.6, "revenue": Decimal("90.00"), "revenue_share": 0.9, "orders": 9,
        "median_recency_days": 5, "median_monetary": 30, "median_order_value": 15,
        "units_per_line": 2, "gap": 12, "quiet_days": 15, "gap_customers": 2, "return_rate": 0.25,
        "retention": 0.75, "fall_to": "lost", "fall_share": 0.25, "top_country": "France",
        "abroad_share": 0.333333, "peak_month": 5, "days_to_peak": 31, "rule": "x or y",
        "rule_precision": 0.875, "rule_recall": 0.75, "first_order_value": 3.0,
        "first_order_units": 5.0, "first_order_products": 2.0,
        "first_order_category_title": "Lights", "first_order_category_share": 0.666667,
        "margin": 5.0, "margin_rate": 0.25, "cost_known_share": 0.222222,
        "full_price_share": 0.5, "promotion_share": 0.333333,
        "offer_category": "bags", "second_category_title": "Lights",
        "over_category_title": "Lights", "over_lift": 2.0, "buying_rate": 0.5,
        "largest_customer_share": 0.555556, "is_decided_by_few": True,
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    for size, largest, is_few in ((19, 9, False), (19, 10, True), (18, 1, True)):
        spend = pd.Series([*[Decimal(1)] * size, Decimal(largest)])
        assert largest_facts(spend, sum(spend))["is_decided_by_few"] is is_few


def test_every_column_of_the_table_is_there_and_what_is_not_known_is_missing_and_not_zero(facts):
    assert list(fitted(PROFILES, facts, {})) == PROFILES.schema.names
    found = facts.iloc[1]
    assert found[["customers", "orders", "return_rate", "revenue_share"]].tolist() == [2, 1, 0, 0.1]
    assert found["rule"] == ""
    unknown = [
        "retention", "fall_to", "fall_share", "gap", "peak_month", "first_order_category_title",
        "offer_category", "over_lift", "next_category", "expected_spend", "buying_rate",
        "margin", "margin_rate", "full_price_share", "promotion_share",
    ]  # fmt: skip
    assert found[unknown].isna().all()


def test_customers_and_segments_of_one_run_are_joined_and_told_apart_by_day():
    customers = pd.DataFrame(
        {
            "snapshot_date": [date(2011, 2, 28), DAY, DAY, DAY],
            "customer_id": ["b", "b", "a", "n"],
            "spend_share_bags": [1.0, 0.2, 0.5, 0.0],
            "spend_share_lights": [0.0, 0.8, 0.5, 0.0],
            "spend_share_other": [0.0, 0.0, 0.0, 0.0],
        }
    )
    segments = customers[["snapshot_date", "customer_id"]].assign(
        segment_id=[1, 0, 0, 1], confidence=0.9, more=1
    )
    categories = pd.DataFrame(
        {
            "category": list(TITLES),
            "category_title": list(TITLES.values()),
            "stock_code": list("xyz"),
            "description": [None, "MUG", "LAMP"],
        }
    )
    tables = {
        "names": shop().names, "later": pd.DataFrame(), "categories": categories,
        "category_months": pd.DataFrame(columns=["category", "month", "season_index"]),
        "prices": CUSTOMER_PRICES.schema.empty_table().to_pandas(), "horizon_days": 90,
    }  # fmt: skip
    found = join_shop(customers, segments.iloc[::-1], lines(), **tables)
    assert found.customers["segment_id"].tolist() == [1, 0, 0, 1]
    assert found.last["customer_id"].tolist() == ["b", "a", "n"]
    assert found.last["top_category"].fillna("none").tolist() == ["lights", "bags", "none"]
    assert found.last["top_category_title"].fillna("none").tolist() == ["Lights", "Bags", "none"]
    assert set(found.last["next_category_title"]) <= {"Bags", "Lights"}
    assert found.last["country"].tolist() == ["France", "France", "unknown"]
    assert (found.day, found.segment.tolist()) == (DAY, [0, 0, 1])
    assert (found.first_day, found.last_day) == (date(2011, 1, 3), date(2011, 3, 28))
    for other in (
        segments.iloc[1:],
        pd.concat([segments, segments.iloc[:1].assign(customer_id="z")]),
    ):
        with pytest.raises(InputError, match=r"same customers; `dvc repro` makes both anew$"):
            join_shop(customers, other, lines(), **tables)


def test_one_category_or_one_product_is_no_choice_of_goods():
    two = pd.DataFrame({"category": ["x", "y"], "category_title": ["X", "Y"]})
    assert category_titles(two) == {"x": "X", "y": "Y"}
    assert category_titles(two.iloc[:1]) == category_titles(two.iloc[[0, 0]]) == {}


def test_every_segment_has_every_month_zeros_included_and_money_is_exact():
    orders = [*ORDERS, ("d", "2011-01-04", 0.0001)]
    found = months_of_segments(shop(), customer_months(lines(orders).purchases, DAY))
    assert found["month"].tolist() == [date(2011, m, 1) for m in (1, 2, 3)] * 2
    assert found["segment_id"].tolist() == [0, 0, 0, 1, 1, 1]
    assert found["orders"].tolist() == [3, 0, 3, 1, 0, 1]
    assert found["buyers"].tolist() == [2, 0, 1, 1, 0, 1]
    spend = [Decimal(x) for x in ("45", "0", "15", "0.0001", "0", "5")]
    assert found["spend"].tolist() == spend
    assert found["spend_share"].tolist() == pytest.approx([0.75, 0, 0.25, 0, 0, 1], abs=1e-4)
    assert found["rest_share"].tolist() == pytest.approx([0, 0, 1, 0.75, 0, 0.25], abs=1e-4)


@pytest.mark.parametrize(
    ("first", "last", "whole"),
    [
        ("2011-01-03", "2011-03-28", [True, True, True]),
        ("2011-01-01", "2011-03-31", [True, True, True]),
        ("2011-01-04", "2011-03-27", [False, True, False]),
    ],
)
def test_a_month_is_whole_from_its_third_day_to_the_third_before_its_end(first, last, whole):
    orders = [("a", first, 5), ("d", last, 5)]
    found = months_of_segments(shop(orders), customer_months(lines(orders).purchases, DAY))
    assert found["is_whole"].tolist() == whole * 2


def test_what_nothing_is_known_about_leads_no_first_order():
    known = shop()
    found = first_order_facts(known, known.last.iloc[3:])
    assert found["first_order_value"] == 7.0
    assert found["first_order_category_title"] is None
    no_titles = replace(known, titles={})
    assert first_order_facts(no_titles, known.last.iloc[:3])["first_order_category_title"] is None


def test_the_next_category_is_none_that_the_segment_is_led_by():
    found = goods_facts(GOODS.iloc[:2], shop().last.iloc[:3], 0, shop())
    assert found["second_category_title"] is None
    assert found["over_category_title"] is None
    assert (found["next_category"], found["next_category_title"]) == ("lights", "Lights")
    assert set(goods_facts(GOODS.iloc[:0], shop().last, 0, shop()).values()) == {None}


def test_a_rate_is_per_customer_and_money_is_in_cents():
    found = forecast_facts(SUMS, 0, 3)
    assert (found["buying_rate"], found["expected_spend"]) == (0.5, 30.0)
    assert (found["expected_spend_low"], found["expected_spend_per_customer"]) == (15.01, 10.0)
    assert all(np.isnan(value) for value in forecast_facts(pd.DataFrame(), 0, 3).values())


def test_the_peak_is_over_whole_months_of_half_a_year():
    months = pd.DataFrame(
        {
            "month": [date(2010 + (m > 12), (m - 1) % 12 + 1, 1) for m in range(1, 15)],
            "is_whole": [True] * 13 + [False],
            "spend": [Decimal(x) for x in (2, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 8, 20, 99)],
        }
    )
    # (2 + 20) / 2 is more than 9; the broken February is not seen
    assert peak_facts(months, date(2011, 3, 1)) == {"peak_month": 1, "days_to_peak": 306}
    assert peak_facts(months.iloc[:6], DAY)["peak_month"] == 2
    assert peak_facts(months.iloc[:5], DAY)["peak_month"] is None
    assert peak_facts(months.assign(spend=Decimal(0)), DAY)["peak_month"] is None


def test_what_sold_little_in_the_days_ahead_a_year_before_is_not_offered():
    months = pd.DataFrame(
        [("christmas", date(2010, 12, 1), 2.0), ("christmas", date(2011, 1, 1), 0.1),
         ("kitchen", date(2010, 12, 1), 0.9), ("kitchen", date(2011, 1, 1), 1.1),
         ("kitchen", date(2011, 2, 1), 1.0)],
        columns=["category", "month", "season_index"],
    )  # fmt: skip
    assert out_of_season(months, date(2011, 12, 10), 60) == set()  # 21 of 60 days sell double
    assert out_of_season(months, date(2011, 12, 20), 60) == {"christmas"}
    assert out_of_season(months, date(2011, 12, 20), 90) == set()  # of March nothing is known
    found = goods_facts(
        GOODS, shop().last.iloc[:3], 0, replace(shop(), in_season=frozenset({"lights"}))
    )
    assert (found["top_category_title"], found["offer_category_title"]) == ("Bags", "Lights")


def test_a_table_gets_its_columns_its_names_and_exact_money():
    months = customer_months(lines().purchases, DAY)
    rows = months_of_segments(shop(), months).assign(more=1, spend=1.005)
    found = fitted(SEGMENT_MONTHS, rows, {0: "loyal", 1: "lost"})
    assert list(found) == SEGMENT_MONTHS.schema.names
    assert found["segment"].tolist() == ["loyal"] * 3 + ["lost"] * 3
    assert set(found["spend"]) == {Decimal("1.0")}
    assert list(fitted(SEGMENT_MONTHS, pd.DataFrame(), {})) == SEGMENT_MONTHS.schema.names

"""What is known of each segment, against a shop of five customers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from pipeline.core.run.errors import InputError
from pipeline.core.tables.profile_segments import SEGMENT_MONTHS
from pipeline.profile_segments.facts import (
    FromLines,
    Shop,
    category_titles,
    first_order_facts,
    fitted,
    forecast_facts,
    goods_facts,
    join_shop,
    months_of_segments,
    next_categories,
    out_of_season,
    peak_month,
    segment_facts,
    with_country,
)
from pipeline.profile_segments.forecast_check import ShopForecast

DAY = date(2011, 3, 31)
TITLES = {"bags": "Bags", "lights": "Lights", "other": "Other"}


def shop(**columns) -> Shop:
    last = pd.DataFrame(
        {
            "snapshot_date": [DAY] * 5,
            "customer_id": ["a", "b", "c", "d", "e"],
            "segment_id": [0, 0, 0, 1, 1],
            "frequency": [1, 2, 6, 1, 0],
            "monetary": [Decimal(x) for x in ("10.00", "30.00", "50.00", "10.00", "0.00")],
            "recency_days": [1.0, 5, 6, 40, np.nan],
            "tenure_days": [1, 9, 80, 40, 60],
            "average_order_value": [10.0, 15, 25, 10, 0],
            "units_per_line": [1.0, 2, 9, 4, 6],
            "days_between_orders": [np.nan, 4.0, 8.0, np.nan, np.nan],
            "confidence": [0.5, 0.7, 0.9, 1.0, 1.0],
            "country": ["Spain", "France", "France", "France", "France"],
            "next_category": ["lights", "lights", "bags", None, None],
        }
    ).assign(**columns)
    names = pd.DataFrame(
        {
            "segment_id": [0, 1],
            "segment": ["loyal", "lost"],
            "group": ["kept", "gone"],
            "play": ["thank", "leave"],
        }
    )
    return Shop(last, last, pd.DataFrame(), names, TITLES, frozenset({"bags", "lights"}), {})


def lines(**parts) -> FromLines:
    known = {
        "countries": pd.DataFrame(
            [("a", "Spain", 1), ("a", "France", 2), ("b", "Spain", 1), ("b", "France", 1)],
            columns=["customer_id", "country", "orders"],
        ),
        "customer_months": pd.DataFrame(),
        "gaps": pd.DataFrame(
            [(0, 3, 2), (0, 8, 1), (0, 20, 1)], columns=["segment_id", "gap", "times"]
        ),
        "months": pd.DataFrame(
            [(0, 2011, 1, 2, 1, 300_000), (0, 2011, 3, 1, 1, 100_000), (1, 2011, 3, 4, 3, 50_000)],
            columns=["segment_id", "year", "month", "orders", "buyers", "spend"],
        ),
        "money": pd.DataFrame(
            {"segment_id": [0, 1], "gross": [1_200_000, 0], "net": [900_000, 0]}
        ),
        "first_orders": pd.DataFrame(
            {
                "customer_id": ["a", "b", "c", "d", "gone"],
                "value": [10_000, 30_000, 90_000, 70_000, 1],
                "units": [1, 5, 6, 2, 1],
                "products": [1, 2, 4, 1, 1],
            }
        ),
        "first_categories": pd.DataFrame(
            [("a", "bags", 5), ("a", "lights", 9), ("b", "lights", 7), ("b", "bags", 7),
             ("c", "lights", 3), ("d", "other", 4), ("gone", "bags", 1)],
            columns=["customer_id", "category", "gross"],
        ),
        "purchases": None,
        "bought": None,
        "first_day": date(2011, 1, 3),
        "last_day": date(2011, 3, 28),
    }  # fmt: skip
    return FromLines(**{**known, **parts})


def goods() -> pd.DataFrame:
    return pd.DataFrame(
        [
            (0, "other", "Other", 90.0, 1, "over", 9.0),
            (0, "bags", "Bags", 60.0, 2, "like the rest", 1.1),
            (0, "lights", "Lights", 30.0, 3, "over", 2.0),
            (1, "bags", "Bags", 0.0, 1, "over", 5.0),
        ],
        columns=["segment_id", "category", "category_title", "spend", "rank", "verdict", "lift"],
    )


def expected_of(number: int) -> dict[str, float]:
    return {
        "segment_id": number,
        "buyers": 1.5, "buyers_low": 0.6, "buyers_high": 2.4,
        "orders": 4.0, "orders_low": 2.0, "orders_high": 8.0,
        "spend": 30.004, "spend_low": 15.006, "spend_high": 60.001,
        "spend_low80": 20.0, "spend_high80": 45.0,
        "spend_year": 90.0, "spend_year_low": 40.0, "spend_year_high": 200.0,
    }  # fmt: skip


def facts() -> pd.DataFrame:
    moves = pd.DataFrame(
        [("month", 0, 1, "lost", 1, date(2011, 1, 31), date(2011, 2, 28)),
         ("month", 0, 0, "loyal", 3, date(2011, 1, 31), date(2011, 2, 28))],
        columns=["span", "from_segment_id", "to_segment_id", "to_segment", "customers",
                 "from_date", "to_date"],
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
    forecast = ShopForecast(None, nothing, pd.DataFrame([expected_of(0)]), nothing, {})
    return segment_facts(
        shop(),
        lines(),
        forecast=forecast,
        judged=judged,
        moves=moves,
        retention=retention,
        goods=goods(),
        months=months,
    )


def test_every_figure_of_a_segment_is_the_one_worked_out_by_hand():
    assert facts().iloc[0].to_dict() == {
        "segment_id": 0,
        "segment": "loyal",
        "group": "kept",
        "play": "thank",
        "snapshot_date": DAY,
        "customers": 3,
        "customer_share": 0.6,
        "revenue": Decimal("90.00"),
        "revenue_share": 0.9,
        "orders": 9,
        "median_recency_days": 5,
        "median_frequency": 2,
        "median_monetary": 30,
        "median_tenure_days": 9,
        "median_order_value": 15,
        "units_per_line": 2,
        "gap": 3,
        "quiet_days": 8,
        "gap_customers": 2,
        "return_rate": 0.25,
        "mean_confidence": pytest.approx(0.7),
        "retention": 0.75,
        "rise_to": None,
        "rise_share": None,
        "rise_gain": pytest.approx(float("nan"), nan_ok=True),
        "fall_to": "lost",
        "fall_share": 0.25,
        "top_country": "France",
        "abroad_share": pytest.approx(1 / 3, abs=1e-6),
        "peak_month": 5,
        "days_to_peak": 31,
        "rule": "x; or y",
        "rule_precision": 0.875,
        "rule_recall": 0.75,
        "first_order_value": 3.0,
        "first_order_units": 5.0,
        "first_order_products": 2.0,
        "first_order_category": "lights",
        "first_order_category_title": "Lights",
        "first_order_category_share": pytest.approx(2 / 3, abs=1e-6),
        "offer_category": "bags",
        "offer_category_title": "Bags",
        "top_category_title": "Bags",
        "second_category_title": "Lights",
        "over_category_title": "Lights",
        "over_lift": 2.0,
        "next_category": None,
        "next_category_title": None,
        "buying_rate": 0.5,
        "buying_rate_low": pytest.approx(0.2),
        "buying_rate_high": pytest.approx(0.8),
        "expected_orders": 4.0,
        "expected_orders_low": 2.0,
        "expected_orders_high": 8.0,
        "expected_spend": 30.0,
        "expected_spend_low": 15.01,
        "expected_spend_high": 60.0,
        "expected_spend_low80": 20.0,
        "expected_spend_high80": 45.0,
        "expected_spend_year": 90.0,
        "expected_spend_year_low": 40.0,
        "expected_spend_year_high": 200.0,
        "expected_spend_per_customer": 10.0,
        "expected_spend_share": pytest.approx(30 / 30.004, abs=1e-6),
    }


def test_what_is_not_known_of_a_segment_is_missing_and_not_zero():
    found = facts().iloc[1]
    assert found[["customers", "orders", "return_rate", "revenue_share"]].tolist() == [2, 1, 0, 0.1]
    assert found["rule"] == "no short rule tells them apart"
    unknown = [
        "retention", "fall_to", "fall_share", "gap", "peak_month", "first_order_category",
        "offer_category", "over_lift", "next_category", "expected_spend", "buying_rate",
        "expected_spend_share",
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
        "horizon_days": 90,
    }  # fmt: skip
    found = join_shop(customers, segments.iloc[::-1], **tables)
    assert found.customers["segment_id"].tolist() == [1, 0, 0, 1]
    assert found.last["customer_id"].tolist() == ["b", "a", "n"]
    assert found.last["top_category"].fillna("none").tolist() == ["lights", "bags", "none"]
    assert found.last["top_category_title"].fillna("none").tolist() == ["Lights", "Bags", "none"]
    assert set(found.last["next_category_title"]) <= {"Bags", "Lights"}
    assert found.day == DAY
    assert found.segment.tolist() == [0, 0, 1]
    assert found.name_of == {0: "loyal", 1: "lost"}
    assert "more" not in found.customers
    for other in (
        segments.iloc[1:],
        pd.concat([segments, segments.iloc[:1].assign(customer_id="z")]),
    ):
        with pytest.raises(InputError, match=r"same customers; `dvc repro` makes both anew$"):
            join_shop(customers, other, **tables)


def test_one_category_or_one_product_is_no_choice_of_goods():
    two = pd.DataFrame({"category": ["x", "y"], "category_title": ["X", "Y"]})
    assert category_titles(two) == {"x": "X", "y": "Y"}
    assert category_titles(two.iloc[:1]) == {}
    assert category_titles(two.iloc[[0, 0]]) == {}


def test_the_next_category_is_the_one_that_owners_of_the_same_own():
    shares = pd.DataFrame(
        {
            "segment_id": 0,
            "spend_share_x": [0.5] * 30 + [1.0],
            "spend_share_y": [0.5] * 30 + [0.0],
            "spend_share_z": [0.0] * 31,
        }
    )
    assert next_categories(shares, ["x", "y", "z"])[-1] == "y"
    assert next_categories(shares, ["x"]) == [None] * 31


def test_a_customer_is_of_the_country_of_most_orders_and_unknown_without_one():
    found = with_country(shop(), lines())
    assert found.last["country"].tolist() == ["France", "France", "unknown", "unknown", "unknown"]
    assert found.names is not None
    assert found.titles == TITLES


def test_every_segment_has_every_month_zeros_included():
    found = months_of_segments(shop(), lines())
    assert found["month"].tolist() == [date(2011, m, 1) for m in (1, 2, 3)] * 2
    assert found["segment_id"].tolist() == [0, 0, 0, 1, 1, 1]
    assert found["orders"].tolist() == [2, 0, 1, 0, 0, 4]
    assert found["buyers"].tolist() == [1, 0, 1, 0, 0, 3]
    assert found["spend"].tolist() == [Decimal(x) for x in (30, 0, 10, 0, 0, 5)]
    assert found["spend_share"].tolist() == [0.75, 0, 0.25, 0, 0, 1]
    assert found["rest_share"].tolist() == [0, 0, 1, 0.75, 0, 0.25]


@pytest.mark.parametrize(
    ("first", "last", "whole"),
    [
        (date(2011, 1, 3), date(2011, 3, 28), [True, True, True]),
        (date(2011, 1, 1), date(2011, 3, 31), [True, True, True]),
        (date(2011, 1, 4), date(2011, 3, 27), [False, True, False]),
    ],
)
def test_a_month_is_whole_from_its_third_day_to_the_third_before_its_end(first, last, whole):
    found = months_of_segments(shop(), lines(first_day=first, last_day=last))
    assert found["is_whole"].tolist() == whole * 2


def test_first_orders_without_goods_have_no_category():
    found = first_order_facts(shop(), lines())
    assert found[1]["first_order_value"] == 7.0
    assert found[1]["first_order_category"] is None  # what nothing is known about is no category
    no_titles = Shop(**{**vars(shop()), "titles": {}})
    assert first_order_facts(no_titles, lines())[0]["first_order_category"] is None


def test_the_next_category_is_none_that_the_segment_is_led_by():
    found = goods_facts(goods().iloc[:2], shop().last.iloc[:3], 0, shop())
    assert found["second_category_title"] is None
    assert found["over_category_title"] is None
    assert (found["next_category"], found["next_category_title"]) == ("lights", "Lights")
    assert set(goods_facts(goods().iloc[:0], shop().last, 0, shop()).values()) == {None}


def test_a_rate_is_per_customer_and_money_is_in_cents():
    found = forecast_facts(expected_of(0), 3, 60.0)
    assert found["buying_rate"] == 0.5
    assert found["buying_rate_high"] == pytest.approx(0.8)
    assert found["expected_spend"] == 30.0
    assert found["expected_spend_share"] == 0.5
    assert np.isnan(forecast_facts(expected_of(0), 3, 0.0)["expected_spend_share"])
    assert all(np.isnan(value) for value in forecast_facts(None, 3, 60.0).values())


def test_the_peak_is_over_whole_months_of_half_a_year():
    months = pd.DataFrame(
        {
            "month": [date(2010 + (m > 12), (m - 1) % 12 + 1, 1) for m in range(1, 15)],
            "is_whole": [True] * 13 + [False],
            "spend": [Decimal(x) for x in (2, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 8, 20, 99)],
        }
    )
    assert peak_month(months) == 1  # (2 + 20) / 2 is more than 9; the broken February is not seen
    assert peak_month(months.iloc[:6]) == 2
    assert peak_month(months.iloc[:5]) is None
    assert peak_month(months.assign(spend=Decimal(0))) is None


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
    others = goods_facts(
        goods(), shop().last.iloc[:3], 0, replace(shop(), in_season=frozenset({"lights"}))
    )
    assert (others["top_category_title"], others["offer_category_title"]) == ("Bags", "Lights")


def test_a_table_gets_its_columns_its_names_and_exact_money():
    rows = months_of_segments(shop(), lines()).assign(more=1, spend=1.005)
    found = fitted(SEGMENT_MONTHS, rows, {0: "loyal", 1: "lost"})
    assert list(found) == SEGMENT_MONTHS.schema.names
    assert found["segment"].tolist() == ["loyal"] * 3 + ["lost"] * 3
    assert set(found["spend"]) == {Decimal("1.0")}
    assert list(fitted(SEGMENT_MONTHS, pd.DataFrame(), {})) == SEGMENT_MONTHS.schema.names

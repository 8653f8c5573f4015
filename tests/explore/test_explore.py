"""The patterns of a small shop, counted by hand."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.run.errors import InputError
from pipeline.core.run.metrics import read_metrics
from pipeline.core.run.params import parse_params
from pipeline.core.tables.clean import SALES
from pipeline.core.tables.contract import read_table
from pipeline.core.tables.explore import EXPLORATION, PATTERNS
from pipeline.explore import __main__ as explore
from pipeline.explore.__main__ import Params
from pipeline.explore.concentration import gini, top_shares
from pipeline.explore.rows import month_name, retention, whole_months

at = datetime.fromisoformat  # the shop's own time, of no zone
PARAMS = {"top_products": 2, "basket_value_edges": [0, 10, 100]}
# Each is line, invoice, product, units, returned, price, customer, country and time of sale.
LINES = [
    (1, "1", "CUP", 2, 0, "5", "A", "Malta", at("2011-01-03 09:05")),
    (2, "1", "BOX", 1, 0, "10", "A", "Malta", at("2011-01-03 09:05")),
    (3, "2", "CUP", 4, 4, "5", "B", "Malta", at("2011-01-04 10:00")),
    (4, "3", "CUP", 1, 0, "5", None, "Malta", at("2011-01-04 10:30")),
    (5, "4", "BOX", 3, 1, "10", "A", "Malta", at("2011-03-07 09:59")),
    (6, "5", "HAT", 1, 0, "100", "B", "Chile", at("2011-03-31 12:00")),
]


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder in which the stage runs on LINES."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(f"explore: {PARAMS}\n", encoding="utf-8")
    put_lines(LINES)
    return tmp_path


def put_lines(lines: list[tuple[Any, ...]]) -> None:
    rows = [
        (n, i, p, p.lower(), q, at, Decimal(c), q * Decimal(c), who, where)
        + (None,) * 8
        + (True, None, "drop", r, (q - r) * Decimal(c))
        for n, i, p, q, r, c, who, where, at in lines
    ]
    SALES.path.parent.mkdir(exist_ok=True)
    records = [dict(zip(SALES.schema.names, row, strict=True)) for row in rows]
    pq.write_table(pa.Table.from_pylist(records, schema=SALES.schema), SALES.path)


def explored() -> dict[str, pd.DataFrame]:
    explore.main()
    table = read_table(EXPLORATION)
    return {
        name: rows.set_index(["bucket", "sub_bucket"]) for name, rows in table.groupby("pattern")
    }


@pytest.mark.usefixtures("shop")
def test_every_documented_pattern_is_there_and_none_beside():
    assert set(explored()) == set(PATTERNS)


def test_months_without_sales_are_kept_as_zeros(shop):
    months = explored()["month"]
    assert list(months.index.get_level_values(0)) == ["2011-01", "2011-02", "2011-03"]
    assert list(months["amount"]) == [Decimal(25), Decimal(0), Decimal(120)]
    assert list(months["returned_amount"]) == [Decimal(20), Decimal(0), Decimal(10)]
    assert list(months["lines"]) == [4, 0, 2]
    assert list(months["orders"]) == [2, 0, 2]  # an order returned whole is none
    assert list(months["customers"]) == [1, 0, 2]  # nor does it make a customer
    assert (shop / "metrics/plots/season.csv").read_text(encoding="utf-8").splitlines() == [
        "month,revenue,orders,customers",
        "2011-01,25.00,2,1",
        "2011-02,0.00,0,0",
        "2011-03,120.00,2,2",
    ]


@pytest.mark.usefixtures("shop")
def test_orders_fall_on_their_weekday_and_hour():
    hours = explored()["weekday_hour"]
    assert hours["orders"].to_dict() == {("1", "09"): 2, ("2", "10"): 1, ("4", "12"): 1}


@pytest.mark.usefixtures("shop")
def test_baskets_countries_and_customers_are_counted():
    found = explored()
    assert list(found["country"].index.get_level_values(0)) == ["Chile", "Malta"]
    assert list(found["country"]["share"]) == [100 / 145, 45 / 145]
    assert found["basket_value"]["orders"].to_dict() == {
        ("0-10", ""): 1,
        ("10-100", ""): 2,
        ("100+", ""): 1,
    }
    assert found["orders_per_customer"]["customers"].loc[[("1", ""), ("2", "")]].tolist() == [1, 1]


@pytest.mark.usefixtures("shop")
def test_the_best_products_carry_their_text_and_share():
    found = explored()
    assert found["product_by_revenue"]["share"].to_dict() == {
        ("HAT", "hat"): 100 / 145,
        ("BOX", "box"): 30 / 145,
    }
    assert found["product_by_returns"]["share"].to_dict() == {
        ("CUP", "cup"): 20 / 35,
        ("BOX", "box"): 0.25,
    }
    assert found["product_by_returns"]["orders"].tolist() == [2, 2]  # one of CUP's went back


@pytest.mark.usefixtures("shop")
def test_cohorts_are_shares_of_those_who_first_kept_an_order_in_a_month():
    cohorts = explored()["cohort"]["share"]
    # B kept nothing in January, so her first month is March.
    assert cohorts.to_dict() == {
        ("2011-01", "00"): 1,
        ("2011-01", "01"): 0,
        ("2011-01", "02"): 1,
        ("2011-03", "00"): 1,
    }


@pytest.mark.usefixtures("shop")
def test_the_metrics_are_those_counted_by_hand():
    explored()
    found = read_metrics("explore")
    assert found["sales"] == {
        "lines": 6,
        "orders": 4,
        "customers": 2,
        "products": 3,
        "revenue": 145.0,
    }
    assert found["season"]["busiest_weekday"] == "Monday"
    assert found["season"]["busiest_hour"] == 9
    # Sales begin on the 3rd: February and March are the whole months.
    assert found["season"]["strongest_month_to_mean"] == 2
    assert found["countries"]["home"] == "Malta"
    assert found["countries"]["share_of_revenue_abroad"] == 0.68966
    assert found["baskets"]["median_value"] == 20
    assert found["returns"]["share_of_sold_money"] == 0.17143
    assert found["no_customer"]["share_of_lines"] == 0.16667
    assert found["customers"]["share_with_one_order"] == 0.5
    assert "retention" not in found  # no cohort has a whole month and a whole month after it


@pytest.mark.usefixtures("shop")
def test_a_shop_without_known_customers_still_has_its_patterns():
    put_lines([(*line[:4], 0, line[5], None, *line[7:]) for line in LINES])
    missing = set(PATTERNS) - set(explored())
    assert missing == {"concentration", "cohort", "product_by_returns"}
    assert "customers" not in read_metrics("explore")


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([], r"sales.parquet has no sales: see metrics/clean.json"),
        ([LINES[2]], "every order in it was returned whole"),
    ],
)
def test_where_nothing_was_sold_it_says_where_to_look(lines, told):
    put_lines(lines)
    with pytest.raises(InputError, match=told):
        explore.main()


@pytest.mark.parametrize("edges", [[5, 10], [0, 10, 10]])
def test_wrong_edges_are_named(edges):
    with pytest.raises(InputError, match="basket_value_edges must begin with 0 and ascend"):
        parse_params("explore", Params, PARAMS | {"basket_value_edges": edges})


AMOUNTS = st.lists(st.integers(0, 10**12), min_size=1, max_size=30)


@given(AMOUNTS)
def test_gini_is_the_mean_difference_of_all_pairs(amounts):
    pairs = sum(abs(a - b) for a in amounts for b in amounts)
    total = sum(amounts)
    expected = pairs / (2 * len(amounts) * total) if total else 0.0
    assert gini(np.array(amounts)) == pytest.approx(expected, abs=1e-12)


@given(AMOUNTS)
def test_top_shares_rise_to_the_whole(amounts):
    points = top_shares(np.array(amounts), [0, 20, 50, 100])
    assert points[0] == (0, 0, 0)
    assert points[-1] == (100, len(amounts), sum(amounts))
    assert [p[2] for p in points] == sorted(p[2] for p in points)


def test_whole_months_are_those_that_the_days_cover():
    names = sorted(map(month_name, whole_months(date(2010, 12, 1), date(2011, 2, 27))))
    assert names == ["2010-12", "2011-01"]
    names = sorted(map(month_name, whole_months(date(2010, 12, 2), date(2011, 2, 28))))
    assert names == ["2011-01", "2011-02"]


def test_retention_takes_only_new_cohorts_seen_for_whole_months():
    rows = [(9, 0, 99), (9, 1, 99)]  # whom the file's first month calls new
    rows += [(12, 0, 4), (12, 1, 1), (12, 2, 2), (13, 0, 6), (13, 1, 6), (14, 0, 9)]
    cohorts = pd.DataFrame(rows, columns=["cohort", "since", "customers"])
    assert retention(cohorts, 1, {9, 10, 12, 13}) == 0.25
    assert retention(cohorts, 1, {9, 10, 12, 13, 14}) == 0.7
    assert retention(cohorts, 3, {9, 10, 12, 13, 14}) is None

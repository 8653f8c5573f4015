"""What changed since the last month end: everyone counts once."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.profile_segments.changes import (
    change_figures,
    day_before,
    latest_moves,
    segment_changes,
    since_day_before,
)

NAMES = {0: "best", 1: "middle", 2: "lost"}
OCTOBER, NOVEMBER, NOW = date(2011, 10, 31), date(2011, 11, 30), date(2011, 12, 10)


def customers(*rows: tuple[date, str, int, int, float | None]) -> pd.DataFrame:
    columns = ["snapshot_date", "customer_id", "segment_id", "monetary", "recency_days"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(monetary=[Decimal(value) for value in frame["monetary"]])


SHOP = customers(
    (OCTOBER, "a", 2, 10, 90.0), (OCTOBER, "b", 1, 50, 5.0),
    (NOVEMBER, "a", 2, 10, 120.0), (NOVEMBER, "b", 1, 50, 35.0), (NOVEMBER, "c", 0, 900, 4.0),
    (NOVEMBER, "d", 1, 70, 10.0),
    (NOW, "a", 1, 60, 3.0), (NOW, "b", 2, 40, 45.0), (NOW, "c", 0, 900, 14.0),
    (NOW, "d", 2, 0, None), (NOW, "e", 1, 55, 1.0),
)  # fmt: skip


def test_the_last_snapshot_is_compared_with_the_newest_that_is_a_week_older():
    assert day_before([OCTOBER, NOVEMBER, NOW]) == NOVEMBER
    assert day_before([OCTOBER, NOVEMBER, NOVEMBER + timedelta(days=1)]) == OCTOBER
    assert day_before([NOVEMBER, NOVEMBER + timedelta(days=1)]) == NOVEMBER
    assert day_before([NOVEMBER]) is None


def test_each_move_has_its_direction_its_customers_and_their_money():
    moves = latest_moves(since_day_before(SHOP), NAMES).set_index(["from_segment", "to_segment"])
    columns = ["direction", "customers", "share", "spend", "spend_since"]
    found = {pair: tuple(row) for pair, row in moves[columns].iterrows()}
    assert found == {
        ("not yet a customer", "middle"): ("new", 1, 1.0, 55.0, 55.0),
        ("best", "best"): ("stayed", 1, 1.0, 900.0, 0.0),
        ("middle", "lost"): ("fell", 2, 1.0, 40.0, -80.0),
        ("lost", "middle"): ("rose", 1, 1.0, 60.0, 50.0),
    }


def test_the_figures_of_the_shop_count_who_is_new_rose_fell_stayed_and_ordered():
    both = since_day_before(SHOP)
    assert change_figures(both, latest_moves(both, NAMES)) == {
        "is_known": True, "from": "2011-11-30", "to": "2011-12-10", "days": 10,
        "ordered": 2, "spend": 25.0, "new": 1, "rose": 1, "fell": 2, "stayed": 1,
    }  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-1, 2), st.integers(0, 2)), min_size=1, max_size=25))
def test_what_came_and_went_makes_the_difference_in_every_segment(ways):
    then = [(NOVEMBER, str(i), a, 5, 1.0) for i, (a, _) in enumerate(ways) if a >= 0]
    now = [(NOW, str(i), b, 7, 1.0) for i, (_, b) in enumerate(ways)]
    shop = customers((NOVEMBER, "one more", 1, 5, 1.0), (NOW, "one more", 1, 5, 2.0), *then, *now)
    both = since_day_before(shop)
    found = segment_changes(latest_moves(both, NAMES), NAMES)
    came = found["newcomers"] + found["rose_in"] + found["fell_in"]
    left = found["rose_out"] + found["fell_out"]
    assert (found["customers_before"] + came - left == found["customers"]).all()
    assert found["customers"].sum() == len(ways) + 1
    figures = change_figures(both, latest_moves(both, NAMES))
    assert figures["spend"] == pytest.approx(float(found["spend_since"].sum()))
    assert sum(figures[n] for n in ("new", "rose", "fell", "stayed")) == len(ways) + 1

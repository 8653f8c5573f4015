"""What sets segments apart: effect sizes, goods, typical customers, countries."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.profile_segments.profiles import (
    FEATURES,
    cliffs_deltas,
    effect_in_words,
    home_countries,
    ratio_of_means,
    segment_categories,
    segment_features,
    top_category,
)


def customers(rows: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.integers(1, 100, rows).astype(float) for name in FEATURES})
    shares = rng.dirichlet([1, 1, 1], rows)
    return frame.assign(
        spend_share_a=shares[:, 0], spend_share_b=shares[:, 1], spend_share_other=shares[:, 2]
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=12),
    st.lists(st.integers(0, 5), min_size=1, max_size=12),
)
def test_cliffs_delta_is_what_counting_all_pairs_gives(inside, outside):
    pairs = list(itertools.product(inside, outside))
    counted = sum((a > b) - (a < b) for a, b in pairs) / len(pairs)
    values = np.array([*inside, *outside], dtype=float)
    segment = np.array([0] * len(inside) + [1] * len(outside))
    found = cliffs_deltas(values, segment)
    assert found[0] == pytest.approx(counted)
    assert found[1] == pytest.approx(-counted)


def test_a_segment_that_is_everybody_is_apart_from_nobody():
    assert cliffs_deltas(np.array([1.0, 2.0]), np.array([3, 3])) == {}


@pytest.mark.parametrize(
    ("delta", "text"),
    [(0.9, "much higher"), (0.4, "higher"), (0.2, "slightly higher"), (0.1, "like the rest"),
     (-0.2, "slightly lower"), (-0.4, "lower"), (-1.0, "much lower"), (np.nan, "like the rest")],
)  # fmt: skip
def test_effects_are_said_in_words(delta, text):
    assert effect_in_words(delta) == text


def test_every_segment_has_every_feature_ranked_by_effect():
    segment = np.repeat([0, 1, 2], 10)
    found = segment_features(customers(30), segment)
    assert found.groupby("segment_id").size().tolist() == [len(FEATURES)] * 3
    for _, rows in found.groupby("segment_id"):
        ordered = rows.sort_values("rank")["cliffs_delta"].abs()
        assert ordered.is_monotonic_decreasing
        assert sorted(rows["rank"]) == list(range(1, len(FEATURES) + 1))


def test_a_feature_that_nobody_has_is_said_to_be_missing():
    frame = customers(4).assign(days_between_orders=np.nan)
    found = segment_features(frame, np.array([0, 0, 1, 1])).set_index("feature")
    gap = found.loc["days_between_orders"].iloc[0]
    assert gap["customers"] == 0
    assert np.isnan(gap["median"])


def test_shares_of_spend_add_up_and_lifts_point_the_right_way():
    frame = customers(200).assign(frequency=1.0)
    segment = (frame["spend_share_a"] < 0.3).to_numpy().astype(np.int64)
    found = segment_categories(frame, segment, {"a": "A", "b": "B", "other": "Other"})
    assert found.groupby("segment_id")["spend_share"].sum().tolist() == pytest.approx([1, 1])
    lifts = found.set_index(["segment_id", "category"])
    assert lifts.loc[(0, "a"), "verdict"] == "over"
    assert lifts.loc[(1, "a"), "verdict"] == "under"
    assert lifts.loc[(0, "a"), "lift_low"] < lifts.loc[(0, "a"), "lift"]
    total = (frame["monetary"] * frame["spend_share_b"]).sum()
    assert found[found["category"] == "b"]["spend"].sum() == pytest.approx(total)


def test_without_categories_there_are_no_goods_to_tell_of():
    assert segment_categories(customers(4), np.array([0, 0, 1, 1]), {}).empty
    assert top_category(customers(2), []) == [None, None]


def test_the_lifts_interval_leaves_out_one_by_chance_about_one_time_in_twenty():
    rng = np.random.default_rng(3)
    outside = 0
    for _ in range(400):
        _, low, high = ratio_of_means(rng.exponential(1, 60), rng.exponential(1, 200))
        outside += not low <= 1 <= high
    assert 0.02 <= outside / 400 <= 0.09


def test_a_ratio_needs_two_on_each_side_and_something_to_compare():
    assert np.isnan(ratio_of_means(np.array([1.0]), np.array([1.0, 2.0]))).all()
    assert np.isnan(ratio_of_means(np.array([1.0, 1.0]), np.zeros(3))).all()


def test_home_is_where_most_orders_went_and_of_equals_the_first_by_name():
    orders = pd.DataFrame(
        {
            "customer_id": ["x", "x", "y", "y"],
            "country": ["B", "A", "B", "A"],
            "orders": [3, 1, 2, 2],
        }
    )
    assert home_countries(orders).to_dict() == {"x": "B", "y": "A"}


def test_who_returned_everything_has_no_top_category():
    frame = pd.DataFrame({"spend_share_a": [0.0, 0.4], "spend_share_b": [0.0, 0.6]})
    assert top_category(frame, ["a", "b"]) == [None, "b"]

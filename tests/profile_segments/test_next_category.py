"""The next best category: never one already bought while another is left."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.profile_segments.next_category import hit_rate, next_best


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        float,
        st.tuples(st.integers(1, 30), st.integers(2, 6)),
        elements=st.sampled_from([0, 0.2, 0.5]),
    )
)
def test_what_is_suggested_is_the_most_popular_of_what_was_never_bought(shares):
    popular = (shares > 0).mean(axis=0)
    for row, at in zip(shares, next_best(shares, shares), strict=True):
        assert 0 <= at < shares.shape[1]
        if (row <= 0).any():
            assert row[at] <= 0
            assert popular[at] == popular[row <= 0].max()


def test_who_bought_all_is_led_to_what_others_buy_more_of():
    shares = np.array([[0.5, 0.3, 0.2], [0.2, 0.4, 0.4], [0.5, 0.25, 0.25]])
    assert next_best(shares, shares)[1] == 0


def test_one_category_has_no_next():
    assert next_best(np.ones((2, 1)), np.ones((2, 1))).tolist() == [-1, -1]


def test_hits_are_counted_among_those_who_tried_something_new():
    before = np.array([[1.0, 0, 0], [1.0, 0, 0], [1.0, 0, 0]])
    after = np.array([[0.5, 0.5, 0], [0.5, 0, 0.5], [1.0, 0, 0]])
    assert hit_rate(np.array([1, 1, 1]), before, after) == 0.5
    assert np.isnan(hit_rate(np.array([1]), before[:1], before[:1]))

"""The next best category: never one already bought while another is left."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.profile_segments.next_category import hit_rate, next_best, popular_next


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        float,
        st.tuples(st.integers(1, 30), st.integers(2, 6)),
        elements=st.sampled_from([0, 0.2, 0.5]),
    )
)
def test_what_is_suggested_was_never_bought_while_something_was_not(shares):
    segment = np.zeros(len(shares), dtype=int)
    best = next_best(shares, segment)
    for row, at in zip(shares, best, strict=True):
        assert 0 <= at < shares.shape[1]
        if (row <= 0).any():
            assert row[at] <= 0


def test_what_goes_with_the_own_goods_comes_before_what_is_popular():
    cake = [[0.5, 0.5, 0, 0]] * 20  # baking and tins go together
    toys = [[0, 0, 1, 0]] * 60  # toys are the most popular by far
    new = [[1.0, 0, 0, 0]]
    shares = np.array(cake + toys + new)
    assert next_best(shares, np.zeros(81, dtype=int))[-1] == 1
    assert popular_next(shares)[-1] == 2


def test_who_bought_all_is_led_to_what_the_segment_buys_more_of():
    shares = np.array([[0.5, 0.3, 0.2], [0.2, 0.4, 0.4], [0.5, 0.25, 0.25]])
    assert next_best(shares, np.zeros(3, dtype=int))[1] == 0


def test_one_category_has_no_next():
    assert next_best(np.ones((2, 1)), np.zeros(2, dtype=int)).tolist() == [-1, -1]


def test_hits_are_counted_among_those_who_tried_something_new():
    before = np.array([[1.0, 0, 0], [1.0, 0, 0], [1.0, 0, 0]])
    after = np.array([[0.5, 0.5, 0], [0.5, 0, 0.5], [1.0, 0, 0]])
    assert hit_rate(np.array([1, 1, 1]), before, after) == 0.5
    assert np.isnan(hit_rate(np.array([1]), before[:1], before[:1]))

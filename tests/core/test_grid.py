"""Names by a customer's own figures: for everybody one, true, and with age only towards lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.model.grid import LAYOUTS, NAMES, NEW, STAGES, Grid

BORDERS = np.array([8.0, 10.0, 12.0])
FIGURES = st.tuples(st.integers(0, 800), st.integers(1, 60), st.floats(0, 1e5), st.integers(1, 90))
# How near to lost a name is: a stage, and a first order before the first of them.
NEARNESS = {
    size: {name: n for n, stage in enumerate(STAGES) for name in layout[stage]} | {NEW: 0}
    for size, layout in LAYOUTS.items()
}


def grid(size: int = 11) -> Grid:
    return Grid(size, 40.0, 60, 120, BORDERS)


def name(figures: tuple[float, ...], size: int = 11) -> str:
    each = grid(size)
    return each.names[each.assign(np.array([figures], dtype=float))[0]]


@pytest.mark.parametrize(
    ("figures", "wanted"),
    [
        ((5, 20, 9000, 9), "champions"),
        ((60, 6, 1500, 30), "loyal"),
        ((5, 3, 400, 30), "potential_loyalists"),
        ((5, 2, 60, 30), "promising"),
        ((60, 1, 5000, 60), NEW),
        ((61, 1, 5000, 61), "about_to_sleep"),
        ((61, 6, 1500, 30), "need_attention"),
        ((61, 20, 9000, 9), "cannot_lose"),
        ((120, 20, 9000, 9), "cannot_lose"),
        ((120, 6, 1500, 30), "at_risk"),
        ((120, 3, 400, 30), "hibernating"),
        ((120, 1, 60, 120), "lost"),
    ],
)
def test_names_follow_the_customers_own_figures(figures, wanted):
    assert name(figures) == wanted


@given(FIGURES, st.sampled_from(sorted(NAMES)), st.lists(st.integers(1, 200), max_size=8))
def test_without_a_new_order_a_name_only_moves_towards_lost(figures, size, waits):
    recency, *rest = figures
    value = np.arange(float(len(NAMES[size])))[::-1]  # any order of value that the names may have
    value = grid(size).in_order(value)
    stages, ranks = [], []
    for wait in [0, *waits]:
        recency += wait
        own = name((recency, *rest), size)
        stages.append(NEARNESS[size][own])
        ranks.append(value[NAMES[size].index(own)])
    assert stages == sorted(stages)
    assert ranks == sorted(ranks, reverse=True)


@given(FIGURES, st.sampled_from(sorted(NAMES)))
def test_a_customer_within_the_usual_gap_is_neither_asleep_nor_lost(figures, size):
    own = name((min(figures[0], 40), *figures[1:]), size)
    assert NEARNESS[size][own] == 0


@given(FIGURES)
def test_only_recent_first_orders_are_new(figures):
    is_first = figures[1] == 1 and figures[0] <= 60
    assert (name(figures) == NEW) is is_first


@given(st.lists(FIGURES, min_size=1, max_size=40))
def test_a_fitted_grid_names_everybody_and_its_confidence_is_a_share(rows):
    points = np.array(rows, dtype=float)
    for size in NAMES:
        fitted = Grid.fitted(points, size)
        assert set(fitted.assign(points)) <= set(range(fitted.size))
        assert ((fitted.confidence(points) >= 0) & (fitted.confidence(points) <= 1)).all()
        assert 1 <= fitted.recent_days < fitted.lapsed_days


def test_larger_grids_keep_the_names_of_smaller_ones():
    assert {size: len(names) for size, names in NAMES.items()} == {n: n for n in range(5, 12)}
    assert all(set(NAMES[n]) < set(NAMES[n + 1]) for n in range(5, 11))


def test_stage_limits_follow_the_usual_gap_or_the_params():
    points = np.array([[5.0, 2, 10, 30], [5, 4, 10, 50], [5, 3, 10, 40], [5, 1, 10, 999]])
    fitted = Grid.fitted(points, 8)
    assert (fitted.usual_gap_days, fitted.recent_days, fitted.lapsed_days) == (40, 60, 120)
    declared = Grid.fitted(points, 8, recent_days=30, lapsed_days=365)
    assert (declared.recent_days, declared.lapsed_days) == (30, 365)


def test_conditions_describe_each_name():
    assert grid(8).condition(NEW) == "frequency = 1, recency_days <= 60"
    assert grid(8).condition("champions") == "recency_days <= 60, rank <= 0.1"
    assert grid(8).condition("need_attention") == "recency_days >= 61 and <= 119, rank <= 0.55"
    assert grid().condition("cannot_lose") == "recency_days >= 61, rank <= 0.1"
    assert grid(5).condition("lost") == "recency_days >= 120"

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.select_model.prediction import (
    area_under_curve,
    ceiling,
    eta_squared,
    gini_capture,
    later_figures,
    resampled_figures,
    top_capture,
)


def test_eta_squared_is_the_share_of_variance_between_parts():
    labels, outcomes = np.array([0, 0, 1, 1]), np.array([1.0, 3.0, 5.0, 7.0])
    assert eta_squared(labels, outcomes)[0] == pytest.approx(16 / 20)


def test_weights_count_customers_as_often_as_a_resample_took_them():
    labels, outcomes = np.array([0, 0, 1]), np.array([1.0, 3.0, 5.0])
    weights = np.array([[2.0, 1.0, 1.0]])
    doubled = eta_squared(np.array([0, 0, 0, 1]), np.array([1.0, 1.0, 3.0, 5.0]))
    assert eta_squared(labels, outcomes, weights)[0] == pytest.approx(doubled[0])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=2, max_size=30))
def test_eta_squared_lies_between_nothing_and_all(rows):
    labels, outcomes = np.array(rows).T
    assert -1e-9 <= eta_squared(labels, outcomes.astype(float))[0] <= 1 + 1e-9


def test_top_capture_shares_ties_out():
    ranking, spend = np.array([2.0, 1.0, 1.0, 1.0, 0.0]), np.array([10.0, 6.0, 3.0, 0.0, 1.0])
    assert top_capture(ranking, spend, 0.2) == pytest.approx(0.5)
    assert top_capture(ranking, spend, 0.4) == pytest.approx((10 + 3) / 20)
    assert top_capture(np.zeros(5), spend, 0.2) == pytest.approx(0.2)


def test_gini_is_nothing_for_a_ranking_of_ties_and_most_for_the_true_order():
    spend = np.array([0.0, 0.0, 0.0, 8.0])
    assert gini_capture(np.zeros(4), spend) == pytest.approx(0)
    assert gini_capture(np.arange(4.0), spend) == pytest.approx(0.75)
    assert gini_capture(-np.arange(4.0), spend) == pytest.approx(-0.75)


def test_auc_counts_ties_half():
    bought = np.array([True, False, True, False])
    assert area_under_curve(np.array([2.0, 1.0, 1.0, 0.0]), bought) == pytest.approx(3.5 / 4)
    assert area_under_curve(np.arange(2.0), np.array([True, True])) == pytest.approx(0.5)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.0, 2.5, 40.0]), st.integers(0, 3)),
        min_size=1,
        max_size=25,
    ).filter(lambda rows: any(times for _, _, times in rows))
)
def test_a_resample_has_the_figures_of_its_customers_written_out(rows):
    ranking, spend, times = (np.array(column) for column in zip(*rows, strict=True))
    found = resampled_figures(ranking.astype(float), spend, times[None, :].astype(float))
    ranks, spent = np.repeat(ranking, times), np.repeat(spend, times)
    assert found["gini"][0] == pytest.approx(gini_capture(ranks, spent))
    assert found["top20_capture"][0] == pytest.approx(top_capture(ranks, spent, 0.2))
    assert found["auc"][0] == pytest.approx(area_under_curve(ranks, spent > 0))


def test_nobody_buying_later_is_no_error():
    nothing = np.zeros(4)
    found = later_figures(np.array([0, 0, 1, 1]), np.arange(4.0), nothing, nothing)
    assert (found.gini, found.top20_capture, found.auc) == (0, 0, 0.5)


def test_the_ceiling_sees_what_can_be_foretold_and_nothing_in_noise():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 2))
    signal = np.maximum(features[:, 0], 0)
    assert ceiling(features, signal, np.expm1(signal), 0).eta_squared > 0.9
    noise = rng.random(400)
    assert ceiling(features, noise, np.expm1(noise), 0).eta_squared < 0.05

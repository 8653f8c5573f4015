from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from segmentation_shop import in_time, snapshots

from pipeline.select_model.prediction import (
    eta_squared,
    later_figures,
    reference_figures,
    resampled_figures,
)


def test_eta_squared_is_the_share_of_variance_between_clusters():
    labels, outcomes = np.array([0, 0, 1, 1]), np.array([1.0, 3.0, 5.0, 7.0])
    assert eta_squared(labels, outcomes)[0] == pytest.approx(16 / 20)


def figures(ranking, spend, counts=None):
    weights = np.ones((1, len(spend))) if counts is None else counts[None, :].astype(float)
    found = resampled_figures(np.array(ranking, dtype=float), np.array(spend), weights)
    return {name: values[0] for name, values in found.items()}


def test_top_capture_shares_ties_out():
    ranking, spend = [2, 1, 1, 1, 0], [10.0, 6.0, 3.0, 0.0, 1.0]
    assert figures(ranking, spend)["top20_capture"] == pytest.approx(0.5)
    assert figures([0] * 5, spend)["top20_capture"] == pytest.approx(0.2)
    half = figures([1] * 5 + [0] * 5, [*spend, *spend])["top20_capture"]
    assert half == pytest.approx(0.4 * 0.5)


def test_gini_is_nothing_for_a_ranking_of_ties_and_most_for_the_true_order():
    spend = [0.0, 0.0, 0.0, 8.0]
    assert figures([0] * 4, spend)["gini"] == pytest.approx(0)
    assert figures([0, 1, 2, 3], spend)["gini"] == pytest.approx(0.75)
    assert figures([3, 2, 1, 0], spend)["gini"] == pytest.approx(-0.75)


def test_auc_counts_ties_half():
    assert figures([2, 1, 1, 0], [9.0, 0.0, 9.0, 0.0])["auc"] == pytest.approx(3.5 / 4)
    assert figures([0, 1], [9.0, 9.0])["auc"] == pytest.approx(0.5)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([0.0, 0.0, 2.5, 40.0]), st.integers(0, 3)),
        min_size=1,
        max_size=25,
    ).filter(lambda rows: any(times for _, _, times in rows))
)
def test_a_resample_has_the_figures_of_its_customers_written_out(rows):
    ranking, spend, times = (np.array(column) for column in zip(*rows, strict=True))
    written_out = figures(np.repeat(ranking, times), np.repeat(spend, times))
    assert figures(ranking, spend, times) == pytest.approx(written_out)


def test_nobody_buying_later_is_no_error():
    found = later_figures(np.arange(4.0), np.zeros(4), np.zeros(4))
    assert (found.gini, found.top20_capture, found.auc) == (0, 0, 0.5)
    assert found.correlation_squared == 0


def test_a_forecast_of_the_wrong_level_correlates_and_explains_less():
    outcomes = np.array([0.0, 1.0, 2.0, 3.0])
    exact, high = (later_figures(outcomes + off, outcomes, outcomes) for off in (0, 1))
    assert exact.r_squared == exact.correlation_squared == high.correlation_squared == 1
    assert high.r_squared == pytest.approx(1 - 4 / 5)


def test_the_reference_model_predicts_what_the_past_tells_and_nothing_from_noise():
    found = snapshots()
    _, _, origins = in_time(found)
    assert reference_figures(origins[-1], 0).correlation_squared > 0.4
    noise = [replace(s, spend=np.random.default_rng(n).random(400)) for n, s in enumerate(found)]
    lost = replace(origins[-1], cut=noise[0], past=tuple(noise[1:4]))
    assert reference_figures(lost, 0).correlation_squared < 0.05


def test_the_reference_model_does_not_see_the_horizon_that_judges_it():
    origin = in_time(snapshots())[2][-1]
    loud = replace(origin.cut, spend=np.where(np.arange(400) % 2 == 0, 1e6, 0.0))
    assert reference_figures(replace(origin, cut=loud), 0).correlation_squared < 0.05

"""The effect of a treatment drawn at random: known truths, and when none is told."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_ind

from pipeline.read_campaigns.effects import chance_to_see, effect, is_split_kept, least_seen

RNG = np.random.default_rng(3)
TREATED = np.arange(400) % 2 == 0
HISTORY = RNG.gamma(2, 50, (400, 1))
SPEND = HISTORY[:, 0] + RNG.normal(0, 10, 400) + 12 * TREATED


def test_without_history_it_is_the_difference_of_means_with_welchs_error():
    found = effect(SPEND, TREATED, np.ones((400, 1)))
    assert found
    expected = ttest_ind(SPEND[TREATED], SPEND[~TREATED], equal_var=False)
    low, high = expected.confidence_interval()
    assert found.difference == pytest.approx(SPEND[TREATED].mean() - SPEND[~TREATED].mean())
    assert found.interval == pytest.approx((low, high), abs=0.1)
    assert found.narrowed == pytest.approx(0, abs=1e-9)


def test_history_narrows_the_interval_about_the_planted_effect():
    found = effect(SPEND, TREATED, HISTORY)
    assert found
    assert found.narrowed > 0.8
    low, high = found.interval
    assert low < 12 < high
    assert found.untreated == pytest.approx(SPEND[TREATED].mean() - found.difference)


@pytest.mark.parametrize("buyers", [0, 4, 196, 200])
def test_too_few_buyers_or_non_buyers_give_no_effect(buyers: int):
    bought = np.zeros(400)
    bought[TREATED] = np.arange(200) < buyers
    bought[~TREATED] = np.arange(200) < 50
    assert effect(bought, TREATED, HISTORY) is None


def test_the_detectable_rise_has_the_wanted_power():
    rise = least_seen(0.02, 0.05, 0.8)
    assert chance_to_see(rise, 0.02, 0.05) == pytest.approx(0.8)
    assert chance_to_see(rise / 2, 0.02, 0.05) < 0.3


def test_only_a_skewed_split_is_noticed():
    assert is_split_kept(495, 505, 0.5)
    assert not is_split_kept(600, 400, 0.5)
    assert is_split_kept(800, 200, 0.8)
    assert not is_split_kept(0, 0, 0.5)

"""Hold-out groups that see what they promise, and the money at stake."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.model.naming import read_playbook
from pipeline.profile_segments.strategy import (
    plan_spend_test,
    plan_test,
    power_of,
    shop_test,
    strategy_rows,
)


def facts(*rows: tuple[str, str, int, float | None, float | None]) -> pd.DataFrame:
    columns = ["play", "segment", "customers", "buying_rate", "expected_spend"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(
        segment_id=range(len(frame)),
        expected_spend_low=frame["expected_spend"] / 2,
        expected_spend_high=frame["expected_spend"] * 2,
        margin_rate=[0.4] + [None] * (len(frame) - 1),
    )


def planned(segments: pd.DataFrame, spends=(), **lifts: tuple[float, float, float]) -> pd.DataFrame:
    customers = segments.loc[segments.index.repeat(segments["customers"]), ["segment_id", "play"]]
    columns = ["play", "lift", "lift_low", "lift_high"]
    measured = pd.DataFrame([(play, *lift) for play, lift in lifts.items()], columns=columns)
    how = {"measured": measured, "lift": 0.2, "alpha": 0.05, "power": 0.8}
    return strategy_rows(segments, customers, read_playbook(), dict(spends), **how)


def test_the_stake_is_the_rise_that_the_test_is_sized_for_and_the_most_comes_first():
    segments = facts(
        ("champions", "champions", 900, 0.9, 1000.0), ("at_risk", "at risk", 900, 0.4, 1000.0)
    )
    found = planned(segments)
    assert found["target_rate"].tolist() == [0.95, 0.48]
    assert found["value_at_stake"].tolist() == pytest.approx([55.56, 200.0])
    assert found["value_at_stake_low"].tolist() == pytest.approx([27.78, 100.0])
    assert found["margin_at_stake"].fillna(0).tolist() == pytest.approx([22.22, 0])
    assert found["decision"].tolist() == [2, 1]
    assert found["compares"].tolist() == ["buyers", "buyers"]


def test_the_stake_of_a_play_is_its_measured_lift_once_there_is_one():
    segments = facts(
        ("champions", "champions", 900, 0.9, 1000.0), ("at_risk", "at risk", 900, 0.4, 1000.0)
    )
    found = planned(segments, at_risk=(0.05, 0.0, 0.1)).set_index("play")
    stakes = found.loc["at_risk", ["value_at_stake", "value_at_stake_low", "value_at_stake_high"]]
    assert stakes.tolist() == pytest.approx([50.0, 0.0, 200.0])
    assert found["measured_lift"].tolist() == pytest.approx([np.nan, 0.05], nan_ok=True)
    assert found["decision"].tolist() == [1, 2]


def test_what_a_play_wants_to_raise_is_what_its_test_compares():
    spends = np.exp(np.random.default_rng(5).normal(5, 0.4, 900))
    segments = facts(
        ("loyal", "loyal", 2000, 0.4, 1000.0), ("loyal", "steady regulars", 2000, 0.4, 1000.0)
    )
    found = planned(segments, {0: spends, 1: spends}.items())
    assert found["compares"].tolist() == ["spend", "buyers"]
    assert found["value_at_stake"].tolist() == pytest.approx([200.0, 200.0])


def test_those_to_leave_alone_and_those_nothing_is_known_of_are_no_decision():
    found = planned(
        facts(("lost", "lost", 900, 0.1, 1000.0), ("champions", "champions", 9, None, None))
    )
    assert found["decision"].isna().all()
    assert found["compares"].isna().all()
    assert not found["is_testable"].any()


def test_segments_too_small_to_be_tested_alone_are_tested_together_as_promised():
    small = [("at_risk", f"s{n}", 120, rate, 10.0) for n, rate in enumerate((0.2, 0.4, 0.6, 0.3))]
    found = shop_test(planned(facts(*small)), 0.05)
    assert (found["customers"], found["holdout_customers"]) == (480, 240)
    assert (found["baseline_rate"], found["target_rate"]) == pytest.approx((0.375, 0.45))
    rng = np.random.default_rng(4)
    sides = [
        np.array([rng.binomial(60, rate * lift, 4000) for _, _, _, rate, _ in small]) / 60
        for lift in (1, 1.2)
    ]
    error = np.sqrt(sum((side * (1 - side) / 60).sum(axis=0) for side in sides)) / 4
    seen = (sides[1] - sides[0]).mean(axis=0) / error > 1.96
    assert seen.mean() == pytest.approx(found["power"], abs=0.03)
    large = planned(facts(("at_risk", "at risk", 9000, 0.4, 10.0)))
    assert shop_test(large, 0.05) == {"is_proposed": False}


def test_the_hold_out_group_is_the_smallest_that_suffices():
    test = plan_test(1000, 0.4, 0.25, 0.05, 0.8)
    assert test.target == 0.5
    assert test.holdout + test.treated == 1000
    assert power_of(test.holdout, test.treated, 0.4, 0.5, 0.05) >= 0.8
    assert power_of(test.holdout - 1, test.treated + 1, 0.4, 0.5, 0.05) < 0.8


def test_the_size_for_equal_halves_is_that_of_the_books():
    """Fleiss (1981): 0.40 against 0.50, two-sided 5%, power 80%, about 385 to 390 a side."""
    found = next(n for n in range(300, 500) if power_of(n, n, 0.4, 0.5, 0.05) >= 0.8)
    assert 380 <= found <= 392


def test_simulated_campaigns_show_the_effect_as_often_as_promised():
    test = plan_test(1500, 0.3, 0.3, 0.05, 0.8)
    rng = np.random.default_rng(1)
    left = rng.binomial(test.holdout, test.base, 4000) / test.holdout
    sent = rng.binomial(test.treated, test.target, 4000) / test.treated
    error = np.sqrt(left * (1 - left) / test.holdout + sent * (1 - sent) / test.treated)
    assert np.mean((sent - left) / error > 1.96) == pytest.approx(0.8, abs=0.03)


def test_the_size_of_a_spend_test_is_the_one_worked_out_by_hand():
    """100 who spend 1 and 100 who spend 3: unit 2, logs 0.4055 and 0.9163, lifted 0.4700, 1.0296.

    The means 0.6609 and 0.7498 rise by 0.0889; the variances are 0.0656 and 0.0787 (of 200). Of
    halves of n: n = (1.960 + 0.8416)^2 (0.0656 + 0.0787) / 0.0889^2 = 143.3.
    """
    spends = np.repeat([1.0, 3.0], 100)
    enough = plan_spend_test(288, spends, 0.2, 0.05, 0.8)
    assert enough.holdout + enough.treated == 288
    few = plan_spend_test(286, spends, 0.2, 0.05, 0.8)
    assert (few.unit, few.holdout, few.rounds) == (2.0, None, 2)
    assert 0.2 < few.detectable < 0.201
    assert plan_spend_test(288, 100 * spends, 0.2, 0.05, 0.8).holdout == enough.holdout
    assert plan_spend_test(96, spends, 0.2, 0.05, 0.8).rounds == 3
    large = plan_spend_test(1000, spends, 0.2, 0.05, 0.8)
    error = np.sqrt(0.0656 / large.holdout + 0.0787 / large.treated)
    assert 0.0889 / error == pytest.approx(2.8016, abs=0.02)


def test_simulated_campaigns_that_raise_spend_show_it_as_often_as_promised():
    rng = np.random.default_rng(3)
    spends = np.exp(rng.normal(6, 0.7, 5000)) * (rng.random(5000) < 0.97)
    plan = plan_spend_test(1200, spends, 0.2, 0.05, 0.8)
    assert plan.holdout < 600
    drawn = np.log1p(rng.choice(spends, (4000, 1200)) / plan.unit)
    left = drawn[:, : plan.holdout]
    sent = np.log1p(np.expm1(drawn[:, plan.holdout :]) * 1.2)
    error = np.sqrt(left.var(axis=1) / plan.holdout + sent.var(axis=1) / plan.treated)
    seen = (sent.mean(axis=1) - left.mean(axis=1)) / error > 1.96
    assert seen.mean() == pytest.approx(0.8, abs=0.03)


def test_a_spend_test_needs_thirty_who_bought_and_may_take_too_long():
    assert plan_spend_test(500, np.repeat([0.0, 9.0], [400, 29]), 0.2, 0.05, 0.8) is None
    assert plan_spend_test(3, np.repeat(9.0, 40), 0.2, 0.05, 0.8) is None
    wide = np.exp(np.random.default_rng(5).normal(5, 1.5, 200))
    narrow = np.exp(np.random.default_rng(5).normal(5, 0.4, 200))
    plan = plan_spend_test(40, narrow, 0.2, 0.05, 0.8)
    assert plan.holdout is None
    assert plan.rounds == 4
    assert plan.detectable == pytest.approx(0.43, abs=0.005)
    wide = np.exp(np.random.default_rng(5).normal(5, 1.5, 200))
    assert plan_spend_test(40, wide, 0.2, 0.05, 0.8).rounds * 90 > 730
    alike = plan_spend_test(40, np.repeat([8.0, 9.0], 100), 0.2, 0.05, 0.8)
    assert (alike.holdout, alike.unit) == (20, 8.5)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3000), st.floats(0.001, 0.999), st.floats(0.01, 2))
def test_whatever_the_segment_the_plan_is_possible(customers, base, lift):
    test = plan_test(customers, base, lift, 0.05, 0.8)
    assert base < test.target < 1
    if test.holdout is not None:
        assert 2 <= test.holdout <= customers // 2
    if test.detectable is not None:
        assert base < test.detectable < 1

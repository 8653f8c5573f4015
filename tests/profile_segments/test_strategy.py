"""Strategies: sentences with figures, and hold-out groups that see what they promise."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.model.naming import read_playbook
from pipeline.core.run.errors import InputError
from pipeline.profile_segments.strategy import (
    CUSTOMER_FIGURES,
    JOINED,
    SEGMENT_FIGURES,
    check_figures,
    exceptions_in_words,
    fill,
    first_that_fits,
    holdout_in_words,
    plan_spend_test,
    plan_test,
    power_of,
    put_together,
    spend_test_in_words,
    stake_in_words,
    strategy_texts,
)
from pipeline.profile_segments.summaries import segment_figures


def test_a_sentence_whose_figure_is_missing_gives_way_to_the_next():
    figures = {"gap": None, "orders": "3"}
    assert fill("Every {gap} days. | After {orders} orders.", figures) == "After 3 orders."
    assert fill("Every {gap} days.", figures) is None
    assert put_together(["Every {gap} days.", "Now.", "{orders}!"], figures) == "Now. 3!"
    assert put_together(["Every {gap} days."], figures) == "The data does not say enough."
    assert first_that_fits(["{gap}", "{orders}"], figures) == "3"
    assert first_that_fits(["{gap}"], figures) == ""


def test_a_segment_of_a_later_name_has_its_own_action_and_the_rest_of_its_rule():
    rule = read_playbook().rules["champions"]
    assert rule.strategy_of("champions") == rule.strategy
    near = rule.strategy_of("near champions")
    assert near.action == "Lift them to the champions"
    assert near.goal != rule.strategy.goal
    assert near.channel == rule.strategy.channel


def test_members_with_a_play_of_their_own_are_counted_most_first():
    playbook = read_playbook()
    assert exceptions_in_words({}, 90, playbook) == ""
    assert exceptions_in_words({"at_risk": 2, "new": 1200}, 1453, playbook) == (
        "1,202 of the 1,453 ordered later or earlier than the others and are better treated by "
        "their own last order, as segments.csv does: 1,200 as new, 2 as at risk."
    )


def test_braces_in_a_category_are_no_figures():
    assert fill("Offer {top}.", {"top": "{orders.__class__}"}) == "Offer {orders.__class__}."


def test_every_play_can_be_filled_with_all_figures_and_with_none():
    playbook = read_playbook()
    check_figures(playbook)
    for known in ("7", None):
        figures = dict.fromkeys(SEGMENT_FIGURES, known)
        if known is None:  # what every segment has
            figures |= {"customers": "7", "horizon": "90", "lift": "20%"}
        for key, rule in playbook.plays.items():
            for name, field in itertools.product(rule.names, JOINED):
                text = strategy_texts(rule, name, playbook, figures)[field]
                assert text, (name, field)
                assert not re.search(r"[{}|]", text), (name, field, text)
                if field not in {"goal", "kpi"}:
                    assert "does not say enough" not in text, (name, field)
            own = dict.fromkeys(CUSTOMER_FIGURES, known)
            assert first_that_fits(rule.strategy.for_customer, own), key


def test_an_unknown_figure_is_an_error_that_names_where():
    playbook = read_playbook()
    lost = playbook.rules["lost"]
    strategy = lost.strategy.model_copy(update={"offer": ("{moon}",)})
    rules = {**playbook.rules, "lost": lost.model_copy(update={"strategy": strategy})}
    with pytest.raises(InputError, match=r"lost\.strategy\.offer: unknown figure \{moon\}"):
        check_figures(playbook.model_copy(update={"rules": rules}))


def test_a_cost_class_without_words_is_an_error():
    with pytest.raises(InputError, match="cost_classes: "):
        check_figures(read_playbook().model_copy(update={"cost_classes": {}}))


def test_segment_figures_are_exactly_those_that_the_playbook_may_use():
    fact = dict.fromkeys(
        ("customers", "customer_share", "revenue", "revenue_share", "return_rate",
         "units_per_line", "median_frequency"), 1,
    ) | dict.fromkeys(
        ("median_recency_days", "median_order_value", "gap", "quiet_days", "top_category_title",
         "second_category_title", "over_category_title", "next_category_title",
         "first_order_category_title", "buying_rate", "expected_spend", "peak_month",
         "expected_spend_per_customer", "top_country", "abroad_share", "retention", "fall_to",
         "fall_share", "rise_to", "rise_share", "rise_gain", "over_lift"),
    )  # fmt: skip
    assert set(segment_figures(fact, 0.2, 90, "£")) == set(SEGMENT_FIGURES)


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
    test = plan_test(40, 0.97, 0.2, 0.05, 0.8)
    wide = np.exp(np.random.default_rng(5).normal(5, 1.5, 200))
    how = {"horizon": 90, "alpha": 0.05, "power": 0.8, "currency": "£"}
    long = plan_spend_test(40, wide, 0.2, 0.05, 0.8)
    assert spend_test_in_words(test, long, 40, **how).endswith("ask them instead.")
    narrow = np.exp(np.random.default_rng(5).normal(5, 0.4, 200))
    rounds = plan_spend_test(40, narrow, 0.2, 0.05, 0.8)
    text = spend_test_in_words(test, rounds, 40, **how).replace("\u00a0", " ")
    assert "and halves of 20 show no less than 43% more spend. 4 rounds of 90 days, with " in text
    assert "halves drawn anew each time, do show 20% more: compare the means of log(1 + " in text
    alike = plan_spend_test(40, np.repeat([8.0, 9.0], 100), 0.2, 0.05, 0.8)
    text = spend_test_in_words(test, alike, 40, **how).replace("\u00a0", " ")
    assert text.startswith(
        "Too few customers to show a rise of those who order from 97% to 98%, so test what "
        "they spend: leave 20 of the 40 out at random"
    )
    assert "compare the means of log(1 + spend / £8.50) over 90 days." in text


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 3000), st.floats(0.001, 0.999), st.floats(0.01, 2))
def test_whatever_the_segment_the_plan_is_possible(customers, base, lift):
    test = plan_test(customers, base, lift, 0.05, 0.8)
    assert base < test.target < 1
    if test.holdout is not None:
        assert 2 <= test.holdout <= customers // 2
    if test.detectable is not None:
        assert base < test.detectable < 1
    text = holdout_in_words(test, customers, 90, 0.05, 0.8)
    assert text.startswith(("Leave", "Too few", "Slightly too few"))


def test_the_stake_is_said_with_its_interval_or_said_to_be_unknown():
    row = {"expected_spend": 1000.0, "expected_spend_low": 800.0, "expected_spend_high": 1300.0}
    text = stake_in_words(row, 0.2, 90, "£").replace("\u00a0", " ")
    assert text == (
        "£1,000 (95% interval: £800 to £1,300) is expected from them in the next 90 days; "
        "20% more would be £200."
    )
    assert "interval" not in stake_in_words({**row, "expected_spend_low": np.nan}, 0.2, 90, "£")
    assert "no spend can be expected" in stake_in_words({"expected_spend": np.nan}, 0.2, 90, "£")

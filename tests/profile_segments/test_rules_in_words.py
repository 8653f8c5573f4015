"""Rules in words: they cover everybody, say what they hold, and are judged as printed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.profile_segments.rules_in_words import (
    COLUMNS,
    Rule,
    apply_rules,
    fidelity,
    judged_rules,
    learn_rules,
    segment_rule,
)


def customers(rows: int, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.integers(1, 200, rows).astype(float) for name in COLUMNS})
    return frame.assign(frequency=rng.integers(1, 9, rows))


def learnt(frame, segment):
    return learn_rules(frame, np.asarray(segment), leaves=8, depth=4, seed=1)


def words_of(frame, segment):
    rules = learnt(frame, segment)
    return judged_rules(rules, frame, np.asarray(segment)).set_index("segment_id")["rule"]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(0, 5), st.integers(1, 4))
def test_every_customer_has_exactly_one_rule(rows, seed, parts):
    frame = customers(rows, seed)
    frame.loc[frame.index % 7 == 3, "frequency"] = 0
    segment = np.arange(rows) % parts
    rules = learnt(frame, segment)
    holds = apply_rules(rules, frame)
    assert (holds >= 0).all()
    held = [r for i, r in enumerate(rules) if (holds == i).any()]
    judged = judged_rules(held, frame, segment)
    assert judged["customers"].sum() == rows


def test_a_simple_model_is_retold_wholly_and_in_words():
    frame = customers(300)
    segment = np.where(frame["recency_days"] <= 60, 0, np.where(frame["frequency"] >= 4, 1, 2))
    rules = learnt(frame, segment)
    assert fidelity(rules, frame, segment) == 1
    text = words_of(frame, segment)
    assert text[0] == "recency_days <= 60"
    assert text[1] == "recency_days >= 61, frequency >= 4"
    assert text[2] == "recency_days >= 61, frequency <= 3"


def test_thresholds_are_said_as_people_say_them_and_judged_as_said():
    frame = customers(200).assign(monetary=np.linspace(1000.001, 9999.77, 200))
    segment = (frame["monetary"] > 5450).to_numpy().astype(int)
    text = words_of(frame, segment)
    limit = float(text[0].removeprefix("monetary <= "))
    assert limit % 10 == 0
    judged = judged_rules(learnt(frame, segment), frame, segment)
    assert judged["customers"].tolist() == [
        (frame["monetary"] <= limit).sum(),
        (frame["monetary"] > limit).sum(),
    ]


def test_who_returned_everything_has_a_rule_of_its_own():
    frame = customers(40)
    frame.loc[:4, ["frequency", "recency_days"]] = [0, np.nan]
    segment = np.where(frame["frequency"] == 0, 3, 0)
    assert words_of(frame, segment)[3] == "frequency = 0"
    nobody = frame.assign(frequency=0)
    assert len(learnt(nobody, np.full(40, 3))) == 1


def test_one_order_and_a_span_are_said_plainly():
    frame = customers(400)
    segment = np.where(frame["frequency"] == 1, 0, np.where(frame["frequency"] <= 4, 1, 2))
    text = words_of(frame, segment)
    assert text.tolist() == [
        "frequency = 1",
        "frequency >= 2 and <= 4",
        "frequency >= 5",
    ]


def test_a_segment_without_a_rule_says_so_and_several_rules_are_joined():
    judged = pd.DataFrame(
        {"segment_id": [0, 0], "rule": ["a", "b"], "customers": [30, 10],
         "precision": [1.0, 0.5], "recall": [0.6, 0.1]}
    )  # fmt: skip
    both = segment_rule(judged, 0)
    assert both["rule"] == "a or b"
    assert both["rule_precision"] == pytest.approx(35 / 40)
    assert both["rule_recall"] == pytest.approx(0.7)
    assert segment_rule(judged, 5)["rule"] == ""


def test_a_segment_told_wholly_by_several_rules_has_a_recall_of_one():
    """Sixths rounded one by one would add up to more."""
    frame = customers(6).assign(frequency=[1, 2, 3, 4, 5, 6])
    rules = [
        Rule((-np.inf, n - 1, *[-np.inf] * 4), (np.inf, n, *[np.inf] * 4), 0) for n in range(1, 7)
    ]
    judged = judged_rules(rules, frame, np.zeros(6, dtype=int))
    assert segment_rule(judged, 0)["rule_recall"] == 1

"""Strategies: the playbook's sentences filled with a segment's figures, and a fair test of them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.stats import norm

from pipeline.methods.naming import Playbook, Rule
from pipeline.report import words
from pipeline.shared.errors import InputError

Figures = Mapping[str, str | None]

OR_ELSE = " | "
PLACEHOLDER = re.compile(r"\{(\w+)\}")
JOINED = ("goal", "offer", "channel", "cadence", "kpi", "do_not")
SEGMENT_FIGURES = (
    "customers", "customer_share", "revenue", "revenue_share", "recency", "orders", "order_value",
    "gap", "quiet_days", "return_rate", "units_per_line", "top_category", "second_category",
    "over_category", "next_category", "first_category", "buying_rate", "target_rate", "lift",
    "expected_spend", "spend_per_customer", "at_stake", "discount_cost", "horizon", "peak_month",
    "top_country", "abroad_share", "retention", "rise_to", "rise_share", "rise_gain", "fall_to",
    "fall_share", "over_lift",
)  # fmt: skip
CUSTOMER_FIGURES = (
    "top_category", "next_category", "recency_days", "orders", "spend", "expected_spend",
)  # fmt: skip
LEAST_TEST = 2  # customers on the smaller side of a test
HIGHEST_RATE = 0.999


@dataclass(frozen=True)
class Test:
    """A comparison of addressed and left-out customers that sees a rise from base to target.

    `holdout` and `treated` are None where no split of the segment suffices; `detectable` is the
    least rate that halves of the segment would show.
    """

    base: float
    target: float
    holdout: int | None
    treated: int | None
    detectable: float | None


def fill(text: str, figures: Figures) -> str | None:
    """Return the first alternative of `text` whose figures are all known, filled; else None."""
    for alternative in text.split(OR_ELSE):
        needed = PLACEHOLDER.findall(alternative)
        if all(figures.get(name) is not None for name in needed):
            return PLACEHOLDER.sub(lambda found: str(figures[found[1]]), alternative).strip()
    return None


def put_together(sentences: Iterable[str], figures: Figures) -> str:
    """The sentences that can be filled, as one text."""
    filled = [text for sentence in sentences if (text := fill(sentence, figures))]
    return " ".join(filled) or "The data does not say enough."


def first_that_fits(sentences: Sequence[str], figures: Figures) -> str:
    """The first sentence that can be filled."""
    return next((text for s in sentences if (text := fill(s, figures))), "")


def check_figures(playbook: Playbook) -> None:
    """Raise InputError where a sentence asks for a figure that there is not."""
    problems: list[str] = []
    for key, rule in playbook.plays.items():
        asked: list[tuple[str, str, tuple[str, ...]]] = [
            (field, text, SEGMENT_FIGURES)
            for strategy in (rule.strategy, *rule.otherwise.values())
            for field in JOINED
            for text in getattr(strategy, field)
        ]
        asked += [("for_customer", t, CUSTOMER_FIGURES) for t in rule.strategy.for_customer]
        for field, text, known in asked:
            problems += [
                f"playbook.yaml: {key}.strategy.{field}: unknown figure {{{name}}}; "
                f"there are {', '.join(known)}"
                for name in PLACEHOLDER.findall(text)
                if name not in known
            ]
        if rule.strategy.cost_class not in playbook.cost_classes:
            problems.append(
                f"playbook.yaml: cost_classes: {rule.strategy.cost_class} is not described"
            )
    if problems:
        raise InputError("\n".join(problems))


def strategy_texts(
    rule: Rule, segment: str, playbook: Playbook, figures: Figures
) -> dict[str, str]:
    """The fields of the strategy for the segment of this name as texts, filled."""
    strategy = rule.strategy_of(segment)
    texts = {field: put_together(getattr(strategy, field), figures) for field in JOINED}
    cost = f"{strategy.cost_class}: {playbook.cost_classes[strategy.cost_class]}"
    return {"action": strategy.action, "cost_class": cost, **texts}


def exceptions_in_words(own: Mapping[str, int], customers: int, playbook: Playbook) -> str:
    """How many members have a play of their own, and which; empty where nobody has.

    `own` counts the members with each play that is not the segment's.
    """
    if not own:
        return ""
    ordered = sorted(own.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{words.count(n)} as {playbook.plays[play].names[0]}" for play, n in ordered]
    return (
        f"{words.count(sum(own.values()))} of the {words.count(customers)} ordered later or "
        "earlier than the others and are better treated by their own last order, as segments.csv "
        f"does: {', '.join(named)}."
    )


def plan_test(customers: int, base: float, lift: float, alpha: float, power: float) -> Test:
    """Return the smallest hold-out group that shows a relative `lift` of the share that buys.

    Two-sided test of two proportions in the normal approximation (Fleiss, "Statistical Methods
    for Rates and Proportions", 1981), both sides out of `customers`.
    """
    target = min(base * (1 + lift), (1 + base) / 2)
    holdout = _smallest_holdout(customers, base, target, alpha, power)
    return Test(
        base=base,
        target=target,
        holdout=holdout,
        treated=None if holdout is None else customers - holdout,
        detectable=_detectable(customers, base, alpha, power),
    )


def power_of(holdout: int, treated: int, base: float, target: float, alpha: float) -> float:
    """The chance that the test sees the rise from base to target."""
    if min(holdout, treated) < LEAST_TEST or target <= base:
        return 0.0
    error = math.sqrt(base * (1 - base) / holdout + target * (1 - target) / treated)
    if error == 0:
        return 1.0
    return float(norm.cdf((target - base) / error - norm.ppf(1 - alpha / 2)))


def holdout_in_words(test: Test, customers: int, horizon: int, alpha: float, power: float) -> str:
    """How many to leave out, and what that shows."""
    if test.holdout is not None and test.treated is not None:
        return (
            f"Leave {words.count(test.holdout)} of the {words.count(customers)} out at random and "
            f"address the other {words.count(test.treated)}: if {words.share(test.target)} of them "
            f"order within {horizon} days instead of {words.share(test.base)}, the difference "
            f"shows with a chance of {words.share(power)} (and by mere luck in "
            f"{words.share(alpha)} of cases)."
        )
    if test.detectable and words.share(test.detectable) == words.share(test.target):
        return (
            f"Slightly too few customers: halves of {words.count(customers // 2)} just miss "
            f"a rise from {words.share(test.base)} to {words.share(test.target)}. Repeat the test "
            "and add the results up."
        )
    wanted = f"a rise from {words.share(test.base)} to {words.share(test.target)}"
    if test.detectable is None:
        return f"Too few customers to show {wanted} by leaving some out; ask them instead."
    return (
        f"Too few customers to show {wanted}: halves of {words.count(customers // 2)} show no less "
        f"than a rise to {words.share(test.detectable)}. Repeat the test and add the results up."
    )


def stake_in_words(row: Mapping[str, Any], lift: float, horizon: int, currency: str) -> str:
    """The money that is expected, and what the lift would add to it."""
    if words.is_missing(row["expected_spend"]):
        return "No snapshot has a whole horizon after it yet, so no spend can be expected."
    between = ""
    if not words.is_missing(row["expected_spend_low"]):
        low, high = row["expected_spend_low"], row["expected_spend_high"]
        between = f" (95 % interval: {words.money_between(low, high, currency)})"
    return (
        f"{words.money(row['expected_spend'], currency)}{between} is expected from them in the "
        f"next {horizon} days; {words.share(lift)} more would be "
        f"{words.money(row['expected_spend'] * lift, currency)}."
    )


def _smallest_holdout(
    customers: int, base: float, target: float, alpha: float, power: float
) -> int | None:
    low, high = LEAST_TEST, customers // 2
    if high < low or power_of(high, customers - high, base, target, alpha) < power:
        return None
    while low < high:
        middle = (low + high) // 2
        if power_of(middle, customers - middle, base, target, alpha) >= power:
            high = middle
        else:
            low = middle + 1
    return low


def _detectable(customers: int, base: float, alpha: float, power: float) -> float | None:
    half = customers // 2
    low, high = base, HIGHEST_RATE
    if power_of(half, customers - half, base, high, alpha) < power:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        if power_of(half, customers - half, base, middle, alpha) >= power:
            high = middle
        else:
            low = middle
    return round(high, 6)

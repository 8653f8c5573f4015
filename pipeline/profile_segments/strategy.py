"""Strategies: the playbook's sentences filled with a segment's figures, and a fair test of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from pipeline.core.model.naming import Playbook, Rule
from pipeline.core.run.errors import InputError
from pipeline.core.text import words

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
HIGHEST_LIFT = 9.0  # ten times the spend
LEAST_SPENDERS = 30  # below that their spread is not known well enough to compute a size from
LONGEST_TEST = 730  # days of rounds; beyond two years nobody waits for a result


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


@dataclass(frozen=True)
class SpendTest:
    """A comparison of the mean of log(1 + spend / unit) that sees everybody spend `lift` more.

    `unit` is the mean spend of those who bought. `holdout` and `treated` are None where no split
    suffices; then `rounds` of halves, drawn anew, do together. `detectable` is the least lift that
    halves show at once; None where not even tenfold spend shows.
    """

    lift: float
    unit: float
    holdout: int | None
    treated: int | None
    rounds: int
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
    holdout = _smallest_holdout(
        customers, power, lambda left, sent: power_of(left, sent, base, target, alpha)
    )
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
    return chance_to_see(target - base, error, alpha)


def chance_to_see(rise: float, error: float, alpha: float) -> float:
    """The chance that a two-sided test of level `alpha` sees a rise with this standard error."""
    return 1.0 if error == 0 else float(norm.cdf(rise / error - norm.ppf(1 - alpha / 2)))


def plan_spend_test(
    customers: int, spends: NDArray[np.float64], lift: float, alpha: float, power: float
) -> SpendTest | None:
    """Return the test of a relative `lift` of spend, for where the share that buys cannot rise.

    `spends` are those of a horizon with nothing done, zeros too; None where too few bought. The
    logarithm keeps one large order from drowning the others. Two-sided test of two means with the
    standard deviations measured on `spends`, and on them with the lift.
    """
    bought = spends[spends > 0]
    if len(bought) < LEAST_SPENDERS or customers < 2 * LEAST_TEST:
        return None
    unit = float(bought.mean())
    before = np.log1p(spends / unit)

    def seen(lift: float, left: float, sent: float) -> tuple[float, float]:
        after = np.log1p(spends * (1 + lift) / unit)
        error = math.sqrt(before.var(ddof=1) / left + after.var(ddof=1) / sent)
        return float(after.mean() - before.mean()), error

    half = customers // 2
    rise, error = seen(lift, half, half)
    needed = float(norm.ppf(1 - alpha / 2) + norm.ppf(power))
    holdout = _smallest_holdout(
        customers,
        power,
        lambda left, sent: chance_to_see(*seen(lift, left, sent), alpha),
        least=min(LEAST_SPENDERS, half),  # a mean of fewer need not be near the normal curve
    )
    return SpendTest(
        lift=lift,
        unit=unit,
        holdout=holdout,
        treated=None if holdout is None else customers - holdout,
        rounds=max(1, math.ceil((needed * error / rise) ** 2)),
        detectable=_least(
            0.0, HIGHEST_LIFT, power, lambda lift: chance_to_see(*seen(lift, half, half), alpha)
        ),
    )


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


def spend_test_in_words(
    test: Test,
    spend: SpendTest,
    customers: int,
    *,
    horizon: int,
    alpha: float,
    power: float,
    currency: str,
) -> str:
    """What spend shows where the share that buys shows too little."""
    compared = (
        f"the means of log(1 + spend / {words.money(spend.unit, currency)}) over {horizon} days"
    )
    too_few = (
        f"Too few customers to show a rise of those who order from {words.share(test.base)} to "
        f"{words.share(test.target)}"
    )
    if spend.holdout is not None:
        return (
            f"{too_few}, so test what they spend: leave {words.count(spend.holdout)} of the "
            f"{words.count(customers)} out at random, address the other "
            f"{words.count(spend.treated)} and compare {compared}. If these spend "
            f"{words.share(spend.lift)} more, the difference shows with a chance of "
            f"{words.share(power)} (and by mere luck in {words.share(alpha)} of cases)."
        )
    halves = f"halves of {words.count(customers // 2)}"
    at_once = (
        f", and {halves} show no less than {words.share(spend.detectable)} more spend"
        if spend.detectable
        else ""
    )
    if spend.rounds * horizon > LONGEST_TEST:
        return f"{too_few}{at_once}; ask them instead."
    return (
        f"{too_few}{at_once}. {words.count(spend.rounds)} rounds of {horizon} days, with halves "
        f"drawn anew each time, do show {words.share(spend.lift)} more: compare {compared}."
    )


def stake_in_words(row: Mapping[str, Any], lift: float, horizon: int, currency: str) -> str:
    """The money that is expected, and what the lift would add to it."""
    if words.is_missing(row["expected_spend"]):
        return "No snapshot has a whole horizon after it yet, so no spend can be expected."
    between = ""
    if not words.is_missing(row["expected_spend_low"]):
        low, high = row["expected_spend_low"], row["expected_spend_high"]
        between = f" (95% interval: {words.money_between(low, high, currency)})"
    return (
        f"{words.money(row['expected_spend'], currency)}{between} is expected from them in the "
        f"next {horizon} days; {words.share(lift)} more would be "
        f"{words.money(row['expected_spend'] * lift, currency)}."
    )


def _smallest_holdout(
    customers: int, power: float, chance: Callable[[int, int], float], least: int = LEAST_TEST
) -> int | None:
    """The least hold-out group for which `chance` of it and of the others reaches `power`."""
    low, high = least, customers // 2
    if high < low or chance(high, customers - high) < power:
        return None
    while low < high:
        middle = (low + high) // 2
        if chance(middle, customers - middle) >= power:
            high = middle
        else:
            low = middle + 1
    return low


def _detectable(customers: int, base: float, alpha: float, power: float) -> float | None:
    half = customers // 2
    return _least(
        base, HIGHEST_RATE, power, lambda rate: power_of(half, customers - half, base, rate, alpha)
    )


def _least(low: float, high: float, power: float, chance: Callable[[float], float]) -> float | None:
    """The least value for which `chance` reaches `power`; None where `high` does not."""
    if chance(high) < power:
        return None
    for _ in range(40):
        middle = (low + high) / 2
        if chance(middle) >= power:
            high = middle
        else:
            low = middle
    return round(high, 6)

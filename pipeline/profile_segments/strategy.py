"""What a campaign for a segment is worth, and the fair test that shows it."""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from pipeline.core.model.naming import Playbook
from pipeline.core.text.words import is_missing
from pipeline.profile_segments.forecast import OUTER
from pipeline.profile_segments.forecast_check import ShopForecast

LEAST_TEST = 2  # customers on the smaller side of a test
WORTH = (
    "value_at_stake", "value_at_stake_low", "value_at_stake_high", "fall_loss", "baseline_rate",
    "target_rate",
)  # fmt: skip
HIGHEST_RATE = 0.999
HIGHEST_LIFT = 9.0  # ten times the spend
LEAST_SPENDERS = 30  # below that their spread is not known well enough to compute a size from


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


def strategy_rows(
    facts: pd.DataFrame,
    customers: pd.DataFrame,
    playbook: Playbook,
    spends: Mapping[int, NDArray[np.float64]],
    *,
    measured: pd.DataFrame,
    lift: float,
    alpha: float,
    power: float,
) -> pd.DataFrame:
    """Return one row per segment: its play, its fair test and the money at stake.

    The money is that of the lift that campaigns of the play have `measured` (MEASURED_LIFTS), else
    of the lift that a test is to show.

    `facts` are the segments; `customers` has segment_id and the own play of each, at the last
    snapshot; `spends` what the members of each segment spent in the last whole horizon.
    """
    own = customers.groupby(["segment_id", "play"]).size()
    rows = []
    for fact in facts.to_dict("records"):
        number, size, rate = fact["segment_id"], int(fact["customers"]), fact["buying_rate"]
        rule = playbook.plays[fact["play"]]
        kind = rule.test_of.get(fact["segment"], rule.test)
        test = by_spend = None
        if kind != "none" and not is_missing(rate) and rate > 0:
            test = plan_test(size, float(rate), lift, alpha, power)
            if number in spends and (kind == "spend" or test.holdout is None):
                by_spend = plan_spend_test(size, spends[number], lift, alpha, power)
            if kind == "buyers" and by_spend and by_spend.holdout is None and test.detectable:
                by_spend = None  # neither shows it at once, and buyers are the plainer figure
        rise = None if test is None else lift if by_spend else test.target / test.base - 1
        known = measured.loc[measured["play"] == fact["play"], ["lift", "lift_low", "lift_high"]]
        rises = known.iloc[0].tolist() if len(known) and rise is not None else [rise] * 3
        chosen = by_spend or test
        rows.append(
            {
                "segment_id": number,
                "play": fact["play"],
                "cost_class": rule.cost_class,
                "exceptions": int(own.loc[number].drop(fact["play"], errors="ignore").sum()),
                "value_at_stake": _times(fact["expected_spend"], rises[0]),
                "value_at_stake_low": _times(fact["expected_spend_low"], rises[1]),
                "value_at_stake_high": _times(fact["expected_spend_high"], rises[2]),
                "margin_at_stake": _times(fact["expected_spend"], rises[0], fact["margin_rate"]),
                "measured_lift": float(known["lift"].iloc[0]) if len(known) else None,
                "baseline_rate": test and test.base,
                "target_rate": test and round(test.target, 6),
                "alpha": alpha,
                "power": power,
                "customers": size,
                "compares": None if test is None else "spend" if by_spend else "buyers",
                "holdout_customers": chosen and chosen.holdout,
                "treated_customers": chosen and chosen.treated,
                "is_testable": chosen is not None and chosen.holdout is not None,
                "detectable_rate": test and test.detectable,
                "detectable_lift": by_spend and by_spend.detectable,
                "spend_unit": by_spend and round(by_spend.unit, 2),
                "test_rounds": by_spend and by_spend.rounds,
            }
        )
    found = pd.DataFrame(rows)
    gain = found["value_at_stake"].astype("float64")
    is_decision = (found["cost_class"] != "none") & (gain > 0)
    return found.assign(
        decision=gain.where(is_decision).rank(ascending=False, method="first").astype("Int32")
    )


def with_falls(
    moved: pd.DataFrame,
    both: pd.DataFrame,
    forecast: ShopForecast,
    gains: Mapping[int, float],
    lift: float,
) -> pd.DataFrame:
    """Return `latest_moves` with what winning back those who fell is worth.

    `both` are the customers behind them, `gains` what those who fell earlier spent more.
    """
    made, keys = forecast.forecast, ["from_segment_id", "to_segment_id"]
    rows: dict[Any, tuple[float | None, ...]] = {}
    falls = moved[moved["direction"] == "fell"] if made and len(moved) else pd.DataFrame()
    for place, move in falls.iterrows():
        went = both.loc[(both[keys] == move[keys]).all(axis=1), "customer_id"]
        inside = forecast.by_customer["customer_id"].isin(went).to_numpy()
        if made and (base := float(made.near.active[inside].sum()) / len(went)):
            rise = target_rate(base, lift) / base - 1
            expected = (
                float(made.near.spend[inside].sum()),
                *made.interval(made.near, inside, OUTER),
            )
            loss = max(-gains.get(int(move["from_segment_id"]), 0.0), 0.0) or None
            rows[place] = (*(rise * each for each in expected), loss, base, base * (1 + rise))
    worth = pd.DataFrame.from_dict(rows, orient="index", columns=list(WORTH))
    return moved.join(worth.astype("float64").round(6))


def target_rate(base: float, lift: float) -> float:
    """The share that buys with the lift, at most half way to everybody."""
    return min(base * (1 + lift), (1 + base) / 2)


def shop_test(strategies: pd.DataFrame, alpha: float) -> dict[str, Any]:
    """Return one test of all segments together, where none can be tested alone, with its power.

    Half of every segment is left out; what is compared is the share that buys, whose variance is
    that within the segments.
    """
    rows = strategies[strategies["baseline_rate"].notna() & (strategies["customers"] >= LEAST_TEST)]
    if rows.empty or strategies["is_testable"].any():
        return {"is_proposed": False}
    names = ("customers", "baseline_rate", "target_rate")
    size, base, target = (rows[name].to_numpy(dtype=float) for name in names)
    weight, left = size / size.sum(), size // 2
    variance = base * (1 - base) / left + target * (1 - target) / (size - left)
    rise, error = float(weight @ (target - base)), math.sqrt(float(weight**2 @ variance))
    return {
        "is_proposed": True,
        "customers": int(size.sum()),
        "holdout_customers": int(left.sum()),
        "baseline_rate": float(weight @ base),
        "target_rate": float(weight @ target),
        "power": chance_to_see(rise, error, alpha),
    }


def plan_test(customers: int, base: float, lift: float, alpha: float, power: float) -> Test:
    """Return the smallest hold-out group that shows a relative `lift` of the share that buys.

    Two-sided test of two proportions in the normal approximation (Fleiss, "Statistical Methods
    for Rates and Proportions", 1981), both sides out of `customers`.
    """
    target = target_rate(base, lift)
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


def _smallest_holdout(
    customers: int, power: float, chance: Callable[[int, int], float], least: int = LEAST_TEST
) -> int | None:
    """The least hold-out group for which `chance` of it and of the others reaches `power`."""
    low, high = least, customers // 2
    if high < low or chance(high, customers - high) < power:
        return None
    return low + bisect.bisect_left(
        range(low, high), x=True, key=lambda left: chance(left, customers - left) >= power
    )


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


def _times(value: Any, *factors: Any) -> float | None:
    known = not any(map(is_missing, (value, *factors)))
    return round(math.prod(map(float, (value, *factors))), 2) if known else None

"""Draw who is treated and who is held out: eligibility, strata, sizes, power."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd

from pipeline.core.run.errors import InputError
from pipeline.read_campaigns.effects import Effect, chance_to_see, effect, least_seen
from pipeline.read_campaigns.plans import (
    HELD_OUT,
    TREATED,
    Campaign,
    Measure,
    Power,
    ShopHoldOut,
    draw_number,
)
from pipeline.read_campaigns.purchases import Purchases, history, outcomes

BANDS = 3  # of spend and of recency: nine strata, each with customers enough to split
LEAST_HELD_OUT = 30  # a mean of fewer need not be near the normal curve

Excluded = Callable[[str], str | None]  # why a customer is not eligible


def eligible(members: Sequence[str], rules: Sequence[Excluded]) -> tuple[list[str], dict[str, int]]:
    """Return who may be drawn, and how many may not by the first reason that holds."""
    left_out: dict[str, int] = {}
    chosen = []
    for customer in sorted(members):
        reason = next((why for rule in rules if (why := rule(customer))), None)
        if reason:
            left_out[reason] = left_out.get(reason, 0) + 1
        else:
            chosen.append(customer)
    return chosen, dict(sorted(left_out.items()))


def never_addressed(hold_out: ShopHoldOut | None) -> Excluded:
    """Leave out the shop-wide hold-out."""
    return lambda customer: "shop-wide hold-out" if hold_out and hold_out.holds(customer) else None


def in_running(campaigns: Iterable[Campaign], start: date, end: date) -> Excluded:
    """Leave out who is drawn, treated or held out, in a campaign of which a day is the same."""
    taken: dict[str, str] = {}
    for campaign in campaigns:
        if campaign.plan.start <= end and start <= campaign.plan.end:
            reason = f"in campaign {campaign.plan.name} until {campaign.plan.end}"
            taken |= dict.fromkeys(campaign.members["customer_id"], reason)
    return taken.get


def strata(customers: pd.DataFrame) -> pd.Series:
    """The stratum of each customer (index): third by spend, third by days since the last order."""
    bands = {
        "spend": customers["monetary"].astype(float),
        "days": customers["recency_days"].astype(float).fillna(math.inf),
    }
    labels = ("low", "mid", "high")
    named = []
    for name, values in bands.items():
        standing = values.rank(method="average") / len(values)  # equal customers, equal bands
        third = np.minimum((standing.to_numpy() * BANDS).astype(int), BANDS - 1)
        named.append([f"{labels[n]} {name}" for n in third])
    return pd.Series([", ".join(pair) for pair in zip(*named, strict=True)], customers.index)


def lowest(numbers: Mapping[str, float], stratum: pd.Series, size: int) -> list[str]:
    """The `size` customers with the lowest numbers, each stratum giving its share."""
    chosen: list[str] = []
    before = 0
    members = stratum.groupby(stratum, sort=True)
    for _, rows in members:
        after = before + len(rows)
        quota = _part(after, size, len(stratum)) - _part(before, size, len(stratum))
        chosen += sorted(rows.index, key=numbers.__getitem__)[:quota]
        before = after
    return chosen


def _part(count: int, size: int, total: int) -> int:
    return (2 * count * size + total) // (2 * total)  # count x size / total, rounded half up


def assign(
    name: str, seed: int, stratum: pd.Series, size: int, held_out: int
) -> list[tuple[str, str, str]]:
    """Return (customer, group, stratum) of `size` customers, `held_out` of them held out.

    Each customer's number follows from seed, name and id: who else is eligible moves a customer
    at the edge of a stratum's quota at most.
    """
    numbers = {str(c): draw_number(seed, name, str(c)) for c in stratum.index}
    drawn = lowest(numbers, stratum, size)
    again = {str(c): draw_number(seed, f"{name}/groups", str(c)) for c in drawn}
    left = set(lowest(again, stratum[stratum.index.isin(set(drawn))], held_out))
    return [(c, HELD_OUT if c in left else TREATED, str(stratum[c])) for c in sorted(drawn)]


def rehearse(
    purchases: Purchases, members: pd.DataFrame, segments: Iterable[str], length_days: int
) -> dict[Measure, Effect]:
    """The same test on the segments' members at the last snapshot with a whole length after it.

    Nothing was done then, so it tells what such a test shows: the errors returned are those of two
    groups of one customer each. `members` holds snapshot_date, customer_id and segment.
    """
    over = date.fromordinal(max(purchases.last_day, 1)) - timedelta(days=length_days)
    past = members[members["segment"].isin(list(segments)) & (members["snapshot_date"] <= over)]
    if past.empty:
        return {}
    snapshot = past["snapshot_date"].max()
    customers = sorted(past.loc[past["snapshot_date"] == snapshot, "customer_id"])
    start, half = snapshot + timedelta(days=1), len(customers) // 2
    numbers = np.array([draw_number(0, "rehearsal", customer) for customer in customers])
    is_treated = numbers.argsort().argsort() >= half
    seen = outcomes(purchases, customers, start, length_days)
    known = history(purchases, customers, start, length_days)
    measures: tuple[Measure, ...] = ("buyers", "spend")
    found = {m: effect(seen[m], is_treated, known[m]) for m in measures}
    scale = 1 / math.sqrt(1 / max(half, 1) + 1 / max(len(customers) - half, 1))
    return {
        m: replace(e, error=e.error * scale, plain_error=e.plain_error * scale)
        for m, e in found.items()
        if e and e.untreated > 0
    }


def best_kpi(rehearsed: Mapping[Measure, Effect], lift: float) -> Measure:
    """Share of buyers; spend where so many buy that their share cannot rise by the lift."""
    if "buyers" not in rehearsed:
        return "spend" if "spend" in rehearsed else "buyers"
    base = rehearsed["buyers"].untreated
    return "spend" if base * (1 + lift) > (1 + base) / 2 else "buyers"


def smallest_hold_out(rehearsed: Effect | None, size: int, plan: Power) -> int:
    """The fewest held out that show the lift; half of all where no split does."""
    half = size // 2
    for held_out in range(min(LEAST_HELD_OUT, half), half if rehearsed else 0):
        chance = power_of(rehearsed, size - held_out, held_out, plan).chance
        if chance is not None and chance >= plan.wanted:
            return held_out
    return half


def power_of(rehearsed: Effect | None, treated: int, held_out: int, plan: Power) -> Power:
    """The plan with what groups of this size show."""
    if rehearsed is None:
        return plan
    base, error = rehearsed.untreated, rehearsed.error * math.sqrt(1 / treated + 1 / held_out)
    figures = {
        "base": base,
        "chance": chance_to_see(plan.lift * base, error, plan.alpha),
        "detectable_lift": least_seen(error, plan.alpha, plan.wanted) / base,
        "narrowed": rehearsed.narrowed,
    }
    return plan.model_copy(update={name: float(f"{v:.4g}") for name, v in figures.items()})


def held_out_of(text: str | None, size: int) -> int | None:
    """A number or a percentage of `size` as customers; None where none is given."""
    if text is None:
        return None
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = math.nan
    count = round(size * number / 100) if text.endswith("%") else number
    if not 1 <= count <= size - 1 or count != int(count):
        raise InputError(
            f"--hold-out {text}: expected a number of customers from 1 to {size - 1}, or a share "
            "such as 20%"
        )
    return int(count)

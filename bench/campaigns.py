"""How far the measured effect of a campaign can be trusted: 500 campaigns with planted lifts.

Made-up shops of the sample's generator; groups of customers as a CRM manager would choose them;
drawn, read and judged by the code of the pipeline. A planted lift makes that share more of the
treated buy, each spending like a buyer. Each figure is printed beside its limit.

Example: python -m bench campaigns
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from pipeline.commands.campaign.draw import assign, rehearse, strata
from pipeline.make_sample.customers import DAY, FIRST_DAY, LAST_DAY
from pipeline.make_sample.lines import SALE, Shop
from pipeline.read_campaigns.__main__ import effects_of
from pipeline.read_campaigns.plans import (
    HELD_OUT,
    TREATED,
    Campaign,
    Cost,
    Drawn,
    Eligible,
    Plan,
    Power,
    Sizes,
)
from pipeline.read_campaigns.purchases import Purchases, outcomes

LIFTS = (0.0, 0.05, 0.1, 0.2)
SHOPS, CAMPAIGNS_OF_A_SHOP = 20, 25
LINES = 200_000
LENGTH_DAYS = 90
STARTS = (date(2011, 7, 1), date(2011, 8, 1), date(2011, 9, 10))
HOLD_OUTS = (0.2, 0.35, 0.5)
LEAST_CUSTOMERS = 150
ENOUGH = 20  # campaigns, for a mean of them to be judged
TELLS = 0.2  # history tells where the rehearsal before the start narrowed by as much


def main() -> None:
    """Print the figures."""
    rows = pd.DataFrame(list(simulated()))
    each = rows.groupby("measure")
    print(f"{len(rows) // 2} campaigns, {rows['customers'].median():.0f} customers in the median")
    for measure, found in each:
        print(f"\n{measure}")
        for lift, same in found.groupby("lift"):
            seen = f"measured {same['lift_seen'].mean():6.1%} on average"
            told = f"rise or fall told {same['told'].mean():.0%}"
            print(f"  planted {lift:4.0%}: {seen}, covered {same['is_covered'].mean():.1%}, {told}")
        covered = found["is_covered"].mean()
        alarms = found.loc[found["lift"] == 0, "told"].mean()
        plain = found["is_covered_plain"].mean()
        judged("95% intervals that hold the planted lift", covered, 0.93 <= covered <= 0.97,
               f"93% to 97%; without adjustment {plain:.1%}")  # fmt: skip
        judged("false alarms where nothing was planted", alarms, alarms <= 0.06, "at most 6%")
        tells = found[found["rehearsed"] >= TELLS]
        of = f"of {len(tells)} campaigns; of all {found['narrowed'].mean():.1%}"
        if len(tells) < ENOUGH:
            print(f"        history tells in {len(tells)} campaigns only; narrower, {of}")
            continue
        narrowed = tells["narrowed"].mean()
        judged("narrower where history tells", narrowed, narrowed >= TELLS, f"at least 20%; {of}")
    moved = redrawn()
    judged("customers who change group when 1% more customers come", moved, moved <= 0.02,
           "at most 2%, and only in a new draw: a kept list never changes")  # fmt: skip


def judged(what: str, value: float, is_met: bool, limit: str) -> None:
    """Print a figure beside its limit."""
    print(f"  {'met ' if is_met else 'MISS'}  {what}: {value:.1%} ({limit})")


@dataclass(frozen=True)
class Group:
    """Customers as of a day: those who may be drawn."""

    start: date
    frame: pd.DataFrame  # by customer_id: monetary, recency_days, frequency


def simulated() -> Iterator[dict[str, object]]:
    """A row per campaign and measure."""
    for seed in range(SHOPS):
        purchases = purchases_of(seed)
        rng = np.random.default_rng([seed, 21])
        for number in range(CAMPAIGNS_OF_A_SHOP):
            lift = LIFTS[number % len(LIFTS)]
            yield from one_campaign(purchases, f"c{seed}-{number}", lift, rng)


def purchases_of(seed: int) -> Purchases:
    """The genuine orders of a shop's known customers."""
    shop = Shop(LINES, seed)
    parts = []
    for lines in shop.blocks():
        is_known = lines.customer < len(shop.customers)
        goods = (lines.invoice == SALE) & is_known & (lines.price > 0)
        goods &= lines.code < 2 * len(shop.catalogue)
        parts.append(
            pd.DataFrame(
                {
                    "customer_id": lines.customer[goods],
                    "day": lines.minute[goods] // DAY + FIRST_DAY.toordinal(),
                    "amount": lines.quantity[goods] * lines.price[goods] / 1000,
                }
            )
        )
    orders = pd.concat(parts).groupby(["customer_id", "day"])
    bought = orders["amount"].sum().reset_index()
    bought["customer_id"] = bought["customer_id"].map("k{:05d}".format)
    returned = bought.iloc[:0].assign(returned_day=0)
    return Purchases(bought, returned, LAST_DAY.toordinal())


def groups_of(purchases: Purchases, start: date) -> dict[str, Group]:
    """The customers known before a day, whole and in the slices that campaigns are drawn from."""
    before = purchases.bought[purchases.bought["day"] < start.toordinal()]
    known = before.groupby("customer_id").agg(
        monetary=("amount", "sum"), frequency=("day", "size"), last=("day", "max")
    )
    known["recency_days"] = start.toordinal() - known["last"]
    slices = {
        "everyone": known["frequency"] > 0,
        "ordered within 90 days": known["recency_days"] <= 90,
        "ordered again and again": known["frequency"] >= 4,
        "one order": known["frequency"] == 1,
        "quiet for 60 days": known["recency_days"] > 60,
    }
    return {name: Group(start, known[chosen]) for name, chosen in slices.items()}


def one_campaign(
    purchases: Purchases, name: str, lift: float, rng: np.random.Generator
) -> Iterator[dict[str, object]]:
    """Draw, plant, read."""
    start = STARTS[rng.integers(len(STARTS))]
    slices = {k: g for k, g in groups_of(purchases, start).items()
              if len(g.frame) >= LEAST_CUSTOMERS}  # fmt: skip
    chosen = list(slices)[rng.integers(len(slices))]
    group = slices[chosen].frame
    held_out = round(len(group) * HOLD_OUTS[rng.integers(len(HOLD_OUTS))])
    rows = assign(name, 1, strata(group), len(group), held_out)
    members = pd.DataFrame(rows, columns=["customer_id", "group", "stratum"])
    planted = plant(purchases, members, start, lift, rng)
    plan = plan_of(name, start, len(rows) - held_out, held_out)
    base = outcomes(purchases, members["customer_id"].tolist(), start, LENGTH_DAYS)
    rehearsed = rehearsals(purchases, start, chosen)
    for row in effects_of(Campaign(plan, members, is_list_as_drawn=True), planted):
        measure = row["measure"]
        truth = lift * base[measure].mean()
        if row.get("difference") is None:
            continue
        yield {
            "measure": measure,
            "lift": lift,
            "customers": len(members),
            "lift_seen": row["difference"] / base[measure].mean(),
            "is_covered": row["difference_low"] <= truth <= row["difference_high"],
            "is_covered_plain": row["plain_low"] <= truth <= row["plain_high"],
            "told": row["verdict"] in {"rise", "fall"},
            "narrowed": row["narrowed"],
            "rehearsed": rehearsed.get(measure, 0.0),
        }


def rehearsals(purchases: Purchases, start: date, chosen: str) -> dict[str, float]:
    """By how much history narrowed the interval of the same slice one length earlier."""
    before = Purchases(
        purchases.bought[purchases.bought["day"] < start.toordinal()],
        purchases.returned,
        start.toordinal() - 1,
    )
    then = start - timedelta(days=LENGTH_DAYS + 1)
    group = groups_of(before, then + timedelta(days=1))[chosen].frame
    members = pd.DataFrame({"customer_id": group.index, "snapshot_date": then, "segment": chosen})
    found = rehearse(before, members, [chosen], LENGTH_DAYS)
    known = {} if found is None else found.found
    return {measure: e.narrowed for measure, e in known.items() if e}


def plant(
    purchases: Purchases, members: pd.DataFrame, start: date, lift: float, rng: np.random.Generator
) -> Purchases:
    """Let each treated customer who would not buy do so with the chance that lifts the share."""
    customers = members["customer_id"].tolist()
    spend = outcomes(purchases, customers, start, LENGTH_DAYS)["spend"]
    buyers = spend[spend > 0]
    share = len(buyers) / len(spend)
    chance = lift * share / (1 - share)
    converts = (members["group"] == TREATED) & (spend == 0) & (rng.random(len(spend)) < chance)
    extra = pd.DataFrame({"customer_id": members.loc[converts, "customer_id"]})
    extra["day"] = start.toordinal() + rng.integers(LENGTH_DAYS, size=len(extra))
    extra["amount"] = rng.choice(buyers, len(extra))
    bought = pd.concat([purchases.bought, extra], ignore_index=True)
    return Purchases(bought, purchases.returned, purchases.last_day)


def plan_of(name: str, start: date, treated: int, held_out: int) -> Plan:
    """A plan of these sizes."""
    return Plan(
        name=name,
        segments=("simulated",),
        play=None,
        kpi="buyers",
        start=start,
        length_days=LENGTH_DAYS,
        cost=Cost(),
        sizes=Sizes(treated=treated, held_out=held_out),
        power=Power(lift=0.2, alpha=0.05, wanted=0.8),
        eligible=Eligible(members=treated + held_out, left_out={}, drawn=treated + held_out),
        seed=1,
        drawn=Drawn(snapshot=start - timedelta(days=1), commit="", segments_md5=""),
        list_sha256="",
    )


def redrawn() -> float:
    """The share of customers in another group when one in a hundred more are eligible."""
    everyone = groups_of(purchases_of(0), STARTS[0])["everyone"].frame
    fewer = everyone.iloc[: len(everyone) - len(everyone) // 100]
    first = {c: g for c, g, _ in assign("x", 1, strata(fewer), len(fewer), len(fewer) // 3)}
    again = {
        c: g for c, g, _ in assign("x", 1, strata(everyone), len(everyone), len(everyone) // 3)
    }
    assert set(first.values()) == {TREATED, HELD_OUT}
    return sum(again[c] != g for c, g in first.items()) / len(first)


if __name__ == "__main__":
    main()

"""How far the measured effect of a campaign can be trusted: 2,000 campaigns with planted lifts.

Made-up shops of the sample's generator; groups of customers as a CRM manager would choose them;
drawn, read and judged by the code of the pipeline. A planted lift makes that share more of the
treated buy, each spending like a buyer. Each figure is printed beside its limit.

Example: python -m bench campaigns
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pandas as pd

from pipeline.commands.campaign.draw import assign, rehearse, strata
from pipeline.make_sample.customers import DAY, FIRST_DAY, LAST_DAY
from pipeline.make_sample.lines import SALE, Shop
from pipeline.read_campaigns.__main__ import verdict_of
from pipeline.read_campaigns.effects import effect
from pipeline.read_campaigns.plans import TREATED
from pipeline.read_campaigns.purchases import Purchases, history, outcomes

LIFTS = (0.0, 0.05, 0.1, 0.2)
SHOPS, CAMPAIGNS_OF_A_SHOP, LINES = 20, 100, 200_000
STARTS = (date(2011, 7, 1), date(2011, 8, 1), date(2011, 9, 10))
LENGTH_DAYS, PLANNED_LIFT = 90, 0.2
HOLD_OUTS = (0.2, 0.35, 0.5)
LEAST_CUSTOMERS = 150
TELLS = 0.2  # history tells where the rehearsal before the start narrowed by as much
ENOUGH = 20  # campaigns, for a mean of them to be judged


def main() -> None:
    """Print the figures."""
    rows = pd.DataFrame(list(simulated()))
    print(f"{len(rows) // 2} campaigns, {rows['customers'].median():.0f} customers in the median")
    for measure, found in rows.groupby("measure"):
        print(f"\n{measure}")
        for lift, same in found.groupby("lift"):
            seen = f"measured {same['lift_seen'].mean():6.1%} on average"
            told = f"rise or fall told {same['told'].mean():.0%}"
            print(f"  planted {lift:4.0%}: {seen}, covered {same['is_covered'].mean():.1%}, {told}")
        covered, alarms = found["is_covered"].mean(), found.loc[found["lift"] == 0, "told"].mean()
        tells = found[found["rehearsed"] >= TELLS]
        print(f"  95% intervals that hold the planted lift: {covered:.1%} (93% to 97%)")
        print(f"  false alarms where nothing was planted: {alarms:.1%} (at most 6%)")
        print(f"  narrower by earlier orders: {found['narrowed'].mean():.1%}", end="")
        if len(tells) >= ENOUGH:
            print(f", {tells['narrowed'].mean():.1%} in {len(tells)} whose history tells (20%)")
        else:
            print(f"; history tells in {len(tells)} only")


def simulated() -> Iterator[dict[str, object]]:
    """A row per campaign and measure."""
    for seed in range(SHOPS):
        purchases, rng = purchases_of(seed), np.random.default_rng([seed, 21])
        for number in range(CAMPAIGNS_OF_A_SHOP):
            yield from one_campaign(purchases, LIFTS[number % len(LIFTS)], rng)


def purchases_of(seed: int) -> Purchases:
    """The genuine orders of a shop's known customers."""
    shop, parts = Shop(LINES, seed), []
    for lines in shop.blocks():
        goods = (lines.invoice == SALE) & (lines.customer < len(shop.customers))
        goods &= (lines.price > 0) & (lines.code < 2 * len(shop.catalogue))
        sold = lines.take(goods)
        amount = sold.quantity * sold.price / 1000
        days = sold.minute // DAY + FIRST_DAY.toordinal()
        parts.append(pd.DataFrame({"customer_id": sold.customer, "day": days, "amount": amount}))
    orders = pd.concat(parts).groupby(["customer_id", "day"])
    bought = orders["amount"].sum().reset_index()
    bought["customer_id"] = bought["customer_id"].map("k{:05d}".format)
    return Purchases(bought, bought.iloc[:0].assign(returned_day=0), LAST_DAY.toordinal())


def slices(purchases: Purchases, start: date) -> dict[str, pd.DataFrame]:
    """The customers known before a day, whole and as campaigns would choose them."""
    before = purchases.bought[purchases.bought["day"] < start.toordinal()]
    known = before.groupby("customer_id").agg(
        monetary=("amount", "sum"), frequency=("day", "size"), last=("day", "max")
    )
    known["recency_days"] = start.toordinal() - known["last"]
    return {
        "everyone": known,
        "ordered within 90 days": known[known["recency_days"] <= 90],
        "ordered again and again": known[known["frequency"] >= 4],
        "one order": known[known["frequency"] == 1],
        "quiet for 60 days": known[known["recency_days"] > 60],
    }


def one_campaign(
    purchases: Purchases, lift: float, rng: np.random.Generator
) -> Iterator[dict[str, object]]:
    """Draw, plant, read."""
    start = STARTS[rng.integers(len(STARTS))]
    groups = {k: g for k, g in slices(purchases, start).items() if len(g) >= LEAST_CUSTOMERS}
    chosen = list(groups)[rng.integers(len(groups))]
    size = len(groups[chosen])
    held_out = round(size * HOLD_OUTS[rng.integers(len(HOLD_OUTS))])
    name = f"c{rng.integers(10**9)}"
    rows = assign(name, 1, strata(groups[chosen]), size, held_out)
    members = pd.DataFrame(rows, columns=["customer_id", "group", "stratum"])
    base = outcomes(purchases, members["customer_id"].tolist(), start, LENGTH_DAYS)
    planted = plant(purchases, members, base["spend"], lift, start=start, rng=rng)
    rehearsed = rehearsals(purchases, start, chosen)
    asked = members["customer_id"].tolist(), start, LENGTH_DAYS
    seen, known = outcomes(planted, *asked), history(planted, *asked)
    for measure, outcome in seen.items():
        found = effect(outcome, (members["group"] == TREATED).to_numpy(), known[measure])
        if found is not None:
            usual, (low, high) = base[measure].mean(), found.interval
            yield {
                "measure": measure,
                "lift": lift,
                "customers": size,
                "lift_seen": found.difference / usual,
                "is_covered": low <= lift * usual <= high,
                "told": verdict_of(found, PLANNED_LIFT) in {"rise", "fall"},
                "narrowed": found.narrowed,
                "rehearsed": rehearsed.get(measure, 0.0),
            }


def rehearsals(purchases: Purchases, start: date, chosen: str) -> dict[str, float]:
    """By how much history narrowed the interval of the same slice one length earlier."""
    known = purchases.bought[purchases.bought["day"] < start.toordinal()]
    before = Purchases(known, purchases.returned, start.toordinal() - 1)
    then = start - timedelta(days=LENGTH_DAYS + 1)
    ids = slices(before, then + timedelta(days=1))[chosen].index
    members = pd.DataFrame({"customer_id": ids, "snapshot_date": then, "segment": chosen})
    found = rehearse(before, members, [chosen], LENGTH_DAYS)
    return {measure: effect.narrowed for measure, effect in found.items()}


def plant(
    purchases: Purchases, members: pd.DataFrame, spend: np.ndarray, lift: float, *, start: date,
    rng: np.random.Generator,
) -> Purchases:  # fmt: skip
    """Let each treated customer who would not buy do so with the chance that lifts the share."""
    buyers = spend[spend > 0]
    chance = lift * len(buyers) / (len(spend) - len(buyers))
    converts = (members["group"] == TREATED) & (spend == 0) & (rng.random(len(spend)) < chance)
    extra = pd.DataFrame({"customer_id": members.loc[converts, "customer_id"]})
    extra["day"] = start.toordinal() + rng.integers(LENGTH_DAYS, size=len(extra))
    extra["amount"] = rng.choice(buyers, len(extra))
    bought = pd.concat([purchases.bought, extra], ignore_index=True)
    return Purchases(bought, purchases.returned, purchases.last_day)


if __name__ == "__main__":
    main()

"""Read the campaigns: what the treated did beyond the held out, since the start of each.

Reads   campaigns/*.yaml and their lists, data/sales.parquet, data/returned_units.parquet,
        data/customer_prices.parquet
Writes  data/campaigns.parquet, data/measured_lifts.parquet, data/held_out.parquet,
        metrics/campaigns.json

Example: python -m pipeline.read_campaigns
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.engines.base import open_engine
from pipeline.core.run.metrics import write_metrics
from pipeline.core.run.stage import run_stage, stage
from pipeline.core.tables.contract import read_table, write_table
from pipeline.core.tables.measure_prices import CUSTOMER_PRICES
from pipeline.core.tables.read_campaigns import CAMPAIGNS, HELD_OUT_CUSTOMERS, MEASURED_LIFTS
from pipeline.read_campaigns.effects import Effect, effect, is_split_kept, least_seen
from pipeline.read_campaigns.plans import (
    HELD_OUT,
    SHOP_HOLD_OUT,
    TREATED,
    Campaign,
    Measure,
    ShopHoldOut,
    read_campaigns,
    read_shop_hold_out,
)
from pipeline.read_campaigns.purchases import Purchases, history, outcomes, read_purchases

MEASURES: tuple[Measure, ...] = ("buyers", "spend")
FIGURES = ("difference", "difference_low", "difference_high", "lift", "narrowed", "gain")


def main() -> None:
    """Measure every campaign whose time is over; say of the others why not."""
    with stage("read_campaigns") as log:
        campaigns, prices = read_campaigns(), read_table(CUSTOMER_PRICES)
        rows: list[dict[str, Any]] = []
        if campaigns:
            with open_engine() as engine:
                purchases = read_purchases(engine)
            rows = [
                row
                for campaign in campaigns
                for row in effects_of(campaign, purchases, margin_of(campaign, prices))
            ]
        found = pd.DataFrame(rows, columns=CAMPAIGNS.schema.names)
        write_table(CAMPAIGNS, found)
        write_table(MEASURED_LIFTS, measured_lifts(found))
        running = [c for c in campaigns if date.fromordinal(purchases.last_day) < c.plan.end]
        write_table(HELD_OUT_CUSTOMERS, held_out(running, read_shop_hold_out(), prices))
        write_metrics("campaigns", {"drawn": len(campaigns), **figures_of(rows)})
        log.info("%d campaigns", len(campaigns))


def held_out(
    running: Iterable[Campaign], shop: ShopHoldOut | None, customers: pd.DataFrame
) -> pd.DataFrame:
    """Return who is to be left alone now, and by which campaigns: a row for each customer."""
    found = [
        (customer, campaign.plan.name)
        for campaign in running
        for customer in campaign.members.loc[campaign.members["group"] == HELD_OUT, "customer_id"]
    ]
    if shop:
        found += [(c, SHOP_HOLD_OUT) for c in customers["customer_id"] if shop.holds(c)]
    rows = pd.DataFrame(found, columns=HELD_OUT_CUSTOMERS.schema.names, dtype=object)
    return rows.groupby("customer_id", as_index=False).agg("; ".join)


def margin_of(campaign: Campaign, prices: pd.DataFrame) -> dict[str, Any]:
    """The margin rate of those drawn, None where no cost is known, and for how much it is known."""
    rows = prices[prices["customer_id"].isin(campaign.members["customer_id"])]
    revenue, costed = rows["revenue"].sum(), rows["costed_revenue"].sum()
    return {
        "margin_rate": float(rows["margin"].sum() / costed) if costed > 0 else None,
        "cost_known_share": float(costed / revenue) if costed > 0 else 0.0,
    }


def effects_of(
    campaign: Campaign, purchases: Purchases, margin: dict[str, Any]
) -> Iterable[dict[str, Any]]:
    """Return a row per measure."""
    plan, members = campaign.plan, campaign.members
    known_until = date.fromordinal(max(purchases.last_day, 1))
    problem = problem_of(campaign, purchases)
    is_over = known_until >= plan.end
    customers = members["customer_id"].tolist()
    is_treated = (members["group"] == TREATED).to_numpy()
    seen, known = {}, {}
    if is_over and not problem:
        seen = outcomes(purchases, customers, plan.start, plan.length_days)
        known = history(purchases, customers, plan.start, plan.length_days)
    for measure in MEASURES:
        row = {
            "campaign": plan.name,
            "measure": measure,
            "is_kpi": measure == plan.kpi,
            "segments": "; ".join(plan.segments),
            "play": plan.play,
            "start": plan.start,
            "end": plan.end,
            "known_until": known_until,
            "treated": plan.treated,
            "held_out": plan.held_out,
            "problem": problem,
            "planned_lift": plan.power.lift,
            "cost": plan.total_cost,
            **margin,
        }
        if problem or not is_over:
            started = "too early" if known_until >= plan.start else "not started"
            yield row | {"verdict": "invalid" if problem else started}
            continue
        found = effect(seen[measure], is_treated, known[measure])
        means = {
            "treated_mean": float(np.mean(seen[measure][is_treated])),
            "held_out_mean": float(np.mean(seen[measure][~is_treated])),
            "verdict": verdict_of(found, plan.power.lift),
        }
        yield row | means | (figures(found, row) if found else {})


def problem_of(campaign: Campaign, purchases: Purchases) -> str | None:
    """What makes a campaign's test invalid, if anything does."""
    plan, members = campaign.plan, campaign.members
    if plan.start <= plan.snapshot:
        return "start"
    if not campaign.is_list_as_drawn:
        return "list"
    known = members[members["customer_id"].isin(purchases.bought["customer_id"])]
    treated = int((known["group"] == TREATED).sum())
    planned = plan.treated / (plan.treated + plan.held_out)
    is_kept = len(known) == len(members)
    return None if is_kept or is_split_kept(treated, len(known) - treated, planned) else "split"


def verdict_of(found: Effect | None, planned_lift: float) -> str:
    """What the interval says of the effect."""
    if found is None:
        return "too small to tell"
    low, high = found.interval
    if low > 0:
        return "rise"
    if high < 0:
        return "fall"
    return "no rise as planned" if high < planned_lift * found.untreated else "too small to tell"


def figures(found: Effect, row: dict[str, Any]) -> dict[str, Any]:
    """The figures of an effect by the columns of the table."""
    low, high = found.interval
    base = found.untreated
    result = {
        "difference": found.difference,
        "difference_low": low,
        "difference_high": high,
        "narrowed": found.narrowed,
    }
    if base > 0:
        result |= {
            "lift": found.difference / base,
            "lift_low": low / base,
            "lift_high": high / base,
            "detectable_lift": least_seen(found.error, 0.05, 0.8) / base,
        }
    if row["measure"] == "spend":
        worth = row["treated"] * (1 if row["margin_rate"] is None else row["margin_rate"])
        gains = (value * worth - row["cost"] for value in (found.difference, low, high))
        result |= dict(zip(("gain", "gain_low", "gain_high"), gains, strict=True))
    return result


def measured_lifts(campaigns: pd.DataFrame) -> pd.DataFrame:
    """Return each play's lift of spend, where its campaigns together tell it.

    They do where the pooled interval does not hold both nil and the lift that was planned.
    """
    known = campaigns[(campaigns["measure"] == "spend") & campaigns["lift"].notna()]
    found = []
    for play, rows in known.groupby("play"):
        columns = ("lift", "lift_low", "lift_high", "planned_lift")
        lift, low, high, planned = (rows[name].to_numpy(dtype=float) for name in columns)
        weights = 1 / (high - low) ** 2
        pooled = float((lift * weights).sum() / weights.sum())
        half = 0.5 / float(np.sqrt(weights.sum()))
        if pooled - half > 0 or pooled + half < planned.mean():
            ends = pooled - half, pooled + half
            found.append((play, len(rows), *(max(value, 0.0) for value in (pooled, *ends))))
    return pd.DataFrame(found, columns=MEASURED_LIFTS.schema.names)


def figures_of(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The metrics of each campaign and measure."""
    found: dict[str, Any] = {}
    for row in rows:
        known = {name: row[name] for name in FIGURES if row.get(name) is not None}
        entry = {"verdict": row["verdict"], **known}
        found.setdefault("campaigns", {}).setdefault(row["campaign"], {})[row["measure"]] = entry
    return found


if __name__ == "__main__":
    run_stage(main, __doc__)

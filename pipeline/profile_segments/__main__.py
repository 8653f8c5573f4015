"""Describe every segment: what sets it apart, what it is worth, where it moves, what to do.

Reads   data/segments.parquet, data/segment_names.parquet, data/customers.parquet,
        data/measured_lifts.parquet,
        data/later_purchases.parquet, data/product_categories.parquet,
        data/category_months.parquet, data/sales.parquet, data/returned_units.parquet,
        pipeline/settings/playbook.yaml
Writes  data/profiles/profiles.parquet and the tables beside it, metrics/profile.json,
        metrics/plots/forecast_calibration.csv, metrics/plots/segment_retention.csv,
        metrics/plots/drift.csv

Example: python -m pipeline.profile_segments
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from threadpoolctl import threadpool_limits

from pipeline.core.engines.base import open_engine
from pipeline.core.model.naming import Playbook, read_playbook
from pipeline.core.run.metrics import METRICS, write_metrics
from pipeline.core.run.outputs import write_text
from pipeline.core.run.params import ShopParams, StageParams, load_params
from pipeline.core.run.stage import run_stage, stage
from pipeline.core.tables.aggregate_rfm import CUSTOMERS, LATER_PURCHASES
from pipeline.core.tables.assign_segments import SEGMENT_NAMES, SEGMENTS
from pipeline.core.tables.categorize_products import CATEGORY_MONTHS, PRODUCT_CATEGORIES
from pipeline.core.tables.clean import RETURNED_UNITS, SALES
from pipeline.core.tables.contract import Table, read_table, write_table
from pipeline.core.tables.profile_segments import (
    CUSTOMER_FORECASTS,
    CUSTOMER_MONTHS,
    DRIFT,
    FORECAST_CHECK,
    LATEST_MOVES,
    MIGRATION,
    PROFILE_NOTES,
    PROFILES,
    SEGMENT_CATEGORIES,
    SEGMENT_CHANGES,
    SEGMENT_FEATURES,
    SEGMENT_MONTHS,
    SEGMENT_RETENTION,
    SEGMENT_RULES,
    SHOP_PERIODS,
    STRATEGIES,
)
from pipeline.core.tables.read_campaigns import MEASURED_LIFTS
from pipeline.profile_segments.changes import (
    both_days,
    change_figures,
    latest_moves,
    segment_changes,
)
from pipeline.profile_segments.drift import SEGMENT_SHARES, drift
from pipeline.profile_segments.facts import (
    REST,
    FromLines,
    Shop,
    collect_lines,
    fitted,
    join_shop,
    month_rows,
    months_of_segments,
    segment_facts,
    with_country,
)
from pipeline.profile_segments.forecast_check import ShopForecast, shop_forecast
from pipeline.profile_segments.migration import migration, segment_retention
from pipeline.profile_segments.next_category import hit_rate, next_best, popular_next
from pipeline.profile_segments.next_products import offer_figures, offered
from pipeline.profile_segments.notes import notes_on
from pipeline.profile_segments.periods import shop_periods
from pipeline.profile_segments.profiles import (
    FEATURES,
    SHARE_PREFIX,
    segment_categories,
    segment_features,
)
from pipeline.profile_segments.rules_in_words import Rule, fidelity, judged_rules, learn_rules
from pipeline.profile_segments.strategy import strategy_rows

PLOTS = METRICS / "plots"
FORECAST_COLUMNS = ("buying_probability", "expected_", "next_order_")


class Tree(StageParams):
    """The rules in words."""

    leaves: int = Field(ge=2, le=64)
    depth: int = Field(ge=1, le=8)


class Forecasting(StageParams):
    """The check of the forecast."""

    origins: int = Field(ge=0, le=24)


class Power(StageParams):
    """The hold-out groups."""

    lift: float = Field(gt=0, le=10)
    alpha: float = Field(gt=0, lt=0.5)
    power: float = Field(gt=0.5, lt=1)


class Params(StageParams):
    """Section `profile` of params.yaml."""

    seed: int = Field(ge=0)
    rules: Tree
    forecast: Forecasting
    power: Power


def main() -> None:
    """Read what is known, describe, expect, compare, advise, write."""
    params, playbook = load_params("profile", Params), read_playbook()
    currency = load_params("shop", ShopParams).currency
    horizon_days = load_params("shop", ShopParams).horizon_days
    with stage("profile_segments") as log, open_engine() as engine, threadpool_limits(1):
        shop = join_shop(
            read_table(CUSTOMERS),
            read_table(SEGMENTS),
            names=read_table(SEGMENT_NAMES),
            later=read_table(LATER_PURCHASES),
            categories=read_table(PRODUCT_CATEGORIES),
            category_months=read_table(CATEGORY_MONTHS),
            horizon_days=horizon_days,
        )
        lines = collect_lines(
            engine,
            sales=engine.scan(SALES),
            returned_units=engine.scan(RETURNED_UNITS),
            segments=engine.scan(SEGMENTS),
            categories=engine.scan(PRODUCT_CATEGORIES),
            day=shop.day,
        )
        shop = with_country(shop, lines)
        periods = shop_periods(
            engine, engine.scan(SALES), lines.first_day, lines.last_day, horizon_days
        )
        log.info("%d customers in %d segments", len(shop.last), len(set(shop.segment)))
        tables, metrics = describe(
            shop,
            lines,
            playbook,
            params,
            measured=measured_lifts(),
            horizon_days=horizon_days,
            currency=currency,
        )
        write_table(SHOP_PERIODS, periods)
        for table, rows in tables.items():
            write_table(table, rows)
        write_text(PLOTS / "forecast_calibration.csv", calibration_plot(tables[FORECAST_CHECK]))
        write_text(PLOTS / "segment_retention.csv", retention_plot(tables[SEGMENT_RETENTION]))
        write_text(PLOTS / "drift.csv", drift_plot(tables[DRIFT]))
        write_metrics("profile", metrics)


def measured_lifts() -> pd.DataFrame:
    """What campaigns have measured; DVC makes it first, a stage run by hand may come before."""
    if MEASURED_LIFTS.path.exists():
        return read_table(MEASURED_LIFTS)
    return pd.DataFrame(columns=MEASURED_LIFTS.schema.names)


def describe(
    shop: Shop,
    lines: FromLines,
    playbook: Playbook,
    params: Params,
    *,
    measured: pd.DataFrame,
    horizon_days: int,
    currency: str,
) -> tuple[dict[Table, pd.DataFrame], dict[str, Any]]:
    """Return every table but the periods, and the metrics."""
    last, segment = shop.last, shop.segment
    forecast = shop_forecast(
        shop.customers,
        shop.later,
        lines.purchases,
        shop.name_of,
        horizon=horizon_days,
        origins=params.forecast.origins,
    )
    rules = learn_rules(
        last,
        segment,
        declared_segments(shop),
        leaves=params.rules.leaves,
        depth=params.rules.depth,
        seed=params.seed,
    )
    judged = judged_rules(rules, last, segment, currency)
    moves = migration(shop.customers, shop.name_of)
    retention = segment_retention(moves)
    since = both_days(shop.customers)
    latest = latest_moves(since, shop.name_of)
    goods = segment_categories(last, segment, shop.titles)
    months = months_of_segments(shop, lines)
    drifted = drift(
        shop.customers,
        shop.customers["segment_id"].to_numpy(dtype=np.int64),
        # Days since the first order grow from month to month in any file: that is no drift.
        {name: title for name, (title, _) in FEATURES.items() if name != "tenure_days"},
    )
    facts = segment_facts(
        shop,
        lines,
        forecast=forecast,
        judged=judged,
        moves=moves,
        retention=retention,
        goods=goods,
        months=months,
    )
    power = params.power
    day = shop.day.toordinal()
    offer_check = offer_figures(lines.bought, day)
    by_neighbours = offer_check.get("beats_the_most_popular", False)
    offers = offered(lines.bought, day, shop.products, by_neighbours=by_neighbours)
    customers = customer_rows(shop, forecast, since).merge(offers, on="customer_id", how="left")
    strategies = strategy_rows(
        facts,
        customers,
        playbook,
        later_spends(shop),
        measured=measured,
        lift=power.lift,
        alpha=power.alpha,
        power=power.power,
    )
    notes = notes_on(shop, lines, forecast, horizon_days)
    rows: dict[Table, pd.DataFrame] = {
        PROFILES: facts,
        SEGMENT_FEATURES: segment_features(last, segment),
        SEGMENT_CATEGORIES: goods,
        SEGMENT_MONTHS: months,
        SEGMENT_RULES: judged,
        CUSTOMER_FORECASTS: customers,
        CUSTOMER_MONTHS: month_rows(lines.customer_months),
        FORECAST_CHECK: forecast.check,
        MIGRATION: moves,
        LATEST_MOVES: latest,
        SEGMENT_CHANGES: segment_changes(latest, shop.name_of),
        SEGMENT_RETENTION: retention,
        DRIFT: drifted,
        STRATEGIES: strategies,
        PROFILE_NOTES: notes,
    }
    tables = {table: fitted(table, frame, shop.name_of) for table, frame in rows.items()}
    metrics = {
        **shop_figures(shop, facts, tables[DRIFT]),
        "changes": change_figures(since, latest),
        "rules": rule_figures(shop, rules),
        "next_category": next_category_figures(shop, horizon_days),
        "next_products": offer_check,
        "forecast": {"currency": currency, "horizon_days": horizon_days, **forecast.figures},
        "segments": segment_figures(facts),
    }
    return tables, metrics


def customer_rows(shop: Shop, forecast: ShopForecast, since: pd.DataFrame) -> pd.DataFrame:
    """Return one row per customer at the last snapshot: forecast and where they were before.

    `since` is what `both_days` found.
    """
    if forecast.forecast is None:
        names = [c.name for c in CUSTOMER_FORECASTS.columns if c.name.startswith(FORECAST_COLUMNS)]
        found = shop.last.assign(**dict.fromkeys(names))
    else:
        found = shop.last.merge(
            forecast.by_customer, on="customer_id", how="left", validate="one_to_one"
        )
    if since.empty:
        return found.assign(segment_before=None)
    before = since.set_index("customer_id")["from_segment_id"].map(shop.name_of)
    return found.assign(segment_before=found["customer_id"].map(before))


def later_spends(shop: Shop) -> dict[int, NDArray[np.float64]]:
    """What each member of each segment spent in the last horizon that is over."""
    if not len(shop.later):
        return {}
    last = shop.later[shop.later["snapshot_date"] == shop.later["snapshot_date"].max()]
    members = shop.customers[["snapshot_date", "customer_id", "segment_id"]]
    joined = last.merge(members, on=["snapshot_date", "customer_id"])
    return {
        int(str(number)): np.sort(rows["later_spend"].to_numpy(dtype=float))
        for number, rows in joined.groupby("segment_id")
    }


def declared_segments(shop: Shop) -> list[int]:
    """The segment_ids of declared groups, in their order."""
    return shop.names.loc[shop.names["group"] != "", "segment_id"].astype(int).tolist()


def calibration_plot(check: pd.DataFrame) -> str:
    """Expected and actual spend by deciles at each held-out snapshot, as CSV."""
    rows = check[check["grouping"] == "decile"]
    columns = ["snapshot_date", "position", "expected_spend", "actual_spend"]
    return _csv(rows[columns].rename(columns={"position": "decile"}))


def retention_plot(retention: pd.DataFrame) -> str:
    """Each segment's retention by month, as CSV."""
    return _csv(retention[["to_date", "segment", "retention"]])


def drift_plot(drifted: pd.DataFrame) -> str:
    """Each measure's index against the training snapshot, as CSV."""
    rows = drifted[drifted["reference"] == "training"]
    return _csv(rows[["snapshot_date", "measure", "psi"]])


def shop_figures(shop: Shop, facts: pd.DataFrame, drifted: pd.DataFrame) -> dict[str, Any]:
    """Totals, how many stay in their segment, and the drift against the month before."""
    stay = facts[facts["retention"].notna()]
    newest = drifted[drifted["reference"] == "previous"]
    newest = newest[newest["snapshot_date"] == newest["snapshot_date"].max()]
    shares = newest[newest["measure"] == SEGMENT_SHARES]
    found: dict[str, Any] = {
        "snapshot": str(shop.day),
        "customers": len(shop.last),
        "segments": len(facts),
        "categories": len(shop.titles),
        "total": {
            "customers": len(shop.last),
            "revenue": float(facts["revenue"].sum()),
            "orders": int(facts["orders"].sum()),
        },
    }
    if len(stay):
        weights = stay["customers"] / stay["customers"].sum()
        found["monthly_retention"] = float((stay["retention"] * weights).sum())
    if len(newest):
        found["drift_from_month_before"] = {
            "largest_psi": float(newest["psi"].max()),
            "segment_shares_psi": float(shares["psi"].iloc[0]),
            "measures_drifted": int((newest["verdict"] != "stable").sum()),
        }
    return found


def rule_figures(shop: Shop, rules: list[Rule]) -> dict[str, Any]:
    """The share of customers on whom rules and model agree, now and a month before."""
    found: dict[str, Any] = {
        "rules": len(rules),
        "fidelity": fidelity(rules, shop.last, shop.segment),
        "fidelity_of_naming_the_largest": float(pd.Series(shop.segment).value_counts().max())
        / len(shop.last),
    }
    days = sorted(shop.customers["snapshot_date"].unique())
    if len(days) > 1:
        rows = shop.customers[shop.customers["snapshot_date"] == days[-2]]
        given = rows["segment_id"].to_numpy(dtype=np.int64)
        found["fidelity_at_snapshot_before"] = fidelity(rules, rows, given)
    return found


def next_category_figures(shop: Shop, horizon_days: int) -> dict[str, Any]:
    """How often the next best category of a horizon ago was the one tried since, and its rival."""
    keys = [key for key in sorted(shop.titles) if key != REST]
    days = sorted(shop.customers["snapshot_date"].unique())
    old = [day for day in days if day <= days[-1] - timedelta(days=horizon_days)]
    if len(keys) < 2 or not old:
        return {"is_checked": False}
    columns = [SHARE_PREFIX + key for key in keys]
    rows = shop.customers[shop.customers["snapshot_date"] == old[-1]]
    both = rows.merge(
        shop.last[["customer_id", *columns]], on="customer_id", suffixes=("", "_after")
    )
    before = both[columns].to_numpy(dtype=float)
    after = both[[f"{column}_after" for column in columns]].to_numpy(dtype=float)
    given = both["segment_id"].to_numpy(dtype=np.int64)
    hits = {
        "hit_rate": hit_rate(next_best(before, given), before, after),
        "hit_rate_of_the_most_popular": hit_rate(popular_next(before), before, after),
    }
    known = {name: value for name, value in hits.items() if not np.isnan(value)}
    return {"is_checked": True, "since": str(old[-1]), **known}


def segment_figures(facts: pd.DataFrame) -> dict[str, Any]:
    """The figures of each segment that two versions of the method would be compared by."""
    names = ("customers", "revenue_share", "buying_rate", "expected_spend", "retention")
    return {
        row["segment"]: {n: row[n] for n in names if not pd.isna(row[n])}
        for _, row in facts.iterrows()
    }


def _csv(frame: pd.DataFrame) -> str:
    text: str = frame.round(4).to_csv(index=False, lineterminator="\n")
    return text


if __name__ == "__main__":
    run_stage(main, __doc__)

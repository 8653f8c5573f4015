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

from collections.abc import Mapping
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
from pipeline.core.tables.measure_prices import CUSTOMER_PRICES
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
    change_figures,
    latest_moves,
    segment_changes,
    since_day_before,
)
from pipeline.profile_segments.drift import SEGMENT_SHARES, drift
from pipeline.profile_segments.facts import (
    REST,
    Shop,
    collect_lines,
    customer_months,
    fitted,
    join_shop,
    months_of_segments,
    segment_facts,
)
from pipeline.profile_segments.forecast_check import ShopForecast, shop_forecast
from pipeline.profile_segments.migration import migration, rise_gains, segment_retention
from pipeline.profile_segments.next_category import hit_rate, next_best
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
from pipeline.profile_segments.strategy import shop_test, strategy_rows, with_falls

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
        customers = read_table(CUSTOMERS)
        sales = engine.scan(SALES)
        lines = collect_lines(
            engine,
            sales=sales,
            returned_units=engine.scan(RETURNED_UNITS),
            categories=engine.scan(PRODUCT_CATEGORIES),
            day=customers["snapshot_date"].max(),
        )
        shop = join_shop(
            customers,
            read_table(SEGMENTS),
            lines,
            names=read_table(SEGMENT_NAMES),
            later=read_table(LATER_PURCHASES),
            categories=read_table(PRODUCT_CATEGORIES),
            category_months=read_table(CATEGORY_MONTHS),
            prices=read_or_none(CUSTOMER_PRICES),
            horizon_days=horizon_days,
        )
        periods = shop_periods(engine, sales, shop.first_day, shop.last_day, horizon_days)
        log.info("%d customers in %d segments", len(shop.last), len(set(shop.segment)))
        tables, metrics = describe(
            shop,
            playbook,
            params,
            read_or_none(MEASURED_LIFTS),
            horizon_days=horizon_days,
            currency=currency,
        )
        together = metrics["shop_test"]
        if together["is_proposed"]:
            log.info(
                "no segment can be tested alone; half of each left out shows the lift with %.0f%%",
                100 * together["power"],
            )
        for table, rows in {**tables, SHOP_PERIODS: periods}.items():
            write_table(table, rows)
        for name, plot in plots(tables).items():
            text = plot.round(4).to_csv(index=False, lineterminator="\n")
            write_text(METRICS / "plots" / f"{name}.csv", text)
        write_metrics("profile", metrics)


def read_or_none(table: Table) -> pd.DataFrame:
    """The table, empty where it is not there: a stage run by hand may come before its writer."""
    return read_table(table) if table.path.exists() else table.schema.empty_table().to_pandas()


def describe(
    shop: Shop,
    playbook: Playbook,
    params: Params,
    measured: pd.DataFrame,
    *,
    horizon_days: int,
    currency: str,
) -> tuple[dict[Table, pd.DataFrame], dict[str, Any]]:
    """Return every table but the periods, and the metrics."""
    last, segment, lines, name_of = shop.last, shop.segment, shop.lines, shop.name_of
    forecast = shop_forecast(
        shop.customers,
        shop.later,
        lines.purchases,
        name_of,
        horizon=horizon_days,
        origins=params.forecast.origins,
    )
    tree = params.rules
    rules = learn_rules(last, segment, leaves=tree.leaves, depth=tree.depth, seed=params.seed)
    judged = judged_rules(rules, last, segment)
    moved = migration(shop.customers, name_of)
    retention = segment_retention(moved)
    since = since_day_before(shop.customers)
    gains = rise_gains(shop.customers, shop.later, fell=True)
    latest = latest_moves(since, name_of)
    latest = with_falls(latest, since, forecast, gains, params.power.lift)
    goods = segment_categories(last, segment, shop.titles)
    months = customer_months(lines.purchases, shop.day)
    by_month = months_of_segments(shop, months)
    # Days since the first order grow from month to month in any file: that is no drift.
    measures = {name: title for name, (title, _) in FEATURES.items() if name != "tenure_days"}
    drifted = drift(shop.customers, shop.customers["segment_id"].to_numpy(np.int64), measures)
    facts = segment_facts(
        shop,
        forecast=forecast,
        judged=judged,
        moved=moved,
        retention=retention,
        goods=goods,
        months=by_month,
    )
    day = shop.day.toordinal()
    offer_check = offer_figures(lines.bought, day)
    wins = offer_check.get("beats_the_most_popular", False)
    offers = offered(lines.bought, day, shop.products, shop.unseasonal, by_neighbours=wins)
    customers = customer_rows(shop, forecast, since).merge(offers, on="customer_id", how="left")
    strategies = strategy_rows(
        facts, customers, playbook, later_spends(shop), measured=measured, **dict(params.power)
    )
    rows: dict[Table, pd.DataFrame] = {
        PROFILES: facts,
        SEGMENT_FEATURES: segment_features(last, segment),
        SEGMENT_CATEGORIES: goods,
        SEGMENT_MONTHS: by_month,
        SEGMENT_RULES: judged,
        CUSTOMER_FORECASTS: customers,
        CUSTOMER_MONTHS: months,
        FORECAST_CHECK: forecast.check,
        MIGRATION: moved,
        LATEST_MOVES: latest,
        SEGMENT_CHANGES: segment_changes(latest, name_of),
        SEGMENT_RETENTION: retention,
        DRIFT: drifted,
        STRATEGIES: strategies,
        PROFILE_NOTES: notes_on(shop, forecast, horizon_days),
    }
    tables = {table: fitted(table, frame, name_of) for table, frame in rows.items()}
    metrics = {
        **shop_figures(shop, facts, tables[DRIFT]),
        "changes": change_figures(since, latest),
        "rules": rule_figures(shop, rules),
        "next_category": next_category_figures(shop, horizon_days),
        "next_products": offer_check,
        "shop_test": shop_test(strategies, params.power.alpha),
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


def plots(tables: Mapping[Table, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The rows of each plot: calibration by deciles, retention by month, drift from training."""
    check, retention, drifted = (tables[t] for t in (FORECAST_CHECK, SEGMENT_RETENTION, DRIFT))
    deciles = check[check["grouping"] == "decile"].rename(columns={"position": "decile"})
    trained = drifted[drifted["reference"] == "training"]
    return {
        "forecast_calibration": deciles[
            ["snapshot_date", "decile", "expected_spend", "actual_spend"]
        ],
        "segment_retention": retention[["to_date", "segment", "retention"]],
        "drift": trained[["snapshot_date", "measure", "psi"]],
    }


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
        "fidelity_of_naming_the_largest": float(
            shop.last["segment_id"].value_counts(normalize=True).max()
        ),
    }
    days = sorted(shop.customers["snapshot_date"].unique())
    if len(days) > 1:
        rows = shop.customers[shop.customers["snapshot_date"] == days[-2]]
        found["fidelity_at_snapshot_before"] = fidelity(
            rules, rows, rows["segment_id"].to_numpy(dtype=np.int64)
        )
    return found


def next_category_figures(shop: Shop, horizon_days: int) -> dict[str, Any]:
    """How often the next best category of a horizon ago was the one tried since."""
    columns = [SHARE_PREFIX + key for key in sorted(shop.titles) if key != REST]
    days = shop.customers["snapshot_date"]
    old = days[days <= shop.day - timedelta(days=horizon_days)]
    if len(columns) < 2 or old.empty:
        return {"is_checked": False}
    both = shop.customers[days == old.max()].merge(
        shop.last[["customer_id", *columns]], on="customer_id", suffixes=("", "_after")
    )
    before = both[columns].to_numpy(dtype=float)
    after = both[[f"{column}_after" for column in columns]].to_numpy(dtype=float)
    rate = hit_rate(next_best(before, before), before, after)
    known = {} if np.isnan(rate) else {"hit_rate": rate}
    return {"is_checked": True, "since": str(old.max()), **known}


def segment_figures(facts: pd.DataFrame) -> dict[str, Any]:
    """The figures of each segment that two versions of the method would be compared by."""
    names = ("customers", "revenue_share", "buying_rate", "expected_spend", "retention")
    return {
        row["segment"]: {n: row[n] for n in names if not pd.isna(row[n])}
        for _, row in facts.iterrows()
    }


if __name__ == "__main__":
    run_stage(main, __doc__)

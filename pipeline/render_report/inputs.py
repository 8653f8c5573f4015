"""All that the report tells, as the other stages left it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.core.run.metrics import METRICS, read_metrics
from pipeline.core.run.params import PARAMS_FILE, read_params
from pipeline.core.tables.assign_segments import SEGMENT_NAMES, SEGMENTS
from pipeline.core.tables.categorize_products import CATEGORIES, CATEGORY_MONTHS, PRODUCT_CATEGORIES
from pipeline.core.tables.contract import read_table
from pipeline.core.tables.explore import EXPLORATION
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
from pipeline.core.tables.read_campaigns import CAMPAIGNS, HELD_OUT_CUSTOMERS
from pipeline.core.tables.select_model import CANDIDATES, SELECTION_REASONS

STAGES = (
    "ingest", "clean", "explore", "categorize", "aggregate_rfm", "select", "assign", "profile",
)  # fmt: skip


@dataclass(frozen=True)
class Inputs:
    """Tables by their names, metrics by stage, and the parameters as text and as values."""

    campaigns: pd.DataFrame
    candidates: pd.DataFrame
    categories: pd.DataFrame
    category_months: pd.DataFrame
    customer_forecasts: pd.DataFrame
    customer_months: pd.DataFrame
    drift: pd.DataFrame
    exploration: pd.DataFrame
    held_out: pd.DataFrame
    latest_moves: pd.DataFrame
    migration: pd.DataFrame
    product_categories: pd.DataFrame
    profile_notes: pd.DataFrame
    profiles: pd.DataFrame
    segment_categories: pd.DataFrame
    segment_changes: pd.DataFrame
    segment_features: pd.DataFrame
    segment_months: pd.DataFrame
    segment_names: pd.DataFrame
    segment_retention: pd.DataFrame
    segment_rules: pd.DataFrame
    segments: pd.DataFrame
    selection_reasons: pd.DataFrame
    shop_periods: pd.DataFrame
    strategies: pd.DataFrame
    forecast_check: pd.DataFrame
    metrics: dict[str, dict[str, Any]]
    params: dict[str, Any]
    params_text: str


TABLES = (
    CANDIDATES, CATEGORIES, CATEGORY_MONTHS, CUSTOMER_FORECASTS, CUSTOMER_MONTHS, DRIFT,
    EXPLORATION, FORECAST_CHECK, LATEST_MOVES, MIGRATION, PRODUCT_CATEGORIES, PROFILE_NOTES,
    PROFILES, SEGMENT_CATEGORIES, SEGMENT_CHANGES, SEGMENT_FEATURES, SEGMENT_MONTHS, SEGMENT_NAMES,
    SEGMENT_RETENTION, SEGMENT_RULES, SEGMENTS, SELECTION_REASONS, SHOP_PERIODS, STRATEGIES,
    CAMPAIGNS, HELD_OUT_CUSTOMERS,
)  # fmt: skip


def read_inputs() -> Inputs:
    """Read every table and figure that the report shows; InputError names what is missing."""
    return Inputs(
        **{table.name: read_table(table) for table in TABLES},
        metrics={s: read_metrics(s) for s in STAGES if (METRICS / f"{s}.json").exists()},
        params=read_params(),
        params_text=PARAMS_FILE.read_text(encoding="utf-8"),
    )

"""What profiling could not do with a shop's data or what needs care, and what would help."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.model.groups import RETURNED_EVERYTHING
from pipeline.profile_segments.facts import Shop
from pipeline.profile_segments.forecast_check import ShopForecast

Note = tuple[str, str, Mapping[str, Any]]  # topic, key of the words, figures

TWO_YEARS = timedelta(days=730)

RIGHT_ENOUGH = 0.8  # of the checks, of which 95 in 100 should hold


def notes_on(shop: Shop, forecast: ShopForecast, horizon_days: int) -> pd.DataFrame:
    """Return position, topic, the note's key and its figures, in the order of reading."""
    notes = [
        {"topic": topic, "note": note, "figures": json.dumps(figures)}
        for topic, note, figures in _notes(shop, forecast, horizon_days)
    ]
    frame = pd.DataFrame(notes, columns=["topic", "note", "figures"])
    return frame.assign(position=np.arange(1, len(frame) + 1))


def _notes(shop: Shop, forecast: ShopForecast, horizon_days: int) -> Iterator[Note]:
    size = shop.last["segment_id"].value_counts()
    empty = shop.names.loc[~shop.names["segment_id"].isin(size.index), "segment"].tolist()
    if empty:
        yield "profiles", "nobody", {"segments": empty}
    above = _above_their_place(shop.names, forecast.by_segment, size)
    if above:
        yield "profiles", "other_order", {"segments": above, "days": horizon_days}
    if not shop.titles:
        yield "categories", "no_categories", {}
    if shop.last["country"].nunique() < 2:
        yield "countries", "one_country", {}
    if shop.last_day - shop.first_day < TWO_YEARS:
        yield "season", "short_file", {}
    yield from _forecast_notes(forecast.figures, horizon_days)
    if shop.customers["snapshot_date"].nunique() < 2:
        yield "migration", "one_snapshot", {}


def _above_their_place(names: pd.DataFrame, sums: pd.DataFrame, size: pd.Series) -> list[str]:
    """The segments with a higher forecast per head than one that stands before them."""
    if sums.empty:
        return []
    each = sums.set_index("segment_id")["spend"] / size
    rows = names[(names["group"] != RETURNED_EVERYTHING) & names["segment_id"].isin(each.index)]
    per_head = rows["segment_id"].map(each).to_numpy()
    return list(rows.loc[per_head > np.minimum.accumulate(per_head), "segment"])


def _forecast_notes(figures: dict[str, Any], horizon_days: int) -> Iterator[Note]:
    if not figures["is_possible"]:
        yield "forecast", "no_forecast", {}
        return
    seen, spend = figures["seen"], figures["expected"]["spend"]
    for key, end in (("more_than_ever", "most"), ("less_than_ever", "least")):
        if seen.get(f"is_{key}"):
            yield "forecast", key, {"times": round(spend / seen[end], 1), "days": horizon_days}
    if not figures["knows_season"]:
        yield "forecast", "no_season", {}
    if not figures["days_held_out"]:
        yield "forecast", "not_checked", {}
        return
    held = figures["coverage"]["segments"]
    if held["within_95"] < RIGHT_ENOUGH:
        counts = {"checks": held["checks"], "within": round(100 * held["within_95"])}
        yield "forecast", "checked", counts

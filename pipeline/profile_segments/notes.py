"""What profiling could not do with a shop's data or what needs care, and what would help."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.text import words
from pipeline.profile_segments.facts import FromLines, Shop
from pipeline.profile_segments.forecast_check import ShopForecast

TWO_YEARS = timedelta(days=730)

NO_CATEGORIES = (
    "The lines tell no kinds of goods apart, so nothing is said about what a segment buys or might "
    "buy next. Lines with product codes and descriptions would help."
)
ONE_COUNTRY = "All customers are in one country, so countries tell nothing."
SHORT_FILE = (
    "The file covers less than two years, so season cannot be told from growth: a segment's "
    "strongest month is the strongest so far, and late months are strong also because there are "
    "more customers."
)
NO_FORECAST = (
    "The file covers fewer than 90 days: most customers who look new in it are not, so nothing is "
    "forecast and no hold-out group computed. A longer file would help."
)
NO_SEASON = (
    "The file covers less than a year, so its season is unknown and the forecast goes by the last "
    "days and by customers' habits. Its sums may be half or twice what comes, as the intervals "
    "say; the order of customers and segments holds better."
)
RIGHT_ENOUGH = 0.8  # of the checks, of which 95 in 100 should hold
NOT_CHECKED = (
    "The file is too short to check a forecast of the past, so the forecast is unchecked and its "
    "intervals are those of simulated shops. Treat it as a guess until later months have come in."
)
ONE_SNAPSHOT = (
    "There is one snapshot, so nobody can be seen moving and drift cannot be measured. "
    "params.yaml, rfm.snapshots: month_ends brings more where the file covers more than a month."
)


def notes_on(
    shop: Shop, lines: FromLines, forecast: ShopForecast, horizon_days: int
) -> pd.DataFrame:
    """Return position, topic and note, in the order of reading."""
    notes = list(_notes(shop, lines, forecast, horizon_days))
    frame = pd.DataFrame(notes, columns=["topic", "note"])
    return frame.assign(position=np.arange(1, len(frame) + 1))


def _notes(
    shop: Shop, lines: FromLines, forecast: ShopForecast, horizon_days: int
) -> Iterator[tuple[str, str]]:
    present = set(shop.last["segment_id"])
    for name in shop.names.loc[~shop.names["segment_id"].isin(present), "segment"]:
        yield "profiles", f"Nobody is in the segment “{name}” at the last snapshot."
    if not shop.titles:
        yield "categories", NO_CATEGORIES
    if shop.last["country"].nunique() < 2:
        yield "countries", ONE_COUNTRY
    if lines.last_day - lines.first_day < TWO_YEARS:
        yield "season", SHORT_FILE
    yield from _forecast_notes(forecast.figures, horizon_days)
    if shop.customers["snapshot_date"].nunique() < 2:
        yield "migration", ONE_SNAPSHOT


def _forecast_notes(figures: dict[str, Any], horizon_days: int) -> Iterator[tuple[str, str]]:
    if not figures["is_possible"]:
        yield "forecast", NO_FORECAST
        return
    seen, spend = figures["seen"], figures["expected"]["spend"]
    if seen.get("is_more_than_ever") or seen.get("is_less_than_ever"):
        end, word = ("most", "more") if seen["is_more_than_ever"] else ("least", "less")
        times = words.number(spend / seen[end], 2)
        note = (
            f"The forecast for the next {horizon_days} days is {times} times the {end} that any "
            f"{horizon_days} days of the file brought: it has never seen {word}. Plan with the "
            "same days a year before instead, where there are any."
        )
        yield "forecast", note
    if not figures["knows_season"]:
        yield "forecast", NO_SEASON
    if not figures["days_held_out"]:
        yield "forecast", NOT_CHECKED
        return
    held = figures["coverage"]["segments"]
    if held["within_95"] < RIGHT_ENOUGH:
        within = words.share(held["within_95"])
        note = (
            f"In {held['checks']} checks of a segment in earlier months, its spend lay within the "
            f"95% interval {within} of the time. Trust the order of the segments more than their "
            "sums."
        )
        yield "forecast", note

"""What profiling could not do with a shop's data or what needs care, and what would help."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pandas as pd

from pipeline.core.text import words
from pipeline.profile_segments.facts import FromLines, Shop
from pipeline.profile_segments.outlook import Outlook

TWO_YEARS = timedelta(days=730)
A_YEAR_DAYS = 365
SAME_SEASON_DAYS = 45  # two horizons that begin so near in the year are of one season

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
NO_OUTCOMES = (
    "No snapshot has a whole horizon of sales after it, so no spend can be expected and no "
    "hold-out group computed. A longer file or a shorter horizon (shop.horizon_days in "
    "params.yaml) would help."
)
RIGHT_ENOUGH = 0.7  # of the checks, which would hold in 95 of 100 by chance alone
NOT_CHECKED = (
    "The file is too short to hold a period out, so the expected spend is unchecked and has no "
    "interval. Treat it as a guess until later months have come in."
)
ONE_SNAPSHOT = (
    "There is one snapshot, so nobody can be seen moving and drift cannot be measured. "
    "params.yaml, rfm.snapshots: month_ends brings more where the file covers more than a month."
)


def notes_on(shop: Shop, lines: FromLines, outlook: Outlook, horizon_days: int) -> pd.DataFrame:
    """Return position, topic and note, in the order of reading."""
    notes = list(_notes(shop, lines, outlook, horizon_days))
    frame = pd.DataFrame(notes, columns=["topic", "note"])
    return frame.assign(position=np.arange(1, len(frame) + 1))


def _notes(
    shop: Shop, lines: FromLines, outlook: Outlook, horizon_days: int
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
    if outlook.expected is None:
        yield "value", NO_OUTCOMES
    elif outlook.check.empty:
        yield "value", NOT_CHECKED
    else:
        yield from _what_came_true(outlook.check)
        yield from _season_of_the_check(shop.day, outlook.check, horizon_days)
    if shop.customers["snapshot_date"].nunique() < 2:
        yield "migration", ONE_SNAPSHOT


def _what_came_true(check: pd.DataFrame) -> Iterator[tuple[str, str]]:
    told = check.loc[check["grouping"] == "segment", "verdict"].value_counts()
    right, high, low = (int(told.get(v, 0)) for v in ("about right", "too high", "too low"))
    if right < RIGHT_ENOUGH * (right + high + low):
        note = (
            f"In {right + high + low} checks of a segment in earlier months, its expected spend "
            f"was about right {right} times, too high {high} times and too low {low} times. Trust "
            "the order of the segments more than their sums."
        )
        yield "expected_spend", note


def _season_of_the_check(
    day: date, check: pd.DataFrame, horizon_days: int
) -> Iterator[tuple[str, str]]:
    checked = sorted(set(check["snapshot_date"]))
    if any(_days_apart_in_the_year(day, other) <= SAME_SEASON_DAYS for other in checked):
        return
    ahead = day + timedelta(days=1), day + timedelta(days=horizon_days)
    tested = checked[0] + timedelta(days=1), checked[-1] + timedelta(days=horizon_days)
    note = (
        f"The expected figures are for {words.day(ahead[0])} to {words.day(ahead[1])}, but what "
        f"was expected could be checked only between {words.day(tested[0])} and "
        f"{words.day(tested[1])}, another season. If the coming one is usually quieter, they are "
        "too high, if busier, too low; the order of customers and segments holds better than the "
        "sums."
    )
    yield "value", note


def _days_apart_in_the_year(one: date, other: date) -> int:
    apart = abs((one - other).days) % A_YEAR_DAYS
    return min(apart, A_YEAR_DAYS - apart)

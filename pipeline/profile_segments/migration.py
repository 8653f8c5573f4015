"""Who moved from which segment to which, and how many of each segment stayed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd

NOT_YET = "not yet a customer"
NOT_YET_ID = -1
A_YEAR = timedelta(days=365)
WHOLE_MONTH = 28
Z95 = 1.959964
LEAST_RISERS = 20


def migration(segments: pd.DataFrame, names: Mapping[int, str]) -> pd.DataFrame:
    """Return the moves from each snapshot to the next, and from a year back to the last.

    `segments` has snapshot_date, customer_id, segment_id. Nobody leaves the table: who bought
    once is in every later snapshot.
    """
    days = sorted(segments["snapshot_date"].unique())
    steps = [("month", a, b) for a, b in itertools.pairwise(days)]
    if len(days) > 1:
        steps.append(("whole", a_year_back(days), days[-1]))
    moves = [_moves(segments, *step) for step in steps]
    if not moves:
        return pd.DataFrame()
    found = pd.concat(moves, ignore_index=True)
    named = {**names, NOT_YET_ID: NOT_YET}
    return found.assign(
        from_segment=found["from_segment_id"].map(named),
        to_segment=found["to_segment_id"].map(named),
    )


def rise_gains(segments: pd.DataFrame, later: pd.DataFrame) -> dict[int, float]:
    """What those who rose out of a segment spent more later than those who stayed, on average.

    Spend is that in the horizon after they rose (`later`, by snapshot); segments with fewer than
    LEAST_RISERS are left out.
    """
    if later.empty:
        return {}
    known = segments[["snapshot_date", "customer_id", "segment_id"]]
    known = known.sort_values(["customer_id", "snapshot_date"])
    before = known.groupby("customer_id")["segment_id"].shift()
    joined = known.assign(before=before).dropna().merge(later, on=["snapshot_date", "customer_id"])
    spend = joined["later_spend"].astype(float)
    found = {}
    for number in sorted(set(joined["before"].astype(int))):
        mine = joined["before"] == number
        rose = spend[mine & (joined["segment_id"] < number)]
        stayed = spend[mine & (joined["segment_id"] == number)]
        if len(rose) >= LEAST_RISERS and len(stayed):
            found[number] = float(rose.mean() - stayed.mean())
    return found


def a_year_back(days: Sequence[date]) -> date:
    """The last snapshot a year or more before the last one, or the first of all."""
    old = [day for day in days if day <= days[-1] - A_YEAR]
    return old[-1] if old else days[0]


def segment_retention(moves: pd.DataFrame) -> pd.DataFrame:
    """Return per segment and step how many stayed, rose and fell, with Wilson intervals.

    A lesser segment_id is more valuable.
    """
    if moves.empty:
        return pd.DataFrame()
    steps = moves[(moves["span"] == "month") & (moves["from_segment_id"] != NOT_YET_ID)]
    count, start, end = steps["customers"], steps["from_segment_id"], steps["to_segment_id"]
    found = (
        steps.assign(
            stayed=count.where(start == end, 0),
            rose=count.where(end < start, 0),
            fell=count.where(end > start, 0),
        )
        .groupby(["from_segment_id", "from_segment", "from_date", "to_date"], as_index=False)[
            ["customers", "stayed", "rose", "fell"]
        ]
        .sum()
        .rename(columns={"from_segment_id": "segment_id", "from_segment": "segment"})
    )
    days = [(b - a).days for a, b in zip(found["from_date"], found["to_date"], strict=True)]
    low, high = wilson_interval(found["stayed"].to_numpy(float), found["customers"].to_numpy(float))
    return found.assign(
        days=days,
        retention=(found["stayed"] / found["customers"]).round(6),
        retention_low=low.round(6),
        retention_high=high.round(6),
    )


def mean_retention(retention: pd.DataFrame) -> dict[int, float]:
    """Each segment's share that stays a member for a month, over all whole months."""
    if retention.empty:
        return {}
    whole = retention[retention["days"] >= WHOLE_MONTH].groupby("segment_id")[
        ["stayed", "customers"]
    ]
    sums = whole.sum()
    return {
        int(str(s)): round(float(v), 6) for s, v in (sums["stayed"] / sums["customers"]).items()
    }


def where_fallers_go(moves: pd.DataFrame) -> dict[int, tuple[str, float]]:
    """For each segment: where most who fall within a month fall to, and the share that falls.

    The share is of all members, over whole months.
    """
    return _where_most_go(moves, is_up=False)


def where_risers_go(moves: pd.DataFrame) -> dict[int, tuple[str, float]]:
    """The same for those who rise."""
    return _where_most_go(moves, is_up=True)


def _where_most_go(moves: pd.DataFrame, *, is_up: bool) -> dict[int, tuple[str, float]]:
    if moves.empty:
        return {}
    steps = moves[(moves["span"] == "month") & (moves["from_segment_id"] != NOT_YET_ID)]
    days = [(b - a).days for a, b in zip(steps["from_date"], steps["to_date"], strict=True)]
    steps = steps[np.array(days, dtype=int) >= WHOLE_MONTH]
    members = steps.groupby("from_segment_id")["customers"].sum()
    sign = -1 if is_up else 1
    moved = steps[sign * (steps["to_segment_id"] - steps["from_segment_id"]) > 0]
    found: dict[int, tuple[str, float]] = {}
    for number, mine in moved.groupby("from_segment_id"):
        targets = mine.groupby("to_segment")["customers"].sum().sort_index()
        share = float(targets.sum() / members.loc[number])
        found[int(str(number))] = (str(targets.idxmax()), share)
    return found


def wilson_interval(
    hits: np.ndarray[tuple[int], np.dtype[np.float64]],
    of: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> tuple[
    np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]
]:
    """The 95 % interval of a share. Source: Wilson, "Probable inference" (1927)."""
    share = hits / of
    middle = (share + Z95**2 / (2 * of)) / (1 + Z95**2 / of)
    margin = Z95 * np.sqrt(share * (1 - share) / of + Z95**2 / (4 * of**2)) / (1 + Z95**2 / of)
    return np.clip(middle - margin, 0, 1), np.clip(middle + margin, 0, 1)


def _moves(segments: pd.DataFrame, span: str, start: date, end: date) -> pd.DataFrame:
    columns = ["customer_id", "segment_id"]
    before = segments.loc[segments["snapshot_date"] == start, columns]
    after = segments.loc[segments["snapshot_date"] == end, columns]
    both = after.merge(before, on="customer_id", how="left", suffixes=("", "_before"))
    origin = both["segment_id_before"].fillna(NOT_YET_ID).astype("int64").rename("from_segment_id")
    target = both["segment_id"].astype("int64").rename("to_segment_id")
    found = both.groupby([origin, target]).size().rename("customers").reset_index()
    total = found.groupby("from_segment_id")["customers"].transform("sum")
    return found.assign(
        span=span, from_date=start, to_date=end, share=(found["customers"] / total).round(6)
    )

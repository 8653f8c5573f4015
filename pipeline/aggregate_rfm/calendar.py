"""Snapshot dates and day numbers, as expressions that every engine understands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import narwhals as nw
import pandas as pd

Lines = nw.LazyFrame[Any]


def month_ends(first: date, last: date) -> tuple[date, ...]:
    """The last days of the months from `first`'s on, as far as they come before `last`."""
    ends = pd.date_range(first, last, freq="ME", inclusive="left")
    return tuple(end.date() for end in ends)


def period_of(day: nw.Expr, ends: Sequence[date], first: int = 0) -> nw.Expr:
    """The number of the first of the ascending `ends` that is not before the day.

    Numbers start at `first`; a day after the last end has `first + len(ends)`. Halving keeps it
    at log2 comparisons a line.
    """
    if not ends:
        return nw.lit(first, nw.Int64)
    middle = (len(ends) - 1) // 2
    return (
        nw.when(day <= nw.lit(ends[middle]))
        .then(period_of(day, ends[:middle], first))
        .otherwise(period_of(day, ends[middle + 1 :], first + middle + 1))
    )


def snapshots_frame(like: Lines, snapshots: Sequence[date]) -> Lines:
    """One row per snapshot, on the engine of `like`: `period`, `snapshot_date`, `snapshot_day`."""
    one = like.select(nw.len().alias("rows"))
    rows = [
        one.select(
            nw.lit(period, nw.Int64).alias("period"),
            nw.lit(day).alias("snapshot_date"),
            nw.lit(day.toordinal(), nw.Int64).alias("snapshot_day"),
            "rows",
        ).drop("rows")
        for period, day in enumerate(snapshots)
    ]
    return nw.concat(rows) if len(rows) > 1 else rows[0]

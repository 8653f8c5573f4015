"""What changed since the last month end: who is new, who rose or fell, and each segment's size."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pandas as pd

from pipeline.profile_segments.migration import both_days, moves

LEAST_SPAN = timedelta(days=7)  # two snapshots that are nearer tell next to nothing


def day_before(days: Sequence[date]) -> date | None:
    """The snapshot that the last of `days` is compared with: the newest at least a week older.

    Where all are nearer, the one before; None where there is one alone.
    """
    ordered = sorted(days)
    old = [day for day in ordered if day <= ordered[-1] - LEAST_SPAN]
    return old[-1] if old else (ordered[-2] if len(ordered) > 1 else None)


def since_day_before(customers: pd.DataFrame) -> pd.DataFrame:
    """Return `both_days` of the last snapshot; empty where there is one snapshot."""
    start = day_before(list(customers["snapshot_date"].unique()))
    if start is None:
        return pd.DataFrame()
    return both_days(customers, start, customers["snapshot_date"].max())


def latest_moves(both: pd.DataFrame, names: dict[int, str]) -> pd.DataFrame:
    """Return one row per pair of segments that customers went between, with their money."""
    return both if both.empty else moves(both, names)


def segment_changes(latest: pd.DataFrame, names: dict[int, str]) -> pd.DataFrame:
    """Return each segment's size then and now, and how it came about, from `latest_moves`."""
    if latest.empty:
        return pd.DataFrame()
    numbers = sorted(names)
    came, left = (_by_direction(latest, f"{side}_segment_id", numbers) for side in ("to", "from"))
    found = pd.DataFrame(
        {
            "segment_id": numbers,
            "from_date": latest["from_date"].iloc[0],
            "to_date": latest["to_date"].iloc[0],
            "customers_before": left.sum(axis=1),
            "customers": came.sum(axis=1),
            "newcomers": came["new"],
            "rose_in": came["rose"],
            "fell_in": came["fell"],
            "rose_out": left["rose"],
            "fell_out": left["fell"],
            "spend_since": latest.groupby("to_segment_id")["spend_since"].sum().reindex(numbers),
        }
    ).fillna({"spend_since": 0.0})
    return found.assign(share=found["customers"] / found["customers"].sum())


def change_figures(both: pd.DataFrame, latest: pd.DataFrame) -> dict[str, Any]:
    """The figures of the whole shop since then, for the metrics."""
    if both.empty:
        return {"is_known": False}
    start, end = both["from_date"].iloc[0], both["to_date"].iloc[0]
    by_direction = latest.groupby("direction")["customers"].sum()
    return {
        "is_known": True,
        "from": str(start),
        "to": str(end),
        "days": (end - start).days,
        "ordered": int(both["has_ordered"].sum()),
        "spend": round(float(both["spend_since"].sum()), 2),
        **{name: int(by_direction.get(name, 0)) for name in ("new", "rose", "fell", "stayed")},
    }


def _by_direction(latest: pd.DataFrame, key: str, numbers: Sequence[int]) -> pd.DataFrame:
    counts = latest.pivot_table("customers", key, "direction", "sum", fill_value=0)
    columns = ["new", "stayed", "rose", "fell"]
    return counts.reindex(index=list(numbers), columns=columns, fill_value=0).astype("int64")

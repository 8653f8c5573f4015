"""What changed since the last month end: who is new, who rose or fell, and each segment's size."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from pipeline.profile_segments.migration import NOT_YET, NOT_YET_ID

LEAST_SPAN = timedelta(days=7)  # two snapshots that are nearer tell next to nothing


def day_before(days: Sequence[date]) -> date | None:
    """The snapshot that the last of `days` is compared with: the newest at least a week older.

    Where all are nearer, the one before; None where there is one alone.
    """
    ordered = sorted(days)
    old = [day for day in ordered if day <= ordered[-1] - LEAST_SPAN]
    return old[-1] if old else (ordered[-2] if len(ordered) > 1 else None)


def both_days(customers: pd.DataFrame) -> pd.DataFrame:
    """Return each customer of the last snapshot then and now; empty where there is one snapshot.

    `customers` has snapshot_date, customer_id, segment_id, monetary and recency_days. The rows
    returned have from_segment_id (-1 = no customer yet), to_segment_id, spend (so far, now),
    spend_since, has_ordered (since then, and kept some of it), from_date and to_date.
    """
    columns = ["customer_id", "segment_id", "monetary"]
    start, end = day_before(list(customers["snapshot_date"].unique())), _last_day(customers)
    if start is None:
        return pd.DataFrame()
    now = customers.loc[customers["snapshot_date"] == end, [*columns, "recency_days"]]
    then = customers.loc[customers["snapshot_date"] == start, columns]
    both = now.merge(then, on="customer_id", how="left", suffixes=("", "_before"))
    spend = both["monetary"].astype("float64")
    return pd.DataFrame(
        {
            "customer_id": both["customer_id"],
            "from_segment_id": both["segment_id_before"].fillna(NOT_YET_ID).astype("int64"),
            "to_segment_id": both["segment_id"].astype("int64"),
            "spend": spend,
            "spend_since": spend - both["monetary_before"].astype("float64").fillna(0.0),
            "has_ordered": both["recency_days"].astype("float64") < (end - start).days,
            "from_date": start,
            "to_date": end,
        }
    )


def latest_moves(both: pd.DataFrame, names: dict[int, str]) -> pd.DataFrame:
    """Return one row per pair of segments that customers went between, with their money."""
    if both.empty:
        return pd.DataFrame()
    keys = ["from_date", "to_date", "from_segment_id", "to_segment_id"]
    found = both.groupby(keys, as_index=False).agg(
        customers=("customer_id", "size"),
        spend=("spend", "sum"),
        spend_since=("spend_since", "sum"),
    )
    start, end = found["from_segment_id"], found["to_segment_id"]
    named = {**names, NOT_YET_ID: NOT_YET}
    return found.assign(
        direction=np.select(
            [start == NOT_YET_ID, start == end, end < start], ["new", "stayed", "rose"], "fell"
        ),
        from_segment=start.map(named),
        to_segment=end.map(named),
        share=found["customers"] / found.groupby("from_segment_id")["customers"].transform("sum"),
    )


def segment_changes(moves: pd.DataFrame, names: dict[int, str]) -> pd.DataFrame:
    """Return each segment's size then and now, and how it came about, from `latest_moves`."""
    if moves.empty:
        return pd.DataFrame()
    numbers = sorted(names)
    came, left = (_by_direction(moves, f"{side}_segment_id", numbers) for side in ("to", "from"))
    found = pd.DataFrame(
        {
            "segment_id": numbers,
            "segment": [names[number] for number in numbers],
            "from_date": moves["from_date"].iloc[0],
            "to_date": moves["to_date"].iloc[0],
            "customers_before": left.sum(axis=1),
            "customers": came.sum(axis=1),
            "newcomers": came["new"],
            "rose_in": came["rose"],
            "fell_in": came["fell"],
            "rose_out": left["rose"],
            "fell_out": left["fell"],
            "spend_since": moves.groupby("to_segment_id")["spend_since"].sum().reindex(numbers),
        }
    ).fillna({"spend_since": 0.0})
    found["share_before"] = found["customers_before"] / max(found["customers_before"].sum(), 1)
    found["share"] = found["customers"] / found["customers"].sum()
    return found


def change_figures(both: pd.DataFrame, moves: pd.DataFrame) -> dict[str, Any]:
    """The figures of the whole shop since then, for the metrics."""
    if both.empty:
        return {"is_known": False}
    start, end = both["from_date"].iloc[0], both["to_date"].iloc[0]
    by_direction = moves.groupby("direction")["customers"].sum()
    return {
        "is_known": True,
        "from": str(start),
        "to": str(end),
        "days": (end - start).days,
        "ordered": int(both["has_ordered"].sum()),
        "spend": round(float(both["spend_since"].sum()), 2),
        **{name: int(by_direction.get(name, 0)) for name in ("new", "rose", "fell", "stayed")},
    }


def _last_day(customers: pd.DataFrame) -> date:
    last: date = customers["snapshot_date"].max()
    return last


def _by_direction(moves: pd.DataFrame, key: str, numbers: Sequence[int]) -> pd.DataFrame:
    counts = moves.pivot_table("customers", key, "direction", "sum", fill_value=0)
    columns = ["new", "stayed", "rose", "fell"]
    return counts.reindex(index=list(numbers), columns=columns, fill_value=0).astype("int64")

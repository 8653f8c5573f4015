"""Each customer's segment at every snapshot, with the one before, since when and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from pipeline.core.model.definition import Definition, aged, assign


def with_history(
    definition: Definition, snapshots: Iterable[pd.DataFrame]
) -> Iterator[pd.DataFrame]:
    """Yield the rows of each snapshot, in the order of time, by one definition.

    Columns: the key, segment_id, play, confidence; `previous_id` (of the segment before this one,
    null where there was none), `since` (the first snapshot in it), `months_in_segment`, and
    `moved_by` where the segment is not that of the snapshot before: `time` if the customer would
    be in it without ordering or returning anything, else `behaviour`.
    """
    before, state = pd.DataFrame(), pd.DataFrame()
    for customers in snapshots:
        rows = pd.concat(
            [customers[["snapshot_date", "customer_id"]], assign(definition, customers)], axis=1
        )
        day = rows["snapshot_date"].iloc[0]
        rows = rows.assign(previous_id=None, since=day, moved_by=None)
        if len(before):
            days = (day - before["snapshot_date"].iloc[0]).days
            then = state.assign(
                aged_id=assign(definition, aged(before, days))["segment_id"].to_numpy()
            ).set_index("customer_id")
            then = then.reindex(rows["customer_id"]).reset_index(drop=True)
            rows = rows.reset_index(drop=True)
            was_there = then["segment_id"].notna()
            has_moved = was_there & (then["segment_id"] != rows["segment_id"])
            is_same = was_there & ~has_moved
            rows["since"] = then["since"].where(is_same, day)
            rows["previous_id"] = then["segment_id"].where(
                has_moved, then["previous_id"].where(is_same, pd.NA)
            )
            cause = np.where(then["aged_id"] == rows["segment_id"], "time", "behaviour")
            rows["moved_by"] = pd.Series(cause, dtype=object).where(has_moved, None)
        rows["previous_id"] = rows["previous_id"].astype("Int32")
        rows["months_in_segment"] = [_months(since, day) for since in rows["since"]]
        before, state = customers, rows[["customer_id", "segment_id", "previous_id", "since"]]
        yield rows


def _months(since: pd.Timestamp, day: pd.Timestamp) -> int:
    return (day.year - since.year) * 12 + day.month - since.month

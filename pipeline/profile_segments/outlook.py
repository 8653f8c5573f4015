"""The outlook of every customer and segment: learnt, checked on held-out days, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.model.money_unit import money_unit
from pipeline.profile_segments.value import (
    WAYS,
    Snapshot,
    best_way,
    held_out,
    segment_outlook,
    value_check,
    value_features,
    ways_for,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Outlook:
    """What is expected at the last snapshot; `expected` (n, 3) is None where nothing can be learnt.

    Its columns are the probability to buy, orders and spend. `figures` has one row per way that
    was tried, with its calibration on the held-out snapshots.
    """

    way: str
    expected: Array | None
    by_segment: pd.DataFrame
    check: pd.DataFrame
    figures: pd.DataFrame
    learnt_from: int
    origins: int


def learn_outlook(
    customers: pd.DataFrame,
    later: pd.DataFrame,
    names: Mapping[int, str],
    *,
    horizon_days: int,
    origins: int,
    resamples: int,
    seed: int,
) -> Outlook:
    """Return the outlook at the last snapshot of `customers`, which has a column segment_id.

    `later` has the outcomes of the snapshots whose horizon is over.
    """
    snapshots, at = _snapshots(customers, later, money_unit(customers, horizon_days))
    known = [s for s in snapshots if s.outcomes is not None]
    last = snapshots[-1]
    if not known:
        nothing = pd.DataFrame()
        return Outlook("none", None, nothing, nothing, nothing, 0, 0)
    checked = held_out(known, horizon_days, origins, seed)
    way, figures = best_way(checked, ways_for(known))
    raw = WAYS[way](known, seed)(last.features, last.segment)
    most = np.array([1.0, np.inf, np.inf])  # a probability goes no further
    expected: Array = np.clip(raw, 0.0, most).round(4)
    return Outlook(
        way=way,
        expected=expected[np.argsort(at)],
        by_segment=segment_outlook(
            expected, last.segment, checked, way=way, resamples=resamples, seed=seed
        ),
        check=value_check(checked, way, names, resamples, seed),
        figures=figures,
        learnt_from=len(known),
        origins=len(checked),
    )


def _snapshots(
    customers: pd.DataFrame, later: pd.DataFrame, unit: float
) -> tuple[list[Snapshot], NDArray[np.intp]]:
    """The snapshots in the order of time, and where the last one's customers stood before.

    The customers of each are put in an order of their figures, so that what is drawn and what is
    learnt do not depend on their names.
    """
    joined = customers.merge(later, on=["snapshot_date", "customer_id"], how="left")
    found, order = [], np.arange(0)
    for day, rows in joined.groupby("snapshot_date", sort=True):
        features, segment = value_features(rows, unit), rows["segment_id"].to_numpy(dtype=np.int64)
        orders = rows["later_orders"].to_numpy(dtype=float)
        spend = rows["later_spend"].to_numpy(dtype=float)
        order = np.lexsort((segment, orders, spend, *features.T))
        outcomes = np.column_stack([(orders > 0) * 1.0, orders, spend])[order]
        found.append(
            Snapshot(
                day=day,  # type: ignore[arg-type] # pandas calls a group's key Hashable
                features=features[order],
                segment=segment[order],
                outcomes=None if np.isnan(outcomes).any() else outcomes,
            )
        )
    return found, order

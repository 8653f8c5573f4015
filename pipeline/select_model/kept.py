"""A run's own definition of the segments, and how it compares with the one that is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.model.clusterings import RFM_GROUPS, RfmRules
from pipeline.core.model.definition import Definition, Segment, assign
from pipeline.core.model.grid import NAMES, Grid
from pipeline.core.model.groups import RETURNED_EVERYTHING, WHOLESALE
from pipeline.select_model.candidates import (
    Fitted,
    Setting,
    judged_by_later,
    meaning_figures,
    segment_values,
)
from pipeline.select_model.measuring import resample_weights
from pipeline.select_model.selection import Gates, failed_gates
from pipeline.select_model.snapshots import Origin, Snapshot

Matrix = NDArray[np.float64]

KEPT = "kept"  # the feature set of the kept definition's columns
LEAST = 0.95  # of what the challenger explains: below it the kept definition has aged
IN_A_ROW = 2  # cuts at which the challenger must be better before a switch is recommended


def definition_of(
    candidate: str, fitted: Fitted, now: Snapshot, past: Sequence[Snapshot], setting: Setting
) -> Definition:
    """The definition by a candidate fitted on `now`, its segments in the order of value.

    That is what a customer spent on average in a horizon after `past`, the snapshots with outcomes.
    """
    size, wholesale = fitted.clustering.size, setting.wholesale
    names = Grid.fitted(now.rhythm[now.rows(None)], max(NAMES), *setting.days)
    segments = [
        *_segments(fitted, names, now, setting),
        Segment(RETURNED_EVERYTHING, size, RETURNED_EVERYTHING, "frequency = 0"),
    ]
    if wholesale.is_apart:
        units, orders = wholesale.minimum_units_per_line, wholesale.minimum_orders
        asked = f"units_per_line >= {units:g}, frequency >= {orders}"
        segments.append(Segment(WHOLESALE, size + 1, WHOLESALE, asked))
    value = segment_values([fitted], past, "spend")[0][: len(segments)]
    value[size] = -np.inf  # who returned everything comes last
    return Definition(
        candidate=candidate,
        snapshot_date=now.date,
        money_unit=setting.unit,
        wholesale=wholesale,
        segments=[segments[cluster] for cluster in np.argsort(-value, kind="stable")],
        columns=list(setting.columns[fitted.features]),
        names=names,
        transform=fitted.transform,
        clustering=fitted.clustering,
    )


def _segments(fitted: Fitted, names: Grid, now: Snapshot, setting: Setting) -> list[Segment]:
    """Each cluster by its own name, or by what most of its members are in the grid of names."""
    clustering = fitted.clustering
    if setting.own is not None and clustering is setting.own.clustering:
        return setting.own.segments
    if isinstance(clustering, Grid):
        return [Segment(g, n, "", clustering.condition(g)) for n, g in enumerate(clustering.names)]
    if isinstance(clustering, RfmRules):
        return [Segment(play, n) for n, play in enumerate(RFM_GROUPS)]
    free = now.rows(None)
    own = pd.Series(names.assign(now.rhythm[free])).groupby(fitted.labels(now)[free])
    most = own.agg(lambda each: int(each.mode().iloc[0]))
    return [Segment(names.names[most.get(n, 0)], n) for n in range(clustering.size)]


def compared(
    kept: Definition,
    challenger: Definition,
    customers: pd.DataFrame,
    in_time: tuple[Snapshot, tuple[Snapshot, ...], list[Origin]],
    *,
    spread: Matrix,
    gates: Gates,
    setting: Setting,
) -> dict[str, Any]:
    """Whether the run's own choice is better than the kept definition, and whom it would move.

    `customers` are the last ones; the snapshots `in_time` have the kept definition's features as
    KEPT; `spread` (origins, resamples) is the resampled eta squared of the challenger. A switch is
    recommended where the challenger is better by more than a standard error at the last two cuts
    in a row, where the kept definition explains less than LEAST of what it does, or a gate fails.
    """
    now, _, origins = in_time
    fitted = Fitted(KEPT, kept.transform, kept.clustering)
    judged = judged_by_later([[fitted]] * len(origins), origins, resample_weights(setting))
    figures, own = judged[0]
    lead, error = (spread - own).mean(axis=1), (spread - own).std(axis=1)
    last = min(IN_A_ROW, len(lead))
    is_better = len(lead) >= IN_A_ROW and bool((lead[-last:] > error[-last:]).all())
    share = float(own.mean() / max(spread.mean(), 1e-12))
    failed = _gates_failed(fitted, now, origins[-1].past, gates)
    before, after = (
        np.array([s.play for s in d.segments])[assign(d, customers)["segment_id"]]
        for d in (kept, challenger)
    )
    moved = int((before != after).sum())
    return {
        "candidate": kept.candidate,
        "since": kept.snapshot_date,
        "eta_squared": figures["eta_squared"],
        "gini": figures["gini"],
        "challenger": challenger.candidate,
        "share_of_challenger": share,
        "challenger_lead": float((spread - own).mean()),
        "challenger_lead_se": float((spread - own).mean(axis=0).std()),
        "challenger_lead_at_last_cut": float(lead[-1]),
        "challenger_lead_at_last_cut_se": float(error[-1]),
        "challenger_would_move": moved,
        "challenger_would_move_share": moved / len(customers),
        "failed_gates": failed,
        "switch_is_recommended": is_better or share < LEAST or failed != "",
    }


def _gates_failed(fitted: Fitted, now: Snapshot, past: Sequence[Snapshot], gates: Gates) -> str:
    """The gates that the kept definition fails today; stability is a matter of a fit, not of it."""
    shares = pd.Series(fitted.clustering.assign(fitted.points(now))).value_counts() / len(now.group)
    sure: Mapping[str, Any] = {
        "segments": len(shares),
        "smallest_share": float(shares.min()),
        "jaccard": 1.0,
        "jaccard_se": 0.0,
        "prediction_strength": 1.0,
        "prediction_strength_se": 0.0,
        **meaning_figures([fitted], now, past)[0],
    }
    return str(failed_gates(pd.DataFrame([sure]), gates).iloc[0])

"""A run's own definition of the segments, and how it compares with the one that is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.model.clusterings import RFM_GROUPS, OwnRules, RfmRules
from pipeline.core.model.definition import Definition, Segment, assign
from pipeline.core.model.grid import NAMES, Grid
from pipeline.core.model.groups import RETURNED_EVERYTHING, Wholesale
from pipeline.select_model.candidates import (
    Fitted,
    Setting,
    judged_by_later,
    meaning_figures,
    segment_values,
)
from pipeline.select_model.measuring import resample_weights
from pipeline.select_model.selection import Gates, failed_gates
from pipeline.select_model.snapshots import GROUPS, Origin, Snapshot

Matrix = NDArray[np.float64]

KEPT = "kept"  # the feature set of the kept definition's columns
IN_A_ROW = 2  # cuts at which the challenger must be better before a switch is recommended


def definition_of(
    candidate: str,
    fitted: Fitted,
    now: Snapshot,
    past: Sequence[Snapshot],
    *,
    columns: Sequence[str],
    unit: float,
    wholesale: Wholesale,
    setting: Setting,
) -> Definition:
    """The definition by a fitted candidate, its segments in the order of value.

    `past` are the snapshots with outcomes.
    """
    size = fitted.clustering.size
    value = segment_values(fitted, past)
    groups = [g for g in GROUPS if g == RETURNED_EVERYTHING or wholesale.is_apart]
    value = value[: size + len(groups)]
    value[size + groups.index(RETURNED_EVERYTHING)] = -np.inf  # who returned everything comes last
    names = Grid.fitted(now.rhythm[now.rows(None)], max(NAMES), *setting.days)
    plays = _plays(fitted, names, now)
    segments = []
    for cluster in np.argsort(-value, kind="stable"):
        group = groups[cluster - size] if cluster >= size else ""
        play = group or plays[cluster]
        condition = ""
        if group == RETURNED_EVERYTHING:
            condition = "returned everything that they ordered"
        elif group:
            condition = (
                f"{wholesale.minimum_units_per_line:g} or more units on a line, "
                f"{wholesale.minimum_orders} or more orders"
            )
        elif isinstance(fitted.clustering, Grid):
            condition = fitted.clustering.condition(play)
        name = ""
        if not group and isinstance(fitted.clustering, OwnRules):
            name, condition = (
                each[cluster] for each in (fitted.clustering.names, fitted.clustering.conditions)
            )
        segments.append(Segment(play, int(cluster), group, condition, name))
    return Definition(
        candidate=candidate,
        snapshot_date=now.date,
        money_unit=unit,
        wholesale=wholesale,
        segments=segments,
        columns=list(columns),
        names=names,
        transform=fitted.transform,
        clustering=fitted.clustering,
    )


def _plays(fitted: Fitted, names: Grid, now: Snapshot) -> list[str]:
    """The play of each cluster: its own name, or what most of its members are by the grid."""
    if isinstance(fitted.clustering, Grid):
        return list(fitted.clustering.names)
    if isinstance(fitted.clustering, RfmRules):
        return list(RFM_GROUPS)
    if isinstance(fitted.clustering, OwnRules):
        return fitted.clustering.plays
    free = now.rows(None)
    own = pd.Series(names.assign(now.rhythm[free])).groupby(fitted.labels(now)[free])
    most = own.agg(lambda each: int(each.mode().iloc[0]))
    return [names.names[most.get(cluster, 0)] for cluster in range(fitted.clustering.size)]


def compared(
    kept: Definition,
    challenger: Definition,
    customers: pd.DataFrame,
    origins: Sequence[Origin],
    now: Snapshot,
    *,
    spread: Matrix,
    gates: Gates,
    setting: Setting,
) -> dict[str, Any]:
    """Whether the run's own choice is better than the kept definition, and whom it would move.

    `origins` and `now` have the kept definition's features as KEPT; `spread` (origins, resamples)
    is the resampled eta squared of the challenger. A switch is recommended where the challenger
    is better by more than a standard error at the last two cuts in a row, or a gate fails.
    """
    fitted = Fitted(KEPT, kept.transform, kept.clustering)
    figures, own = judged_by_later([fitted] * len(origins), origins, resample_weights(setting))
    lead, error = (spread - own).mean(axis=1), (spread - own).std(axis=1)
    last = min(IN_A_ROW, len(lead))
    is_better = len(lead) >= IN_A_ROW and bool((lead[-last:] > error[-last:]).all())
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
        "challenger_lead": float((spread - own).mean()),
        "challenger_lead_se": float((spread - own).mean(axis=0).std()),
        "challenger_lead_at_last_cut": float(lead[-1]),
        "challenger_lead_at_last_cut_se": float(error[-1]),
        "challenger_would_move": moved,
        "challenger_would_move_share": moved / len(customers),
        "failed_gates": failed,
        "switch_is_recommended": is_better or failed != "",
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

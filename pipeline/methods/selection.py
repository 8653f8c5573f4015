"""The rule that chooses: gates first, then prediction, then within one standard error fewer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Gates:
    """What a candidate must reach before its prediction counts."""

    minimum_share: float
    jaccard: float
    prediction_strength: float
    maximum_segments: int


def failed_gates(candidates: pd.DataFrame, gates: Gates) -> pd.Series:
    """For each candidate the gates that it fails, as text; empty where it passes all."""
    fails = {
        "segment share": candidates["smallest_share"] < gates.minimum_share,
        "Jaccard": candidates["jaccard"] < gates.jaccard,
        "prediction strength": candidates["prediction_strength"] < gates.prediction_strength,
        "number of segments": (candidates["segments"] > gates.maximum_segments)
        | (candidates["segments"] < 2),
    }
    texts = [
        ", ".join(name for name, failed in fails.items() if failed[row]) for row in candidates.index
    ]
    return pd.Series(texts, index=candidates.index, dtype="str")


def choose(candidates: pd.DataFrame, spreads: Matrix, gates: Gates) -> tuple[int, int]:
    """Row numbers of the choice and of the runner-up.

    `spreads` (candidates, resamples) are the resampled eta squared. Among those that pass (or,
    where none does, those nearest to passing) the best by eta squared is found; of those
    whose difference from it is within one standard error of that difference, the one with fewest
    segments is taken.
    """
    shortfall = (
        (gates.minimum_share - candidates["smallest_share"]).clip(lower=0) / gates.minimum_share
        + (gates.jaccard - candidates["jaccard"]).clip(lower=0)
        + (gates.prediction_strength - candidates["prediction_strength"]).clip(lower=0)
        + (candidates["segments"] - gates.maximum_segments).clip(lower=0)
        + (2 - candidates["segments"]).clip(lower=0)
    ).to_numpy()
    eligible = np.flatnonzero(
        (shortfall <= shortfall.min()) & ~candidates["is_baseline"].to_numpy()
    )
    if len(eligible) == 0:
        eligible = np.flatnonzero(~candidates["is_baseline"].to_numpy())
        eligible = eligible[shortfall[eligible] <= shortfall[eligible].min()]
    chosen = _best(candidates, spreads, eligible)
    others = eligible[eligible != chosen]
    if len(others) == 0:
        others = np.flatnonzero(np.arange(len(candidates)) != chosen)
    return chosen, _best(candidates, spreads, others) if len(others) else chosen


def _best(candidates: pd.DataFrame, spreads: Matrix, rows: NDArray[np.intp]) -> int:
    figure = candidates["eta_squared"].to_numpy()
    best = rows[int(np.argmax(figure[rows]))]
    error = (spreads[rows] - spreads[best]).std(axis=1)
    near = rows[figure[best] - figure[rows] <= error]
    order = np.lexsort((-figure[near], candidates["segments"].to_numpy()[near]))
    return int(near[order[0]])

"""The rule that chooses: gates first, then prediction, then within one standard error simpler."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from pipeline.core.run.params import StageParams

Matrix = NDArray[np.float64]
Rows = NDArray[np.intp]


class Gates(StageParams):
    """What a candidate must reach before its prediction counts.

    Jaccard and prediction strength must reach theirs by more than one standard error.
    """

    minimum_share: float = Field(gt=0, lt=1)
    maximum_segments: int = Field(ge=2)
    same_stage: float = Field(ge=0, le=1)
    rises_by_ageing: float = Field(ge=0, le=1)
    jaccard: float = Field(ge=0, le=1)
    prediction_strength: float = Field(ge=0, le=1)


@dataclass(frozen=True)
class Choice:
    """Row numbers of the choice and the runner-up, and what the choice rests on.

    `passed` says whether the choice passed every gate; `best` is the row of the highest
    prediction among its equals, from which the choice is within one standard error; `support` is
    the share of resamples of customers in which the same rule chooses the same.
    """

    chosen: int
    runner_up: int
    best: int
    passed: bool
    support: float


def failed_gates(candidates: pd.DataFrame, gates: Gates) -> pd.Series:
    """For each candidate the gates that it fails, as `figure value < gate`; empty where none."""
    return pd.Series(
        [_failures(row, gates) for _, row in candidates.iterrows()],
        index=candidates.index,
        dtype="str",
    )


def _failures(row: pd.Series, gates: Gates) -> str:
    failures = []
    if row["segments"] > gates.maximum_segments:
        failures.append(f"segments {row['segments']} > {gates.maximum_segments}")
    if row["segments"] < 2:
        failures.append("segments 1 < 2")
    if row["smallest_share"] < gates.minimum_share:
        failures.append(f"smallest_share {row['smallest_share']:.4f} < {gates.minimum_share}")
    if row["same_stage"] < gates.same_stage:
        failures.append(f"same_stage {row['same_stage']:.3f} < {gates.same_stage}")
    if row["rises_by_ageing"] > gates.rises_by_ageing:
        failures.append(f"rises_by_ageing {row['rises_by_ageing']:.4f} > {gates.rises_by_ageing}")
    for figure in ("jaccard", "prediction_strength"):
        least, error = getattr(gates, figure), row[f"{figure}_se"]
        if row[figure] - error < least:  # a standard error off, so sure of it
            failures.append(f"{figure} {row[figure]:.3f} - {error:.3f} < {least}")
    return "; ".join(failures)


def shortfall(candidates: pd.DataFrame, gates: Gates) -> Matrix:
    """How far each candidate is from passing, summed over the gates as shares of what is asked."""

    def below(figure: pd.Series, least: float) -> pd.Series:
        return (1 - figure / max(least, 1e-9)).clip(lower=0)

    surely = {f: candidates[f] - candidates[f"{f}_se"] for f in ("jaccard", "prediction_strength")}
    missing = (
        below(candidates["smallest_share"], gates.minimum_share)
        + below(candidates["same_stage"], gates.same_stage)
        + (candidates["rises_by_ageing"] - gates.rises_by_ageing).clip(lower=0)
        + below(surely["jaccard"], gates.jaccard)
        + below(surely["prediction_strength"], gates.prediction_strength)
        + (candidates["segments"] / gates.maximum_segments - 1).clip(lower=0)
        + (2 - candidates["segments"]).clip(lower=0) * 10.0
    )
    return np.asarray(missing, dtype=np.float64)


def finalists(candidates: pd.DataFrame, gates: Gates, at_most: int) -> Rows:
    """The candidates that more resamples may still let through, the best predicting first.

    Their stability lies within two standard errors of its gate or above it; where all fail
    another gate, those nearest to passing. The others are not chosen, whatever more would show.
    """
    hopeful = candidates.assign(
        **{f: candidates[f] + 3 * candidates[f"{f}_se"] for f in ("jaccard", "prediction_strength")}
    )
    missing = np.where(candidates["is_baseline"], np.inf, shortfall(hopeful, gates))
    nearest = 0.0  # of those that may still pass; where none may, of as many as are measured again
    if missing.min() > 0:
        nearest = np.sort(missing)[min(at_most, len(missing)) - 1]
    eligible = np.flatnonzero((missing <= nearest) & np.isfinite(missing))
    order = np.lexsort((-candidates["eta_squared"].to_numpy()[eligible], missing[eligible]))
    return np.sort(eligible[order][:at_most])


def choose(
    candidates: pd.DataFrame, spreads: Matrix, gates: Gates, among: Rows | None = None
) -> Choice:
    """Choose among the candidates that are no baselines, or of these only `among`.

    `spreads` (candidates, resamples) are the resampled eta squared. Of those that pass (where
    none does, those nearest to passing) the best by eta squared is found; of those that lie
    within one standard error of it, the simplest is taken: a grid, whose names say what they ask,
    before others, and of these the one with fewest segments. The standard error is that of the
    difference, over the same resampled customers: much of the spread of two candidates is the
    same customers' luck. The rule is applied in every resample, and what most resamples choose is
    chosen.
    """
    open_to = ~candidates["is_baseline"].to_numpy()
    if among is not None:
        open_to &= np.isin(np.arange(len(candidates)), among)
    missing = np.where(open_to, shortfall(candidates, gates), np.inf)
    least = float(missing.min())
    eligible = np.flatnonzero(missing <= least)
    chosen, support = _voted(candidates, spreads, eligible)
    _, best = _best(candidates, spreads, eligible)
    others = eligible[eligible != chosen]
    if len(others) == 0:
        missing[chosen] = np.inf
        others = np.flatnonzero(missing <= missing.min())
    runner_up, _ = _best(candidates, spreads, others)
    return Choice(chosen, runner_up, best, passed=least == 0.0, support=support)


def simplicity(candidates: pd.DataFrame) -> Rows:
    """A number that is less for what is simpler. Finer grids are the same borders, named finer."""
    is_grid = candidates["algorithm"] == "grid"
    return np.asarray(candidates["segments"].where(~is_grid, 0), dtype=np.intp)


def _voted(candidates: pd.DataFrame, spreads: Matrix, rows: Rows) -> tuple[int, float]:
    """What the rule chooses in most resamples, and in what share of them."""
    simple = simplicity(candidates)[rows]
    drawn = spreads[rows]
    error = (drawn[:, None, :] - drawn[None, :, :]).std(axis=2)
    votes = np.zeros(len(rows), dtype=np.int64)
    for values in drawn.T:
        best = int(np.argmax(values))
        near = np.flatnonzero(values[best] - values <= error[best])
        votes[near[np.lexsort((-values[near], simple[near]))[0]]] += 1
    figure = candidates["eta_squared"].to_numpy()[rows]
    winner = int(np.lexsort((-figure, -votes))[0])
    return int(rows[winner]), float(votes[winner] / votes.sum())


def _best(candidates: pd.DataFrame, spreads: Matrix, rows: Rows) -> tuple[int, int]:
    figure = candidates["eta_squared"].to_numpy()
    best = rows[int(np.argmax(figure[rows]))]
    error = (spreads[rows] - spreads[best]).std(axis=1)
    near = rows[figure[best] - figure[rows] <= error]
    order = np.lexsort((-figure[near], simplicity(candidates)[near]))
    return int(near[order[0]]), int(best)


def reasons(
    candidates: pd.DataFrame, spreads: Matrix, choice: Choice, gates: Gates
) -> pd.DataFrame:
    """One row per family: its best candidate, the verdict, and the figures that it rests on."""
    missing = shortfall(candidates, gates)
    families = candidates.groupby(["algorithm", "features", "transform"], sort=True)
    rows = []
    for (algorithm, features, transform), members in families:
        own = np.asarray(members.index)
        if choice.chosen in own:
            best = choice.chosen
        else:
            near = own[missing[own] <= missing[own].min()]
            best, _ = _best(candidates, spreads, near)
        row = candidates.loc[best]
        is_chosen = best == choice.chosen
        other = choice.best if is_chosen else best  # the choice is held against the best figure
        lead = candidates["eta_squared"][other] - candidates["eta_squared"][choice.chosen]
        error = float((spreads[choice.chosen] - spreads[other]).std())
        rows.append(
            {
                "family": f"{algorithm}/{features}/{transform}",
                "best_candidate": row["candidate"],
                "is_baseline": row["is_baseline"],
                "passed": int((missing[own] == 0).sum()),
                "tried": len(own),
                "share_of_reference": row["share_of_reference"],
                "verdict": "chosen"
                if is_chosen
                else "baseline"
                if row["is_baseline"]
                else "runner-up"
                if best == choice.runner_up and missing[best] == 0
                else "rejected",
                "failed_gates": row["failed_gates"],
                "compared_with": candidates["candidate"][other],
                "segments": int(candidates["segments"][other]),
                "lead": round(float(lead), 6),
                "lead_se": round(error, 6),
                "support": choice.support if is_chosen else None,
            }
        )
    return pd.DataFrame(rows)

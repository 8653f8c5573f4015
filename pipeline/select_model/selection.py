"""The rule that chooses: gates first, then prediction, then within one standard error fewer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Gates:
    """What a candidate must reach before its prediction counts."""

    minimum_share: float
    jaccard: float
    prediction_strength: float
    maximum_segments: int


@dataclass(frozen=True)
class Choice:
    """Row numbers of the choice and the runner-up, and what the choice rests on.

    `passed` says whether the choice passed every gate; `best` is the row of the highest
    prediction among its equals, from which the choice is within one standard error.
    """

    chosen: int
    runner_up: int
    best: int
    passed: bool


def failed_gates(candidates: pd.DataFrame, gates: Gates) -> pd.Series:
    """For each candidate the gates that it fails, in words and numbers; empty where none."""
    return pd.Series(
        [_failures(row, gates) for _, row in candidates.iterrows()],
        index=candidates.index,
        dtype="str",
    )


def _failures(row: pd.Series, gates: Gates) -> str:
    failures = []
    if row["segments"] > gates.maximum_segments:
        failures.append(f"{row['segments']} segments, at most {gates.maximum_segments}")
    if row["segments"] < 2:
        failures.append("a single segment")
    if row["smallest_share"] < gates.minimum_share:
        failures.append(
            f"smallest segment {row['smallest_share']:.1%}, at least {gates.minimum_share:.1%}"
        )
    if row["jaccard"] < gates.jaccard:
        failures.append(f"Jaccard {row['jaccard']:.2f}, at least {gates.jaccard:.2f}")
    if row["prediction_strength"] < gates.prediction_strength:
        failures.append(
            f"prediction strength {row['prediction_strength']:.2f}, "
            f"at least {gates.prediction_strength:.2f}"
        )
    return "; ".join(failures)


def shortfall(candidates: pd.DataFrame, gates: Gates) -> Matrix:
    """How far each candidate is from passing, summed over the gates as shares of what is asked."""
    missing = (
        (1 - candidates["smallest_share"] / gates.minimum_share).clip(lower=0)
        + (1 - candidates["jaccard"] / max(gates.jaccard, 1e-9)).clip(lower=0)
        + (1 - candidates["prediction_strength"] / max(gates.prediction_strength, 1e-9)).clip(
            lower=0
        )
        + (candidates["segments"] / gates.maximum_segments - 1).clip(lower=0)
        + (2 - candidates["segments"]).clip(lower=0) * 10.0
    )
    return np.asarray(missing, dtype=np.float64)


def choose(candidates: pd.DataFrame, spreads: Matrix, gates: Gates) -> Choice:
    """Choose among the candidates that are no baselines.

    `spreads` (candidates, resamples) are the resampled eta squared. Of those that pass (where
    none does, those nearest to passing) the best by eta squared is found; of those that lie
    within one standard error of it, the one with fewest segments is taken. The standard error is
    that of the difference, over the same resampled customers: much of the spread of two
    candidates is the same customers' luck.
    """
    open_to = ~candidates["is_baseline"].to_numpy()
    missing = np.where(open_to, shortfall(candidates, gates), np.inf)
    eligible = np.flatnonzero(missing <= missing.min())
    chosen, best = _best(candidates, spreads, eligible)
    others = eligible[eligible != chosen]
    if len(others) == 0:
        missing[chosen] = np.inf
        others = np.flatnonzero(missing <= missing.min())
    runner_up, _ = _best(candidates, spreads, others)
    return Choice(chosen, runner_up, best, passed=float(missing[chosen]) == 0.0)


def _best(candidates: pd.DataFrame, spreads: Matrix, rows: Rows) -> tuple[int, int]:
    figure = candidates["eta_squared"].to_numpy()
    best = rows[int(np.argmax(figure[rows]))]
    error = (spreads[rows] - spreads[best]).std(axis=1)
    near = rows[figure[best] - figure[rows] <= error]
    order = np.lexsort((-figure[near], candidates["segments"].to_numpy()[near]))
    return int(near[order[0]]), int(best)


def reasons(
    candidates: pd.DataFrame, spreads: Matrix, choice: Choice, gates: Gates
) -> pd.DataFrame:
    """One row per family: its best candidate, the verdict and the reason in words and numbers."""
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
        verdict, reason = _verdict(candidates, spreads, choice, best=best, missing=missing, own=own)
        rows.append(
            {
                "family": f"{algorithm}/{features}/{transform}",
                "best_candidate": row["candidate"],
                "is_baseline": row["is_baseline"],
                "passed": int((missing[own] == 0).sum()),
                "tried": len(own),
                "eta_squared_of_ceiling": row["eta_squared_of_ceiling"],
                "verdict": verdict,
                "reason": reason,
            }
        )
    return pd.DataFrame(rows)


def _verdict(
    candidates: pd.DataFrame,
    spreads: Matrix,
    choice: Choice,
    *,
    best: int,
    missing: Matrix,
    own: Sequence[int] | Rows,
) -> tuple[str, str]:
    row, chosen = candidates.loc[best], candidates.loc[choice.chosen]
    own_share = f"{row['eta_squared_of_ceiling']:.0%} of the ceiling"
    if best == choice.chosen:
        return "chosen", _why_chosen(candidates, spreads, choice)
    lag = chosen["eta_squared"] - row["eta_squared"]
    error = float((spreads[choice.chosen] - spreads[best]).std())
    against = (
        f"foretells {own_share} with {row['segments']} segments; the choice explains "
        f"{abs(lag):.3f} {'less' if lag < 0 else 'more'} of the variance of later spend "
        f"(standard error {error:.3f})"
    )
    if row["is_baseline"]:
        return "baseline", f"for comparison only: {against}"
    if missing[best] > 0:
        return "rejected", f"none of {len(own)} passed; nearest: {row['failed_gates']}; {against}"
    if best == choice.runner_up:
        return "runner-up", f"passes every gate and {against}"
    return "rejected", f"passes the gates but {against}"


def _why_chosen(candidates: pd.DataFrame, spreads: Matrix, choice: Choice) -> str:
    row, best = candidates.loc[choice.chosen], candidates.loc[choice.best]
    gates = "passes every gate" if choice.passed else f"least bad: {row['failed_gates']}"
    figures = (
        f"{gates}; explains {row['eta_squared']:.3f} of the variance of later spend, "
        f"{row['eta_squared_of_ceiling']:.0%} of the ceiling"
    )
    if choice.best == choice.chosen:
        return f"{figures}: the most of all that pass as much"
    error = float((spreads[choice.chosen] - spreads[choice.best]).std())
    return (
        f"{figures}; {best['candidate']} explains {best['eta_squared'] - row['eta_squared']:.4f} "
        f"more, less than one standard error ({error:.4f}), with more segments"
    )

"""Drift: how far one day's customers are from another's, by the population stability index.

PSI = Σ (p − q) ln(p / q) over bins. The usual marks are 0.1 and 0.25 (Siddiqi, "Credit Risk
Scorecards", 2006). With no drift at all the index of two samples is about (1/n + 1/m) times a
chi-square with bins − 1 degrees of freedom (Yurdakul & Naranjo, 2020): what stays below its 95 %
point is noise.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2

Array = NDArray[np.float64]

SOME_DRIFT = 0.1
DRIFTED = 0.25
BINS = 10
SEGMENT_SHARES = "segment_shares"


def psi(sample: Array, reference: Array) -> float:
    """The index of two arrays of counts over the same bins.

    Half a customer is added to each bin, so that an empty one does not make it infinite.
    """
    p = (sample + 0.5) / (sample.sum() + 0.5 * len(sample))
    q = (reference + 0.5) / (reference.sum() + 0.5 * len(reference))
    return float(np.sum((p - q) * np.log(p / q)))


def noise_level(bins: int, n: float, m: float) -> float:
    """What 95 % of indices stay below when two samples of n and m come from one population."""
    if bins < 2 or min(n, m) == 0:
        return 0.0
    return float(chi2.ppf(0.95, bins - 1) * (1 / n + 1 / m))


def binned(values: Array, edges: Array) -> Array:
    """Counts in the bins between ascending edges, and of missing values in one bin more."""
    missing = np.isnan(values)
    counts = np.bincount(
        np.searchsorted(edges, values[~missing], side="right"), minlength=len(edges) + 1
    )
    return np.append(counts, missing.sum()).astype(float)


def decile_edges(values: Array) -> Array:
    """The distinct deciles of the values that are there."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return np.empty(0)
    return np.unique(np.quantile(known, np.arange(1, BINS) / BINS))


def value_drift(values: Array, others: Array) -> dict[str, Any]:
    """psi, noise and verdict of values against others, by the deciles of those."""
    edges = decile_edges(others)
    return _compared(binned(values, edges), binned(others, edges))


def group_drift(groups: Iterable[int], others: Iterable[int]) -> dict[str, Any]:
    """psi, noise and verdict of how two samples spread over the same groups, by number."""
    counts = pd.DataFrame({"here": pd.Series(groups).value_counts(),
                           "there": pd.Series(others).value_counts()}).fillna(0)  # fmt: skip
    return _compared(counts["here"].to_numpy(dtype=float), counts["there"].to_numpy(dtype=float))


def _compared(sample: Array, reference: Array) -> dict[str, Any]:
    used = (sample + reference) > 0
    index = psi(sample[used], reference[used])
    noise = noise_level(int(used.sum()), sample.sum(), reference.sum())
    return {
        "psi": round(max(index, 0.0), 6),
        "noise": round(noise, 6),
        "verdict": verdict(index, noise),
    }


def drift(
    customers: pd.DataFrame, segment: NDArray[np.int64], features: Mapping[str, str]
) -> pd.DataFrame:
    """Return the index of every feature and of the segment shares, snapshot by snapshot.

    `customers` are all snapshots, `segment` the segment_id of each row, `features` maps columns
    to what people call them. References: the last snapshot (the model was fitted on it) and the
    snapshot before.
    """
    dates = customers["snapshot_date"].to_numpy()
    days = sorted(set(dates))
    at = {day: dates == day for day in days}
    pairs = [("training", day, days[-1]) for day in days[:-1]]
    pairs += [("previous", b, a) for a, b in itertools.pairwise(days)]
    columns = {name: customers[name].to_numpy(dtype=float) for name in features}
    rows: list[dict[str, Any]] = []
    for reference, day, other in pairs:
        for name, title in {**features, SEGMENT_SHARES: "segment shares"}.items():
            if name == SEGMENT_SHARES:
                found = group_drift(segment[at[day]], segment[at[other]])
            else:
                found = value_drift(columns[name][at[day]], columns[name][at[other]])
            rows.append(
                {
                    "snapshot_date": day,
                    "reference": reference,
                    "reference_date": other,
                    "measure": name,
                    "measure_title": title,
                    **found,
                }
            )
    return pd.DataFrame(rows)


def verdict(index: float, noise: float) -> str:
    """Stable, some drift or drifted."""
    if index < SOME_DRIFT or index < noise:
        return "stable"
    return "some drift" if index < DRIFTED else "drifted"

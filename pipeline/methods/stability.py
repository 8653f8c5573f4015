"""Would another sample of customers, or a half of them, have given the same parts?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int64]
Matrix = NDArray[np.float64]


def jaccard_by_part(labels: Labels, again: Labels, size: int) -> Matrix:
    """Of each part (size,) the Jaccard similarity with the part of `again` most like it.

    Hennig (2007), Cluster-wise assessment of cluster stability. NaN for a part without members.
    """
    table = _crosstab(labels, again, size)
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0, keepdims=True) - table
    with np.errstate(invalid="ignore", divide="ignore"):
        similarity = np.where(union > 0, table / union, 0.0).max(axis=1)
    return np.asarray(np.where(table.sum(axis=1) > 0, similarity, np.nan))


def prediction_strength(test: Labels, trained: Labels, size: int) -> float:
    """The least share, over parts of the test half, of pairs that training keeps together.

    `test` (n,) are the parts found in the test half, `trained` (n,) the parts that the training
    half's partition gives the same rows. Tibshirani & Walther (2005), Cluster validation by
    prediction strength. Parts of a single member count as kept together.
    """
    table = _crosstab(test, trained, size).astype(np.float64)
    members = table.sum(axis=1)
    pairs = members * (members - 1)
    together = (table * (table - 1)).sum(axis=1)
    inside = members > 1
    return float((together[inside] / pairs[inside]).min()) if inside.any() else 0.0


def within_dispersion(points: Matrix, labels: Labels) -> float:
    """The pooled sum of squared distances to the parts' centres."""
    total = 0.0
    for label in np.unique(labels):
        own = points[labels == label]
        total += float(((own - own.mean(axis=0)) ** 2).sum())
    return total


def gap_statistic(
    points: Matrix,
    labels: Labels,
    partitioned: Callable[[Matrix, int], Labels],
    references: int,
    seed: int,
) -> tuple[float, float]:
    """The gap statistic and its standard error s(k), with squared distances.

    `partitioned(points, seed)` gives the labels of a reference set. References are uniform over
    the box of the principal axes. Tibshirani, Walther & Hastie (2001), Estimating the number of
    clusters in a data set via the gap statistic, with D as the sum of squared distances.
    """
    center = points.mean(axis=0)
    _, _, axes = np.linalg.svd(points - center, full_matrices=False)
    turned = (points - center) @ axes.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    rng = np.random.default_rng(seed)
    logs = []
    for number in range(references):
        reference = rng.uniform(low, high, size=turned.shape) @ axes + center
        spread = within_dispersion(reference, partitioned(reference, seed + number))
        logs.append(np.log(max(spread, 1e-12)))
    gap = float(np.mean(logs)) - float(np.log(max(within_dispersion(points, labels), 1e-12)))
    return gap, float(np.std(logs) * np.sqrt(1 + 1 / references))


def _crosstab(first: Labels, second: Labels, size: int) -> NDArray[np.int64]:
    columns = int(second.max(initial=0)) + 1
    counts = np.bincount(first * columns + second, minlength=size * columns)
    return counts.reshape(-1, columns)

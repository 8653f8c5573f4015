"""Would another sample of customers, or a half of them, have given the same clusters?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

Labels = NDArray[np.int64]
Matrix = NDArray[np.float64]
NATURAL_CLUSTERS = 0.8  # Tibshirani & Walther (2005)


def jaccard_by_cluster(labels: Labels, again: Labels, size: int) -> Matrix:
    """Of each cluster (size,) the Jaccard similarity with the cluster of `again` most like it.

    Hennig (2007), Cluster-wise assessment of cluster stability. NaN for a cluster without members.
    """
    table = _crosstab(labels, again, size)
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0, keepdims=True) - table
    with np.errstate(invalid="ignore", divide="ignore"):
        similarity = np.where(union > 0, table / union, 0.0).max(axis=1)
    return np.asarray(np.where(table.sum(axis=1) > 0, similarity, np.nan))


def prediction_strength(test: Labels, trained: Labels, size: int) -> float:
    """The least share, over clusters of the test half, of pairs that training keeps together.

    `test` (n,) are the clusters found in the test half, `trained` (n,) those that the training
    half's clustering gives the same rows. Tibshirani & Walther (2005), Cluster validation by
    prediction strength. Clusters of a single member count as kept
    together.
    """
    table = _crosstab(test, trained, size).astype(np.float64)
    members = table.sum(axis=1)
    pairs = members * (members - 1)
    together = (table * (table - 1)).sum(axis=1)
    inside = members > 1
    return float((together[inside] / pairs[inside]).min()) if inside.any() else 0.0


def within_dispersion(points: Matrix, labels: Labels) -> float:
    """The pooled sum of squared distances to the clusters' centres."""
    total = 0.0
    for label in np.unique(labels):
        own = points[labels == label]
        total += float(((own - own.mean(axis=0)) ** 2).sum())
    return total


def gap_statistic(
    points: Matrix,
    labelled: Callable[[Matrix, int], list[Labels]],
    references: int,
    seed: int,
) -> list[tuple[float, float]]:
    """For each k the gap statistic and its standard error s(k), with squared distances.

    `labelled(points, seed)` clusters any points, at every k. References are uniform over the box of
    the principal axes. Tibshirani, Walther & Hastie (2001), Estimating the number of clusters in
    a data set via the gap statistic, with D as the sum of squared distances.
    """
    center = points.mean(axis=0)
    _, _, axes = np.linalg.svd(points - center, full_matrices=False)
    turned = (points - center) @ axes.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    rng = np.random.default_rng(seed)
    own = _log_dispersions(points, labelled(points, seed))
    logs = []
    for number in range(references):
        reference = rng.uniform(low, high, size=turned.shape) @ axes + center
        logs.append(_log_dispersions(reference, labelled(reference, seed + number)))
    gaps = np.mean(logs, axis=0) - own
    errors = np.std(logs, axis=0) * np.sqrt(1 + 1 / references)
    return [(float(gap), float(error)) for gap, error in zip(gaps, errors, strict=True)]


def _log_dispersions(points: Matrix, labels: list[Labels]) -> Matrix:
    return np.log([max(within_dispersion(points, each), 1e-12) for each in labels])


def structure_of(points: Matrix, seed: int, permutations: int = 19) -> str:
    """Whether there are groups in `points` (n, m) at all: none, a continuum or clusters.

    None: clusters of k-means are no tighter than with each column shuffled by itself, so the
    columns have nothing to do with each other (a permutation test of the k at which they are
    tightest beside the shuffles; 19 of these, so at most 1 in 20 by chance).
    Clusters: for some k the halves agree (prediction strength of at least 0.8, the mark of
    Tibshirani & Walther) and the gap statistic is larger than for one cluster by a standard error.
    Otherwise a continuum: customers differ together, without borders but those that are drawn.
    """
    sizes = (2, 3, 4, 5, 6)
    rng = np.random.default_rng(seed)

    def labelled(some: Matrix, number: int) -> list[Labels]:
        return [
            np.asarray(KMeans(k, n_init=2, random_state=number).fit_predict(some), np.int64)
            for k in sizes
        ]

    own = _log_dispersions(points, labelled(points, seed))
    shuffled = np.array(
        [
            _log_dispersions(mixed, labelled(mixed, seed))
            for mixed in (
                np.column_stack([rng.permutation(c) for c in points.T]) for _ in range(permutations)
            )
        ]
    )
    every = np.vstack([own, shuffled])
    tightness = ((every.mean(axis=0) - every) / every.std(axis=0)).max(axis=1)
    if tightness[0] <= tightness[1:].max():
        return "none"
    strengths = np.mean([_halves(points, sizes, rng, seed) for _ in range(5)], axis=0)
    one = gap_statistic(points, lambda some, _: [np.zeros(len(some), np.int64)], 5, seed)
    none, none_error = one[0]
    gaps = gap_statistic(points, labelled, 5, seed)
    apart = [
        k
        for k, strength, (gap, error) in zip(sizes, strengths, gaps, strict=True)
        if strength >= NATURAL_CLUSTERS and gap > none + np.hypot(error, none_error)
    ]
    return f"{apart[-1]} clusters" if apart else "continuum"


def _halves(points: Matrix, sizes: tuple[int, ...], rng: np.random.Generator, seed: int) -> Matrix:
    half = rng.random(len(points)) < 0.5
    found = []
    for k in sizes:
        trained = KMeans(k, n_init=2, random_state=seed).fit(points[half])
        tested = KMeans(k, n_init=2, random_state=seed).fit(points[~half])
        given = np.asarray(trained.predict(points[~half]), np.int64)
        found.append(prediction_strength(np.asarray(tested.labels_, np.int64), given, k))
    return np.array(found)


def _crosstab(first: Labels, second: Labels, size: int) -> NDArray[np.int64]:
    columns = int(second.max(initial=0)) + 1
    counts = np.bincount(first * columns + second, minlength=size * columns)
    return counts.reshape(-1, columns)

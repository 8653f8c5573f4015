"""Ways to part customers: each fitted partition puts any row, seen or new, into one part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import HDBSCAN, BisectingKMeans, KMeans
from sklearn.mixture import GaussianMixture
from sklearn.tree import DecisionTreeRegressor

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]

SUPERVISED_ALGORITHMS = ("tree",)
CENTROID_ALGORITHMS = ("kmeans", "ward", "bisecting", "hdbscan")


@dataclass(frozen=True)
class Partition:
    """A fitted partition into parts 0 … size - 1.

    `kind` says how `part` is read: centroids (size, m), a mixture, a tree or edges of tiers.
    """

    kind: str
    size: int
    part: Any


def assign_parts(partition: Partition, points: Matrix) -> Labels:
    """The part (n,) of each point (n, m)."""
    if partition.kind == "centroids":
        return np.asarray(np.argmin(_squared_distances(points, partition.part), axis=1), np.int64)
    if partition.kind == "mixture":
        return np.asarray(partition.part.predict(points), dtype=np.int64)
    if partition.kind == "tree":
        tree, leaves = partition.part
        return np.asarray(np.searchsorted(leaves, tree.apply(points)), dtype=np.int64)
    if partition.kind == "rules":
        edges, cells = partition.part
        scores = [np.searchsorted(e, points[:, i], side="right") for i, e in enumerate(edges)]
        return np.asarray(cells[tuple(scores)], dtype=np.int64)
    return np.asarray(np.searchsorted(partition.part, points[:, 0], side="right"), dtype=np.int64)


def confidence_of(partition: Partition, points: Matrix) -> Matrix:
    """How clearly each point (n, m) lies in its part rather than in the next best: 0 to 1.

    Mixtures: the posterior probability. Otherwise the silhouette's way with centres for members,
    (b - a) / b for the distances a to the nearest and b to the next centre; for tiers and trees
    the distances of the point to its own part's edge, as a share of the part's half width.
    """
    if len(points) == 0 or partition.size < 2:
        return np.ones(len(points))
    if partition.kind == "mixture":
        return np.asarray(partition.part.predict_proba(points).max(axis=1))
    if partition.kind == "centroids":
        two = np.partition(np.sqrt(_squared_distances(points, partition.part)), 1, axis=1)
        return np.asarray(1.0 - two[:, 0] / np.maximum(two[:, 1], 1e-12))
    return np.ones(len(points))


def fit_partition(
    algorithm: str,
    points: Matrix,
    size: int,
    seed: int,
    outcomes: Matrix | None = None,
    *,
    starts: int = 3,
    quadratic_sample: int = 2000,
    minimum_share: float = 0.03,
) -> Partition:
    """Part `points` (n, m) into `size` parts (or fewer, where the algorithm finds fewer)."""
    if algorithm == "kmeans":
        model = KMeans(size, n_init=starts, random_state=seed).fit(points)
        return Partition("centroids", size, model.cluster_centers_)
    if algorithm == "bisecting":
        model = BisectingKMeans(
            size, n_init=1, random_state=seed, bisecting_strategy="largest_cluster"
        ).fit(points)
        return _centroids(points, model.labels_)
    if algorithm in ("mixture", "mixture_diag", "mixture_tied"):
        covariance = {"mixture": "full", "mixture_diag": "diag", "mixture_tied": "tied"}
        mixture = GaussianMixture(
            size,
            covariance_type=covariance[algorithm],
            reg_covar=1e-3,
            max_iter=100,
            tol=1e-2,
            random_state=seed,
        ).fit(points)
        return Partition("mixture", size, mixture)
    if algorithm == "ward":
        return ward_partitions(points, (size,), seed, quadratic_sample)[size]
    if algorithm == "hdbscan":
        some = sample_rows(len(points), quadratic_sample, seed)
        smallest = max(2, int(minimum_share * len(some)))
        labels = HDBSCAN(min_cluster_size=smallest, copy=True).fit(points[some]).labels_
        inside = labels >= 0
        if not inside.any():
            return Partition("centroids", 1, points.mean(axis=0, keepdims=True))
        return _centroids(points[some][inside], labels[inside])
    if algorithm == "tiers":
        shares = np.arange(1, size) / size
        return Partition("tiers", size, np.unique(np.quantile(points[:, 0], shares)))
    if algorithm == "tree":
        if outcomes is None:
            raise ValueError("a tree learns from later purchases, none were given")
        tree = DecisionTreeRegressor(
            max_leaf_nodes=size,
            min_samples_leaf=max(1, int(minimum_share * 1.2 * len(points))),
            random_state=seed,
        ).fit(points, outcomes)
        leaves = np.flatnonzero(tree.tree_.children_left == -1)
        return Partition("tree", len(leaves), (tree, leaves))
    raise ValueError(f"unknown algorithm {algorithm!r}")


def ward_partitions(
    points: Matrix, sizes: tuple[int, ...], seed: int, quadratic_sample: int
) -> dict[int, Partition]:
    """Ward's partition for every size from one dendrogram of a sample; others join the nearest."""
    some = np.ascontiguousarray(points[sample_rows(len(points), quadratic_sample, seed)])
    tree = linkage(some, method="ward")
    return {k: _centroids(some, fcluster(tree, k, criterion="maxclust")) for k in sizes}


def sample_rows(rows: int, at_most: int, seed: int) -> Labels:
    """Row numbers of a sample, in order; all of them where there are no more than `at_most`."""
    if rows <= at_most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, at_most, replace=False))


def _centroids(points: Matrix, labels: Labels) -> Partition:
    centers = np.array([points[labels == label].mean(axis=0) for label in np.unique(labels)])
    return Partition("centroids", len(centers), centers)


def _squared_distances(points: Matrix, centers: Matrix) -> Matrix:
    # Summed feature by feature, not by a matrix product: one row alone gives the same bits as in
    # a table of a million, which a BLAS does not promise.
    total = np.zeros((len(points), len(centers)))
    for feature in range(points.shape[1]):
        total += (points[:, feature, None] - centers[None, :, feature]) ** 2
    return total

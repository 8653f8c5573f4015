"""Ways to part customers: each fitted partition puts any row, seen or new, into one part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import HDBSCAN, BisectingKMeans, KMeans
from sklearn.mixture import GaussianMixture
from sklearn.tree import DecisionTreeRegressor

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]

# Learns from later purchases itself; the others part what a transform gives them.
SUPERVISED_ALGORITHMS = ("tree",)
# Have no centres in their coordinates to compare with those of uniform noise.
WITHOUT_GAP = ("tree", "tiers", "steps", "rules", "hdbscan")
MIXTURES = {"mixture": "full", "mixture_diag": "diag", "mixture_tied": "tied"}
AT_ALL_SIZES_AT_ONCE = ("ward", "tree", "hdbscan")
OUTER_SHARE = 0.05  # steps: customers below the first and above the last edge, each


@dataclass(frozen=True)
class Partition:
    """A fitted partition into parts 0 … size - 1.

    `kind` says how to read the rest: `centroids` (size, m) in `values`; `edges` (size - 1,) on
    the first coordinate in `values`; a `mixture` or a `tree` in `model`, the part of each of the
    tree's nodes and the spread of its features in `values`; `rules`: edges (m, 4) and the part of
    each cell.
    """

    kind: str
    size: int
    values: Any = None
    model: Any = None
    cells: Any = None


def assign_parts(partition: Partition, points: Matrix) -> Labels:
    """The part (n,) of each point (n, m)."""
    if len(points) == 0:
        return np.empty(0, dtype=np.int64)
    if partition.kind == "centroids":
        parts = np.argmin(_squared_distances(points, partition.values), axis=1)
    elif partition.kind == "edges":
        parts = np.searchsorted(partition.values, points[:, 0], side="right")
    elif partition.kind == "mixture":
        parts = partition.model.predict(points)
    elif partition.kind == "tree":
        parts = partition.values[0][partition.model.apply(points)]
    elif partition.kind == "rules":
        scores = [np.searchsorted(e, points[:, i], "right") for i, e in enumerate(partition.values)]
        parts = partition.cells[tuple(scores)]
    else:
        raise ValueError(f"unknown kind of partition {partition.kind!r}")
    return np.asarray(parts, dtype=np.int64)


def confidence_of(partition: Partition, points: Matrix) -> Matrix:
    """How clearly each point (n, m) lies in its part rather than in the next best, 0 to 1.

    Mixtures: the posterior probability. Centroids: 1 - a / b for the distances a to the nearest
    and b to the next centre. Edges: the distance to the nearest edge over half the part's width
    (an outer part is as wide as its neighbour). Trees: the distance to the nearest threshold on
    the way to the leaf, in standard deviations of that feature, at most 1. Rules are certain.
    """
    if len(points) == 0 or partition.size < 2 or partition.kind == "rules":
        return np.ones(len(points))
    if partition.kind == "mixture":
        return np.asarray(partition.model.predict_proba(points).max(axis=1))
    if partition.kind == "centroids":
        two = np.partition(np.sqrt(_squared_distances(points, partition.values)), 1, axis=1)
        return np.asarray(1.0 - two[:, 0] / np.maximum(two[:, 1], 1e-12))
    if partition.kind == "edges":
        edges = partition.values
        gap = np.diff(edges) if len(edges) > 1 else np.array([2.0 * np.ptp(points[:, 0]) + 1e-9])
        widths = np.concatenate([gap[:1], gap, gap[-1:]])[assign_parts(partition, points)]
        nearest = np.abs(points[:, [0]] - edges).min(axis=1)
        return np.asarray(np.minimum(2 * nearest / np.maximum(widths, 1e-12), 1.0))
    return _margin_in_tree(partition, points)


def fit_partitions(
    algorithm: str,
    points: Matrix,
    sizes: Sequence[int],
    seed: int,
    outcomes: Matrix | None = None,
    *,
    starts: int = 2,
    quadratic_sample: int = 1500,
    minimum_share: float = 0.03,
) -> list[Partition]:
    """Part `points` (n, m) into each of `sizes` parts (or fewer, where fewer are found).

    Ward grows one dendrogram of a sample for all sizes, everyone else joins the nearest centre;
    HDBSCAN finds its own number on a sample, and what it calls noise joins the nearest centre:
    nobody is left out.
    """
    if algorithm == "ward":
        some = np.ascontiguousarray(points[sample_rows(len(points), quadratic_sample, seed)])
        dendrogram = linkage(some, method="ward")
        return [_centroids(some, fcluster(dendrogram, k, criterion="maxclust")) for k in sizes]
    if algorithm == "tree":
        if outcomes is None:
            raise ValueError("a tree learns from later purchases, none were given")
        least = max(1, int(1.2 * minimum_share * len(points)))
        return _trees(points, outcomes, sizes, least)
    if algorithm == "hdbscan":
        some = points[sample_rows(len(points), quadratic_sample, seed)]
        smallest = max(2, int(minimum_share * len(some)))
        labels = HDBSCAN(min_cluster_size=smallest, copy=True).fit(some).labels_
        inside = labels >= 0 if (labels >= 0).any() else np.ones(len(labels), dtype=bool)
        return [_centroids(some[inside], labels[inside]) for _ in sizes]
    if algorithm not in AT_ONE_SIZE:
        raise ValueError(f"unknown algorithm {algorithm!r}")
    return [AT_ONE_SIZE[algorithm](points, k, seed, starts) for k in sizes]


def _kmeans(points: Matrix, size: int, seed: int, starts: int) -> Partition:
    model = KMeans(size, n_init=starts, random_state=seed).fit(points)
    return Partition("centroids", size, np.asarray(model.cluster_centers_))


def _bisecting(points: Matrix, size: int, seed: int, *_: int) -> Partition:
    model = BisectingKMeans(size, random_state=seed, bisecting_strategy="biggest_inertia")
    return _centroids(points, model.fit(points).labels_)


def _mixture(covariance: str, points: Matrix, size: int, seed: int, *_: int) -> Partition:
    model = GaussianMixture(
        size,
        covariance_type=covariance,
        reg_covar=1e-3,
        max_iter=40,
        tol=1e-2,
        random_state=seed,
    )
    return Partition("mixture", size, model=model.fit(points))


def _tiers(points: Matrix, size: int, *_: int) -> Partition:
    """Equal numbers of customers along the first coordinate."""
    return _edges(np.quantile(points[:, 0], np.arange(1, size) / size))


def _steps(points: Matrix, size: int, *_: int) -> Partition:
    """Equal distances along the first coordinate, but for the outer parts."""
    if size == 2:
        return _edges(np.quantile(points[:, 0], [0.5]))
    low, high = np.quantile(points[:, 0], [OUTER_SHARE, 1 - OUTER_SHARE])
    return _edges(np.linspace(low, high, size - 1))


def rfm_rules(points: Matrix, *_: int) -> Partition:
    """The trade's ten segments by the fifths of recency, frequency and monetary (n, 3).

    Champions, loyal, potential loyalists, new, promising, need attention, about to sleep, at
    risk, cannot lose, hibernating: by the recency score and the mean of the other two scores.
    """
    edges = np.quantile(points, [0.2, 0.4, 0.6, 0.8], axis=0).T
    names = {
        (5, 1): 3, (4, 1): 4, (3, 3): 5, (3, 1): 6, (3, 2): 6, (1, 5): 8, (2, 5): 8,
        (5, 4): 0, (5, 5): 0, (3, 4): 1, (3, 5): 1, (4, 4): 1, (4, 5): 1,
        (4, 2): 2, (4, 3): 2, (5, 2): 2, (5, 3): 2, (1, 3): 7, (1, 4): 7, (2, 3): 7, (2, 4): 7,
    }  # fmt: skip
    cells = np.full((5, 5, 5), 9)
    for late, often, much in np.ndindex(5, 5, 5):
        value = int(np.ceil((often + much) / 2)) + 1
        cells[late, often, much] = names.get((5 - late, value), 9)
    return Partition("rules", 10, edges, cells=cells)


def sample_rows(rows: int, at_most: int, seed: int) -> Labels:
    """Row numbers of a sample, in order; all of them where there are no more than `at_most`."""
    if rows <= at_most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, at_most, replace=False))


def _edges(edges: Matrix) -> Partition:
    distinct = np.unique(edges)  # equal values stay together, so there may be fewer parts
    return Partition("edges", len(distinct) + 1, distinct)


def _trees(points: Matrix, outcomes: Matrix, sizes: Sequence[int], least: int) -> list[Partition]:
    """One tree, grown to the largest size and cut back to each.

    The best split is made first and nodes are numbered as they come, two with each split: a tree
    of k leaves is the first 2 k - 1 nodes of a larger one.
    """
    tree = DecisionTreeRegressor(max_leaf_nodes=max(sizes), min_samples_leaf=least, random_state=0)
    tree.fit(points, outcomes)
    left, right = tree.tree_.children_left, tree.tree_.children_right
    spread = points.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    found = []
    for size in sizes:
        kept = min(2 * size - 1, len(left))
        leaf_of = np.arange(len(left))  # of a node that is cut off, the leaf that it lies in
        for node in range(len(left)):
            if left[node] != -1 and (left[node] >= kept or leaf_of[node] < node):
                leaf_of[[left[node], right[node]]] = leaf_of[node]
        leaves = [n for n in range(kept) if left[n] == -1 or left[n] >= kept]
        found.append(
            Partition("tree", len(leaves), [np.searchsorted(leaves, leaf_of), spread], tree)
        )
    return found


def _margin_in_tree(partition: Partition, points: Matrix) -> Matrix:
    spread, tree = partition.values[1], partition.model.tree_
    visited = partition.model.decision_path(points).tocsr()
    is_inner = (tree.children_left != -1) & (tree.children_left < 2 * partition.size - 1)
    inner = np.flatnonzero(is_inner[: 2 * partition.size - 1])
    margin = np.ones(len(points))
    for node in inner:
        rows = visited[:, [node]].nonzero()[0]
        feature = tree.feature[node]
        far = np.abs(points[rows, feature] - tree.threshold[node]) / spread[feature]
        margin[rows] = np.minimum(margin[rows], far)
    return margin


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


# From points (n, m), size, seed and starts (for what begins at random) to a partition.
AT_ONE_SIZE: Mapping[str, Callable[[Matrix, int, int, int], Partition]] = {
    "kmeans": _kmeans,
    "kmeans_trimmed": _kmeans,
    "bisecting": _bisecting,
    **{name: partial(_mixture, covariance) for name, covariance in MIXTURES.items()},
    "tiers": _tiers,
    "steps": _steps,
    "rules": rfm_rules,
}
ALGORITHMS = (*AT_ONE_SIZE, *AT_ALL_SIZES_AT_ONCE)

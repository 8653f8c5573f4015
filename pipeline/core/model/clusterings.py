"""Clusterings of customers: each puts any row, seen or new, into exactly one cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import scipy
from numpy.typing import NDArray

from pipeline.core.model.grid import NAMES, Grid

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]
Days = tuple[int | None, int | None]

OWN = "own_rules"  # declared, not fitted
# Learns from later purchases itself; the others cluster what a transform gives them.
SUPERVISED_ALGORITHMS = ("tree",)
# Have no centres in their coordinates to compare with those of uniform noise.
WITHOUT_GAP = ("tree", "tiers", "steps", "rfm_rules", "hdbscan", "grid", OWN)
AT_ALL_SIZES_AT_ONCE = ("ward", "tree", "hdbscan", "grid")
OUTER_SHARE = 0.05  # steps: customers below the first and above the last edge, each
BEYOND = 1e300  # above every figure; a definition holds no infinity


class Clustering(Protocol):
    """A fitted clustering into clusters 0 … size - 1."""

    @property
    def size(self) -> int:
        """How many clusters there are."""
        ...

    def assign(self, points: Matrix) -> Labels:
        """The cluster (n,) of each point (n, m)."""
        ...

    def confidence(self, points: Matrix) -> Matrix:
        """How clearly each point lies in its cluster rather than in the next best, 0 to 1."""
        ...


@dataclass(frozen=True)
class Centroids:
    """Every point belongs to the nearest of `centers` (size, m)."""

    centers: Matrix

    @property
    def size(self) -> int:
        """How many clusters there are."""
        return len(self.centers)

    def assign(self, points: Matrix) -> Labels:
        """The nearest centre of each point."""
        return np.asarray(np.argmin(self._squared_distances(points), axis=1), dtype=np.int64)

    def confidence(self, points: Matrix) -> Matrix:
        """1 - a / b for the distances a to the nearest and b to the next centre."""
        if self.size < 2:
            return np.ones(len(points))
        two = np.partition(np.sqrt(self._squared_distances(points)), 1, axis=1)
        return np.asarray(1.0 - two[:, 0] / np.maximum(two[:, 1], 1e-12))

    def _squared_distances(self, points: Matrix) -> Matrix:
        # Summed feature by feature, not by a matrix product: one row alone gives the same bits as
        # in a table of a million, which a BLAS does not promise.
        total = np.zeros((len(points), len(self.centers)))
        for feature in range(points.shape[1]):
            total += (points[:, feature, None] - self.centers[None, :, feature]) ** 2
        return total


@dataclass(frozen=True)
class Boxes:
    """Clusters by thresholds: steps of one coordinate, the leaves of a tree, declared rules.

    Box b of `boxes` (b, m, 2) holds what is from its first to below its second value, in every
    coordinate m; `cluster` (b,) is its cluster. `scale` (b, m) is the distance from a threshold at
    which a point lies clearly inside, 0 where a threshold is certain.
    """

    boxes: Matrix
    cluster: Labels
    scale: Matrix

    @classmethod
    def between(cls, edges: Matrix, spread: float) -> Boxes:
        """The first coordinate cut at `edges`; an outer interval counts as wide as its neighbour.

        `spread` stands for the width where there is one edge alone.
        """
        edges = np.unique(edges)  # equal values stay together, so there may be fewer clusters
        bounds = np.concatenate([[-BEYOND], edges, [BEYOND]])
        gap = np.diff(edges) if len(edges) > 1 else np.array([spread])
        width = np.concatenate([gap[:1], gap, gap[-1:]])[: len(edges) + 1, None]
        cuts = np.column_stack([bounds[:-1], bounds[1:]])[:, None]
        return cls(cuts, np.arange(len(cuts)), width / 2)

    @property
    def size(self) -> int:
        """How many clusters there are."""
        return int(self.cluster.max()) + 1

    def fits(self, points: Matrix) -> NDArray[np.bool_]:
        """Whether each point is in each box (n, boxes)."""
        found = np.ones((len(points), len(self.boxes)), dtype=bool)
        for column in range(self.boxes.shape[1]):
            value = points[:, column, None]
            found &= (value >= self.boxes[:, column, 0]) & (value < self.boxes[:, column, 1])
        return found

    def assign(self, points: Matrix) -> Labels:
        """The cluster of the box that each point is in."""
        return np.asarray(self.cluster[np.argmax(self.fits(points), axis=1)], dtype=np.int64)

    def confidence(self, points: Matrix) -> Matrix:
        """The distance to the nearest threshold of the box by its scale, at most 1."""
        box = np.argmax(self.fits(points), axis=1)
        found = np.ones(len(points))
        for column in range(self.boxes.shape[1]):
            apart = np.abs(points[:, column, None] - self.boxes[box, column]).min(axis=1)
            scale = self.scale[box, column]
            found = np.minimum(found, np.where(scale > 0, apart / np.maximum(scale, 1e-12), 1.0))
        return found


@dataclass(frozen=True)
class Mixture:
    """A mixture of normal distributions, as scikit-learn's GaussianMixture fitted it."""

    weights: Matrix
    means: Matrix
    precisions_cholesky: Matrix

    @property
    def size(self) -> int:
        """How many clusters there are."""
        return len(self.weights)

    def assign(self, points: Matrix) -> Labels:
        """The most probable component of each point."""
        if not len(points):
            return np.empty(0, dtype=np.int64)
        return np.asarray(self.model.predict(points), dtype=np.int64)

    def confidence(self, points: Matrix) -> Matrix:
        """The posterior probability of the component."""
        if not len(points):
            return np.empty(0)
        return np.asarray(self.model.predict_proba(points).max(axis=1))

    @property
    def model(self) -> GaussianMixture:
        """The model of scikit-learn."""
        from sklearn.mixture import GaussianMixture

        model = GaussianMixture(self.size)
        model.weights_, model.means_ = self.weights, self.means
        model.precisions_cholesky_ = self.precisions_cholesky
        return model


@dataclass(frozen=True)
class RfmRules:
    """The industry's ten RFM groups, by scores 1 to 5 of recency, frequency and monetary.

    A score is one more than how many of a column's four `cuts` (3, 4) a value reaches; few days of
    recency score high. Champions, loyal, potential loyalists, new, promising, need attention,
    about to sleep, at risk, cannot lose, hibernating: by the recency score and the mean of the
    other two.
    """

    cuts: Matrix

    @property
    def size(self) -> int:
        """How many clusters there are."""
        return len(RFM_GROUPS)

    def assign(self, points: Matrix) -> Labels:
        """The group of each point (recency, frequency, monetary)."""
        scores = [np.searchsorted(cuts, points[:, i], "right") for i, cuts in enumerate(self.cuts)]
        recency = 5 - scores[0]
        value = np.ceil((scores[1] + scores[2]) / 2).astype(np.int64) + 1
        return RFM_CELLS[recency, value]

    def confidence(self, points: Matrix) -> Matrix:
        """Rules are certain."""
        return np.ones(len(points))


RFM_GROUPS = (
    "champions", "loyal", "potential_loyalists", "new", "promising", "need_attention",
    "about_to_sleep", "at_risk", "cannot_lose", "hibernating",
)  # fmt: skip
RFM_CELLS = np.full((6, 6), RFM_GROUPS.index("hibernating"))  # recency score x value score
for _group, _cells in {
    "champions": [(5, 4), (5, 5)],
    "loyal": [(3, 4), (3, 5), (4, 4), (4, 5)],
    "potential_loyalists": [(4, 2), (4, 3), (5, 2), (5, 3)],
    "new": [(5, 1)],
    "promising": [(4, 1)],
    "need_attention": [(3, 3)],
    "about_to_sleep": [(3, 1), (3, 2)],
    "at_risk": [(1, 3), (1, 4), (2, 3), (2, 4)],
    "cannot_lose": [(1, 5), (2, 5)],
}.items():
    RFM_CELLS[tuple(np.transpose(_cells))] = RFM_GROUPS.index(_group)


def fit_clusterings(
    algorithm: str,
    points: Matrix,
    sizes: Sequence[int],
    seed: int,
    outcomes: Matrix | None = None,
    *,
    starts: int = 2,
    quadratic_sample: int = 1500,
    minimum_share: float = 0.03,
    days: Days = (None, None),
) -> list[Clustering]:
    """Cluster `points` (n, m) into each of `sizes` clusters (or fewer, where fewer are found).

    Ward grows one dendrogram of a sample for all sizes, everyone else joins the nearest centre;
    HDBSCAN finds its own number on a sample, and what it calls noise joins the nearest centre:
    nobody is left out. `days` are where a grid's stages end, as declared.
    """
    if algorithm == "grid":
        return [Grid.fitted(points, min(max(k, min(NAMES)), max(NAMES)), *days) for k in sizes]
    if algorithm == "ward":
        some = np.ascontiguousarray(points[sample_rows(len(points), quadratic_sample, seed)])
        hierarchy = scipy.cluster.hierarchy
        dendrogram = hierarchy.linkage(some, method="ward")
        labels = [hierarchy.fcluster(dendrogram, k, criterion="maxclust") for k in sizes]
        return [_centroids(some, of_size) for of_size in labels]
    if algorithm == "tree":
        if outcomes is None:
            raise ValueError("a tree learns from later purchases, none were given")
        least = max(1, int(1.2 * minimum_share * len(points)))
        return list(_trees(points, outcomes, sizes, least))
    if algorithm == "hdbscan":
        from sklearn.cluster import HDBSCAN

        some = points[sample_rows(len(points), quadratic_sample, seed)]
        smallest = max(2, int(minimum_share * len(some)))
        labels = HDBSCAN(min_cluster_size=smallest, copy=True).fit(some).labels_
        inside = labels >= 0 if (labels >= 0).any() else np.ones(len(labels), dtype=bool)
        return [_centroids(some[inside], labels[inside]) for _ in sizes]
    if algorithm not in AT_ONE_SIZE:
        raise ValueError(f"unknown algorithm {algorithm!r}")
    if algorithm == "mixture":
        points = points[sample_rows(len(points), quadratic_sample, seed)]
    return [AT_ONE_SIZE[algorithm](points, k, seed, starts) for k in sizes]


def _kmeans(points: Matrix, size: int, seed: int, starts: int) -> Centroids:
    from sklearn.cluster import KMeans

    return Centroids(KMeans(size, n_init=starts, random_state=seed).fit(points).cluster_centers_)


def _bisecting(points: Matrix, size: int, seed: int, *_: int) -> Centroids:
    from sklearn.cluster import BisectingKMeans

    model = BisectingKMeans(size, random_state=seed, bisecting_strategy="biggest_inertia")
    return _centroids(points, model.fit(points).labels_)


def _mixture(points: Matrix, size: int, seed: int, *_: int) -> Mixture:
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(size, reg_covar=1e-3, max_iter=40, tol=1e-2, random_state=seed)
    model.fit(points)
    return Mixture(model.weights_, model.means_, model.precisions_cholesky_)


def _tiers(points: Matrix, size: int, *_: int) -> Boxes:
    """Equal numbers of customers along the first coordinate."""
    edges = np.quantile(points[:, 0], np.arange(1, size) / size)
    return Boxes.between(edges, float(points[:, 0].std()))


def _steps(points: Matrix, size: int, *_: int) -> Boxes:
    """Equal distances along the first coordinate, but for the outer clusters."""
    if size == 2:
        return _tiers(points, size)
    low, high = np.quantile(points[:, 0], [OUTER_SHARE, 1 - OUTER_SHARE])
    return Boxes.between(np.linspace(low, high, size - 1), float(points[:, 0].std()))


def _rfm_rules(points: Matrix, *_: int) -> RfmRules:
    """The ten groups with a fifth of the customers in each score."""
    return RfmRules(np.quantile(points, [0.2, 0.4, 0.6, 0.8], axis=0).T)


def sample_rows(rows: int, at_most: int, seed: int) -> Labels:
    """Row numbers of a sample, in order; all of them where there are no more than `at_most`."""
    if rows <= at_most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, at_most, replace=False))


def _trees(points: Matrix, outcomes: Matrix, sizes: Sequence[int], least: int) -> list[Boxes]:
    """The leaves of one tree, grown to the largest size and cut back to each.

    The best split is made first and nodes are numbered as they come, two with each split: a tree
    of k leaves is the first 2 k - 1 nodes of a larger one.
    """
    from sklearn.tree import DecisionTreeRegressor

    model = DecisionTreeRegressor(max_leaf_nodes=max(sizes), min_samples_leaf=least, random_state=0)
    tree = model.fit(points, outcomes).tree_
    boxes = np.full((tree.node_count, points.shape[1], 2), BEYOND) * [-1, 1]
    for node in np.flatnonzero(tree.feature >= 0):
        left, right, cut = tree.children_left[node], tree.children_right[node], tree.feature[node]
        boxes[left] = boxes[right] = boxes[node]
        boxes[left, cut, 1] = boxes[right, cut, 0] = np.nextafter(tree.threshold[node], np.inf)
    found = []
    for size in sizes:
        left = tree.children_left[: 2 * size - 1]
        leaves = boxes[: len(left)][(left < 0) | (left >= len(left))]
        spread = np.broadcast_to(points.std(axis=0), leaves.shape[:2])
        found.append(Boxes(leaves, np.arange(len(leaves)), spread))
    return found


def _centroids(points: Matrix, labels: Labels) -> Centroids:
    return Centroids(
        np.array([points[labels == label].mean(axis=0) for label in np.unique(labels)])
    )


# From points (n, m), size, seed and starts (for what begins at random) to a clustering.
AT_ONE_SIZE: Mapping[str, Callable[[Matrix, int, int, int], Clustering]] = {
    "kmeans": _kmeans,
    "kmeans_trimmed": _kmeans,
    "bisecting": _bisecting,
    "mixture": _mixture,
    "tiers": _tiers,
    "steps": _steps,
    "rfm_rules": _rfm_rules,
}
ALGORITHMS = (*AT_ONE_SIZE, *AT_ALL_SIZES_AT_ONCE)

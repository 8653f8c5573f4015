"""Candidates = algorithm x feature set x transform x k: fitted, measured, judged by time."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field
from sklearn.metrics import (
    calinski_harabasz_score,
    davies_bouldin_score,
    pairwise_distances,
    silhouette_samples,
)

from pipeline.core.model.clusterings import (
    OWN,
    SUPERVISED_ALGORITHMS,
    WITHOUT_GAP,
    Clustering,
    Days,
    Mixture,
    fit_clusterings,
    sample_rows,
)
from pipeline.core.model.grid import Grid
from pipeline.core.model.transforms import (
    SUPERVISED_TRANSFORMS,
    Lesson,
    Raw,
    Transform,
    fit_transform,
)
from pipeline.core.run.params import StageParams
from pipeline.select_model.prediction import eta_squared, later_figures, resampled_figures
from pipeline.select_model.snapshots import GROUPS, Origin, Snapshot
from pipeline.select_model.stability import gap_statistic, jaccard_by_cluster, prediction_strength

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]

RECENT_PAST = 3  # snapshots


@dataclass(frozen=True)
class Family:
    """What is tried at several k: they share their transform, resamples and reference sets."""

    algorithm: str
    features: str
    transform: str
    sizes: tuple[int, ...]
    is_baseline: bool = False

    @property
    def name(self) -> str:
        """Such as kmeans/rfm/log."""
        return f"{self.algorithm}/{self.features}/{self.transform}"

    @property
    def learns_from_later(self) -> bool:
        """Whether it needs snapshots whose horizon is over."""
        return self.algorithm in SUPERVISED_ALGORITHMS or self.transform in SUPERVISED_TRANSFORMS

    def seed(self, base: int) -> int:
        """A seed of its own that depends on nothing but its name."""
        return zlib.crc32(f"{base} {self.name}".encode()) % (2**31)

    def at(self, *sizes: int) -> Family:
        """The family at these k alone; its seed, and so its clusterings, are the same."""
        return replace(self, sizes=sizes)


class Effort(StageParams):
    """How much is spent on each figure, and on how many customers."""

    resamples: int = Field(ge=2)
    splits: int = Field(ge=2)
    finalists: int = Field(ge=1)
    final_resamples: int = Field(ge=2)
    final_splits: int = Field(ge=2)
    gap_references: int = Field(ge=0)
    later_resamples: int = Field(ge=10)
    customers: int = Field(ge=100)
    quadratic_sample: int = Field(ge=100)


@dataclass(frozen=True)
class Setting:
    """What every candidate is fitted and measured under."""

    seed: int
    customers: int
    minimum_share: float
    effort: Effort
    days: Days = (None, None)
    own: Clustering | None = None


@dataclass(frozen=True)
class Fitted:
    """A fitted candidate: from the features of any rows to their clusters."""

    features: str
    transform: Transform
    clustering: Clustering

    def points(self, snapshot: Snapshot) -> Matrix:
        """Coordinates of the rows that a model decides."""
        return self.transform.apply(snapshot.features[self.features][snapshot.rows(None)])

    def labels(self, snapshot: Snapshot) -> Labels:
        """Cluster of each row; declared groups come after the clustering's clusters."""
        return labels_at_each_size([self], snapshot)[0]


def labels_at_each_size(fitted: Sequence[Fitted], snapshot: Snapshot) -> list[Labels]:
    """Cluster of each row for each of a family's sizes, which share one transform."""
    points, free = fitted[0].points(snapshot), snapshot.rows(None)
    found = []
    for each in fitted:
        labels = each.clustering.size + snapshot.group
        labels[free] = each.clustering.assign(points)
        found.append(np.asarray(labels, dtype=np.int64))
    return found


def fit_family(
    family: Family,
    now: Snapshot,
    past: Sequence[Snapshot],
    setting: Setting,
    seed: int,
    *,
    counts: Labels | None = None,
) -> list[Fitted]:
    """Fit at every k on `now`'s features; what learns from later purchases learns from `past`.

    `counts` (customers,) says how often each customer is taken, in every snapshot alike: a
    resample or a half.
    """
    if family.algorithm == OWN and setting.own is not None:
        return [Fitted(family.features, Raw(), setting.own)]
    own = now.features[family.features][now.rows(counts)]
    if family.algorithm == "kmeans_trimmed":  # the top 5% are left out of the fit
        own = own[(own <= np.quantile(own, 0.95, axis=0)).all(axis=1)]
    lessons: list[Lesson] = []
    if family.learns_from_later:
        taken = [(s, s.rows(counts)) for s in past]
        lessons = [(s.features[family.features][r], s.outcomes[r]) for s, r in taken if len(r)]
    transform = fit_transform(family.transform, own, lessons)
    points, outcomes = transform.apply(own), None
    if family.algorithm in SUPERVISED_ALGORITHMS:
        # Each snapshot by its own transform.
        each = [fit_transform(family.transform, x, lessons).apply(x) for x, _ in lessons]
        points, outcomes = np.vstack(each), np.concatenate([later for _, later in lessons])
    clusterings = fit_clusterings(
        family.algorithm,
        points,
        family.sizes,
        seed,
        outcomes,
        quadratic_sample=setting.effort.quadratic_sample,
        minimum_share=setting.minimum_share,
        days=setting.days,
    )
    return [Fitted(family.features, transform, clustering) for clustering in clusterings]


def value_of_clusters(labels: Labels, outcomes: Matrix, size: int) -> Matrix:
    """Mean outcome of each of `size` clusters; the mean of all where a cluster is empty."""
    count = np.bincount(labels, minlength=size)
    total = np.bincount(labels, weights=outcomes, minlength=size)
    return np.where(count > 0, total / np.maximum(count, 1), outcomes.mean())


def measure_family(
    family: Family,
    now: Snapshot,
    past: Sequence[Snapshot],
    origins: Sequence[Origin],
    *,
    later_weights: Matrix,
    setting: Setting,
) -> list[tuple[dict[str, Any], Matrix]]:
    """For each k the figures, and the resampled eta squared of each cut (origins, resamples).

    `later_weights` (resamples, customers) counts each customer in each resample, the same for
    every candidate, so that candidates can be compared customer by customer.
    """
    seed, effort = family.seed(setting.seed), setting.effort
    fitted = fit_family(family, now, past, setting, seed)
    shapes = shape_figures(family, fitted, now, setting, seed)
    meanings = meaning_figures(fitted, now, past)
    stabilities = stability_figures(
        family, now, past, setting, resamples=effort.resamples, splits=effort.splits
    )
    laters = later_purchase_figures(family, origins, later_weights, setting, seed)
    named = [
        {
            "candidate": f"{family.name}/{k}",
            "algorithm": family.algorithm,
            "features": family.features,
            "transform": family.transform,
            "k": k,
            "is_baseline": family.is_baseline,
        }
        for k in family.sizes
    ]
    return [
        (name | shape | meaning | stability | later, spread)
        for name, shape, meaning, stability, (later, spread) in zip(
            named, shapes, meanings, stabilities, laters, strict=True
        )
    ]


def shape_figures(
    family: Family, fitted: Sequence[Fitted], now: Snapshot, setting: Setting, seed: int
) -> list[dict[str, float | None]]:
    """For each k the sizes and the usual indices, in the family's own coordinates.

    Indices are taken on one sample of the customers, the same for every k.
    """
    points = fitted[0].points(now)
    some = sample_rows(len(points), setting.effort.quadratic_sample, setting.seed)
    space = np.log1p(points[some]) if family.transform == "raw" else points[some]
    center, spread = space.mean(axis=0), space.std(axis=0)
    space = (space - center) / np.where(spread > 0, spread, 1.0)
    gaps = _gaps(family, space, setting, seed)
    apart = pairwise_distances(space)
    return [
        _shape(each, points, some, space, apart, everyone=len(now.group)) | gap
        for each, gap in zip(fitted, gaps, strict=True)
    ]


def _shape(
    fitted: Fitted, points: Matrix, some: Labels, space: Matrix, apart: Matrix, *, everyone: int
) -> dict[str, float | None]:
    labels = fitted.clustering.assign(points)
    shares = np.unique(labels, return_counts=True)[1] / everyone
    figures: dict[str, float | None] = {
        "segments": len(shares),
        "smallest_share": float(shares.min()),
        "largest_share": float(shares.max()),
        "silhouette": None,
        "silhouette_se": None,
        "calinski_harabasz": None,
        "davies_bouldin": None,
        "bic": None,
    }
    if isinstance(fitted.clustering, Mixture):
        figures["bic"] = float(fitted.clustering.model.bic(points))
    here = labels[some]
    if 2 <= len(np.unique(here)) < len(here):
        each = silhouette_samples(apart, here, metric="precomputed")
        figures["silhouette"] = float(each.mean())
        figures["silhouette_se"] = float(each.std() / np.sqrt(len(each)))
        figures["calinski_harabasz"] = float(calinski_harabasz_score(space, here))
        figures["davies_bouldin"] = float(davies_bouldin_score(space, here))
    return figures


def _gaps(
    family: Family, space: Matrix, setting: Setting, seed: int
) -> list[dict[str, float | None]]:
    effort = setting.effort
    if not effort.gap_references or family.algorithm in WITHOUT_GAP:
        return [{"gap": None, "gap_se": None} for _ in family.sizes]

    def labelled(points: Matrix, number: int) -> list[Labels]:
        again = fit_clusterings(
            family.algorithm,
            points,
            family.sizes,
            number,
            starts=1,
            quadratic_sample=effort.quadratic_sample,
        )
        return [clustering.assign(points) for clustering in again]

    found = gap_statistic(space, labelled, effort.gap_references, seed)
    return [{"gap": gap, "gap_se": error} for gap, error in found]


def meaning_figures(
    fitted: Sequence[Fitted], now: Snapshot, past: Sequence[Snapshot]
) -> list[dict[str, float]]:
    """For each k whether a name can be true of all members, and whether ageing alone ever helps.

    `same_stage`: the share of customers in the stage of life (new, recent, slowing, lapsed) that
    most members of their segment are in. `rises_by_ageing`: the share who would be in a more
    valuable segment on some later day if they did nothing; the outcomes of `past` order them.
    """
    rhythm = now.rhythm[now.rows(None)]
    stage = Grid.fitted(rhythm, 11).life_stage(rhythm)
    found = []
    for each in fitted:
        value = segment_values(each, past)
        labels = each.labels(now)[now.rows(None)]
        table = np.zeros((each.clustering.size, int(stage.max()) + 1))
        np.add.at(table, (labels, stage), 1)
        rank, has_risen = value[labels], np.zeros(len(labels), dtype=bool)
        for older in now.older:
            later = value[each.labels(older)[older.rows(None)]]
            has_risen |= later > rank
            rank = later
        # What a shop declares means what it declares.
        is_own = each.features == OWN
        share = 1.0 if is_own else float(table.max(axis=1).sum() / len(labels))
        found.append({"same_stage": share, "rises_by_ageing": float(has_risen.mean())})
    return found


def segment_values(fitted: Fitted, past: Sequence[Snapshot]) -> Matrix:
    """The value of each cluster and group, by which segments are ordered: the mean outcome.

    The newest RECENT_PAST snapshots with outcomes count: one alone holds few lapsed customers in
    a young shop.
    """
    size = fitted.clustering.size
    newest = past[-RECENT_PAST:]
    labels = np.concatenate([fitted.labels(snapshot) for snapshot in newest])
    outcomes = np.concatenate([snapshot.outcomes for snapshot in newest])
    value = value_of_clusters(labels, outcomes, size + len(GROUPS))
    if isinstance(fitted.clustering, Grid):
        value[:size] = fitted.clustering.in_order(value[:size])
    return value


def stability_figures(
    family: Family,
    now: Snapshot,
    past: Sequence[Snapshot],
    setting: Setting,
    *,
    resamples: int,
    splits: int,
) -> list[dict[str, float]]:
    """For each k the cluster-wise Jaccard over resamples and prediction strength over halves.

    Customers are drawn, with all their snapshots; the same draws for every family. Each resample
    is fitted anew, transform and all, and compared on the customers as they are. The Jaccard of
    a cluster is its mean over the resamples; the least cluster's is what the gate asks.
    """
    seed, free = family.seed(setting.seed), now.rows(None)
    fitted = fit_family(family, now, past, setting, seed)
    labels = [each[free] for each in labels_at_each_size(fitted, now)]
    found: list[list[Matrix]] = [[] for _ in fitted]
    for number in range(resamples):
        rng = np.random.default_rng((setting.seed, 1, number))
        even = np.full(setting.customers, 1 / setting.customers)
        counts = rng.multinomial(setting.customers, even)
        again = fit_family(family, now, past, setting, seed + number, counts=counts)
        for n, anew in enumerate(labels_at_each_size(again, now)):
            found[n].append(jaccard_by_cluster(labels[n], anew[free], fitted[n].clustering.size))
    strengths: list[list[float]] = [[] for _ in fitted]
    for number in range(splits):
        half = np.random.default_rng((setting.seed, 2, number)).random(setting.customers) < 0.5
        trained, tested = (
            fit_family(family, now, past, setting, seed + number, counts=side.astype(np.int64))
            for side in (half, ~half)
        )
        rows = free[~half[now.customer[free]]]
        theirs, own = labels_at_each_size(trained, now), labels_at_each_size(tested, now)
        for n, other in enumerate(tested):
            size = other.clustering.size
            strengths[n].append(prediction_strength(own[n][rows], theirs[n][rows], size))
    return [_stability(np.array(j), np.array(s)) for j, s in zip(found, strengths, strict=True)]


def _stability(similar: Matrix, strengths: Matrix) -> dict[str, float]:
    similar = similar[:, ~np.isnan(similar).any(axis=0)]  # clusters without members
    each = similar.mean(axis=0)
    least = int(np.argmin(each))
    error = similar[:, least].std(ddof=1) / np.sqrt(len(similar))
    return {
        "resamples": len(similar),
        "jaccard": float(each[least]),
        "jaccard_se": float(error),
        "jaccard_mean": float(each.mean()),
        "prediction_strength": float(strengths.mean()),
        "prediction_strength_se": float(strengths.std(ddof=1) / np.sqrt(len(strengths))),
    }


def later_purchase_figures(
    family: Family,
    origins: Sequence[Origin],
    weights: Matrix,
    setting: Setting,
    seed: int,
) -> list[tuple[dict[str, float], Matrix]]:
    """For each k means over the rolling origins, their errors, and each cut's resampled η².

    Nothing of the cut's own horizon is used but to judge: neither for the fit, nor for the order
    of the segments, which comes from snapshots whose horizon was over.
    """
    fitted = [fit_family(family, o.cut, o.past, setting, seed) for o in origins]
    return [
        judged_by_later([each[n] for each in fitted], origins, weights)
        for n in range(len(family.sizes))
    ]


def judged_by_later(
    fitted: Sequence[Fitted], origins: Sequence[Origin], weights: Matrix
) -> tuple[dict[str, float], Matrix]:
    """Means over the origins of what segments say about later purchases, with their errors.

    `fitted` is the candidate as it stood at each origin. Also returns eta squared (origins,
    resamples) in each resample.
    """
    figures, etas = [], []
    others: dict[str, Matrix] = {}
    for each, origin in zip(fitted, origins, strict=True):
        labels, outcomes = each.labels(origin.cut), origin.cut.outcomes
        spend, drawn = np.expm1(outcomes), weights[:, origin.cut.customer]
        forecast = segment_values(each, origin.past)[labels]
        own = {"eta_squared": float(eta_squared(labels, outcomes)[0])}
        figures.append(own | vars(later_figures(forecast, outcomes, spend)))
        etas.append(eta_squared(labels, outcomes, drawn))
        for name, values in resampled_figures(forecast, spend, drawn).items():
            others[name] = others.get(name, 0.0) + values / len(origins)
    spread = np.array(etas)
    others["eta_squared"] = spread.mean(axis=0)
    means = {str(n): float(v) for n, v in pd.DataFrame(figures).mean().items()}
    return means | {f"{n}_se": float(v.std()) for n, v in others.items()}, spread

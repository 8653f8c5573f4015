"""Candidates = algorithm x feature set x transform x k: fitted, measured, judged by time."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import (
    calinski_harabasz_score,
    davies_bouldin_score,
    pairwise_distances,
    silhouette_samples,
)

from pipeline.core.model.partitions import (
    SUPERVISED_ALGORITHMS,
    WITHOUT_GAP,
    Partition,
    assign_parts,
    fit_partitions,
    sample_rows,
)
from pipeline.core.model.transforms import (
    SUPERVISED_TRANSFORMS,
    Lesson,
    Transform,
    apply_transform,
    fit_transform,
)
from pipeline.select_model.prediction import eta_squared, later_figures, resampled_figures
from pipeline.select_model.stability import gap_statistic, jaccard_by_part, prediction_strength

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]


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


@dataclass(frozen=True)
class Snapshot:
    """Customers of one snapshot: features per set (n, d), and outcomes where they are known.

    `group` (n,) is the declared group's number or -1 where a model decides; `customer` (n,)
    numbers the customers, alike in every snapshot.
    """

    date: str
    features: Mapping[str, Matrix]
    group: Labels
    customer: Labels
    spend: Matrix | None = None

    @property
    def outcomes(self) -> Matrix:
        """log1p of later spend (n,)."""
        if self.spend is None:
            raise ValueError(f"the horizon after {self.date} is not over")
        return np.log1p(self.spend)

    def rows(self, times: Labels | None) -> Labels:
        """Rows that a model decides; each as often as `times` (customers,) says of its customer."""
        free = np.flatnonzero(self.group < 0)
        return free if times is None else np.repeat(free, times[self.customer[free]])


@dataclass(frozen=True)
class Origin:
    """A rolling origin: `cut` is judged; the horizons of `past` were over at the cut."""

    cut: Snapshot
    past: tuple[Snapshot, ...]


@dataclass(frozen=True)
class Effort:
    """How much is spent on each figure, and on how many customers."""

    seed: int
    groups: int
    minimum_share: float
    customers: int
    resamples: int
    splits: int
    gap_references: int
    quadratic_sample: int


@dataclass(frozen=True)
class Fitted:
    """A fitted candidate: from the features of any rows to their parts."""

    features: str
    transform: Transform
    partition: Partition

    def points(self, snapshot: Snapshot) -> Matrix:
        """Coordinates of the rows that a model decides."""
        return apply_transform(
            self.transform, snapshot.features[self.features][snapshot.rows(None)]
        )

    def parts(self, snapshot: Snapshot) -> Labels:
        """Part of each row; declared groups come after the partition's parts."""
        return parts_at_each_size([self], snapshot)[0]


def parts_at_each_size(fitted: Sequence[Fitted], snapshot: Snapshot) -> list[Labels]:
    """Part of each row for each of a family's sizes, which share one transform."""
    points, free = fitted[0].points(snapshot), snapshot.rows(None)
    found = []
    for each in fitted:
        labels = each.partition.size + snapshot.group
        labels[free] = assign_parts(each.partition, points)
        found.append(np.asarray(labels, dtype=np.int64))
    return found


def fit_family(
    family: Family,
    now: Snapshot,
    past: Sequence[Snapshot],
    effort: Effort,
    seed: int,
    *,
    times: Labels | None = None,
) -> list[Fitted]:
    """Fit at every k on `now`'s features; what learns from later purchases learns from `past`.

    `times` (customers,) counts how often each customer is taken, in every snapshot alike: a
    resample or a half.
    """
    own = now.features[family.features][now.rows(times)]
    if family.algorithm == "kmeans_trimmed":  # the seed's way: the top 5 % cut off before the fit
        own = own[(own <= np.quantile(own, 0.95, axis=0)).all(axis=1)]
    lessons: list[Lesson] = []
    if family.learns_from_later:
        taken = [(s, s.rows(times)) for s in past]
        lessons = [(s.features[family.features][r], s.outcomes[r]) for s, r in taken if len(r)]
    transform = fit_transform(family.transform, own, lessons)
    points, outcomes = apply_transform(transform, own), None
    if family.algorithm in SUPERVISED_ALGORITHMS:
        points, outcomes = _laid_out(family.transform, lessons)
    partitions = fit_partitions(
        family.algorithm,
        points,
        family.sizes,
        seed,
        outcomes,
        quadratic_sample=effort.quadratic_sample,
        minimum_share=effort.minimum_share,
    )
    return [Fitted(family.features, transform, partition) for partition in partitions]


def _laid_out(kind: str, lessons: Sequence[Lesson]) -> tuple[Matrix, Matrix]:
    """The lessons' points, each snapshot by its own transform, and outcomes."""
    points = [apply_transform(fit_transform(kind, x, lessons), x) for x, _ in lessons]
    return np.vstack(points), np.concatenate([outcomes for _, outcomes in lessons])


def value_of_parts(parts: Labels, outcomes: Matrix, size: int) -> Matrix:
    """Mean outcome (n,) of each of `size` parts (n,); the mean of all where a part is empty."""
    count = np.bincount(parts, minlength=size)
    total = np.bincount(parts, weights=outcomes, minlength=size)
    return np.where(count > 0, total / np.maximum(count, 1), outcomes.mean())


def measure_family(
    family: Family,
    now: Snapshot,
    past: Sequence[Snapshot],
    origins: Sequence[Origin],
    *,
    later_weights: Matrix,
    effort: Effort,
) -> list[tuple[dict[str, Any], Matrix]]:
    """For each k the figures, and the resampled mean eta squared (resamples,).

    `later_weights` (resamples, customers) counts each customer in each resample, the same for
    every candidate, so that candidates can be compared customer by customer.
    """
    seed = family.seed(effort.seed)
    fitted = fit_family(family, now, past, effort, seed)
    shapes = shape_figures(family, fitted, now, effort, seed)
    stabilities = stability_figures(family, fitted, now, past, effort=effort, seed=seed)
    laters = later_purchase_figures(family, origins, later_weights, effort, seed)
    named = [
        {
            "candidate": f"{family.name}/{k}",
            "algorithm": family.algorithm,
            "features": family.features,
            "transform": family.transform,
            "k": k,
            "is_baseline": family.is_baseline,
            "segments": len(np.unique(assign_parts(each.partition, each.points(now)))),
        }
        for k, each in zip(family.sizes, fitted, strict=True)
    ]
    return [
        (name | shape | stability | later, spread)
        for name, shape, stability, (later, spread) in zip(
            named, shapes, stabilities, laters, strict=True
        )
    ]


def shape_figures(
    family: Family, fitted: Sequence[Fitted], now: Snapshot, effort: Effort, seed: int
) -> list[dict[str, float | None]]:
    """For each k the sizes and the usual indices, in the family's own coordinates.

    Indices are taken on one sample of the customers, the same for every k.
    """
    points = fitted[0].points(now)
    some = sample_rows(len(points), effort.quadratic_sample, effort.seed)
    space = np.log1p(points[some]) if family.transform == "raw" else points[some]
    center, spread = space.mean(axis=0), space.std(axis=0)
    space = (space - center) / np.where(spread > 0, spread, 1.0)
    gaps = _gaps(family, space, effort, seed)
    apart = pairwise_distances(space)
    return [
        _shape(each, points, some, space, apart, everyone=len(now.group)) | gap
        for each, gap in zip(fitted, gaps, strict=True)
    ]


def _shape(
    fitted: Fitted, points: Matrix, some: Labels, space: Matrix, apart: Matrix, *, everyone: int
) -> dict[str, float | None]:
    labels = assign_parts(fitted.partition, points)
    shares = np.unique(labels, return_counts=True)[1] / everyone
    figures: dict[str, float | None] = {
        "smallest_share": float(shares.min()),
        "largest_share": float(shares.max()),
        "silhouette": None,
        "silhouette_se": None,
        "calinski_harabasz": None,
        "davies_bouldin": None,
        "bic": None,
    }
    if fitted.partition.kind == "mixture":
        figures["bic"] = float(fitted.partition.model.bic(points))
    here = labels[some]
    if 2 <= len(np.unique(here)) < len(here):
        each = silhouette_samples(apart, here, metric="precomputed")
        figures["silhouette"] = float(each.mean())
        figures["silhouette_se"] = float(each.std() / np.sqrt(len(each)))
        figures["calinski_harabasz"] = float(calinski_harabasz_score(space, here))
        figures["davies_bouldin"] = float(davies_bouldin_score(space, here))
    return figures


def _gaps(
    family: Family, space: Matrix, effort: Effort, seed: int
) -> list[dict[str, float | None]]:
    if not effort.gap_references or family.algorithm in WITHOUT_GAP:
        return [{"gap": None, "gap_se": None} for _ in family.sizes]

    def labelled(points: Matrix, number: int) -> list[Labels]:
        again = fit_partitions(
            family.algorithm,
            points,
            family.sizes,
            number,
            starts=1,
            quadratic_sample=effort.quadratic_sample,
        )
        return [assign_parts(partition, points) for partition in again]

    found = gap_statistic(space, labelled, effort.gap_references, seed)
    return [{"gap": gap, "gap_se": error} for gap, error in found]


def stability_figures(
    family: Family,
    fitted: Sequence[Fitted],
    now: Snapshot,
    past: Sequence[Snapshot],
    *,
    effort: Effort,
    seed: int,
) -> list[dict[str, float]]:
    """For each k the cluster-wise Jaccard over resamples and prediction strength over halves.

    Customers are drawn, with all their snapshots; the same draws for every family. Each resample
    is fitted anew, transform and all, and compared on the customers as they are. The Jaccard of
    a part is its mean over the resamples; the least part's is what the gate asks.
    """
    free = now.rows(None)
    labels = [parts[free] for parts in parts_at_each_size(fitted, now)]
    sizes = [each.partition.size for each in fitted]
    found: list[list[Matrix]] = [[] for _ in fitted]
    for number in range(effort.resamples):
        rng = np.random.default_rng((effort.seed, 1, number))
        times = rng.multinomial(effort.customers, np.full(effort.customers, 1 / effort.customers))
        again = fit_family(family, now, past, effort, seed + number, times=times)
        for position, parts in enumerate(parts_at_each_size(again, now)):
            similar = jaccard_by_part(labels[position], parts[free], sizes[position])
            found[position].append(similar)
    strengths: list[list[float]] = [[] for _ in fitted]
    for number in range(effort.splits):
        half = np.random.default_rng((effort.seed, 2, number)).random(effort.customers) < 0.5
        trained = fit_family(family, now, past, effort, seed + number, times=half.astype(np.int64))
        tested = fit_family(
            family, now, past, effort, seed + number, times=(~half).astype(np.int64)
        )
        rows = free[~half[now.customer[free]]]
        theirs, its_own = parts_at_each_size(trained, now), parts_at_each_size(tested, now)
        for position, other in enumerate(tested):
            strengths[position].append(
                prediction_strength(
                    its_own[position][rows], theirs[position][rows], other.partition.size
                )
            )
    return [_stability(np.array(j), np.array(s)) for j, s in zip(found, strengths, strict=True)]


def _stability(similar: Matrix, strengths: Matrix) -> dict[str, float]:
    similar = similar[:, ~np.isnan(similar).any(axis=0)]  # parts without members
    each = similar.mean(axis=0)
    least = int(np.argmin(each))
    error = similar[:, least].std(ddof=1) / np.sqrt(len(similar))
    return {
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
    effort: Effort,
    seed: int,
) -> list[tuple[dict[str, float], Matrix]]:
    """For each k means over the rolling origins, their errors, and eta squared in each resample.

    Nothing of the cut's own horizon is used but to judge: neither for the fit, nor for the order
    of the segments, which is that of the latest snapshot whose horizon was over.
    """
    figures: list[list[dict[str, float]]] = [[] for _ in family.sizes]
    spreads: list[dict[str, Matrix]] = [{} for _ in family.sizes]
    for origin in origins:
        outcomes = origin.cut.outcomes
        spend = np.expm1(outcomes)
        own_weights = weights[:, origin.cut.customer]
        known = origin.past[-1]
        fitted = fit_family(family, origin.cut, origin.past, effort, seed)
        here, there = parts_at_each_size(fitted, origin.cut), parts_at_each_size(fitted, known)
        for position, (parts, earlier) in enumerate(zip(here, there, strict=True)):
            size = fitted[position].partition.size + effort.groups
            ranking = value_of_parts(earlier, known.outcomes, size)[parts]
            figures[position].append(vars(later_figures(parts, ranking, outcomes, spend)))
            resampled = resampled_figures(ranking, spend, own_weights)
            resampled["eta_squared"] = eta_squared(parts, outcomes, own_weights)
            for name, drawn in resampled.items():
                spreads[position][name] = spreads[position].get(name, 0.0) + drawn / len(origins)
    return [
        (
            {str(n): float(v) for n, v in pd.DataFrame(rows).mean().items()}
            | {f"{name}_se": float(drawn.std()) for name, drawn in spread.items()},
            spread["eta_squared"],
        )
        for rows, spread in zip(figures, spreads, strict=True)
    ]


def at_one_size(family: Family, k: int) -> Family:
    """The family at `k` alone; its seed, and so its partition, is the same."""
    return replace(family, sizes=(k,))

"""One candidate = algorithm x feature set x transform x k: fitted, measured, judged by time."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import (
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_samples,
)

from pipeline.methods.partitions import (
    SUPERVISED_ALGORITHMS,
    Partition,
    assign_parts,
    fit_partition,
    sample_rows,
)
from pipeline.methods.prediction import eta_squared, later_figures
from pipeline.methods.stability import gap_statistic, jaccard_by_part, prediction_strength
from pipeline.methods.transforms import (
    SUPERVISED_TRANSFORMS,
    Transform,
    apply_transform,
    fit_transform,
)

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Candidate:
    """What is tried."""

    algorithm: str
    features: str
    transform: str
    k: int
    is_baseline: bool = False

    @property
    def name(self) -> str:
        """Such as kmeans/rfm/log/6."""
        return f"{self.algorithm}/{self.features}/{self.transform}/{self.k}"

    @property
    def is_supervised(self) -> bool:
        """Whether it learns from later purchases, and so from an earlier snapshot."""
        return self.algorithm in SUPERVISED_ALGORITHMS or self.transform in SUPERVISED_TRANSFORMS

    def seed(self, base: int) -> int:
        """A seed of its own that depends on nothing but its name."""
        return zlib.crc32(f"{base} {self.name}".encode()) % (2**31)


@dataclass(frozen=True)
class Snapshot:
    """Customers of one snapshot: features per set (n, d), and outcomes where they are known.

    `group` (n,) is the declared group's number or -1 where a model decides; `customer` (n,)
    numbers the customers alike in every snapshot.
    """

    date: str
    features: Mapping[str, Matrix]
    group: Labels
    customer: Labels
    spend: Matrix | None = None

    @property
    def free(self) -> NDArray[np.bool_]:
        """Rows that a model decides."""
        return self.group < 0

    @property
    def outcomes(self) -> Matrix:
        """log1p of later spend (n,)."""
        if self.spend is None:
            raise ValueError(f"the horizon after {self.date} is not over")
        return np.log1p(self.spend)


@dataclass(frozen=True)
class Origin:
    """A rolling origin: `cut` is judged; `learn` is the latest snapshot known whole at the cut."""

    cut: Snapshot
    learn: Snapshot


@dataclass(frozen=True)
class Effort:
    """How much is spent on each figure."""

    seed: int
    groups: int
    minimum_share: float
    resamples: int
    splits: int
    gap_references: int
    quadratic_sample: int
    starts: int = 2


@dataclass(frozen=True)
class Fitted:
    """A fitted candidate: from the features of any rows to their parts."""

    features: str
    transform: Transform
    partition: Partition

    def points(self, snapshot: Snapshot) -> Matrix:
        """Coordinates of the snapshot's rows."""
        return apply_transform(self.transform, snapshot.features[self.features])

    def parts(self, snapshot: Snapshot) -> Labels:
        """Part of each row; declared groups come after the partition's parts."""
        labels = self.partition.size + snapshot.group
        free = snapshot.free
        labels[free] = assign_parts(
            self.partition,
            apply_transform(self.transform, snapshot.features[self.features][free]),
        )
        return np.asarray(labels, dtype=np.int64)


def fit_candidate(
    candidate: Candidate,
    now: Snapshot,
    learn: Snapshot,
    effort: Effort,
    seed: int,
    rows: tuple[Labels, Labels] | None = None,
) -> Fitted:
    """Fit on `now`'s features; what learns from later purchases learns from `learn` alone.

    `rows` picks rows of the free customers of now and of learn (a resample or a half).
    """
    own = now.features[candidate.features][now.free]
    past = learn.features[candidate.features][learn.free]
    later = learn.outcomes[learn.free] if candidate.is_supervised else np.zeros(len(past))
    if rows is not None:
        own, past, later = own[rows[0]], past[rows[1]], later[rows[1]]
    if candidate.transform in SUPERVISED_TRANSFORMS or candidate.algorithm == "tree":
        transform = fit_transform(candidate.transform, past, later, seed)
    else:
        transform = fit_transform(candidate.transform, own, None, seed)
    supervised = candidate.algorithm in SUPERVISED_ALGORITHMS
    partition = fit_partition(
        candidate.algorithm,
        apply_transform(transform, past if supervised else own),
        candidate.k,
        seed,
        later if supervised else None,
        starts=effort.starts,
        quadratic_sample=effort.quadratic_sample,
        minimum_share=effort.minimum_share,
    )
    return Fitted(candidate.features, transform, partition)


def value_of_parts(fitted: Fitted, learn: Snapshot, groups: int) -> Matrix:
    """Mean log1p later spend of each part at `learn`, groups included; the mean where empty."""
    parts, later = fitted.parts(learn), learn.outcomes
    size = fitted.partition.size + groups
    count = np.bincount(parts, minlength=size)
    total = np.bincount(parts, weights=later, minlength=size)
    return np.where(count > 0, total / np.maximum(count, 1), later.mean())


def measure(
    candidate: Candidate,
    now: Snapshot,
    learn: Snapshot,
    origins: Sequence[Origin],
    weights: Matrix,
    effort: Effort,
) -> tuple[dict[str, Any], Matrix]:
    """Figures of a candidate, and its resampled mean eta squared (resamples,).

    `weights` (resamples, customers) counts each customer in each resample, the same for every
    candidate, so that candidates can be compared customer by customer.
    """
    seed = candidate.seed(effort.seed)
    fitted = fit_candidate(candidate, now, learn, effort, seed)
    figures: dict[str, Any] = {"segments": fitted.partition.size}
    figures |= shape_figures(candidate, fitted, now, effort, seed)
    figures |= stability_figures(candidate, fitted, now, learn, effort, seed)
    later, spread = later_purchase_figures(candidate, origins, weights, effort, seed)
    return figures | later, spread


def shape_figures(
    candidate: Candidate, fitted: Fitted, now: Snapshot, effort: Effort, seed: int
) -> dict[str, float | None]:
    """Sizes and the usual indices, in the candidate's own coordinates."""
    points = fitted.points(now)[now.free]
    labels = assign_parts(fitted.partition, points)
    size = fitted.partition.size
    shares = np.bincount(labels, minlength=size) / len(now.group)
    figures: dict[str, float | None] = {
        "smallest_share": float(shares.min()),
        "largest_share": float(shares.max()),
        "silhouette": None,
        "silhouette_se": None,
        "calinski_harabasz": None,
        "davies_bouldin": None,
        "bic": None,
        "gap": None,
        "gap_se": None,
    }
    if fitted.partition.kind == "mixture":
        figures["bic"] = float(fitted.partition.part.bic(points))
    some = sample_rows(len(points), effort.quadratic_sample, seed)
    space = points[some] if points.shape[1] else points
    here = labels[some]
    if 2 <= len(np.unique(here)) < len(here):
        each = silhouette_samples(space, here)
        figures["silhouette"] = float(each.mean())
        figures["silhouette_se"] = float(each.std() / np.sqrt(len(each)))
        figures["calinski_harabasz"] = float(calinski_harabasz_score(space, here))
        figures["davies_bouldin"] = float(davies_bouldin_score(space, here))
    if effort.gap_references and candidate.algorithm not in ("tree", "tiers", "rules", "hdbscan"):

        def partitioned(reference: Matrix, number: int) -> Labels:
            again = fit_partition(
                candidate.algorithm,
                reference,
                candidate.k,
                number,
                starts=1,
                quadratic_sample=effort.quadratic_sample,
            )
            return assign_parts(again, reference)

        figures["gap"], figures["gap_se"] = gap_statistic(
            space, here, partitioned, effort.gap_references, seed
        )
    return figures


def stability_figures(
    candidate: Candidate,
    fitted: Fitted,
    now: Snapshot,
    learn: Snapshot,
    effort: Effort,
    seed: int,
) -> dict[str, float]:
    """Cluster-wise Jaccard over resamples, and prediction strength over halves.

    The Jaccard of a part is its mean over resamples; the least part's is what the gate asks.
    """
    rng = np.random.default_rng(seed)
    labels = fitted.parts(now)[now.free]
    size = fitted.partition.size
    sizes = int(now.free.sum()), int(learn.free.sum())
    found = []
    for number in range(effort.resamples):
        rows = rng.integers(sizes[0], size=sizes[0]), rng.integers(sizes[1], size=sizes[1])
        again = fit_candidate(candidate, now, learn, effort, seed + number, rows)
        found.append(jaccard_by_part(labels, again.parts(now)[now.free], size))
    each = np.nanmean(np.array(found), axis=0)
    error = np.nanstd(np.array(found), axis=0) / np.sqrt(effort.resamples)
    least = int(np.nanargmin(each))
    strengths = []
    for number in range(effort.splits):
        order = [rng.permutation(n) for n in sizes]
        halves = [tuple(o[: len(o) // 2] for o in order), tuple(o[len(o) // 2 :] for o in order)]
        trained, tested = (
            fit_candidate(candidate, now, learn, effort, seed + number, (h[0], h[1]))
            for h in halves
        )
        test = halves[1][0]
        strengths.append(
            prediction_strength(
                tested.parts(now)[now.free][test],
                trained.parts(now)[now.free][test],
                tested.partition.size,
            )
        )
    return {
        "jaccard": float(each[least]),
        "jaccard_se": float(error[least]),
        "jaccard_mean": float(np.nanmean(each)),
        "prediction_strength": float(np.mean(strengths)),
        "prediction_strength_se": float(np.std(strengths) / np.sqrt(effort.splits)),
    }


def later_purchase_figures(
    candidate: Candidate,
    origins: Sequence[Origin],
    weights: Matrix,
    effort: Effort,
    seed: int,
) -> tuple[dict[str, float], Matrix]:
    """Means over the rolling origins, and eta squared in each resample of customers."""
    rows = []
    spread = np.zeros(len(weights))
    for origin in origins:
        fitted = fit_candidate(candidate, origin.cut, origin.learn, effort, seed)
        parts = fitted.parts(origin.cut)
        ranking = value_of_parts(fitted, origin.learn, effort.groups)[parts]
        outcomes = origin.cut.outcomes
        spend = np.expm1(outcomes)
        rows.append(vars(later_figures(parts, ranking, outcomes, spend)))
        spread += eta_squared(parts, outcomes, weights[:, origin.cut.customer]) / len(origins)
    means = pd.DataFrame(rows).mean()
    figures = {name: float(means[name]) for name in means.index}
    return figures | {"eta_squared_se": float(spread.std())}, spread

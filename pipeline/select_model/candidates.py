"""Candidates = algorithm x feature set x transform x k: fitted, measured, judged by time."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

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
from sklearn.metrics.cluster import contingency_matrix

from pipeline.core.model.clusterings import (
    ALGORITHMS,
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
from pipeline.core.model.groups import Wholesale
from pipeline.core.model.transforms import (
    SUPERVISED_TRANSFORMS,
    TRANSFORMS,
    Lesson,
    Raw,
    Transform,
    fit_transform,
)
from pipeline.core.run.params import StageParams
from pipeline.select_model.own_rules import Own
from pipeline.select_model.prediction import eta_squared, later_figures, resampled_figures
from pipeline.select_model.snapshots import GROUPS, Origin, Snapshot
from pipeline.select_model.stability import gap_statistic, jaccard_by_cluster, prediction_strength

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]

RECENT_PAST = 3  # snapshots
FAMILY = re.compile(
    r"(?P<algorithm>\w+)/(?P<features>\w+)/(?P<transform>\w+)(/(?P<first>\d+)(-(?P<last>\d+))?)?"
)


@dataclass(frozen=True)
class Family:
    """What is tried at several k: they share their transform, resamples and reference sets."""

    algorithm: str
    features: str
    transform: str
    sizes: tuple[int, ...]
    is_baseline: bool = False

    @classmethod
    def declared(cls, text: str, sweep: tuple[int, ...], *, is_baseline: bool) -> Family:
        """Return the family of a text such as kmeans/rfm/log (every k) or mixture/rfm/log/2-8."""
        found = FAMILY.fullmatch(text)
        if found is None:
            raise ValueError(
                f"{text!r}: expected algorithm/features/transform, /2 or /2-8 after it"
            )
        for what, known in (("algorithm", ALGORITHMS), ("transform", TRANSFORMS)):
            if found[what] not in known:
                there = ", ".join(known)
                raise ValueError(f"{text}: unknown {what} {found[what]!r}; there are {there}")
        first, last = found["first"], found["last"] or found["first"]
        sizes = tuple(range(int(first), int(last) + 1)) if first else sweep
        return cls(found["algorithm"], found["features"], found["transform"], sizes, is_baseline)

    @classmethod
    def of(cls, candidates: pd.DataFrame) -> Family:
        """The family of these rows of measured candidates, at their k."""
        row = candidates.iloc[0]
        sizes = tuple(int(k) for k in candidates["k"])
        return cls(row["algorithm"], row["features"], row["transform"], sizes)

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
    """What every candidate is fitted and measured under.

    `customers` is how many there are in all snapshots; `columns` are those of each feature set,
    with money in units of `unit`.
    """

    seed: int
    customers: int
    minimum_share: float
    effort: Effort
    wholesale: Wholesale
    columns: Mapping[str, Sequence[str]]
    unit: float = 1.0
    days: Days = (None, None)
    own: Own | None = None


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
    *,
    number: int = 0,
    counts: Labels | None = None,
) -> list[Fitted]:
    """Fit at every k on `now`'s features; what learns from later purchases learns from `past`.

    `counts` (customers,) says how often each customer is taken, in every snapshot alike: a
    resample or a half, and `number` which one it is, for its random start.
    """
    if family.algorithm == OWN and setting.own is not None:
        return [Fitted(family.features, Raw(), setting.own.clustering)]
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
        family.seed(setting.seed) + number,
        outcomes,
        quadratic_sample=setting.effort.quadratic_sample,
        minimum_share=setting.minimum_share,
        days=setting.days,
    )
    return [Fitted(family.features, transform, clustering) for clustering in clusterings]


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
    every candidate, so that candidates can be compared customer by customer. Nothing of a cut's
    own horizon is used but to judge: neither for the fit, nor for the order of the segments.
    """
    draws = {"resamples": setting.effort.resamples, "splits": setting.effort.splits}
    fitted = fit_family(family, now, past, setting)
    at_cuts = [fit_family(family, o.cut, o.past, setting) for o in origins]
    measured = zip(
        family.sizes,
        shape_figures(family, fitted, now, setting),
        meaning_figures(fitted, now, past),
        stability_figures(family, now, past, setting, fitted=fitted, **draws),
        judged_by_later(at_cuts, origins, later_weights),
        strict=True,
    )
    name = {
        "algorithm": family.algorithm,
        "features": family.features,
        "transform": family.transform,
        "is_baseline": family.is_baseline,
    }
    return [
        ({"candidate": f"{family.name}/{k}", "k": k} | name | shape | meaning | stable | later, eta)
        for k, shape, meaning, stable, (later, eta) in measured
    ]


def shape_figures(
    family: Family, fitted: Sequence[Fitted], now: Snapshot, setting: Setting
) -> list[dict[str, float | None]]:
    """For each k the sizes and the usual indices, in the family's own coordinates.

    Indices are taken on one sample of the customers, the same for every k.
    """
    points = fitted[0].points(now)
    some = sample_rows(len(points), setting.effort.quadratic_sample, setting.seed)
    space = np.log1p(points[some]) if family.transform == "raw" else points[some]
    center, spread = space.mean(axis=0), space.std(axis=0)
    space = (space - center) / np.where(spread > 0, spread, 1.0)
    apart = pairwise_distances(space)
    found = []
    gaps = _gaps(family, space, setting)
    for each, (gap, gap_se) in zip(fitted, gaps, strict=True):
        labels = each.clustering.assign(points)
        shares = np.unique(labels, return_counts=True)[1] / len(now.group)
        figures: dict[str, float | None] = {
            "segments": len(shares),
            "smallest_share": float(shares.min()),
            "largest_share": float(shares.max()),
            "silhouette": None,
            "silhouette_se": None,
            "calinski_harabasz": None,
            "davies_bouldin": None,
            "bic": None,
            "gap": gap,
            "gap_se": gap_se,
        }
        if isinstance(each.clustering, Mixture):
            figures["bic"] = float(each.clustering.model.bic(points))
        here = labels[some]
        if 2 <= len(np.unique(here)) < len(here):
            silhouettes = silhouette_samples(apart, here, metric="precomputed")
            figures["silhouette"] = float(silhouettes.mean())
            figures["silhouette_se"] = float(silhouettes.std() / np.sqrt(len(here)))
            figures["calinski_harabasz"] = float(calinski_harabasz_score(space, here))
            figures["davies_bouldin"] = float(davies_bouldin_score(space, here))
        found.append(figures)
    return found


def _gaps(
    family: Family, space: Matrix, setting: Setting
) -> Sequence[tuple[float | None, float | None]]:
    effort = setting.effort
    if not effort.gap_references or family.algorithm in WITHOUT_GAP:
        return [(None, None)] * len(family.sizes)

    def labelled(points: Matrix, number: int) -> list[Labels]:
        sample = effort.quadratic_sample
        again = fit_clusterings(
            family.algorithm, points, family.sizes, number, starts=1, quadratic_sample=sample
        )
        return [clustering.assign(points) for clustering in again]

    return gap_statistic(space, labelled, effort.gap_references, family.seed(setting.seed))


def meaning_figures(
    fitted: Sequence[Fitted], now: Snapshot, past: Sequence[Snapshot]
) -> list[dict[str, float]]:
    """For each k whether a name can be true of all members, and whether ageing alone ever helps.

    `same_stage`: the share of customers in the stage of life (new, recent, slowing, lapsed) that
    most members of their segment are in. `rises_by_ageing`: the share who would be in a more
    valuable segment on some later day if they did nothing; the outcomes of `past` order them.
    """
    free = now.rows(None)
    stage = Grid.fitted(now.rhythm[free], 11).life_stage(now.rhythm[free])
    ages = [labels_at_each_size(fitted, snapshot) for snapshot in (now, *now.older)]
    found = []
    for n, (each, value) in enumerate(zip(fitted, segment_values(fitted, past), strict=True)):
        ranks = np.array([value[labels[n][free]] for labels in ages])
        most = contingency_matrix(ages[0][n][free], stage).max(axis=1).sum()
        # What a shop declares means what it declares.
        share = 1.0 if each.features == OWN else float(most / len(free))
        has_risen = (np.diff(ranks, axis=0) > 0).any(axis=0)
        found.append({"same_stage": share, "rises_by_ageing": float(has_risen.mean())})
    return found


def segment_values(
    fitted: Sequence[Fitted],
    past: Sequence[Snapshot],
    what: Literal["outcomes", "spend"] = "outcomes",
) -> list[Matrix]:
    """For each k the value of each cluster and group: the mean outcome, or later spend in money.

    That of all where a cluster is empty. The newest RECENT_PAST snapshots with outcomes count: one
    alone holds few lapsed customers in a young shop.
    """
    newest = past[-RECENT_PAST:]
    outcomes = np.concatenate([getattr(snapshot, what) for snapshot in newest])
    labels = [labels_at_each_size(fitted, snapshot) for snapshot in newest]
    found = []
    for each, own in zip(fitted, zip(*labels, strict=True), strict=True):
        size = each.clustering.size
        rows = np.concatenate(own)
        count = np.bincount(rows, minlength=size + len(GROUPS))
        total = np.bincount(rows, weights=outcomes, minlength=size + len(GROUPS))
        value = np.where(count > 0, total / np.maximum(count, 1), outcomes.mean())
        if isinstance(each.clustering, Grid):
            value[:size] = each.clustering.in_order(value[:size])
        found.append(value)
    return found


def stability_figures(
    family: Family,
    now: Snapshot,
    past: Sequence[Snapshot],
    setting: Setting,
    *,
    resamples: int,
    splits: int,
    fitted: Sequence[Fitted] = (),
) -> list[dict[str, float]]:
    """For each k the cluster-wise Jaccard over resamples and prediction strength over halves.

    `fitted` is the family on `now`, where it is at hand. Customers are drawn, with all their
    snapshots; the same draws for every family. Each resample is fitted anew, transform and all,
    and compared on the customers as they are. The Jaccard of a cluster is its mean over the
    resamples; the least cluster's is what the gate asks.
    """
    free, even = now.rows(None), np.full(setting.customers, 1 / setting.customers)
    fitted = fitted or fit_family(family, now, past, setting)
    labels = labels_at_each_size(fitted, now)
    found: list[list[Matrix]] = [[] for _ in fitted]
    for number in range(resamples):
        rng = np.random.default_rng((setting.seed, 1, number))
        counts = rng.multinomial(setting.customers, even)
        again = fit_family(family, now, past, setting, number=number, counts=counts)
        for n, anew in enumerate(labels_at_each_size(again, now)):
            size = fitted[n].clustering.size
            found[n].append(jaccard_by_cluster(labels[n][free], anew[free], size))
    strengths: list[list[float]] = [[] for _ in fitted]
    for number in range(splits):
        half = np.random.default_rng((setting.seed, 2, number)).random(setting.customers) < 0.5
        trained, tested = (
            fit_family(family, now, past, setting, number=number, counts=side.astype(np.int64))
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


def judged_by_later(
    fitted: Sequence[Sequence[Fitted]], origins: Sequence[Origin], weights: Matrix
) -> list[tuple[dict[str, float], Matrix]]:
    """For each k means over the origins of what segments say about later purchases, with errors.

    `fitted` is the family as it stood at each origin. Also returns eta squared (origins,
    resamples) in each resample.
    """
    found: list[tuple[list[dict[str, float]], list[dict[str, Matrix]]]] = [
        ([], []) for _ in fitted[0]
    ]
    for family, origin in zip(fitted, origins, strict=True):
        outcomes, spend = origin.cut.outcomes, np.expm1(origin.cut.outcomes)
        drawn = weights[:, origin.cut.customer]
        every = labels_at_each_size(family, origin.cut)
        values = segment_values(family, origin.past)
        for (figures, resampled), labels, value in zip(found, every, values, strict=True):
            eta = float(eta_squared(labels, outcomes)[0])
            later = later_figures(value[labels], outcomes, spend)
            figures.append({"eta_squared": eta, **vars(later)})
            ranked = resampled_figures(value[labels], spend, drawn)
            resampled.append({"eta_squared": eta_squared(labels, outcomes, drawn), **ranked})
    told = []
    for figures, resampled in found:
        means = {str(n): float(v) for n, v in pd.DataFrame(figures).mean().items()}
        spread = {n: np.array([each[n] for each in resampled]) for n in resampled[0]}
        errors = {f"{n}_se": float(v.mean(axis=0).std()) for n, v in spread.items()}
        told.append((means | errors, spread["eta_squared"]))
    return told

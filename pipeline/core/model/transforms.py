"""How a customer's figures become coordinates: skew met by transforms, never by dropping anyone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray
from scipy.special import ndtri

Matrix = NDArray[np.float64]
# Features and log1p of later spend of one past snapshot.
Lesson = tuple[Matrix, Matrix]

# These learn from later purchases, so only from snapshots whose horizon was over on the day of use.
SUPERVISED_TRANSFORMS = ("weighted", "expected_line", "expected_curve")
TRANSFORMS = ("raw", "log", "power", "quantile", "standard_pca2", *SUPERVISED_TRANSFORMS)
GRID = 500
MONEY = ("monetary", "average_order_value")
RIDGE = 0.03  # per row: of features with unit variance; tames the curves, not the lines


def feature_columns(declared: Sequence[str], available: Sequence[str]) -> list[str]:
    """The columns that `declared` names; a name that ends in * stands for all of that prefix."""
    columns: list[str] = []
    for name in declared:
        if name.endswith("*"):
            columns += [c for c in available if c.startswith(name[:-1])]
        else:
            columns.append(name)
    return columns


def feature_matrix(customers: pd.DataFrame, columns: Sequence[str], money_unit: float) -> Matrix:
    """The columns as floats, without gaps; money in units of `money_unit`.

    A customer of one order has no gap between orders yet: it is at least as long as the time
    since, so that time stands in. A customer who returned everything has no last kept order:
    tenure stands in for recency (such customers are a group of their own and reach no model).
    """
    values = customers[list(columns)].astype("float64")
    for name in ("days_between_orders", "recency_days"):
        if name in values:
            values[name] = values[name].fillna(customers["tenure_days"].astype("float64"))
    for name in MONEY:
        if name in values:
            values[name] /= money_unit
    return np.ascontiguousarray(values.fillna(0.0).to_numpy(dtype=np.float64))


class Transform(Protocol):
    """A fitted transform; a row's coordinates do not depend on the other rows."""

    def apply(self, features: Matrix) -> Matrix:
        """The coordinates (n, m) of `features` (n, d)."""
        ...


@dataclass(frozen=True)
class Raw:
    """The features as they are."""

    def apply(self, features: Matrix) -> Matrix:
        """The same."""
        return features


@dataclass(frozen=True)
class Logged:
    """Logarithms of mean 0 and spread 1, each times its weight (d,)."""

    center: Matrix
    scale: Matrix
    weights: Matrix

    def apply(self, features: Matrix) -> Matrix:
        """The weighted standard logarithms."""
        return np.asarray((np.log1p(features) - self.center) / self.scale * self.weights)


@dataclass(frozen=True)
class Turned:
    """Standardised and turned to `axes` (d, m)."""

    center: Matrix
    scale: Matrix
    axes: Matrix

    def apply(self, features: Matrix) -> Matrix:
        """The coordinates on the axes."""
        moved = (features - self.center) / self.scale
        return np.column_stack([_weighted_sum(moved, np.append(0.0, a)) for a in self.axes.T])


@dataclass(frozen=True)
class Power:
    """Yeo and Johnson's (2000) power transform, then mean 0 and spread 1."""

    lambdas: Matrix
    center: Matrix
    scale: Matrix

    def apply(self, features: Matrix) -> Matrix:
        """The straightened features."""
        powers = zip(features.T, self.lambdas, strict=True)
        columns = [scipy.stats.yeojohnson(feature, power) for feature, power in powers]
        return (np.column_stack(columns) - self.center) / self.scale


@dataclass(frozen=True)
class Scores:
    """Normal scores by `grid` (GRID, d), quantiles of the features."""

    grid: Matrix

    def apply(self, features: Matrix) -> Matrix:
        """The normal quantile of each value's middle rank: equal values, equal scores."""
        scores = np.empty(features.shape)
        for column in range(features.shape[1]):
            own, values = np.ascontiguousarray(self.grid[:, column]), features[:, column]
            below, upto = (np.searchsorted(own, values, side) for side in ("left", "right"))
            scores[:, column] = (below + upto) / (2 * GRID)
        return np.asarray(ndtri(np.clip(scores, 0.5 / GRID, 1 - 0.5 / GRID)))


@dataclass(frozen=True)
class Expected:
    """One axis: log1p of the later spend that is expected, a line or a curve over normal scores.

    `knots` (4, d; 0 for a line) are where it bends, `line` (terms + 1,) its weights.
    """

    grid: Matrix
    knots: Matrix
    line: Matrix

    def apply(self, features: Matrix) -> Matrix:
        """The expected later spend (n, 1)."""
        scores = Scores(self.grid).apply(features)
        return _weighted_sum(_terms(self.knots, scores), self.line)[:, None]


def fit_transform(kind: str, features: Matrix, lessons: Sequence[Lesson] = ()) -> Transform:
    """Learn a transform of `kind` from `features` (n, d); supervised kinds also from `lessons`.

    A supervised transform learns how later spend depends on where a customer stands among the
    customers of the same snapshot, so each lesson is laid on its own scale first: a shop's first
    months and its last have other orders per customer, and what was learnt still carries over.
    """
    if kind in SUPERVISED_TRANSFORMS and not lessons:
        raise ValueError(f"transform {kind!r} learns from later purchases, none were given")
    if kind == "raw":
        return Raw()
    if kind == "standard_pca2":
        center, scale = features.mean(axis=0), _spread(features)
        _, _, axes = np.linalg.svd((features - center) / scale, full_matrices=False)
        signs = np.sign(axes[:2].sum(axis=1, keepdims=True) + 1e-12)  # SVD leaves the sign open
        return Turned(center, scale, (axes[:2] * signs).T)
    if kind == "power":
        from sklearn.preprocessing import PowerTransformer

        power = PowerTransformer(standardize=False).fit(features)
        moved = np.asarray(power.transform(features))
        return Power(power.lambdas_, moved.mean(axis=0), _spread(moved))
    if kind in ("log", "weighted"):
        logged = np.log1p(features)
        weights = _weights(lessons) if kind == "weighted" else np.ones(features.shape[1])
        return Logged(logged.mean(axis=0), _spread(logged), weights)
    if kind == "quantile":
        return Scores(_grid(features))
    if kind in ("expected_line", "expected_curve"):
        return Expected(_grid(features), *_expectation(kind, lessons))
    raise ValueError(f"unknown transform {kind!r}; known are {', '.join(TRANSFORMS)}")


def _weights(lessons: Sequence[Lesson]) -> Matrix:
    """Weight of each logged feature (d,): its part in predicting later spend, the largest 1."""
    from sklearn.linear_model import Ridge

    logged = [np.log1p(features) for features, _ in lessons]
    moved = np.vstack([(x - x.mean(axis=0)) / _spread(x) for x in logged])
    later = np.concatenate([outcomes for _, outcomes in lessons])
    size = np.abs(Ridge(alpha=RIDGE * len(moved)).fit(moved, later).coef_)
    return np.asarray(size / max(float(size.max()), 1e-12))


def _expectation(kind: str, lessons: Sequence[Lesson]) -> tuple[Matrix, Matrix]:
    """Knots and line (terms + 1,), constant first, of expected log1p later spend."""
    from sklearn.linear_model import Ridge

    scores = np.vstack([Scores(_grid(features)).apply(features) for features, _ in lessons])
    later = np.concatenate([outcomes for _, outcomes in lessons])
    is_curve = kind == "expected_curve"
    knots = np.quantile(scores, (0.2, 0.4, 0.6, 0.8) if is_curve else (), axis=0)
    terms = _terms(knots, scores)
    center, scale = terms.mean(axis=0), _spread(terms)
    model = Ridge(alpha=RIDGE * len(terms) if is_curve else 1.0)
    slopes = model.fit((terms - center) / scale, later).coef_ / scale
    return knots, np.append(model.intercept_ - (slopes * center).sum(), slopes)


def _terms(knots: Matrix, scores: Matrix) -> Matrix:
    """The scores; for a curve also a bend at each knot and products of the first three."""
    if not len(knots):
        return scores
    bends = [np.maximum(scores - knot, 0.0) for knot in knots]
    pairs = [
        scores[:, [i]] * scores[:, [j]] for i in range(min(3, scores.shape[1])) for j in range(i)
    ]
    return np.hstack([scores, *bends, *pairs])


def _grid(features: Matrix) -> Matrix:
    at = (np.arange(GRID) + 0.5) / GRID
    return np.asarray(np.quantile(features, at, axis=0, method="inverted_cdf"))


def _weighted_sum(columns: Matrix, line: Matrix) -> Matrix:
    # Term by term: one row alone gives the same bits as in a table of a million; BLAS need not.
    total = np.full(len(columns), float(line[0]))
    for number, weight in enumerate(line[1:]):
        total += columns[:, number] * weight
    return total


def _spread(values: Matrix) -> Matrix:
    spread = values.std(axis=0)
    return np.where(spread > 0, spread, 1.0)

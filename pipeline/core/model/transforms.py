"""How a customer's figures become coordinates: skew met by transforms, never by dropping anyone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri
from sklearn.linear_model import Ridge
from sklearn.preprocessing import PowerTransformer

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
    since, so that time stands in. A customer who kept nothing has no last kept order: tenure
    stands in for recency (such customers are a declared group and never reach a model).
    """
    values = customers[list(columns)].astype("float64")
    for name in ("days_between_orders", "recency_days"):
        if name in values:
            values[name] = values[name].fillna(customers["tenure_days"].astype("float64"))
    for name in MONEY:
        if name in values:
            values[name] /= money_unit
    return np.ascontiguousarray(values.fillna(0.0).to_numpy(dtype=np.float64))


@dataclass(frozen=True)
class Transform:
    """A fitted transform: its kind and what it learnt, in plain arrays (power: scikit-learn's).

    `center` and `scale` (d,) belong to the logged features, or to the features as they are;
    `grid` (GRID, d) are quantiles of the features; `knots` (4, d) and `line` (terms + 1,) are the
    curve of expected later spend over normal scores; `axes` (d, m) weigh or turn.
    """

    kind: str
    center: Any = None
    scale: Any = None
    grid: Any = None
    knots: Any = None
    line: Any = None
    axes: Any = None
    power: Any = None


def fit_transform(kind: str, features: Matrix, lessons: Sequence[Lesson] = ()) -> Transform:
    """Learn a transform of `kind` from `features` (n, d); supervised kinds also from `lessons`.

    A supervised transform learns how later spend depends on where a customer stands among the
    customers of the same snapshot, so each lesson is laid on its own scale first: a shop's first
    months and its last have other orders per customer, and what was learnt still carries over.
    """
    if kind in SUPERVISED_TRANSFORMS and not lessons:
        raise ValueError(f"transform {kind!r} learns from later purchases, none were given")
    if kind == "raw":
        return Transform(kind)
    if kind == "standard_pca2":
        center, scale = features.mean(axis=0), _spread(features)
        _, _, axes = np.linalg.svd((features - center) / scale, full_matrices=False)
        signs = np.sign(axes[:2].sum(axis=1, keepdims=True) + 1e-12)  # SVD leaves the sign open
        return Transform(kind, center, scale, axes=(axes[:2] * signs).T)
    if kind == "power":
        power = PowerTransformer().fit(features)
        return Transform(kind, power=power)
    if kind in ("log", "weighted"):
        logged = np.log1p(features)
        center, scale = logged.mean(axis=0), _spread(logged)
        return Transform(
            kind, center, scale, axes=_weights(lessons) if kind == "weighted" else None
        )
    if kind == "quantile":
        return Transform(kind, grid=_grid(features))
    if kind in ("expected_line", "expected_curve"):
        knots, line = _expectation(kind, lessons)
        return Transform(kind, grid=_grid(features), knots=knots, line=line)
    raise ValueError(f"unknown transform {kind!r}; known are {', '.join(TRANSFORMS)}")


def apply_transform(transform: Transform, features: Matrix) -> Matrix:
    """The coordinates (n, m) of `features` (n, d); a row's do not depend on the other rows."""
    kind = transform.kind
    if kind == "raw" or len(features) == 0:
        return features
    if kind == "power":
        return np.asarray(transform.power.transform(features))
    if kind in ("log", "weighted"):
        moved = (np.log1p(features) - transform.center) / transform.scale
        return np.asarray(moved * transform.axes) if kind == "weighted" else np.asarray(moved)
    if kind == "standard_pca2":
        moved = (features - transform.center) / transform.scale
        columns = [_weighted_sum(moved, np.append(0.0, axis)) for axis in transform.axes.T]
        return np.column_stack(columns)
    scores = _normal_scores(transform.grid, features)
    if kind == "quantile":
        return scores
    return _weighted_sum(_terms(kind, transform.knots, scores), transform.line)[:, None]


def _weights(lessons: Sequence[Lesson]) -> Matrix:
    """Weight of each logged feature (d,): its part in foretelling later spend, the largest 1."""
    logged = [np.log1p(features) for features, _ in lessons]
    moved = np.vstack([(x - x.mean(axis=0)) / _spread(x) for x in logged])
    later = np.concatenate([outcomes for _, outcomes in lessons])
    size = np.abs(Ridge(alpha=RIDGE * len(moved)).fit(moved, later).coef_)
    return np.asarray(size / max(float(size.max()), 1e-12))


def _expectation(kind: str, lessons: Sequence[Lesson]) -> tuple[Matrix, Matrix]:
    """Knots (4, d) and line (terms + 1,), constant first, of expected log1p later spend."""
    scores = np.vstack([_normal_scores(_grid(features), features) for features, _ in lessons])
    later = np.concatenate([outcomes for _, outcomes in lessons])
    knots = np.quantile(scores, (0.2, 0.4, 0.6, 0.8), axis=0)
    terms = _terms(kind, knots, scores)
    center, scale = terms.mean(axis=0), _spread(terms)
    alpha = RIDGE * len(terms) if kind == "expected_curve" else 1.0
    model = Ridge(alpha=alpha).fit((terms - center) / scale, later)
    slopes = model.coef_ / scale
    return knots, np.append(model.intercept_ - (slopes * center).sum(), slopes)


def _terms(kind: str, knots: Matrix, scores: Matrix) -> Matrix:
    """The scores; for a curve also a bend at each knot and products of the first three."""
    if kind == "expected_line":
        return scores
    bends = [np.maximum(scores - knot, 0.0) for knot in knots]
    pairs = [
        scores[:, [i]] * scores[:, [j]] for i in range(min(3, scores.shape[1])) for j in range(i)
    ]
    return np.hstack([scores, *bends, *pairs])


def _grid(features: Matrix) -> Matrix:
    at = (np.arange(GRID) + 0.5) / GRID
    return np.asarray(np.quantile(features, at, axis=0, method="inverted_cdf"))


def _normal_scores(grid: Matrix, features: Matrix) -> Matrix:
    """The normal quantile of each value's middle rank: equal values, equal scores."""
    scores = np.empty(features.shape)
    for column in range(features.shape[1]):
        own, values = np.ascontiguousarray(grid[:, column]), features[:, column]
        below, upto = np.searchsorted(own, values, "left"), np.searchsorted(own, values, "right")
        scores[:, column] = (below + upto) / (2 * GRID)
    return np.asarray(ndtri(np.clip(scores, 0.5 / GRID, 1 - 0.5 / GRID)))


def _weighted_sum(columns: Matrix, line: Matrix) -> Matrix:
    # Term by term: one row alone gives the same bits as in a table of a million; BLAS need not.
    total = np.full(len(columns), float(line[0]))
    for number, weight in enumerate(line[1:]):
        total += columns[:, number] * weight
    return total


def _spread(values: Matrix) -> Matrix:
    spread = values.std(axis=0)
    return np.where(spread > 0, spread, 1.0)

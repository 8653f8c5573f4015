"""How a customer's figures become coordinates: skew met by transforms, never by dropping anyone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import PowerTransformer, QuantileTransformer

Matrix = NDArray[np.float64]

# Transforms that learn from what customers bought later, so only from a snapshot whose horizon
# ended on or before the day of use.
SUPERVISED_TRANSFORMS = ("weighted", "expected", "outlook")
LONGEST_GAP_DAYS = 365.0


def feature_columns(declared: Sequence[str], available: Sequence[str]) -> list[str]:
    """The columns that `declared` names; a name that ends in * stands for all of that prefix."""
    columns: list[str] = []
    for name in declared:
        if name.endswith("*"):
            columns += [c for c in available if c.startswith(name[:-1])]
        else:
            columns.append(name)
    return columns


def feature_matrix(customers: pd.DataFrame, columns: Sequence[str]) -> Matrix:
    """The columns as floats, without gaps.

    A customer of one order has no gap between orders yet: it is at least as long as the time
    since, so that time stands in. A customer who kept nothing has no last kept order: tenure
    stands in for recency (such customers are a declared group and never reach a model).
    """
    values = customers[list(columns)].astype("float64")
    for name in ("days_between_orders", "recency_days"):
        if name in values:
            values[name] = values[name].fillna(customers["tenure_days"].astype("float64"))
    return np.ascontiguousarray(values.fillna(0.0).to_numpy(dtype=np.float64))


@dataclass(frozen=True)
class Transform:
    """A fitted transform: `kind` and what it learnt; arrays and scikit-learn parts only."""

    kind: str
    center: Any
    scale: Any
    part: Any = None
    second: Any = None


def fit_transform(
    kind: str, features: Matrix, outcomes: Matrix | None = None, seed: int = 0
) -> Transform:
    """Learn a transform of `kind` from `features` (n, d); supervised kinds also from `outcomes`.

    `outcomes` is log1p of later spend (n,), known on the day of use.
    """
    if kind == "raw":
        return Transform(kind, np.zeros(features.shape[1]), np.ones(features.shape[1]))
    if kind in ("standard", "log"):
        logged = np.log1p(features) if kind == "log" else features
        return Transform(kind, logged.mean(axis=0), _spread(logged))
    if kind == "standard_pca2":  # the seed's way: standard scores, then two principal components
        center, scale = features.mean(axis=0), _spread(features)
        _, _, axes = np.linalg.svd((features - center) / scale, full_matrices=False)
        signs = np.sign(axes[:2, :1] + 1e-12)
        return Transform(kind, center, scale, (axes[:2] * signs).T)
    if kind in ("power", "quantile"):
        part = (
            PowerTransformer()
            if kind == "power"
            else QuantileTransformer(
                n_quantiles=min(100, len(features)), subsample=100_000, random_state=seed
            )
        )
        made = part.fit_transform(features)
        return Transform(kind, made.mean(axis=0), _spread(made), part)
    if outcomes is None:
        raise ValueError(f"transform {kind!r} learns from later purchases, none were given")
    return _fit_supervised(kind, features, outcomes)


def apply_transform(transform: Transform, features: Matrix) -> Matrix:
    """The coordinates (n, m) of `features` (n, d)."""
    kind = transform.kind
    if kind in ("power", "quantile"):
        moved = transform.part.transform(features)
    elif kind in ("log", *SUPERVISED_TRANSFORMS):
        moved = np.log1p(features)
    else:
        moved = features
    moved = (moved - transform.center) / transform.scale
    if kind == "weighted":
        return np.asarray(moved * transform.part)
    if kind == "standard_pca2":
        return np.asarray(moved @ transform.part)
    if kind in ("expected", "outlook"):
        bent = _bend(transform.part, moved)
        if kind == "expected":
            return _sum_of_products(bent, transform.second)[:, None]
        chance, amount = (_sum_of_products(bent, line) for line in transform.second)
        return np.column_stack([6.0 / (1.0 + np.exp(-chance)), amount])
    return np.asarray(moved)


def _fit_supervised(kind: str, features: Matrix, outcomes: Matrix) -> Transform:
    logged = np.log1p(features)
    center, scale = logged.mean(axis=0), _spread(logged)
    moved = (logged - center) / scale
    if kind == "weighted":
        weights = np.abs(Ridge(alpha=0.05 * len(moved)).fit(moved, outcomes).coef_)
        return Transform(kind, center, scale, weights / max(float(weights.max()), 1e-12))
    knots = np.quantile(moved, (0.2, 0.4, 0.6, 0.8), axis=0)
    bent = _bend(knots, moved)
    if kind == "expected":
        return Transform(kind, center, scale, knots, _linear(Ridge(alpha=1.0).fit(bent, outcomes)))
    bought = outcomes > 0
    if bought.all() or not bought.any():
        raise ValueError("transform 'outlook' needs customers who bought again and who did not")
    chance = _linear(LogisticRegression(C=1.0, max_iter=500).fit(bent, bought))
    amount = _linear(Ridge(alpha=1.0).fit(bent[bought], outcomes[bought]))
    return Transform(kind, center, scale, knots, np.vstack([chance, amount]))


def _linear(model: Any) -> Matrix:
    """Intercept and coefficients: plain arrays are all that the kept model needs."""
    return np.concatenate([np.ravel(model.intercept_), np.ravel(model.coef_)])


def _bend(knots: Matrix, moved: Matrix) -> Matrix:
    """A broken line in each feature, and products of the first three: curves that stay tame."""
    bends = [np.maximum(moved - knot, 0.0) for knot in knots]
    pairs = [moved[:, i] * moved[:, j] for i in range(min(3, moved.shape[1])) for j in range(i)]
    return np.column_stack([moved, *bends, *pairs])


def _sum_of_products(bent: Matrix, line: Matrix) -> Matrix:
    # Term by term, so that one row alone gives the same bits as in a table of a million.
    total = np.full(len(bent), line[0])
    for column, coefficient in enumerate(line[1:]):
        total += bent[:, column] * coefficient
    return total


def _spread(values: Matrix) -> Matrix:
    spread = values.std(axis=0)
    return np.where(spread > 0, spread, 1.0)

"""What segments say about later purchases, and what could be said at most (the ceiling)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import KFold

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class LaterFigures:
    """How well an order or a partition fits what customers did later."""

    eta_squared: float
    gini: float
    top20_capture: float
    auc: float


def eta_squared(labels: Labels, outcomes: Matrix, weights: Matrix | None = None) -> Matrix:
    """Share of the variance of `outcomes` (n,) that lies between parts, per row of `weights`.

    `weights` (resamples, n) counts how often each customer is in each resample; without it, one
    figure for the customers as they are. Returns (resamples,).
    """
    weights = np.ones((1, len(labels))) if weights is None else weights
    member = np.zeros((len(labels), int(labels.max(initial=0)) + 1))
    member[np.arange(len(labels)), labels] = 1.0
    count = weights @ member
    total = weights @ (member * outcomes[:, None])
    everyone, everything = count.sum(axis=1), total.sum(axis=1)
    between = np.divide(total**2, count, out=np.zeros_like(total), where=count > 0).sum(axis=1)
    mean_part = everything**2 / everyone
    variance = weights @ outcomes**2 - mean_part
    return np.asarray((between - mean_part) / np.maximum(variance, 1e-12))


def later_figures(labels: Labels, ranking: Matrix, outcomes: Matrix, spend: Matrix) -> LaterFigures:
    """Figures of a partition whose parts are ranked by `ranking` (n,), high = expected to spend."""
    return LaterFigures(
        eta_squared=float(eta_squared(labels, outcomes)[0]),
        gini=gini_capture(ranking, spend),
        top20_capture=top_capture(ranking, spend, 0.2),
        auc=area_under_curve(ranking, spend > 0),
    )


def resampled_figures(ranking: Matrix, spend: Matrix, weights: Matrix) -> dict[str, Matrix]:
    """Gini, top-20 capture and AUC of a ranking by few values, each (resamples,).

    `weights` (resamples, n) counts how often each customer is in each resample. Ties are shared
    out as by the functions for one ranking below.
    """
    values, place = np.unique(ranking, return_inverse=True)  # from the least value to the best
    member = np.zeros((len(ranking), len(values)))
    member[np.arange(len(ranking)), place] = 1.0
    count, total, bought = (
        weights @ (member * each[:, None]) for each in (np.ones(len(spend)), spend, spend > 0)
    )
    everyone, everything = count.sum(axis=1), total.sum(axis=1)
    below = count.cumsum(axis=1) - count
    above = everyone[:, None] - below - count
    rank = below + (count + 1) / 2
    taken = np.clip((0.2 * everyone[:, None] - above) / np.maximum(count, 1e-12), 0, 1)
    others = count - bought
    lower = others.cumsum(axis=1) - others / 2
    pairs = bought.sum(axis=1) * others.sum(axis=1)
    spent = np.maximum(everything, 1e-12)
    gini = 2 * (rank * total).sum(axis=1) / (everyone * spent) - 1 - 1 / everyone
    auc = (bought * lower).sum(axis=1) / np.maximum(pairs, 1e-12)
    return {
        "gini": np.where(everything > 0, gini, 0.0),
        "top20_capture": (taken * total).sum(axis=1) / spent,
        "auc": np.where(pairs > 0, auc, 0.5),
    }


def gini_capture(ranking: Matrix, spend: Matrix) -> float:
    """Twice the area between the gains curve of later spend and the diagonal; ties shared out."""
    total = spend.sum()
    if total <= 0:
        return 0.0
    return float(2 * (rankdata(ranking) * spend).sum() / (len(spend) * total) - 1 - 1 / len(spend))


def top_capture(ranking: Matrix, spend: Matrix, share: float) -> float:
    """Share of later spend that the best-ranked `share` of customers made; ties shared out."""
    total = spend.sum()
    if total <= 0:
        return 0.0
    wanted = share * len(spend)
    taken, captured = 0.0, 0.0
    for value in np.unique(ranking)[::-1]:
        tied = spend[ranking == value]
        part = min(1.0, (wanted - taken) / len(tied))
        captured += part * float(tied.sum())
        taken += part * len(tied)
        if taken >= wanted - 1e-9:
            break
    return captured / float(total)


def area_under_curve(ranking: Matrix, bought: NDArray[np.bool_]) -> float:
    """Chance that a customer who bought again ranks above one who did not (ties count half)."""
    positives = int(bought.sum())
    negatives = len(bought) - positives
    if positives == 0 or negatives == 0:
        return 0.5
    ranks = rankdata(ranking)
    return float((ranks[bought].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def ceiling(features: Matrix, outcomes: Matrix, spend: Matrix, seed: int) -> LaterFigures:
    """What a boosted model reaches on the same features, out of fold (five folds).

    Unlike every candidate it learns from the outcomes of the very period that it is judged on,
    season and all: a ceiling, not a rival. Slow learning on small trees; the defaults of
    scikit-learn overfit a shop of a few thousand and would make a lower, kinder ceiling.
    """
    predicted = np.zeros(len(outcomes))
    for train, test in KFold(5, shuffle=True, random_state=seed).split(features):
        model = HistGradientBoostingRegressor(
            learning_rate=0.05,
            max_iter=100,
            max_leaf_nodes=8,
            min_samples_leaf=20,
            early_stopping=False,
            random_state=seed,
        )
        predicted[test] = model.fit(features[train], outcomes[train]).predict(features[test])
    residual = float(((outcomes - predicted) ** 2).sum())
    variance = max(float(((outcomes - outcomes.mean()) ** 2).sum()), 1e-12)
    return LaterFigures(
        eta_squared=1 - residual / variance,
        gini=gini_capture(predicted, spend),
        top20_capture=top_capture(predicted, spend, 0.2),
        auc=area_under_curve(predicted, spend > 0),
    )

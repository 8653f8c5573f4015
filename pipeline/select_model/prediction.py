"""What segments, and a reference model without segments, say about later purchases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.ensemble import HistGradientBoostingRegressor

from pipeline.select_model.snapshots import EVERY, Origin

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class LaterFigures:
    """How well a forecast of log1p of later spend fits what customers did.

    `correlation_squared` leaves level and scale out, which a season moves; `r_squared` does not.
    """

    correlation_squared: float
    r_squared: float
    gini: float
    top20_capture: float
    auc: float


def eta_squared(labels: Labels, outcomes: Matrix, weights: Matrix | None = None) -> Matrix:
    """Share of the variance of `outcomes` (n,) that lies between clusters, per row of `weights`.

    `weights` (resamples, n) counts how often each customer is in each resample; without it, one
    figure for the customers as they are. Returns (resamples,).
    """
    weights = np.ones((1, len(labels))) if weights is None else weights
    count, total = _sums(labels, weights, np.ones(len(labels)), outcomes)
    everyone, everything = count.sum(axis=1), total.sum(axis=1)
    between = np.divide(total**2, count, out=np.zeros_like(total), where=count > 0).sum(axis=1)
    mean_cluster = everything**2 / everyone
    variance = weights @ outcomes**2 - mean_cluster
    return np.asarray((between - mean_cluster) / np.maximum(variance, 1e-12))


def _sums(groups: Labels, weights: Matrix, *values: Matrix) -> list[Matrix]:
    """The sum of each of `values` (n,) by group, in each resample: (resamples, groups)."""
    drawn, at = np.ascontiguousarray(weights.T), (groups, np.arange(len(groups)))
    return [(csr_array((each, at)) @ drawn).T for each in values]


def later_figures(forecast: Matrix, outcomes: Matrix, spend: Matrix) -> LaterFigures:
    """Figures of a forecast (n,) of `outcomes`, the log1p of `spend`."""
    variance = max(float(((outcomes - outcomes.mean()) ** 2).sum()), 1e-12)
    is_flat = np.ptp(forecast) == 0 or np.ptp(outcomes) == 0
    ranked = resampled_figures(forecast, spend, np.ones((1, len(spend))))
    return LaterFigures(
        correlation_squared=0.0 if is_flat else float(np.corrcoef(forecast, outcomes)[0, 1] ** 2),
        r_squared=1 - float(((outcomes - forecast) ** 2).sum()) / variance,
        **{name: float(values[0]) for name, values in ranked.items()},
    )


def resampled_figures(ranking: Matrix, spend: Matrix, weights: Matrix) -> dict[str, Matrix]:
    """Gini, top-20 capture and AUC of a ranking, high = expected to spend; each (resamples,).

    `weights` (resamples, n) counts how often each customer is in each resample. Ties are shared
    out. Gini: twice the area between the gains curve of later spend and the diagonal. AUC: the
    chance that a customer who bought again ranks above one who did not.
    """
    rank = np.unique(ranking, return_inverse=True)[1]  # 0 = the least value
    figures = (np.ones(len(spend)), spend, (spend > 0).astype(float))
    count, total, bought = _sums(rank, weights, *figures)
    everyone, everything = count.sum(axis=1), total.sum(axis=1)
    below = count.cumsum(axis=1) - count
    above = everyone[:, None] - below - count
    place = below + (count + 1) / 2
    taken = np.clip((0.2 * everyone[:, None] - above) / np.maximum(count, 1e-12), 0, 1)
    others = count - bought
    lower = others.cumsum(axis=1) - others / 2
    pairs = bought.sum(axis=1) * others.sum(axis=1)
    spent = np.maximum(everything, 1e-12)
    gini = 2 * (place * total).sum(axis=1) / (everyone * spent) - 1 - 1 / everyone
    auc = (bought * lower).sum(axis=1) / np.maximum(pairs, 1e-12)
    return {
        "gini": np.where(everything > 0, gini, 0.0),
        "top20_capture": (taken * total).sum(axis=1) / spent,
        "auc": np.where(pairs > 0, auc, 0.5),
    }


def reference_figures(origin: Origin, seed: int) -> LaterFigures:
    """What boosted trees on every feature, learnt from the past alone, forecast at the cut.

    The same terms as for every candidate: all past snapshots whose horizon was over at the cut
    teach, and nothing of the cut's own horizon. Small trees that learn slowly, because the
    defaults of scikit-learn overfit a shop of a few thousand.
    """
    features = np.vstack([snapshot.features[EVERY] for snapshot in origin.past])
    outcomes = np.concatenate([snapshot.outcomes for snapshot in origin.past])
    model = HistGradientBoostingRegressor(
        learning_rate=0.05,
        max_iter=120,
        max_leaf_nodes=8,
        min_samples_leaf=40,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=seed,
    )
    forecast = model.fit(features, outcomes).predict(origin.cut.features[EVERY])
    return later_figures(forecast, origin.cut.outcomes, np.expm1(origin.cut.outcomes))

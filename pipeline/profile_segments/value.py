"""What customers are expected to buy within the horizon, and how far such figures came true.

Three ways learn from snapshots with outcomes; the one that was best calibrated on held-out
snapshots is kept. An outcome is held out honestly: what expects it learnt only from snapshots
whose horizon was over on that day. Segments are an input to the plainest way alone, because the
model that gave them may have seen later outcomes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, PoissonRegressor

Array = NDArray[np.float64]

TARGETS = ("buying", "orders", "spend")
SHRINK_TO = 20.0  # a segment's mean counts as much as that of the shop when it has 20 customers
SETTLING_DAYS = 60  # added to the tenure: a rate over a few days is no rate
LEAST_ROWS = 100  # below that a regression says less than the means of segments
LEAST_BUYERS = 20
LEAST_PAIRS = 30  # held-out members of a segment below which the whole shop stands in for it
OFF_BY = 1.959964


@dataclass(frozen=True)
class Snapshot:
    """Customers on a day: features (n, d), segment (n,), and what came true, (n, 3), if known.

    The columns of `outcomes` are TARGETS.
    """

    day: date
    features: Array
    segment: NDArray[np.int64]
    outcomes: Array | None


@dataclass(frozen=True)
class HeldOut:
    """A held-out snapshot with what each way expected of it, (n, 3) each."""

    snapshot: Snapshot
    expected: dict[str, Array]

    @property
    def outcomes(self) -> Array:
        """What came true."""
        if self.snapshot.outcomes is None:
            raise ValueError("a held-out snapshot has outcomes")
        return self.snapshot.outcomes


Expect = Callable[[Array, NDArray[np.int64]], Array]


def value_features(customers: pd.DataFrame, money_unit: float) -> Array:
    """What the outlook is learnt from: counts, rates and how long the silence is.

    Orders and spend per day since the first order are there because a young file has only young
    customers: what three orders mean in two months must not be learnt for three in a year.
    Money is in units of `money_unit`. Without recency (nothing kept) the silence is as long as
    the tenure.
    """

    def column(name: str) -> Array:
        return customers[name].to_numpy(dtype=float)

    tenure, orders, spend = column("tenure_days"), column("frequency"), column("monetary")
    spend = spend / money_unit
    silence = column("recency_days")
    silence = np.where(np.isnan(silence), tenure, silence)
    known = tenure + SETTLING_DAYS
    features: Array = np.column_stack(
        [
            np.log1p(silence),
            np.log1p(orders),
            np.log1p(spend),
            np.log1p(column("average_order_value") / money_unit),
            column("return_rate"),
            np.log1p(column("units_per_line")),
            np.log((orders + 0.5) / known),
            np.log1p(spend / known),
            silence / (tenure + 1),
        ]
    )
    return features


def segment_means(known: Sequence[Snapshot], seed: int) -> Expect:
    """Each segment's mean, shrunk towards the shop's where the segment is small."""
    del seed
    _, segment, outcomes = _pooled(known)
    shop = outcomes.mean(axis=0)
    means = {
        int(number): (outcomes[segment == number].sum(axis=0) + SHRINK_TO * shop)
        / ((segment == number).sum() + SHRINK_TO)
        for number in np.unique(segment)
    }
    return lambda features, given: np.array(
        [means.get(int(number), shop) for number in given]
    ).reshape(len(features), len(TARGETS))


def regression(known: Sequence[Snapshot], seed: int) -> Expect:
    """Logistic and Poisson regression on the features."""
    del seed
    features, _, outcomes = _pooled(known)
    low, high = features.min(axis=0), features.max(axis=0)
    middle, spread = features.mean(axis=0), features.std(axis=0)

    def points(rows: Array) -> Array:
        # Clipped to what was seen: a power law must not run away with a customer beyond it.
        scaled = (np.clip(rows, low, high) - middle) / np.where(spread > 0, spread, 1.0)
        return np.hstack([scaled, scaled**2])

    at = points(features)
    buying = LogisticRegression(C=1.0, max_iter=2000).fit(at, outcomes[:, 0] > 0)
    scales = outcomes.mean(axis=0)
    counts = [
        PoissonRegressor(alpha=1e-3, max_iter=2000).fit(at, outcomes[:, i] / scales[i])
        for i in (1, 2)
    ]

    def expect(rows: Array, given: NDArray[np.int64]) -> Array:
        del given
        where = points(rows)
        return np.column_stack(
            [
                buying.predict_proba(where)[:, 1],
                *(model.predict(where) * scales[i] for i, model in enumerate(counts, start=1)),
            ]
        )

    return expect


def boosted(known: Sequence[Snapshot], seed: int) -> Expect:
    """Boosted trees on the features."""
    at, _, outcomes = _pooled(known)
    settings: dict[str, Any] = {
        "max_iter": 80,
        "learning_rate": 0.06,
        "max_leaf_nodes": 8,
        "min_samples_leaf": 40,
        "l2_regularization": 1.0,
        "early_stopping": False,
        "random_state": seed,
    }
    buying = HistGradientBoostingClassifier(**settings).fit(at, outcomes[:, 0] > 0)
    scales = outcomes.mean(axis=0)  # the same penalty, whatever the currency
    counts = [
        HistGradientBoostingRegressor(loss="poisson", **settings).fit(at, outcomes[:, i] / scale)
        for i, scale in enumerate(scales[1:], start=1)
    ]

    def expect(rows: Array, given: NDArray[np.int64]) -> Array:
        del given
        return np.column_stack(
            [
                buying.predict_proba(rows)[:, 1],
                *(m.predict(rows) * scale for m, scale in zip(counts, scales[1:], strict=True)),
            ]
        )

    return expect


WAYS: Mapping[str, Callable[[Sequence[Snapshot], int], Expect]] = {
    "segment means": segment_means,
    "regression": regression,
    "boosted trees": boosted,
}


def ways_for(known: Sequence[Snapshot]) -> list[str]:
    """The ways that these snapshots can teach: few customers or buyers teach means alone."""
    _, _, outcomes = _pooled(known)
    buyers = int((outcomes[:, 0] > 0).sum())
    enough = len(outcomes) >= LEAST_ROWS and LEAST_BUYERS <= buyers < len(outcomes)
    return list(WAYS) if enough else ["segment means"]


def held_out(
    known: Sequence[Snapshot], horizon_days: int, origins: int, seed: int
) -> list[HeldOut]:
    """The last `origins` snapshots with what each way expected of them, in the order of time."""
    horizon = timedelta(days=horizon_days)
    found = []
    for cut in known:
        past = [s for s in known if s.day + horizon <= cut.day]
        if past:
            found.append((cut, past))
    return [
        HeldOut(
            cut, {way: WAYS[way](past, seed)(cut.features, cut.segment) for way in ways_for(past)}
        )
        for cut, past in found[-origins:]
    ]


def best_way(checked: Sequence[HeldOut], ways: Sequence[str]) -> tuple[str, pd.DataFrame]:
    """The way with the least calibration error, and each way's mean figures over the snapshots."""
    rows = [
        {"way": way, **calibration(h.expected[way], h.outcomes)}
        for h in checked
        for way in ways
        if way in h.expected
    ]
    if not rows:
        return ways[-1], pd.DataFrame(columns=["way"]).set_index("way")
    figures = pd.DataFrame(rows).groupby("way").mean()
    return str(figures["calibration_error"].idxmin()), figures


def calibration(expected: Array, outcomes: Array) -> dict[str, float]:
    """How far expectations came true, 0 = wholly (but for `level`, 1 = in sum).

    calibration_error: mean distance of expected and actual spend over tenths of customers by
    expected spend, as a share of the mean spend; level: expected over actual spend in sum;
    brier: mean squared error of the probability to buy; brier_of_base: that of the mere rate.
    """
    spend, actual = expected[:, 2], outcomes[:, 2]
    tenth = tenths(spend)
    sums = np.array(
        [[spend[tenth == t].sum(), actual[tenth == t].sum()] for t in range(1, 11)], dtype=float
    )
    total = max(float(actual.sum()), 1e-9)
    buys = outcomes[:, 0] > 0
    return {
        "calibration_error": float(np.abs(sums[:, 0] - sums[:, 1]).sum() / total),
        "level": float(spend.sum() / total),
        "orders_level": float(expected[:, 1].sum() / max(float(outcomes[:, 1].sum()), 1e-9)),
        "brier": float(np.mean((expected[:, 0] - buys) ** 2)),
        "brier_of_base": float(np.mean((buys.mean() - buys) ** 2)),
    }


def tenths(values: Array) -> NDArray[np.int64]:
    """1 (least) to 10 (most) by rank; equal values are parted by their position."""
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks * 10 // max(len(values), 1) + 1


def value_check(
    checked: Sequence[HeldOut], way: str, names: Mapping[int, str], resamples: int, seed: int
) -> pd.DataFrame:
    """Return expected and actual figures by group at each held-out snapshot."""
    rows = []
    for h in checked:
        if way not in h.expected:
            continue
        expected, outcomes = h.expected[way], h.outcomes
        segment, tenth = h.snapshot.segment, tenths(h.expected[way][:, 2])
        groups = [("all", 0, "all", np.ones(len(outcomes), dtype=bool))]
        groups += [("segment", int(s), names[int(s)], segment == s) for s in np.unique(segment)]
        groups += [("tenth", int(t), f"tenth {t}", tenth == t) for t in np.unique(tenth)]
        for grouping, position, label, inside in groups:
            e, a = expected[inside].mean(axis=0), outcomes[inside].mean(axis=0)
            low, high = mean_interval(outcomes[inside, 2], resamples, seed)
            rows.append(
                {
                    "snapshot_date": h.snapshot.day,
                    "grouping": grouping,
                    "position": position,
                    "label": label,
                    "customers": int(inside.sum()),
                    "expected_spend": e[2],
                    "actual_spend": a[2],
                    "actual_spend_low": low,
                    "actual_spend_high": high,
                    "expected_orders": e[1],
                    "actual_orders": a[1],
                    "expected_buying_rate": e[0],
                    "actual_buying_rate": a[0],
                    "verdict": _verdict(e[2], low, high),
                }
            )
    return pd.DataFrame(rows)


def mean_interval(values: Array, resamples: int, seed: int) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean."""
    rng = np.random.default_rng(seed)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(resamples)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def segment_outlook(
    expected: Array,
    segment: NDArray[np.int64],
    checked: Sequence[HeldOut],
    *,
    way: str,
    resamples: int,
    seed: int,
) -> pd.DataFrame:
    """Return per segment the sums of TARGETS with 95 % intervals: `<target>`, `_low`, `_high`.

    The interval has two sources: customers (as many as the segment has are drawn from those of
    the held-out snapshots, and what they did is compared with what was expected of them) and
    seasons (how far the whole shop was from what was expected, snapshot by snapshot). Without a
    held-out snapshot there is no interval.
    """
    pairs = [
        (h.snapshot.segment, h.expected[way], h.outcomes) for h in checked if way in h.expected
    ]
    rows = []
    for number in np.unique(segment):
        sums = expected[segment == number].sum(axis=0)
        row: dict[str, float] = {"segment_id": int(number)}
        factors = _factors(pairs, int(number), int((segment == number).sum()), resamples, seed)
        for i, target in enumerate(TARGETS):
            row[target] = float(sums[i])
            low, high = (
                np.quantile(factors[:, i], [0.025, 0.975]) if len(factors) else (np.nan,) * 2
            )
            row[f"{target}_low"], row[f"{target}_high"] = (
                float(sums[i] * low),
                float(sums[i] * high),
            )
        rows.append(row)
    return pd.DataFrame(rows)


def season_error(checked: Sequence[HeldOut], way: str) -> Array:
    """Root mean square of log(actual / expected) in sum, over held-out snapshots, per target."""
    logs = [
        np.log(h.outcomes.sum(axis=0) / h.expected[way].sum(axis=0))
        for h in checked
        if way in h.expected and (h.outcomes.sum(axis=0) > 0).all()
    ]
    return np.sqrt(np.mean(np.square(logs), axis=0)) if logs else np.zeros(len(TARGETS))


def _factors(
    pairs: Sequence[tuple[NDArray[np.int64], Array, Array]],
    number: int,
    size: int,
    resamples: int,
    seed: int,
) -> Array:
    """Draws (resamples, 3) of what will come true over what is expected of a segment."""
    if not pairs:
        return np.empty((0, len(TARGETS)))
    segment = np.concatenate([p[0] for p in pairs])
    expected = np.concatenate([p[1] for p in pairs])
    outcomes = np.concatenate([p[2] for p in pairs])
    mine = segment == number
    if mine.sum() >= LEAST_PAIRS and (outcomes[mine].sum(axis=0) > 0).all():
        expected, outcomes = expected[mine], outcomes[mine]
    rng = np.random.default_rng([seed, number])
    drawn = np.empty((resamples, len(TARGETS)))
    for i in range(resamples):
        rows = rng.integers(0, len(expected), size)
        drawn[i] = outcomes[rows].sum(axis=0) / np.maximum(expected[rows].sum(axis=0), 1e-9)
    # Where the segment as a whole came out elsewhere is the season's part, counted once below.
    drawn /= np.maximum(outcomes.sum(axis=0) / np.maximum(expected.sum(axis=0), 1e-9), 1e-9)
    totals = [np.log((p[2].sum(axis=0) + 1e-9) / (p[1].sum(axis=0) + 1e-9)) for p in pairs]
    spread = np.sqrt(np.mean(np.square(totals), axis=0))
    season = np.exp(rng.standard_normal((resamples, 1)) * spread)
    factors: Array = drawn * season
    return factors


def _pooled(known: Sequence[Snapshot]) -> tuple[Array, NDArray[np.int64], Array]:
    return (
        np.concatenate([s.features for s in known]),
        np.concatenate([s.segment for s in known]),
        np.concatenate([s.outcomes for s in known if s.outcomes is not None]),
    )


def _verdict(expected: float, low: float, high: float) -> str:
    if expected > high:
        return "too high"
    return "too low" if expected < low else "about right"

"""How the members of a segment differ from all other customers: spread, effects, goods, types.

`segment` arrays hold a segment_id per row of the frame beside them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

Array = NDArray[np.float64]

FEATURES: Mapping[str, tuple[str, str]] = {
    "recency_days": ("days since the last order", "days"),
    "frequency": ("orders", "orders"),
    "monetary": ("spend so far", "currency"),
    "tenure_days": ("days since the first order", "days"),
    "average_order_value": ("value of an order", "currency"),
    "items_per_order": ("units per order", "units"),
    "days_between_orders": ("days between orders", "days"),
    "return_rate": ("share of the money returned", "share"),
    "distinct_products": ("different products", "products"),
    "units_per_line": ("units per line", "units"),
}
QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
# Romano, Kromrey, Coraggio & Skowronek, "Appropriate statistics for ordinal level data" (2006).
EFFECT_SIZES = ((0.474, "much "), (0.33, ""), (0.147, "slightly "))
SHARE_PREFIX = "spend_share_"
Z95 = 1.959964


def segment_features(customers: pd.DataFrame, segment: NDArray[np.int64]) -> pd.DataFrame:
    """Return one row per segment and feature: quantiles, Cliff's delta, the effect in words."""
    rows: list[dict[str, Any]] = []
    for feature, (title, unit) in FEATURES.items():
        values = customers[feature].to_numpy(dtype=float)
        known = ~np.isnan(values)
        deltas = cliffs_deltas(values[known], segment[known])
        for number in np.unique(segment):
            inside, outside = (
                values[known & (segment == number)],
                values[known & (segment != number)],
            )
            row = {
                "segment_id": number,
                "feature": feature,
                "feature_title": title,
                "unit": unit,
                "customers": len(inside),
                "mean": _or_nan(inside, np.mean),
                "rest_median": _or_nan(outside, np.median),
                "cliffs_delta": deltas.get(int(number), np.nan),
                **{
                    name: _or_nan(inside, lambda v, q=q: np.quantile(v, q))
                    for name, q in QUANTILES.items()
                },
            }
            rows.append({**row, "effect": effect_in_words(row["cliffs_delta"])})
    found = pd.DataFrame(rows).round(6)
    by_size = found.assign(size=-found["cliffs_delta"].abs().fillna(-1.0).round(6))
    order = by_size.sort_values(["segment_id", "size"], kind="stable").index
    found.loc[order, "rank"] = found.loc[order].groupby("segment_id").cumcount() + 1
    return found.assign(rank=found["rank"].astype(int))


def cliffs_deltas(values: Array, segment: NDArray[np.int64]) -> dict[int, float]:
    """Cliff's delta of each segment against all others: P(member > other) − P(member < other).

    By ranks (it is 2U/nm − 1 of the Mann–Whitney U), so n log n and not n². Segments that are
    everybody have none. Source: Cliff, "Dominance statistics" (1993).
    """
    ranks = rankdata(values)
    found = {}
    for number in np.unique(segment):
        inside = segment == number
        n, m = int(inside.sum()), int((~inside).sum())
        if m:
            u = ranks[inside].sum() - n * (n + 1) / 2
            found[int(number)] = float(2 * u / (n * m) - 1)
    return found


def effect_in_words(delta: float) -> str:
    """Much higher, higher, slightly higher, like the rest, slightly lower, ..."""
    for least, word in EFFECT_SIZES:
        if abs(delta) >= least:
            return f"{word}{'higher' if delta > 0 else 'lower'}"
    return "like the rest"


def segment_categories(
    customers: pd.DataFrame, segment: NDArray[np.int64], titles: Mapping[str, str]
) -> pd.DataFrame:
    """Return one row per segment and category: spend, shares and lift with its 95 % interval.

    The lift compares the mean share of a member's spend with that of other customers, so that one
    large customer does not decide; its interval is that of a ratio of means, on the log scale.
    Who kept nothing has no shares and is left out.
    """
    bought = customers["frequency"].to_numpy() > 0
    spend = customers["monetary"].to_numpy(dtype=float)
    numbers = np.unique(segment[bought])
    rows = []
    for category, title in sorted(titles.items()):
        shares = customers[SHARE_PREFIX + category].to_numpy(dtype=float)
        for number in numbers:
            inside, outside = bought & (segment == number), bought & (segment != number)
            lift, low, high = ratio_of_means(shares[inside], shares[outside])
            verdict = "over" if low > 1 else "under" if high < 1 else "like the rest"
            rows.append(
                {
                    "segment_id": number,
                    "category": category,
                    "category_title": title,
                    "spend": float((shares * spend)[inside].sum()),
                    "spend_share": _weighted(shares, spend, inside),
                    "rest_share": _weighted(shares, spend, outside),
                    "buyer_share": _mean(shares[inside] > 0),
                    "rest_buyer_share": _mean(shares[outside] > 0),
                    "lift": lift,
                    "lift_low": low,
                    "lift_high": high,
                    "verdict": verdict,
                }
            )
    if not rows:
        return pd.DataFrame()
    found = pd.DataFrame(rows).round(6)
    found = found.sort_values(["segment_id", "spend", "category"], ascending=[True, False, True])
    return found.assign(rank=found.groupby("segment_id").cumcount() + 1)


def ratio_of_means(inside: Array, outside: Array) -> tuple[float, float, float]:
    """The ratio of two means with its 95 % interval (delta method on the log scale).

    NaN where a mean is zero or there are fewer than two on a side.
    """
    if min(len(inside), len(outside)) < 2 or inside.mean() <= 0 or outside.mean() <= 0:
        return np.nan, np.nan, np.nan
    ratio = inside.mean() / outside.mean()
    variance = sum(v.var(ddof=1) / len(v) / v.mean() ** 2 for v in (inside, outside))
    margin = Z95 * float(np.sqrt(variance))
    return float(ratio), float(ratio * np.exp(-margin)), float(ratio * np.exp(margin))


def home_countries(order_countries: pd.DataFrame) -> pd.Series[str]:
    """Each customer's country: where most of the orders went, of equals the first by name."""
    ordered = order_countries.sort_values(
        ["customer_id", "orders", "country"], ascending=[True, False, True]
    )
    return ordered.drop_duplicates("customer_id").set_index("customer_id")["country"]


def top_category(customers: pd.DataFrame, categories: Sequence[str]) -> list[str | None]:
    """The category that took most of each customer's spend; None where nothing was kept."""
    if not categories:
        return [None] * len(customers)
    shares = customers[[SHARE_PREFIX + c for c in categories]].to_numpy(dtype=float)
    best = shares.argmax(axis=1)
    return [categories[i] if row[i] > 0 else None for i, row in zip(best, shares, strict=True)]


def _or_nan(values: Array, statistic: Any) -> float:
    return float(statistic(values)) if len(values) else float("nan")


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _weighted(shares: Array, weights: Array, rows: NDArray[np.bool_]) -> float:
    total = weights[rows].sum()
    return float((shares[rows] * weights[rows]).sum() / total) if total > 0 else 0.0

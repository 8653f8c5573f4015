"""The next best category: what a customer who never bought it is most likely to try next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PRIOR = 10.0  # customers' worth of the shop's own rate, for pairs seldom seen


@dataclass(frozen=True)
class Habits:
    """What customers own together: `given` (c, c), and the mean shares (segments, c) of each."""

    given: Array
    means: Array


def learn_habits(shares: Array, segment: NDArray[np.int64], segments: int) -> Habits:
    """The habits of customers with these shares of spend (n, c), each in one of the segments."""
    owned = (shares > 0).astype(float)
    rate = owned.mean(axis=0) if len(owned) else np.zeros(shares.shape[1])
    together = owned.T @ owned
    given = (together + PRIOR * rate) / (np.diag(together)[:, None] + PRIOR)
    means = np.zeros((segments, shares.shape[1]))
    for number in np.unique(segment):
        means[number] = shares[segment == number].mean(axis=0)
    return Habits(given, means)


def adoption_scores(shares: Array, given: Array) -> Array:
    """How likely each customer is to own each category, given those owned; shape of `shares`.

    `shares` (n, c) are shares of spend. The share of i's owners who own j as well, shrunk to j's
    rate, averaged over what the customer spends on i.
    """
    spent = shares.sum(axis=1, keepdims=True)
    weights = np.where(spent > 0, shares / np.where(spent > 0, spent, 1.0), 1.0 / shares.shape[1])
    return np.asarray(weights @ given)


def next_best(
    shares: Array, segment: NDArray[np.int64], habits: Habits | None = None
) -> NDArray[np.int64]:
    """The column of the next best category for each customer; −1 where there is only one.

    Of those never bought the likeliest; who bought all gets the one where the own share lies
    furthest below the segment's mean. `habits` are those of the customers themselves, if none are
    given.
    """
    n, c = shares.shape
    if c < 2:
        return np.full(n, -1)
    habits = habits or learn_habits(shares, segment, int(segment.max(initial=0)) + 1)
    never = shares <= 0
    scores = np.where(never, np.round(adoption_scores(shares, habits.given), 9), -np.inf)
    best = scores.argmax(axis=1)
    complete = ~never.any(axis=1)
    if complete.any():
        short = np.round(habits.means[segment] - shares, 9)
        best[complete] = short[complete].argmax(axis=1)
    return np.asarray(best)


def popular_next(shares: Array) -> NDArray[np.int64]:
    """The rival: the category that most customers own, of those never bought; −1 where none."""
    popular = (shares > 0).mean(axis=0)
    scores = np.where(shares <= 0, popular, -np.inf)
    return np.where((shares <= 0).any(axis=1), scores.argmax(axis=1), -1)


def hit_rate(suggested: NDArray[np.int64], before: Array, after: Array) -> float:
    """Of customers who tried a new category after, the share for whom it was the suggested one.

    Rows of `before` and `after` are the same customers' shares at an earlier and a later day.
    """
    tried = (before <= 0) & (after > 0)
    rows = np.flatnonzero(tried.any(axis=1) & (suggested >= 0))
    return float(tried[rows, suggested[rows]].mean()) if len(rows) else float("nan")

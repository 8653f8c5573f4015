"""What category to suggest next: the most popular of those that a customer never bought.

Neighbours (who buys this buys that) did not do better; docs/method/profiles.md has the figures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def next_best(shares: Array, others: Array) -> NDArray[np.int64]:
    """The column of the category to suggest to each customer; −1 where there is only one.

    `shares` are those of spend (n, c), `others` the customers by whom popularity is told. Who
    bought all gets the category where the own share lies furthest below the others' mean.
    """
    n, c = shares.shape
    if c < 2:
        return np.full(n, -1)
    never = shares <= 0
    best = np.where(never, (others > 0).mean(axis=0), -1.0).argmax(axis=1)
    least = np.round(others.mean(axis=0) - shares, 9).argmax(axis=1)
    return np.asarray(np.where(never.any(axis=1), best, least))


def hit_rate(suggested: NDArray[np.int64], before: Array, after: Array) -> float:
    """Of customers who tried a new category after, the share for whom it was the suggested one.

    Rows of `before` and `after` are the same customers' shares at an earlier and a later day.
    """
    tried = (before <= 0) & (after > 0)
    rows = np.flatnonzero(tried.any(axis=1) & (suggested >= 0))
    return float(tried[rows, suggested[rows]].mean()) if len(rows) else float("nan")

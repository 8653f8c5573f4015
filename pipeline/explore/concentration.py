"""How unevenly revenue is spread over customers: Lorenz curve, Gini, top shares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Amounts = NDArray[np.int64]


def gini(amounts: Amounts) -> float:
    """Return the Gini coefficient of non-negative amounts: 0 = all alike, near 1 = one has all.

    Twice the area between the Lorenz curve and the diagonal (Gini 1912), from the ranks. Where
    there is nothing to share, all are alike.
    """
    ascending = np.sort(amounts)
    n, total = len(ascending), int(ascending.sum())
    if total == 0:
        return 0.0
    # Python's integers: ranks times money may pass 64 bits in a big shop.
    sums = np.cumsum(ascending)
    below = sum(map(int, sums)) * 2 - total
    return 1 - below / (n * total)


def top_shares(amounts: Amounts, percents: list[int]) -> list[tuple[int, int, int]]:
    """Return (percent, customers, amount) of the top customers by percent.

    The number of customers is rounded up: the best 1 % of 50 customers are one customer.
    """
    sums = np.concatenate([[0], np.cumsum(np.sort(amounts)[::-1])])
    counts = [-(-len(amounts) * percent // 100) for percent in percents]
    return [(p, n, int(sums[n])) for p, n in zip(percents, counts, strict=True)]

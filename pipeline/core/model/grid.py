"""Segments by fixed rules over a customer's own figures: how lately, how often, for how much.

A customer is in one of three stages by the days since the last order, against the usual gap between
this shop's orders, and in one of four tiers by orders and spend. Each name owns cells of stage x
tier, so names are disjoint and leave nobody out; a first order is `new` until the first stage ends.
Without an order a customer stays in the tier and only moves on to the next stage. One order alone
is of the lowest tier, whatever it cost: most who bought once do not come back.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]

COLUMNS = ("recency_days", "frequency", "monetary", "days_between_orders")
STAGES = ("recent", "slowing", "lapsed")
TIERS = (0.45, 0.75, 0.9)  # shares of the customers below each border
RECENT, LAPSED = 1.5, 3.0  # ends of the first two stages, in usual gaps
ORDERS_WEIGHT = 2.0  # of the logarithm of orders beside that of spend
NEW = "new"

Layout = dict[str, tuple[str, str, str, str]]

FULL: Layout = {
    "recent": ("promising", "potential_loyalists", "loyal", "champions"),
    "slowing": ("about_to_sleep", "need_attention", "need_attention", "cannot_lose"),
    "lapsed": ("lost", "hibernating", "at_risk", "cannot_lose"),
}
# With fewer names, the one least missed joins another: stage, name, the name that it joins.
JOINED = (
    (("slowing", "cannot_lose", "need_attention"), ("lapsed", "cannot_lose", "at_risk")),
    (("lapsed", "hibernating", "at_risk"),),
    (("recent", "promising", "potential_loyalists"),),
    (("lapsed", "at_risk", "lost"),),
    (("slowing", "about_to_sleep", "need_attention"),),
    (("recent", "champions", "loyal"),),
)


def _layouts() -> dict[int, Layout]:
    layout, found = dict(FULL), {11: dict(FULL)}
    for joins in JOINED:
        for stage, name, other in joins:
            a, b, c, d = (other if each == name else each for each in layout[stage])
            layout[stage] = (a, b, c, d)
        found[min(found) - 1] = dict(layout)
    return found


LAYOUTS = _layouts()
NAMES = {
    size: (NEW, *dict.fromkeys(name for stage in STAGES for name in layout[stage]))
    for size, layout in LAYOUTS.items()
}


@dataclass(frozen=True)
class Grid:
    """Recency by value, with `size` names.

    Recent is up to `recent_days`, lapsed from `lapsed_days` on; `borders` (3,) part the tiers by
    value_score.
    """

    size: int
    usual_gap_days: float
    recent_days: int
    lapsed_days: int
    borders: Matrix

    @classmethod
    def fitted(
        cls,
        points: Matrix,
        size: int,
        recent_days: int | None = None,
        lapsed_days: int | None = None,
    ) -> Grid:
        """The grid of customers with these COLUMNS (n, 4), money in units; days as declared."""
        again = points[points[:, 1] >= 2, 3]
        gap = float(np.median(again if len(again) else points[:, 0])) if len(points) else 1.0
        recent = recent_days or max(1, math.ceil(RECENT * gap))
        lapsed = lapsed_days or max(math.ceil(LAPSED * gap), recent + 1)
        scores = value_score(points) if len(points) else np.zeros(1)
        return cls(size, gap, recent, lapsed, np.quantile(scores, TIERS))

    @property
    def names(self) -> tuple[str, ...]:
        """The key of each cluster's name."""
        return NAMES[self.size]

    def assign(self, points: Matrix) -> Labels:
        """The number of each customer's name, by the first three COLUMNS."""
        stage = self.stage(points)
        tier = np.searchsorted(self.borders, value_score(points), side="right")
        tier[points[:, 1] <= 1] = 0
        layout = LAYOUTS[self.size]
        cells = np.array([[self.names.index(name) for name in layout[s]] for s in STAGES])
        is_new = (points[:, 1] <= 1) & (stage == 0)
        return np.asarray(np.where(is_new, self.names.index(NEW), cells[stage, tier]), np.int64)

    def in_order(self, value: Matrix) -> Matrix:
        """The value of each name (size,), at most that of any name that ageing leads from."""
        found = value.copy()
        layout = [LAYOUTS[self.size][stage] for stage in STAGES]
        steps = [(NEW, layout[1][0])]
        steps += [
            (a[t], b[t]) for a, b in itertools.pairwise(layout) for t in range(len(TIERS) + 1)
        ]
        for earlier, later in steps:
            before, after = self.names.index(earlier), self.names.index(later)
            if before != after:
                found[after] = min(found[after], np.nextafter(found[before], -np.inf))
        return found

    def life_stage(self, points: Matrix) -> Labels:
        """0 to 2 by the days since the last order; 3 for a first order."""
        stage = self.stage(points)
        return np.where((points[:, 1] <= 1) & (stage == 0), len(STAGES), stage)

    def confidence(self, points: Matrix) -> Matrix:
        """How far the nearest border is, in halves of the distance between borders, at most 1."""
        days = np.log1p(points[:, 0])[:, None]
        time = np.log1p([self.recent_days, self.lapsed_days])
        value, apart = value_score(points)[:, None], np.ptp(self.borders) / 2
        margins = np.hstack(
            [
                2 * np.abs(days - time) / max(np.ptp(time), 1e-9),
                2 * np.abs(value - self.borders) / max(float(apart), 1e-9),
            ]
        )
        return np.asarray(np.minimum(margins.min(axis=1), 1.0))

    def stage(self, points: Matrix) -> Labels:
        """The number of each customer's stage."""
        edges = [self.recent_days + 1, self.lapsed_days]
        return np.asarray(np.searchsorted(edges, points[:, 0], side="right"), dtype=np.int64)

    def condition(self, name: str) -> str:
        """What a name asks of a customer; `rank` is the place by orders and spend, as a share."""
        if name == NEW:
            return f"frequency = 1, recency_days <= {self.recent_days}"
        cells = [
            (stage, tier)
            for stage, each in enumerate(LAYOUTS[self.size][s] for s in STAGES)
            for tier, own in enumerate(each)
            if own == name
        ]
        stages, tiers = sorted({s for s, _ in cells}), sorted({t for _, t in cells})
        low, high = (0.0, *TIERS)[tiers[0]], (*TIERS, 1.0)[tiers[-1]]
        bounds = [f"> {1 - high:.2g}"] * (high < 1) + [f"<= {1 - low:.2g}"] * (low > 0)
        when, rank = self._when(stages), " and ".join(bounds)
        return f"{when}, rank {rank}" if rank else when

    def _when(self, stages: Sequence[int]) -> str:
        if stages == [0]:
            return f"recency_days <= {self.recent_days}"
        first = self.lapsed_days if stages[0] == 2 else self.recent_days + 1
        end = f" and <= {self.lapsed_days - 1}" if stages == [1] else ""
        return f"recency_days >= {first}{end}"


def value_score(points: Matrix) -> Matrix:
    """Orders and spend as one figure (n,): equal shares more of either count alike everywhere."""
    return np.asarray(ORDERS_WEIGHT * np.log1p(points[:, 1]) + np.log1p(points[:, 2]))

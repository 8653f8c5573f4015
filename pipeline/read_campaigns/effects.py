"""The effect of a treatment drawn at random: a difference of means, adjusted for earlier orders.

The adjustment is the regression of the outcome on group and covariates (Lin, "Agnostic notes on
regression adjustments to experimental data", 2013; CUPED with several covariates: Deng et al.,
"Improving the sensitivity of online controlled experiments", 2013), with standard errors that hold
for unequal variances (HC2: MacKinnon and White, 1985) and one slope for both groups, which small
hold-outs bear. The covariates come from before the start, so the draw makes them alike in both
groups: adjusting narrows the interval and moves its centre by chance alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_OF_EACH = 5  # buyers and non-buyers in each group; with fewer no interval holds
SPLIT_ALPHA = 0.001  # a split as skewed as this by luck once in a thousand draws is no luck


@dataclass(frozen=True)
class Effect:
    """Treated less held out, with standard errors; `margin` standard errors make the interval."""

    treated_mean: float
    held_out_mean: float
    difference: float
    error: float
    plain_error: float
    margin: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the adjusted difference."""
        half = self.margin * self.error
        return self.difference - half, self.difference + half

    @property
    def untreated(self) -> float:
        """What the treated would have reached untreated."""
        return self.treated_mean - self.difference

    @property
    def narrowed(self) -> float:
        """The share by which adjustment narrows the interval."""
        return 1 - self.error / self.plain_error


def effect(outcome: Floats, is_treated: NDArray[np.bool_], known: Floats) -> Effect | None:
    """Return the effect on `outcome`; None where a group is too small or too uniform for one."""
    groups = outcome[is_treated], outcome[~is_treated]
    if any(not _is_enough(group) for group in groups):
        return None
    spread = known.std(axis=0)
    varies = spread > 0
    centred = (known[:, varies] - known[:, varies].mean(axis=0)) / spread[varies]
    ones = np.ones(len(outcome))
    _, plain_error = _first_coefficient(outcome, np.column_stack([is_treated, ones]))
    adjusted, error = _first_coefficient(outcome, np.column_stack([is_treated, ones, centred]))
    return Effect(
        treated_mean=float(groups[0].mean()),
        held_out_mean=float(groups[1].mean()),
        difference=adjusted,
        error=error,
        plain_error=plain_error,
        margin=float(scipy.stats.t.ppf(0.975, min(map(len, groups)) - 1)),
    )


def chance_to_see(rise: float, error: float, alpha: float) -> float:
    """The chance that a two-sided test of level `alpha` sees a rise with this standard error."""
    if error <= 0:
        return 1.0
    normal = scipy.stats.norm
    return float(normal.cdf(rise / error - normal.ppf(1 - alpha / 2)))


def least_seen(error: float, alpha: float, power: float) -> float:
    """The least rise that is seen with a chance of `power`."""
    return float(scipy.stats.norm.ppf((1 - alpha / 2, power)).sum()) * error


def is_split_kept(treated: int, held_out: int, planned_share: float) -> bool:
    """Whether the groups stand to each other as drawn (sample ratio)."""
    total = treated + held_out
    test = scipy.stats.binomtest
    return total > 0 and bool(test(treated, total, planned_share).pvalue >= SPLIT_ALPHA)


def _is_enough(group: Floats) -> bool:
    some = int(np.count_nonzero(group))
    if set(np.unique(group)) <= {0.0, 1.0}:
        return LEAST_OF_EACH <= some <= len(group) - LEAST_OF_EACH
    return some >= LEAST_OF_EACH


def _first_coefficient(outcome: Floats, design: Floats) -> tuple[float, float]:
    """The first coefficient of a least-squares fit and its HC2 standard error."""
    inverse = np.linalg.pinv(design)
    leverage = np.einsum("ij,ji->i", design, inverse)
    coefficients = inverse @ outcome
    residuals = outcome - design @ coefficients
    scaled = residuals**2 / np.clip(1 - leverage, 1e-9, None)
    return float(coefficients[0]), math.sqrt(float(inverse[0] ** 2 @ scaled))

"""The groups that a rule declares and no clustering decides."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from pipeline.core.run.params import StageParams

RETURNED_EVERYTHING = "returned_everything"
WHOLESALE = "wholesale"
MOST_WHOLESALERS = 0.05  # of the customers; more, and large lines are how everybody buys there


class Wholesale(StageParams):
    """Who is a wholesaler: that many units on a line, in that many orders."""

    is_apart: bool
    minimum_units_per_line: float = Field(gt=0)
    minimum_orders: int = Field(ge=1)


def wholesale_of(customers: pd.DataFrame, declared: Wholesale) -> tuple[Wholesale, float]:
    """Return the rule as it is used, and the share of these customers whom it would set apart.

    It is off where that is above MOST_WHOLESALERS: a grocer's weekly shoppers, units in grams.
    """
    share = float((declared_group(customers, declared) == WHOLESALE).mean())
    is_apart = declared.is_apart and share <= MOST_WHOLESALERS
    return declared.model_copy(update={"is_apart": is_apart}), share


def declared_group(customers: pd.DataFrame, wholesale: Wholesale) -> NDArray[np.str_]:
    """The declared group of each row, or an empty text where the clustering decides."""
    group = np.full(len(customers), "", dtype=f"<U{len(RETURNED_EVERYTHING)}")
    orders = customers["frequency"].to_numpy()
    if wholesale.is_apart:
        units = customers["units_per_line"].to_numpy(float)
        is_large = units >= wholesale.minimum_units_per_line
        group[is_large & (orders >= wholesale.minimum_orders)] = WHOLESALE
    group[orders == 0] = RETURNED_EVERYTHING
    return group

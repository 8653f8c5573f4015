"""Money counted in a unit of the shop's own, so that its currency decides nothing."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd

UNITS_PER_ORDER = 300  # about a pound in the shop that the method was tried on


def money_unit(customers: pd.DataFrame, horizon_days: int) -> float:
    """A 300th of the median customer's average order; 1 where nobody kept anything.

    log1p sets little money beside none by the size of its unit: counted in pence, the first pound
    would weigh as much as the next hundred. The unit comes from the last snapshot within a horizon
    of the first: nothing is judged or foretold at an earlier one, so it tells nothing of later.
    """
    days = sorted(customers["snapshot_date"].unique())
    day = max(d for d in days if d <= days[0] + timedelta(days=horizon_days))
    rows = customers[(customers["snapshot_date"] == day) & (customers["frequency"] > 0)]
    typical = float(rows["average_order_value"].median()) if len(rows) else 0.0
    return typical / UNITS_PER_ORDER if typical > 0 else 1.0

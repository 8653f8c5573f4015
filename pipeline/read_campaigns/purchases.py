"""What customers bought before a day and in the days after it, from order lines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.engines.base import Engine
from pipeline.core.engines.expressions import day_number, ten_thousandths
from pipeline.core.tables.clean import RETURNED_UNITS, SALES

Lines = nw.LazyFrame[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Purchases:
    """`bought`: customer_id, day (a number), amount; `returned`: the same and returned_day."""

    bought: pd.DataFrame
    returned: pd.DataFrame
    last_day: int


def read_purchases(engine: Engine) -> Purchases:
    """The purchases of all known customers by day, at the scale of orders."""
    sales = engine.scan(SALES)
    last = engine.collect(sales.select(day_number(nw.col("sold_at").dt.date()).max().alias("day")))
    known = sales.filter(~nw.col("customer_id").is_null()).select(
        "line_id",
        "customer_id",
        day_number(nw.col("sold_at").dt.date()).alias("day"),
        ten_thousandths("amount").alias("amount"),
    )
    returned = known.drop("amount").join(
        engine.scan(RETURNED_UNITS).select(
            "line_id",
            day_number(nw.col("returned_at").dt.date()).alias("returned_day"),
            ten_thousandths("amount").alias("amount"),
        ),
        on="line_id",
    )
    return Purchases(
        _summed(engine, known, ["customer_id", "day"]),
        _summed(engine, returned, ["customer_id", "day", "returned_day"]),
        int(last["day"].fillna(0).iloc[0]),
    )


def _summed(engine: Engine, lines: Lines, keys: list[str]) -> pd.DataFrame:
    sums = engine.collect(lines.group_by(*keys).agg(nw.col("amount").sum().cast(nw.Int64)))
    sums["amount"] = sums["amount"] / 10_000
    return sums.sort_values(keys, ignore_index=True)


def outcomes(
    purchases: Purchases, customers: list[str], start: date, days: int
) -> dict[str, Floats]:
    """Whether each customer ordered on the `days` from `start`, and the spend.

    What was returned within these days does not count.
    """
    first, end = start.toordinal(), start.toordinal() + days
    bought = purchases.bought[purchases.bought["day"].between(first, end - 1)]
    returned = purchases.returned[purchases.returned["day"].between(first, end - 1)]
    returned = returned[returned["returned_day"] < end]
    keys = ["customer_id", "day"]
    kept = (
        bought.groupby(keys)["amount"]
        .sum()
        .sub(returned.groupby(keys)["amount"].sum(), fill_value=0)
    )
    spend = kept.groupby("customer_id").sum().reindex(customers, fill_value=0).to_numpy(dtype=float)
    spend = np.where(spend > 0.005, spend, 0.0)  # a cent: sums of floats
    return {"buyers": (spend > 0).astype(float), "spend": spend}


def history(
    purchases: Purchases, customers: list[str], start: date, days: int
) -> dict[str, Floats]:
    """What was known of each customer before `start`, the best predictors of each measure.

    Nothing here can be changed by a campaign that starts on that day.
    """
    first = start.toordinal()
    before = purchases.bought[purchases.bought["day"] < first]
    recent = before[before["day"] >= first - days]
    all_time = before.groupby("customer_id").agg(
        spend=("amount", "sum"), orders=("day", "size"), since=("day", "min"), last=("day", "max")
    )
    lately = recent.groupby("customer_id").agg(
        recent_spend=("amount", "sum"), recent_orders=("day", "size")
    )
    known = all_time.join(lately).reindex(customers)
    known["since"], known["last"] = known["since"].fillna(first), known["last"].fillna(0)
    known = known.fillna(0)
    span = (first - known["since"] + days) / days  # counted as if a quiet span had come before
    quiet = np.log1p(first - known["last"])
    rate, pace = known["spend"] / span, known["orders"] / span
    told = {
        "buyers": [
            quiet, *map(np.log1p, (known["orders"], rate, known["recent_spend"],
                                   known["recent_orders"])),
        ],
        "spend": [quiet, rate, pace, known["spend"] / known["orders"].clip(lower=1),
                  known["recent_spend"]],
    }  # fmt: skip
    return {name: np.column_stack(columns).astype(float) for name, columns in told.items()}

"""What customers bought in the days after a snapshot: outcomes to judge a segmentation by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import narwhals as nw

from pipeline.aggregate_rfm.calendar import snapshots_frame
from pipeline.aggregate_rfm.features import MONEY_UNIT
from pipeline.core.engines.expressions import whole_numbers

Lines = nw.LazyFrame[Any]


def whole_horizons(
    snapshots: Sequence[date], last_day: date, horizon_days: int
) -> tuple[date, ...]:
    """The snapshots whose horizon of days has ended by the last day of the data."""
    return tuple(d for d in snapshots if d + timedelta(days=horizon_days) <= last_day)


def later_purchases(
    orders: Lines, customers: Lines, snapshots: Sequence[date], horizon_days: int
) -> Lines:
    """Return orders and spend on days D+1 to D+horizon for every row of `customers` at D.

    `orders` are those of `order_changes`. What was returned within the horizon does not count; what
    was returned after it does. Without a snapshot there is no row.
    """
    windows = snapshots_frame(customers, snapshots or (date.min,)).select(
        "snapshot_date",
        nw.col("snapshot_day").alias("start"),
        (nw.col("snapshot_day") + horizon_days).alias("end"),
    )
    kept_orders = (
        orders.join(windows, how="cross")
        .filter(nw.col("sold_day") > nw.col("start"), nw.col("day") <= nw.col("end"))
        .group_by("snapshot_date", "customer_id", "invoice_id")
        .agg(nw.col("amount").sum())
        .filter(nw.col("amount") > 0)
        .group_by("snapshot_date", "customer_id")
        .agg(nw.len().alias("later_orders"), nw.col("amount").sum())
        .with_columns(whole_numbers("later_orders", "amount"))
    )
    return (
        customers.join(windows, on="snapshot_date", how="inner")
        .select("snapshot_date", "customer_id")
        .join(kept_orders, on=["snapshot_date", "customer_id"], how="left")
        .select(
            "snapshot_date",
            "customer_id",
            nw.col("later_orders").fill_null(0),
            (nw.col("amount").fill_null(0) * nw.lit(MONEY_UNIT)).alias("later_spend"),
        )
    )

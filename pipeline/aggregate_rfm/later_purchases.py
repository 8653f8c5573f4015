"""What customers bought in the days after a snapshot: outcomes to judge a segmentation by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import narwhals as nw

from pipeline.aggregate_rfm.calendar import snapshots_frame
from pipeline.aggregate_rfm.features import (
    MONEY_UNIT,
    known_sales,
)
from pipeline.core.engines.expressions import day_number, ten_thousandths, whole_numbers

Lines = nw.LazyFrame[Any]


def whole_horizons(
    snapshots: Sequence[date], last_day: date, horizon_days: int
) -> tuple[date, ...]:
    """The snapshots whose horizon of days has ended by the last day of the data."""
    return tuple(d for d in snapshots if d + timedelta(days=horizon_days) <= last_day)


def later_purchases(
    sales: Lines,
    returned_units: Lines,
    customers: Lines,
    snapshots: Sequence[date],
    horizon_days: int,
) -> Lines:
    """Return orders and spend on days D+1 to D+horizon for every row of `customers` at D.

    What was taken back within the horizon does not count; what was taken back after it does.
    """
    if not snapshots:
        return customers.filter(nw.col("frequency") < 0).select(
            "snapshot_date",
            "customer_id",
            nw.col("frequency").alias("later_orders"),
            nw.col("monetary").alias("later_spend"),
        )
    known = known_sales(sales, snapshots[-1] + timedelta(days=horizon_days)).with_columns(
        day_number(nw.col("day")).alias("day")
    )
    windows = snapshots_frame(sales, snapshots).select(
        "snapshot_date",
        nw.col("snapshot_day").alias("start"),
        (nw.col("snapshot_day") + horizon_days).alias("end"),
    )
    orders = (
        known.group_by("customer_id", "invoice_id", "day")
        .agg(nw.col("amount").sum())
        .with_columns(whole_numbers("amount"))
    )
    returned = (
        known.select("line_id", "customer_id", "invoice_id", "day")
        .join(
            returned_units.select(
                "line_id",
                ten_thousandths("amount").alias("amount"),
                day_number(nw.col("returned_at").dt.date()).alias("returned_day"),
            ),
            on="line_id",
            how="inner",
        )
        .join(windows, how="cross")
        .filter(_in_window() & (nw.col("returned_day") > nw.col("end")))
    )
    columns = ("snapshot_date", "customer_id", "invoice_id", "amount")
    bought = nw.concat(
        [
            orders.join(windows, how="cross").filter(_in_window()).select(*columns),
            returned.select(*columns),
        ]
    )
    kept_orders = (
        bought.group_by("snapshot_date", "customer_id", "invoice_id")
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


def _in_window() -> nw.Expr:
    return (nw.col("day") > nw.col("start")) & (nw.col("day") <= nw.col("end"))

"""Describe every customer as of each snapshot, from nothing that happened after it.

Reads   data/sales.parquet, data/returned_units.parquet, data/product_categories.parquet
Writes  data/customers.parquet, data/later_purchases.parquet, metrics/aggregate_rfm.json

Example: python -m pipeline.aggregate_rfm
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import narwhals as nw
import pandas as pd

from pipeline.aggregate_rfm.calendar import month_ends
from pipeline.aggregate_rfm.features import customer_features, order_changes
from pipeline.aggregate_rfm.later_purchases import later_purchases, whole_horizons
from pipeline.aggregate_rfm.movements import movements
from pipeline.aggregate_rfm.rfm_scores import with_scores
from pipeline.core.engines.base import open_engine
from pipeline.core.run.errors import InputError
from pipeline.core.run.metrics import write_metrics
from pipeline.core.run.params import ShopParams, StageParams, load_params
from pipeline.core.run.stage import run_stage, stage
from pipeline.core.tables.aggregate_rfm import CUSTOMERS, LATER_PURCHASES
from pipeline.core.tables.categorize_products import PRODUCT_CATEGORIES
from pipeline.core.tables.clean import RETURNED_UNITS, SALES
from pipeline.core.tables.contract import read_table

Lines = nw.LazyFrame[Any]
A_YEAR = timedelta(days=366)
IS_KNOWN = ~nw.col("customer_id").is_null()
# The first moment of a sale to a known customer, and the last of any.
SPAN = {
    "known": nw.when(IS_KNOWN).then(nw.col("sold_at")).min(),
    "last": nw.col("sold_at").max(),
}
# Figures of one snapshot's customers; money in ten-thousandths.
TOTALS = {
    "customers": nw.len(),
    "returned_everything": (nw.col("frequency") == 0).cast(nw.Int64).sum().cast(nw.Int64),
    "orders": nw.col("frequency").sum().cast(nw.Int64),
    "monetary": nw.col("amount").sum().cast(nw.Int64),
    "median_recency_days": nw.col("recency_days").median(),
    "median_frequency": nw.col("frequency").median(),
    "median_monetary": nw.col("amount").median(),
}


class Params(StageParams):
    """Section `rfm` of params.yaml."""

    as_of: date | None


def main() -> None:
    """Read the sales, describe the customers, write them, what they bought later, and figures."""
    params, horizon = load_params("rfm", Params), load_params("shop", ShopParams).horizon_days
    with stage("aggregate_rfm") as log, open_engine() as engine:
        sales = engine.scan(SALES)
        first, last = days_of_sales(engine.collect(sales.select(**SPAN)))
        snapshots = snapshot_dates(first, last, params.as_of)
        categories = sorted(set(read_table(PRODUCT_CATEGORIES, ["category"])["category"]))
        category_of = engine.scan(PRODUCT_CATEGORIES)
        moved = movements(sales, engine.scan(RETURNED_UNITS), snapshots, engine.keep)
        orders = engine.keep(order_changes(moved))
        features = customer_features(
            moved,
            orders,
            category_of,
            categories=categories,
            snapshots=snapshots,
            keep=engine.keep,
        )
        customers = engine.keep(with_scores(features))
        judged = whole_horizons(snapshots, min(last, snapshots[-1]), horizon)
        later = engine.keep(later_purchases(orders, customers, judged, horizon))
        engine.write(CUSTOMERS, customers.drop("amount", "last_kept_day"))
        engine.write(LATER_PURCHASES, later)
        last_ones = customers.filter(nw.col("snapshot_date") == nw.lit(snapshots[-1]))
        totals = engine.collect(last_ones.select(**TOTALS)).to_dict("records")[0]
        for name in ("monetary", "median_monetary"):
            totals[name] = Decimal(totals[name]) / 10_000
        figures = {
            "snapshots": len(snapshots),
            "last_snapshot": {"date": str(snapshots[-1]), **totals},
            "later": {"snapshots_judged": len(judged)},
        }
        write_metrics("aggregate_rfm", figures)
        log.info("%d snapshots from %s to %s", len(snapshots), snapshots[0], snapshots[-1])


def days_of_sales(span: pd.DataFrame) -> tuple[date, date]:
    """Return the day of the first sale to a known customer and the day of the last sale."""
    known, last = pd.Timestamp(span["known"].iloc[0]), pd.Timestamp(span["last"].iloc[0])
    if pd.isna(known):
        raise InputError(
            f"{SALES.path}: no sale has a customer, so there is nobody to describe; "
            "check source.columns: customer_id in params.yaml"
        )
    return known.date(), last.date()


def snapshot_dates(first: date, last: date, as_of: date | None) -> tuple[date, ...]:
    """Return the snapshots in order: the month ends from the first sale on, then `as_of`.

    Raises InputError where `as_of` is before the first sale or a year after the last.
    """
    as_of = as_of or last + timedelta(days=1)
    if not first <= as_of <= last + A_YEAR:
        raise InputError(
            f"params.yaml: rfm.as_of: {as_of} is outside the data; sales to known customers "
            f"run from {first} to {last}: choose a day of them, or null for the day after"
        )
    return (*month_ends(first, as_of), as_of)


if __name__ == "__main__":
    run_stage(main, __doc__)

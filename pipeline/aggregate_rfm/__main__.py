"""Describe every customer as of each snapshot, from nothing that happened after it.

Reads   data/sales.parquet, data/returned_units.parquet, data/product_categories.parquet
Writes  data/customers.parquet, data/later_purchases.parquet, metrics/aggregate_rfm.json

Example: python -m pipeline.aggregate_rfm
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Literal

import narwhals as nw
import pandas as pd

from pipeline.aggregate_rfm.calendar import month_ends
from pipeline.aggregate_rfm.features import MONEY_UNIT, customer_features
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
from pipeline.core.tables.contract import ContractError, read_table

Lines = nw.LazyFrame[Any]
A_YEAR = timedelta(days=366)


class Params(StageParams):
    """Section `rfm` of params.yaml."""

    as_of: date | None
    snapshots: Literal["month_ends", "last"]


def main() -> None:
    """Read the sales, describe the customers, write them, what they bought later, and figures."""
    params, horizon = load_params("rfm", Params), load_params("shop", ShopParams).horizon_days
    with stage("aggregate_rfm") as log, open_engine() as engine:
        sales = engine.scan(SALES)
        first, last = days_of_sales(engine.collect(sales_span(sales)))
        snapshots = snapshot_dates(first, last, params)
        categories = sorted(set(read_table(PRODUCT_CATEGORIES, ["category"])["category"]))
        category_of = engine.scan(PRODUCT_CATEGORIES)
        odd = engine.collect(uncategorized_product(sales, category_of))
        if len(odd):
            raise ContractError(
                f"{PRODUCT_CATEGORIES.name}: no row for {odd['stock_code'].iloc[0]}, "
                f"which {SALES.name} has"
            )
        moved = movements(sales, engine.scan(RETURNED_UNITS), snapshots[-1], engine.keep)
        features = customer_features(
            moved,
            category_of,
            categories=categories,
            snapshots=snapshots,
            keep=engine.keep,
        )
        customers = engine.keep(with_scores(features))
        judged = whole_horizons(snapshots, min(last, snapshots[-1]), horizon)
        later = engine.keep(later_purchases(moved, customers, judged, horizon))
        engine.write(CUSTOMERS, customers.drop("amount", "last_kept_day"))
        engine.write(LATER_PURCHASES, later)
        write_metrics(
            "aggregate_rfm",
            figures(
                engine.collect(snapshot_figures(customers)),
                engine.collect(later_figures(later)),
            ),
        )
        log.info("%d snapshots from %s to %s", len(snapshots), snapshots[0], snapshots[-1])


def sales_span(sales: Lines) -> Lines:
    """Return one row: `first` and `last` moment of a sale, and `known`, the first to a customer."""
    return sales.with_columns(
        nw.when(~nw.col("customer_id").is_null()).then(nw.col("sold_at")).alias("known_at")
    ).select(
        nw.col("sold_at").max().alias("last"),
        nw.col("known_at").min().alias("known"),
    )


def days_of_sales(span: pd.DataFrame) -> tuple[date, date]:
    """Return the day of the first sale to a known customer and the day of the last sale."""
    known, last = pd.Timestamp(span["known"].iloc[0]), pd.Timestamp(span["last"].iloc[0])
    if pd.isna(known):
        raise InputError(
            f"{SALES.path}: no sale has a customer, so there is nobody to describe; "
            "check source.columns: customer_id in params.yaml"
        )
    return known.date(), last.date()


def snapshot_dates(first: date, last: date, params: Params) -> tuple[date, ...]:
    """Return the snapshots in order: the month ends from the first sale on, then `as_of`.

    Raises InputError where `as_of` is before the first sale or a year after the last.
    """
    as_of = params.as_of or last + timedelta(days=1)
    if not first <= as_of <= last + A_YEAR:
        raise InputError(
            f"params.yaml: rfm.as_of: {as_of} is outside the data; sales to known customers "
            f"run from {first} to {last}: choose a day of them, or null for the day after"
        )
    if params.snapshots == "last":
        return (as_of,)
    return (*month_ends(first, as_of), as_of)


def uncategorized_product(sales: Lines, product_categories: Lines) -> Lines:
    """Return the first stock code of the sales that has no category, if there is one."""
    return (
        sales.select("stock_code")
        .join(product_categories, on="stock_code", how="anti")
        .select(nw.col("stock_code").min())
        .filter(~nw.col("stock_code").is_null())
    )


def snapshot_figures(customers: Lines) -> Lines:
    """Return one row per snapshot with its totals."""
    return (
        customers.with_columns(
            (nw.col("frequency") == 0).cast(nw.Int64).alias("returned_everything")
        )
        .group_by("snapshot_date")
        .agg(
            nw.len().alias("customers"),
            nw.col("returned_everything").sum(),
            nw.col("frequency").sum().alias("orders"),
            nw.col("amount").sum(),
            nw.col("recency_days").median().alias("median_recency_days"),
            nw.col("frequency").median().alias("median_frequency"),
            nw.col("amount").median().alias("median_amount"),
        )
        .sort("snapshot_date")
    )


def later_figures(later: Lines) -> Lines:
    """Return one row per judged snapshot with what its customers bought later."""
    return (
        later.with_columns((nw.col("later_orders") > 0).cast(nw.Float64).alias("share_buying"))
        .group_by("snapshot_date")
        .agg(nw.col("share_buying").mean(), nw.col("later_spend").sum())
        .sort("snapshot_date")
    )


def figures(snapshots: pd.DataFrame, later: pd.DataFrame) -> dict[str, Any]:
    """Return the metrics: the last snapshot's customers and what the judged ones bought later."""
    last = snapshots.iloc[-1]
    result: dict[str, Any] = {
        "snapshots": len(snapshots),
        "last_snapshot": {
            "date": str(last["snapshot_date"]),
            "customers": int(last["customers"]),
            "returned_everything": int(last["returned_everything"]),
            "orders": int(last["orders"]),
            "monetary": int(last["amount"]) * MONEY_UNIT,
            "median_recency_days": float(last["median_recency_days"]),
            "median_frequency": float(last["median_frequency"]),
            "median_monetary": float(last["median_amount"]) / 10_000,
        },
        "later": {"snapshots_judged": len(later)},
    }
    for row in later.itertuples(index=False):
        result["later"][str(row.snapshot_date)] = {
            "share_buying_again": row.share_buying,
            "spend": row.later_spend,
        }
    return result


if __name__ == "__main__":
    run_stage(main, __doc__)

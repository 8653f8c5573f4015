"""Small aggregates of the sales, from which patterns are read: lazy frame to lazy frame.

The lines are read into orders (a twentieth of the lines), on which all patterns over time, place
and basket are counted, and into products. To tell the orders of every product apart would double
the time, so it is done for those that are shown. Money is in ten-thousandths, as whole numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals as nw

from pipeline.core.engines.expressions import ten_thousandths, whole_numbers

Lines = nw.LazyFrame[Any]

SUMS = ("units", "amount", "returned_amount")
TOTALS = ("lines", "orders", *SUMS)
MONTHS = 12


def orders_of(sales: Lines) -> Lines:
    """Return one row per invoice and customer (null where unknown), with its totals and time.

    `orders` is 1 where anything of the order was kept and 0 where all was returned; `month`
    counts months from the year 0.
    """
    return (
        _with_amounts(sales)
        .group_by("invoice_id", "customer_id")
        .agg(nw.col("sold_at", "country").min(), nw.len().alias("lines"), nw.col(*SUMS).sum())
        .with_columns(whole_numbers("lines", *SUMS))
        .with_columns(
            (nw.col("amount") > 0).cast(nw.Int64).alias("orders"),
            month_number(nw.col("sold_at")).alias("month"),
            weekday(nw.col("sold_at")).alias("weekday"),
            nw.col("sold_at").dt.hour().cast(nw.Int64).alias("hour"),
            nw.col("country").fill_null("unknown"),
        )
    )


def weekday(moment: nw.Expr) -> nw.Expr:
    """1 for Monday to 7 for Sunday, which Spark calls 0."""
    day = moment.dt.weekday().cast(nw.Int64)
    return nw.when(day > 0).then(day).otherwise(nw.lit(7, nw.Int64))


def month_number(moment: nw.Expr) -> nw.Expr:
    """Months since the year 0, for a date or time."""
    return moment.dt.year().cast(nw.Int64) * MONTHS + moment.dt.month().cast(nw.Int64) - 1


def _with_amounts(sales: Lines) -> Lines:
    paid, kept = ten_thousandths("amount"), ten_thousandths("net_amount")
    return sales.with_columns(
        (nw.col("quantity") - nw.col("quantity_returned")).alias("units"),
        kept.alias("amount"),
        (paid - kept).alias("returned_amount"),
    )


def totals_by(orders: Lines, *columns: str) -> Lines:
    """Return the orders' totals and the number of known customers who kept one, by columns."""
    buyer = nw.when(nw.col("orders") > 0).then(nw.col("customer_id"))
    return (
        orders.with_columns(buyer.alias("buyer"))
        .with_columns(nw.col("buyer").is_null().cast(nw.Int64).alias("unknown"))
        .group_by(*columns)
        .agg(
            *(nw.col(c).sum() for c in TOTALS),
            nw.col("buyer").n_unique().alias("customers"),
            nw.col("unknown").max(),
        )
        .with_columns(whole_numbers(*TOTALS, "customers", "unknown"))
        # A null is one of the distinct values, and nobody.
        .with_columns(nw.col("customers") - nw.col("unknown"))
        .drop("unknown")
    )


def customer_totals(orders: Lines) -> Lines:
    """Return kept orders and amount of each known customer."""
    return (
        orders.filter(~nw.col("customer_id").is_null())
        .group_by("customer_id")
        .agg(nw.col("orders", "amount").sum())
        .with_columns(whole_numbers("orders", "amount"))
    )


def cohort_activity(orders: Lines) -> Lines:
    """Return the totals by month of a known customer's first kept order and months since."""
    kept = orders.filter(nw.col("orders") > 0, ~nw.col("customer_id").is_null())
    kept = kept.with_columns(cohort=nw.col("month").min().over("customer_id").cast(nw.Int64))
    since = (nw.col("month") - nw.col("cohort")).alias("months_since")
    return totals_by(kept.with_columns(since), "cohort", "months_since")


def bin_of(value: nw.Expr, edges: Sequence[int]) -> nw.Expr:
    """The number of ascending `edges` that are not above the value: its bin."""
    return nw.sum_horizontal(*((value >= edge).cast(nw.Int64) for edge in edges))


def product_totals(sales: Lines) -> Lines:
    """Return the totals of each product but for its orders."""
    products = _with_amounts(sales).group_by("stock_code")
    totals = products.agg(nw.len().alias("lines"), nw.col(*SUMS).sum())
    return totals.with_columns(whole_numbers("lines", *SUMS))


def product_orders(sales: Lines) -> Lines:
    """Return the number of `orders` on which any of the product was kept; none, no row."""
    kept = sales.filter(nw.col("net_amount") > 0).group_by("stock_code")
    return kept.agg(nw.col("invoice_id").n_unique().alias("orders"))


def descriptions_of(sales: Lines) -> Lines:
    """Return how often each product has each description."""
    texts = sales.with_columns(nw.col("description").fill_null(""))
    return texts.group_by("stock_code", "description").agg(nw.len().alias("lines"))

"""What only the lines know about segments: countries, orders, first orders.

Written once for every engine; each function aggregates lines to customers or to less.
Money is counted in ten-thousandths, as whole numbers: exact and fast.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import narwhals as nw

from pipeline.core.engines.expressions import day_number

Lines = nw.LazyFrame[Any]


def lines_until(sales: Lines, returned_units: Lines, day: date) -> Lines:
    """Return lines sold to known customers by the end of `day`, less what was returned by then.

    Columns: line_id, customer_id, invoice_id, stock_code, country, sold_at, quantity, gross (money
    as sold) and net (money kept).
    """
    returned = (
        returned_units.filter(nw.col("returned_at").dt.date() <= nw.lit(day))
        .group_by("line_id")
        .agg(_ten_thousandths("amount").sum().cast(nw.Int64).alias("money_back"))
    )
    return (
        sales.filter(~nw.col("customer_id").is_null())
        .filter(nw.col("sold_at").dt.date() <= nw.lit(day))
        .join(returned, on="line_id", how="left")
        .with_columns(_ten_thousandths("amount").alias("gross"))
        .select(
            "line_id",
            "customer_id",
            "invoice_id",
            "stock_code",
            "country",
            "sold_at",
            "quantity",
            "gross",
            (nw.col("gross") - nw.col("money_back").fill_null(0)).alias("net"),
        )
    )


def order_events(lines: Lines, returned_units: Lines, day: date) -> Lines:
    """Return the amount of orders with the day from which it is known: sales and returns.

    Columns: customer_id, invoice_id, day, known, amount (of a return negative). `lines` are
    those until `day`.
    """
    keys = ("customer_id", "invoice_id", "day")
    dated = lines.with_columns(day_number(nw.col("sold_at").dt.date()).alias("day"))
    sold = dated.select(*keys, nw.col("day").alias("known"), nw.col("gross").alias("amount"))
    back = dated.select("line_id", *keys).join(
        returned_units.filter(nw.col("returned_at").dt.date() <= nw.lit(day)).select(
            "line_id",
            day_number(nw.col("returned_at").dt.date()).alias("known"),
            (-_ten_thousandths("amount")).alias("amount"),
        ),
        on="line_id",
        how="inner",
    )
    return (
        nw.concat([sold, back.select(*keys, "known", "amount")])
        .group_by(*keys, "known")
        .agg(nw.col("amount").sum().cast(nw.Int64))
    )


def first_days(lines: Lines) -> Lines:
    """Return customer_id, stock_code and the day on which it was first bought and kept."""
    kept = lines.filter(nw.col("net") > 0).with_columns(
        day_number(nw.col("sold_at").dt.date()).alias("day")
    )
    return kept.group_by("customer_id", "stock_code").agg(nw.col("day").min().cast(nw.Int64))


def order_countries(lines: Lines) -> Lines:
    """Return customer_id, country and the number of orders that went there."""
    return (
        lines.select("customer_id", nw.col("country").fill_null("unknown"), "invoice_id")
        .unique()
        .group_by("customer_id", "country")
        .agg(nw.len().cast(nw.Int64).alias("orders"))
    )


def money_spent(lines: Lines) -> Lines:
    """Return customer_id, gross (money as sold) and net (money kept)."""
    return lines.group_by("customer_id").agg(
        nw.col("gross").sum().cast(nw.Int64), nw.col("net").sum().cast(nw.Int64)
    )


def first_orders(lines: Lines) -> Lines:
    """Return each customer's first order as it was placed: invoice_id, value, units, products.

    Of two orders in the same minute the one with the lesser invoice_id is the first.
    """
    orders = lines.group_by("customer_id", "invoice_id").agg(
        nw.col("sold_at").min(),
        nw.col("gross").sum().cast(nw.Int64).alias("value"),
        nw.col("quantity").sum().cast(nw.Int64).alias("units"),
        nw.col("stock_code").n_unique().cast(nw.Int64).alias("products"),
    )
    return _least(_least(orders, "sold_at"), "invoice_id").drop("sold_at")


def first_order_categories(lines: Lines, first: Lines, categories: Lines) -> Lines:
    """Return customer_id, category and the gross spend on it in the customer's first order."""
    return (
        lines.join(
            first.select("customer_id", "invoice_id"), on=["customer_id", "invoice_id"], how="inner"
        )
        .join(categories.select("stock_code", "category"), on="stock_code", how="inner")
        .group_by("customer_id", "category")
        .agg(nw.col("gross").sum().cast(nw.Int64))
    )


def _least(orders: Lines, column: str) -> Lines:
    least = orders.group_by("customer_id").agg(nw.col(column).min().alias("least"))
    return (
        orders.join(least, on="customer_id", how="inner")
        .filter(nw.col(column) == nw.col("least"))
        .drop("least")
    )


def _ten_thousandths(column: str) -> nw.Expr:
    return (nw.col(column) * 10_000).cast(nw.Int64)

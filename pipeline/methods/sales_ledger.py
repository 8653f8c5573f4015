"""What of the order lines is a sale of goods, and what of it was returned."""

from __future__ import annotations

import re
from typing import Any

import narwhals as nw
from pydantic import field_validator

from pipeline.shared.params import StageParams
from pipeline.tables.invoice_lines import INVOICE_LINES

Lines = nw.LazyFrame[Any]

CONTENT = tuple(c.name for c in INVOICE_LINES.columns if c.name != "line_id")


class NotGoods(StageParams):
    """What is no sale of goods: section `clean` of params.yaml."""

    not_goods_codes: tuple[str, ...]
    not_goods_patterns: tuple[str, ...]

    @field_validator("not_goods_patterns")
    @classmethod
    def _patterns_are_valid(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression: {error}") from None
        return patterns


def place_lines(lines: Lines, params: NotGoods) -> Lines:
    """Add `place`, the line's place in the ledger (`goods` until returns are netted), and `money`.

    `money` is the line's amount in ten-thousandths: whole numbers are exact on every engine.
    """
    first = nw.col("line_id").min().over(*CONTENT)
    pattern = "|".join((*params.not_goods_patterns, r"^\b$"))
    is_adjustment = (
        nw.col("description").is_null()
        & (nw.col("unit_price") == 0)
        & nw.col("customer_id").is_null()
    )
    is_not_goods = nw.col("stock_code").is_in(params.not_goods_codes) | nw.col(
        "stock_code"
    ).str.contains(pattern)
    amount = (nw.col("quantity") * nw.col("unit_price")).cast(nw.Decimal(18, 4))
    return lines.with_columns(
        place=nw.when(nw.col("line_id") != first)
        .then(nw.lit("duplicates"))
        .when(is_adjustment)
        .then(nw.lit("stock_adjustments"))
        .when(is_not_goods)
        .then(nw.lit("not_goods"))
        .when(nw.col("unit_price") <= 0)
        .then(nw.lit("no_price"))
        .when(nw.col("quantity") == 0)
        .then(nw.lit("no_quantity"))
        .otherwise(nw.lit("goods")),
        money=(amount * 10_000).cast(nw.Int64),
    )


def place_returns(placed: Lines, held: Lines) -> Lines:
    """Settle the place of every line of goods: kept, or a return, matched at least in part."""
    matched = held.filter(nw.col("units_matched") > 0).select("line_id", is_matched=nw.lit(1))
    is_known = ~nw.col("customer_id").is_null()
    place = (
        nw.when(nw.col("place") != "goods")
        .then(nw.col("place"))
        .when(nw.col("quantity") > 0)
        .then(
            nw.when(is_known)
            .then(nw.lit("kept_with_customer"))
            .otherwise(nw.lit("kept_without_customer"))
        )
        .when(nw.col("is_matched").is_null())
        .then(nw.lit("returns_unmatched"))
        .otherwise(nw.lit("returns_matched"))
    )
    joined = placed.join(matched, on="line_id", how="left")
    return joined.with_columns(place=place).drop("is_matched")


def net_sales(placed: Lines, taken_back: Lines) -> Lines:
    """Return the kept lines with `quantity_returned` and `net_amount`."""
    returned = taken_back.group_by("line_id").agg(nw.col("quantity").sum().alias("returned"))
    kept = placed.filter(nw.col("place").is_in(["kept_with_customer", "kept_without_customer"]))
    netted = kept.join(returned, on="line_id", how="left").with_columns(
        quantity_returned=nw.col("returned").fill_null(0).cast(nw.Int64)
    )
    units = nw.col("quantity") - nw.col("quantity_returned")
    return netted.select(
        *(column.name for column in INVOICE_LINES.columns),
        "quantity_returned",
        net_amount=(units * nw.col("unit_price")).cast(nw.Decimal(18, 4)),
    )


def priced(taken_back: Lines, placed: Lines) -> Lines:
    """Add `amount`, the units taken back at the price of their sale."""
    prices = placed.select("line_id", "unit_price")
    amount = (nw.col("quantity") * nw.col("unit_price")).cast(nw.Decimal(18, 4))
    return (
        taken_back.join(prices, on="line_id", how="inner")
        .with_columns(amount=amount)
        .drop("unit_price")
    )

"""What of the order lines is a sale of goods, and what of it was returned."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

import narwhals as nw
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import field_validator

from pipeline.clean.refunds import match_refunds
from pipeline.clean.returns import match_returns
from pipeline.core.engines.base import Engine
from pipeline.core.engines.expressions import ten_thousandths
from pipeline.core.run.params import StageParams
from pipeline.core.tables.ingest import INVOICE_LINES

Lines = nw.LazyFrame[Any]
Keep = Callable[[Lines], Lines]

MONEY = nw.Decimal(18, 4)
MONEY_UNIT = nw.lit(Decimal("0.0001"))
ALIKE = ("invoice_id", "stock_code", "quantity")  # short, and never null
CONTENT = tuple(c.name for c in INVOICE_LINES.columns if c.name not in {"line_id", "repeats"})


class NotGoods(StageParams):
    """What is no sale of goods: section `clean` of params.yaml."""

    not_goods_codes: dict[str, str]
    not_goods_patterns: dict[str, str]
    repeats: Literal["drop", "keep"] | None = None

    @field_validator("not_goods_patterns")
    @classmethod
    def _patterns_are_valid(cls, patterns: dict[str, str]) -> dict[str, str]:
        for pattern in patterns.values():
            try:  # RE2, as DuckDB has it, knows no (?=…), (?!…) or \\1
                pc.match_substring_regex(pa.array([""]), pattern)
            except pa.ArrowInvalid as error:
                raise ValueError(f"{pattern!r} is no regular expression of RE2: {error}") from None
        return patterns


def place_lines(lines: Lines, params: NotGoods, keep: Keep) -> Lines:
    """Add `place`, the line's place in the ledger (`goods` until returns are netted), and `money`.

    `money` is the line's amount in ten-thousandths: whole numbers are exact on every engine. What
    is kept on the way is small: the repeats, and the codes that are no goods.
    """
    repeats = keep(repeated_lines(lines, params.repeats)).with_columns(is_repeat=nw.lit(1))
    others = keep(codes_of_no_goods(lines, params)).with_columns(is_not_goods=nw.lit(1))
    is_adjustment = (
        nw.col("description").is_null()
        & (nw.col("unit_price") == 0)
        & nw.col("customer_id").is_null()
    )
    price = nw.when(nw.col("quantity") > 0).then(nw.col("amount")).otherwise(nw.col("unit_price"))
    return (
        lines.join(repeats, on="line_id", how="left")
        .join(others, on="stock_code", how="left")
        .with_columns(
            place=nw.when(~nw.col("is_repeat").is_null())
            .then(nw.lit("duplicates"))
            .when(~nw.col("is_sale"))
            .then(nw.lit("not_sold"))
            .when(is_adjustment)
            .then(nw.lit("stock_adjustments"))
            .when(~nw.col("is_not_goods").is_null())
            .then(nw.lit("not_goods"))
            .when((nw.col("quantity") == 0) & (nw.col("amount") < 0))
            .then(nw.lit("refund"))
            .when(price <= 0)
            .then(nw.lit("no_price"))
            .when(nw.col("quantity") == 0)
            .then(nw.lit("no_quantity"))
            .otherwise(nw.lit("goods")),
            money=ten_thousandths("amount"),
        )
        .drop("is_repeat", "is_not_goods")
    )


def repeated_lines(lines: Lines, repeats: str | None) -> Lines:
    """Return the `line_id` of every line that repeats an earlier one and is to be dropped.

    Where `repeats` is null, each line says itself what becomes of it. Lines that are alike in three
    short columns are few; only these are compared as a whole.
    """
    if repeats is None:
        lines = lines.filter(nw.col("repeats") == "drop")
    elif repeats == "keep":
        lines = lines.filter(nw.col("line_id") < 0)
    several = lines.group_by(*ALIKE).agg(nw.len().alias("times")).filter(nw.col("times") > 1)
    alike = lines.join(several.select(*ALIKE), on=list(ALIKE), how="semi")
    first = nw.col("line_id").min().over(*CONTENT)
    return (
        alike.with_columns(first=first)
        .filter(nw.col("line_id") != nw.col("first"))
        .select("line_id")
    )


def codes_of_no_goods(lines: Lines, params: NotGoods) -> Lines:
    """Return the `stock_code`s of the lines that are no goods, each looked at once."""
    pattern = "(?i)" + "|".join((*params.not_goods_patterns.values(), r"^\b$"))
    codes = {code.strip().upper() for code in params.not_goods_codes}  # as ingest writes them
    code = nw.col("stock_code")
    return (
        lines.group_by("stock_code")
        .agg(nw.len().alias("lines"))
        .select("stock_code")
        .filter(code.is_in(codes) | code.str.contains(pattern))
    )


def returned_units(engine: Engine, placed: Lines) -> Lines:
    """Return which units and which money of each sale line went back, and when."""
    returns = match_returns(placed.filter(nw.col("place") == "goods"))
    refunds = match_refunds(placed, returns)
    return engine.keep(priced(engine.load(pa.concat_tables([returns, refunds]))))


def place_returns(placed: Lines, matches: Lines) -> Lines:
    """Settle the place of every line of goods: kept, or a return, matched at least in part."""
    matched = matches.select(nw.col("return_line_id").alias("line_id")).unique()
    matched = matched.with_columns(is_matched=nw.lit(1))
    is_known = ~nw.col("customer_id").is_null()
    place = (
        nw.when(~nw.col("place").is_in(["goods", "refund"]))
        .then(nw.col("place"))
        .when(nw.col("place") == "refund")
        .then(
            nw.when(nw.col("is_matched").is_null())
            .then(nw.lit("refunds_unmatched"))
            .otherwise(nw.lit("refunds_matched"))
        )
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


def net_sales(placed: Lines, returned_units: Lines) -> Lines:
    """Return the kept lines with `quantity_returned` and `net_amount`."""
    returned = (
        returned_units.with_columns(units_back=ten_thousandths("quantity"))
        .with_columns(money_back=ten_thousandths("amount"))
        .group_by("line_id")
        .agg(nw.col("units_back", "money_back").sum())
    )
    kept = placed.filter((nw.col("place") == "goods") & (nw.col("quantity") > 0))
    units, money = nw.col("units_back").fill_null(0), nw.col("money_back").fill_null(0)
    return kept.join(returned, on="line_id", how="left").select(
        *(column.name for column in INVOICE_LINES.columns),
        quantity_returned=(units.cast(nw.Int64) * MONEY_UNIT).cast(MONEY),
        net_amount=((nw.col("money") - money).cast(nw.Int64) * MONEY_UNIT).cast(MONEY),
    )


def priced(matches: Lines) -> Lines:
    """Return the units that came back with `amount`, what was paid for them."""
    return matches.select(
        "line_id",
        "return_line_id",
        "returned_at",
        quantity=(nw.col("units") * MONEY_UNIT).cast(MONEY),
        amount=(nw.col("money") * MONEY_UNIT).cast(MONEY),
    )

"""Keep the genuine sales: no repeats, fees or stock adjustments; returns netted.

Reads   data/invoice_lines.parquet
Writes  data/sales.parquet, data/returned_units.parquet, metrics/clean.json

Example: python -m pipeline.clean
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import narwhals as nw
import pandas as pd

from pipeline.engines.door import open_engine
from pipeline.methods.returns import held_units, units_taken_back
from pipeline.shared.errors import InputError
from pipeline.shared.metrics import write_metrics
from pipeline.shared.params import StageParams, load_params
from pipeline.shared.stage import run_stage, stage
from pipeline.tables.invoice_lines import INVOICE_LINES
from pipeline.tables.returned_units import RETURNED_UNITS
from pipeline.tables.sales import SALES

Lines = nw.LazyFrame[Any]

CONTENT = tuple(c.name for c in INVOICE_LINES.columns if c.name != "line_id")
# The order of the ledger: a line leaves at the first exit that fits.
PLACES = (
    "duplicates",
    "stock_adjustments",
    "not_goods",
    "no_price",
    "no_quantity",
    "returns_matched",
    "returns_unmatched",
    "kept_with_customer",
    "kept_without_customer",
)
MONEY_UNIT = Decimal("0.0001")


class Params(StageParams):
    """Section `clean` of params.yaml."""

    not_goods_codes: tuple[str, ...]
    not_goods_patterns: tuple[str, ...]


def main() -> None:
    """Read the lines, place each in the ledger, net the returns, write the sales."""
    params = load_params("clean", Params)
    with stage("clean") as log, open_engine() as engine:
        placed = engine.keep(place_lines(engine.scan(INVOICE_LINES), params))
        held = engine.keep(held_units(placed.filter(nw.col("place") == "goods")))
        placed = engine.keep(place_returns(placed, held))
        taken_back = engine.keep(units_taken_back(held))
        facts = engine.collect(count_facts(placed))
        ledger = ledger_of(engine.collect(sum_places(placed)))
        if not ledger["kept_with_customer"]["lines"] + ledger["kept_without_customer"]["lines"]:
            raise InputError(
                f"{INVOICE_LINES.path}: none of its lines is a sale of goods; see the ledger by "
                "`python -m pipeline.ingest --check`, and section clean of params.yaml"
            )
        engine.write(SALES, net_sales(placed, taken_back))
        engine.write(RETURNED_UNITS, priced(taken_back, placed))
        write_metrics(
            "clean",
            {
                "ledger": ledger,
                "facts": facts_of(facts, ledger),
                "returns": units_of(engine.collect(sum_units(held, placed))),
            },
        )
        kept = ledger["kept_with_customer"]["lines"]
        log.info("kept %d sales to known customers of %d lines", kept, facts["lines"].iloc[0])


def place_lines(lines: Lines, params: Params) -> Lines:
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


def sum_places(placed: Lines) -> Lines:
    """Return lines, lines with a customer and money (ten-thousandths) of each place."""
    return (
        placed.with_columns(has_customer=(~nw.col("customer_id").is_null()).cast(nw.Int64))
        .group_by("place")
        .agg(
            nw.len().alias("lines"),
            nw.col("has_customer").sum(),
            nw.col("money").sum(),
        )
    )


def ledger_of(sums: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the ledger in its order; a place that no line took has zeros."""
    rows = sums.set_index("place")
    return {
        place: {
            "lines": int(rows["lines"].get(place, 0)),
            "lines_with_customer": int(rows["has_customer"].get(place, 0)),
            "money": int(rows["money"].get(place, 0)) * MONEY_UNIT,
        }
        for place in PLACES
    }


def count_facts(placed: Lines) -> Lines:
    """Return one row of counts over all lines, each a column; they are sums of 0 and 1."""
    known = ~nw.col("customer_id").is_null()
    told_once = known & (nw.col("place") != "duplicates")
    sold = told_once & (nw.col("quantity") > 0)
    conditions = {
        "lines_without_customer": ~known,
        "lines_without_description": nw.col("description").is_null(),
        "with_customer_after_duplicates": told_once,
        "with_customer_negative_quantity": told_once & (nw.col("quantity") < 0),
        "with_customer_sold": sold,
        "with_customer_sold_not_goods": sold & (nw.col("place") == "not_goods"),
        "with_customer_sold_goods_at_price_0": sold & (nw.col("place") == "no_price"),
    }
    flags = [condition.cast(nw.Int64).alias(name) for name, condition in conditions.items()]
    customer = nw.when(nw.col("place") == "kept_with_customer").then(nw.col("customer_id"))
    return placed.with_columns(*flags, buyer=customer).select(
        nw.len().alias("lines"),
        *(nw.col(name).sum() for name in conditions),
        nw.col("buyer").n_unique().alias("buyers"),
        (nw.col("buyer").null_count() > 0).cast(nw.Int64).alias("null_buyers"),
        nw.col("country").n_unique().alias("countries"),
        (nw.col("country").null_count() > 0).cast(nw.Int64).alias("null_countries"),
        nw.col("money").sum(),
    )


def facts_of(counts: pd.DataFrame, ledger: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the facts that people check a file by; raise where the ledger does not add up."""
    row = {str(name): int(value) for name, value in counts.iloc[0].items()}
    lines = sum(place["lines"] for place in ledger.values())
    money = sum((place["money"] for place in ledger.values()), Decimal(0))
    if (lines, money) != (row["lines"], row["money"] * MONEY_UNIT):
        raise ArithmeticError(f"the ledger holds {lines} lines and {money}, the file {row}")
    # n_unique counts a null as a value of its own.
    return {
        "lines_read": row["lines"],
        "money_read": money,
        "customers": row["buyers"] - row["null_buyers"],
        "countries": row["countries"] - row["null_countries"],
        **{name: row[name] for name in row if name.startswith(("lines_", "with_"))},
        "duplicates_with_customer": ledger["duplicates"]["lines_with_customer"],
        "with_customer_sold_goods": ledger["kept_with_customer"]["lines"],
    }


def sum_units(held: Lines, placed: Lines) -> Lines:
    """Return one row: units that came back, and units matched with a sale of the file."""
    returned = placed.filter(
        nw.col("place").is_in(["returns_matched", "returns_unmatched"])
    ).select("line_id", "quantity")
    matched = held.select("line_id", "units_matched")
    return returned.join(matched, on="line_id", how="left").select(
        (-nw.col("quantity")).sum().alias("units"),
        nw.col("units_matched").sum().alias("units_matched"),
    )


def units_of(sums: pd.DataFrame) -> dict[str, int]:
    """Return the units that came back, by whether the file holds their sale."""
    units, matched = (0 if pd.isna(v) else int(v) for v in sums.iloc[0])
    return {"units": units, "units_matched": matched, "units_unmatched": units - matched}


if __name__ == "__main__":
    run_stage(main, __doc__)

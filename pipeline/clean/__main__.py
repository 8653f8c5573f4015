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

from pipeline.clean.ledger import NotGoods, net_sales, place_lines, place_returns, returned_units
from pipeline.core.engines.base import open_engine
from pipeline.core.engines.expressions import ten_thousandths
from pipeline.core.run.errors import InputError
from pipeline.core.run.metrics import write_metrics
from pipeline.core.run.params import load_params
from pipeline.core.run.stage import run_stage, stage
from pipeline.core.tables.clean import RETURNED_UNITS, SALES
from pipeline.core.tables.ingest import INVOICE_LINES

Lines = nw.LazyFrame[Any]

# The order of the ledger: a line leaves at the first exit that fits.
PLACES = (
    "duplicates",
    "not_sold",
    "stock_adjustments",
    "not_goods",
    "no_price",
    "no_quantity",
    "returns_matched",
    "returns_unmatched",
    "refunds_matched",
    "refunds_unmatched",
    "kept_with_customer",
    "kept_without_customer",
)
MONEY_UNIT = Decimal("0.0001")


class Params(NotGoods):
    """Section `clean` of params.yaml."""


def main() -> None:
    """Read the lines, place each in the ledger, net the returns, write the sales."""
    params = load_params("clean", Params)
    with stage("clean") as log, open_engine() as engine:
        lines = engine.scan(INVOICE_LINES)
        placed = place_lines(lines, params, engine.keep)
        returned = returned_units(engine, placed)
        groups = engine.collect(group_lines(place_returns(placed, returned)))
        ledger = ledger_of(groups)
        facts = facts_of(groups, engine.collect(sum_file(lines)), ledger)
        if not ledger["kept_with_customer"]["lines"] + ledger["kept_without_customer"]["lines"]:
            raise InputError(
                f"{INVOICE_LINES.path}: none of its lines is a sale of goods; see the ledger by "
                "`python -m pipeline check FILE`, and section clean of params.yaml"
            )
        engine.write(SALES, net_sales(placed, returned))
        engine.write(RETURNED_UNITS, returned)
        matched = engine.collect(returned.select(nw.col("quantity").sum()))["quantity"].iloc[0]
        figures = {"ledger": ledger, "facts": facts, "returns": units_of(groups, matched)}
        write_metrics("clean", figures)
        kept = ledger["kept_with_customer"]["lines"]
        log.info("kept %d sales to known customers of %d lines", kept, facts["lines_read"])


def group_lines(placed: Lines) -> Lines:
    """Return the sums that every figure is made of, by place, customer and country.

    Columns: lines, sold (lines of positive quantity), negative, without_description, units and
    money (ten-thousandths).
    """
    flags = {
        "sold": nw.col("quantity") > 0,
        "negative": nw.col("quantity") < 0,
        "without_description": nw.col("description").is_null(),
    }
    sums = (*flags, "units", "money")
    return (
        placed.with_columns(
            *(condition.cast(nw.Int64).alias(name) for name, condition in flags.items()),
            units=nw.col("quantity"),
        )
        .group_by("place", "customer_id", "country")
        .agg(nw.len().alias("lines"), *(nw.col(name).sum() for name in sums))
        .with_columns(nw.col("lines", *sums).cast(nw.Int64))
    )


def sum_file(lines: Lines) -> Lines:
    """Return one row, `lines` and `money` of the file, which the ledger must add up to."""
    return lines.with_columns(money=ten_thousandths("amount")).select(
        nw.len().alias("lines"), nw.col("money").sum()
    )


def ledger_of(groups: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return the ledger in its order; a place that no line took has zeros."""
    has_customer = groups["lines"].where(groups["customer_id"].notna(), 0)
    sums = (
        groups.assign(has_customer=has_customer)
        .groupby("place")[["lines", "has_customer", "money"]]
        .sum()
        .reindex(list(PLACES), fill_value=0)
    )
    return {
        str(place): {
            "lines": int(lines),
            "lines_with_customer": int(known),
            "money": int(money) * MONEY_UNIT,
        }
        for place, lines, known, money in sums.itertuples()
    }


def facts_of(
    groups: pd.DataFrame, file: pd.DataFrame, ledger: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return the facts that people check a file by; raise where the ledger does not add up."""
    in_file = (int(file["lines"].iloc[0]), int(file["money"].iloc[0]) * MONEY_UNIT)
    in_ledger = (
        sum(place["lines"] for place in ledger.values()),
        sum((place["money"] for place in ledger.values()), Decimal(0)),
    )
    if in_ledger != in_file:
        raise ArithmeticError(f"lines and money: the ledger holds {in_ledger}, the file {in_file}")
    known = groups[groups["customer_id"].notna()]
    once, place = known[known["place"] != "duplicates"], known["place"]
    return {
        "lines_read": in_file[0],
        "money_read": in_file[1],
        "customers": known.loc[place == "kept_with_customer", "customer_id"].nunique(),
        "countries": groups["country"].nunique(),
        "lines_without_customer": in_file[0] - known["lines"].sum(),
        "lines_without_description": groups["without_description"].sum(),
        "with_customer_after_duplicates": once["lines"].sum(),
        "with_customer_negative_quantity": once["negative"].sum(),
        "with_customer_sold": once["sold"].sum(),
        "with_customer_sold_not_goods": known.loc[place == "not_goods", "sold"].sum(),
        "with_customer_sold_goods_at_price_0": known.loc[place == "no_price", "sold"].sum(),
        "duplicates_with_customer": ledger["duplicates"]["lines_with_customer"],
        "with_customer_sold_goods": ledger["kept_with_customer"]["lines"],
    }


def units_of(groups: pd.DataFrame, matched: Decimal | None) -> dict[str, int]:
    """Return the units that came back, by whether the file holds their sale."""
    is_return = groups["place"].isin(["returns_matched", "returns_unmatched"])
    units, known = -int(groups.loc[is_return, "units"].sum()), int(matched or 0)
    return {"units": units, "units_matched": known, "units_unmatched": units - known}


if __name__ == "__main__":
    run_stage(main, __doc__)

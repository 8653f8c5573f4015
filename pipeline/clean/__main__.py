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
        groups = engine.keep(group_lines(place_returns(placed, returned)))
        ledger = ledger_of(engine.collect(sum_places(groups)))
        facts = facts_of(
            engine.collect(count_facts(groups)), engine.collect(sum_file(lines)), ledger
        )
        if not ledger["kept_with_customer"]["lines"] + ledger["kept_without_customer"]["lines"]:
            raise InputError(
                f"{INVOICE_LINES.path}: none of its lines is a sale of goods; see the ledger by "
                "`python -m pipeline check FILE`, and section clean of params.yaml"
            )
        engine.write(SALES, net_sales(placed, returned))
        engine.write(RETURNED_UNITS, returned)
        write_metrics(
            "clean",
            {
                "ledger": ledger,
                "facts": facts,
                "returns": units_of(
                    engine.collect(sum_returned(groups)),
                    engine.collect(sum_matched(returned)),
                ),
            },
        )
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


def sum_places(groups: Lines) -> Lines:
    """Return lines, lines with a customer and money (ten-thousandths) of each place."""
    return (
        groups.with_columns(has_customer=_lines_if(~nw.col("customer_id").is_null()))
        .group_by("place")
        .agg(nw.col("lines", "has_customer", "money").sum())
    )


def sum_file(lines: Lines) -> Lines:
    """Return one row, `lines` and `money` of the file, which the ledger must add up to."""
    return lines.with_columns(money=ten_thousandths("amount")).select(
        nw.len().alias("lines"), nw.col("money").sum()
    )


def _lines_if(condition: nw.Expr, column: str = "lines") -> nw.Expr:
    return nw.when(condition).then(nw.col(column)).otherwise(nw.lit(0, nw.Int64))


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


def count_facts(groups: Lines) -> Lines:
    """Return one row of counts over all lines, each a column."""
    known = ~nw.col("customer_id").is_null()
    told_once = known & (nw.col("place") != "duplicates")
    counts = {
        "lines_without_customer": _lines_if(~known),
        "lines_without_description": nw.col("without_description"),
        "with_customer_after_duplicates": _lines_if(told_once),
        "with_customer_negative_quantity": _lines_if(told_once, "negative"),
        "with_customer_sold": _lines_if(told_once, "sold"),
        "with_customer_sold_not_goods": _lines_if(known & (nw.col("place") == "not_goods"), "sold"),
        "with_customer_sold_goods_at_price_0": _lines_if(
            known & (nw.col("place") == "no_price"), "sold"
        ),
    }
    customer = nw.when(nw.col("place") == "kept_with_customer").then(nw.col("customer_id"))
    return groups.with_columns(
        *(count.alias(name) for name, count in counts.items()), buyer=customer
    ).select(
        *(nw.col(name).sum() for name in counts),
        nw.col("buyer").n_unique().alias("buyers"),
        (nw.col("buyer").null_count() > 0).cast(nw.Int64).alias("null_buyers"),
        nw.col("country").n_unique().alias("countries"),
        (nw.col("country").null_count() > 0).cast(nw.Int64).alias("null_countries"),
    )


def facts_of(
    counts: pd.DataFrame, file: pd.DataFrame, ledger: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return the facts that people check a file by; raise where the ledger does not add up."""
    row = {str(name): int(value) for name, value in counts.iloc[0].items()}
    in_file = (int(file["lines"].iloc[0]), int(file["money"].iloc[0]) * MONEY_UNIT)
    in_ledger = (
        sum(place["lines"] for place in ledger.values()),
        sum((place["money"] for place in ledger.values()), Decimal(0)),
    )
    if in_ledger != in_file:
        raise ArithmeticError(f"lines and money: the ledger holds {in_ledger}, the file {in_file}")
    # n_unique counts a null as a value of its own.
    return {
        "lines_read": in_file[0],
        "money_read": in_file[1],
        "customers": row["buyers"] - row["null_buyers"],
        "countries": row["countries"] - row["null_countries"],
        **{name: row[name] for name in row if name.startswith(("lines_", "with_"))},
        "duplicates_with_customer": ledger["duplicates"]["lines_with_customer"],
        "with_customer_sold_goods": ledger["kept_with_customer"]["lines"],
    }


def sum_returned(groups: Lines) -> Lines:
    """Return one row, the `units` that came back."""
    is_return = nw.col("place").is_in(["returns_matched", "returns_unmatched"])
    return groups.filter(is_return).select((-nw.col("units")).sum().alias("units"))


def sum_matched(returned_units: Lines) -> Lines:
    """Return one row, the `units` that came back and whose sale is in the file."""
    return returned_units.select(nw.col("quantity").sum().alias("units"))


def units_of(returned: pd.DataFrame, matched: pd.DataFrame) -> dict[str, int]:
    """Return the units that came back, by whether the file holds their sale."""
    units, known = (
        0 if pd.isna(frame["units"].iloc[0]) else int(frame["units"].iloc[0])
        for frame in (returned, matched)
    )
    return {"units": units, "units_matched": known, "units_unmatched": units - known}


if __name__ == "__main__":
    run_stage(main, __doc__)

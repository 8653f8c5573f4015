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
from pipeline.methods.sales_ledger import NotGoods, net_sales, place_lines, place_returns, priced
from pipeline.shared.errors import InputError
from pipeline.shared.metrics import write_metrics
from pipeline.shared.params import load_params
from pipeline.shared.stage import run_stage, stage
from pipeline.tables.invoice_lines import INVOICE_LINES
from pipeline.tables.returned_units import RETURNED_UNITS
from pipeline.tables.sales import SALES

Lines = nw.LazyFrame[Any]

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


class Params(NotGoods):
    """Section `clean` of params.yaml."""


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

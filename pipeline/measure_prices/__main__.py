"""Measure margin and discounts: what customers bring after costs, and buy below list price.

A unit's cost is the line's own where the source has one, else that of the product on the day in
settings/costs.csv; where neither is known it is unknown, never zero, and its share is told.

Reads   data/sales.parquet, data/segments.parquet, pipeline/settings/costs.csv
Writes  data/costs.parquet, data/customer_prices.parquet, metrics/prices.json

Example: python -m pipeline.measure_prices
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd
from pydantic import Field

from pipeline.core.engines.base import Engine, open_engine
from pipeline.core.engines.expressions import day_number, ten_thousandths
from pipeline.core.run.errors import InputError
from pipeline.core.run.metrics import write_metrics
from pipeline.core.run.params import StageParams, load_params
from pipeline.core.run.stage import run_stage, stage
from pipeline.core.tables.assign_segments import SEGMENTS
from pipeline.core.tables.clean import SALES
from pipeline.core.tables.contract import read_table, write_table
from pipeline.core.tables.measure_prices import COSTS, CUSTOMER_PRICES

COSTS_FILE = Path(__file__).parents[1] / "settings" / "costs.csv"
SUMS = ("revenue", "costed_revenue", "cost", "listed", "listed_below", "off")
NO_END = date.max.toordinal()


class Params(StageParams):
    """Section `prices` of params.yaml."""

    promotion_share: float = Field(gt=0, le=1)
    promotion_orders: int = Field(ge=1)
    least_discount: float = Field(gt=0, lt=1)


def main() -> None:
    """Read the costs, add up each customer's lines, write."""
    params = load_params("prices", Params)
    with stage("measure_prices") as log, open_engine() as engine:
        write_table(COSTS, read_costs(COSTS_FILE))
        segments = read_table(SEGMENTS)
        last = segments[segments["snapshot_date"] == segments["snapshot_date"].max()]
        sums = add_up(engine, last["snapshot_date"].max(), params.least_discount)
        found = customer_prices(last[["customer_id", "segment"]], sums, params)
        write_table(CUSTOMER_PRICES, found)
        figures = figures_of(found)
        figures["segments"] = {n: figures_of(rows) for n, rows in found.groupby("segment")}
        write_metrics("prices", figures)
        log.info("cost known for %.0f%% of revenue", 100 * figures["cost_known_share"])


def read_costs(file: Path) -> pd.DataFrame:
    """The costs of a CSV with stock_code, from (a day) and unit_cost, as spans of days."""
    frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    if list(frame.columns) != ["stock_code", "from", "unit_cost"]:
        raise InputError(
            f"{file}: columns {', '.join(frame.columns)}; expected stock_code, from, unit_cost"
        )
    days = pd.to_datetime(frame["from"], format="%Y-%m-%d", errors="coerce")
    is_bad = days.isna() | ~pd.to_numeric(frame["unit_cost"], errors="coerce").between(0, 1e12)
    if is_bad.any():
        _, day, cost = frame[is_bad].iloc[0]
        raise InputError(
            f"{file}, row {int(is_bad.argmax()) + 2}: from {day!r}, unit_cost {cost!r}; expected a "
            "day such as 2011-01-31 and a cost such as 1.25"
        )
    frame["stock_code"] = frame["stock_code"].str.strip().str.upper()
    twice = frame[frame.duplicated(["stock_code", "from"])]
    if len(twice):
        code, day, _ = twice.iloc[0]
        raise InputError(f"{file}: {code} has two costs from {day}; keep one")
    frame["from_day"] = [date.fromisoformat(day).toordinal() for day in frame["from"]]
    frame = frame.sort_values(["stock_code", "from_day"])
    later = frame.groupby("stock_code")["from_day"].shift(-1).fillna(NO_END)
    costs = [round(Decimal(cost), 4) for cost in frame["unit_cost"]]
    return pd.DataFrame(
        {
            "stock_code": frame["stock_code"],
            "from_day": frame["from_day"].astype("int64"),
            "until_day": later.astype("int64"),
            "file_cost": pd.Series(costs, frame.index, dtype=object),
        }
    )


def add_up(engine: Engine, snapshot: date, least_discount: float) -> pd.DataFrame:
    """Return customer_id, orders and SUMS in ten-thousandths of the shop's currency."""
    lines = engine.scan(SALES).filter(~nw.col("customer_id").is_null())
    lines = lines.filter(nw.col("sold_at").dt.date() <= nw.lit(snapshot))
    costs = engine.scan(COSTS)
    costed = (
        lines.select("line_id", "stock_code", day=day_number(nw.col("sold_at").dt.date()))
        .join(costs, on="stock_code")
        .filter((nw.col("day") >= nw.col("from_day")) & (nw.col("day") < nw.col("until_day")))
        .select("line_id", "file_cost")
    )
    lines = lines.join(costed, on="line_id", how="left").select(
        "customer_id",
        "invoice_id",
        kept=nw.col("quantity") - nw.col("quantity_returned"),
        revenue=ten_thousandths("net_amount"),
        unit_cost=nw.coalesce(nw.col("unit_cost"), nw.col("file_cost")) * 10_000,
        listed=(ten_thousandths("unit_price") * nw.col("quantity")).cast(nw.Int64),
        paid=ten_thousandths("amount"),
    )
    is_known, off = ~nw.col("unit_cost").is_null(), nw.col("listed") - nw.col("paid")
    is_below = off.cast(nw.Float64) >= least_discount * nw.col("listed").cast(nw.Float64)
    lines = lines.with_columns(
        costed_revenue=nw.when(is_known).then(nw.col("revenue")).otherwise(0),
        cost=(nw.col("unit_cost").fill_null(0) * nw.col("kept")).cast(nw.Int64),
        listed_below=nw.when(is_below).then(nw.col("listed")).otherwise(0),
        off=nw.when(is_below).then(off).otherwise(0),
    )
    return engine.collect(
        lines.group_by("customer_id").agg(
            *(nw.col(name).sum().cast(nw.Int64) for name in SUMS),
            nw.col("invoice_id").n_unique().alias("orders"),
        )
    )


def customer_prices(last: pd.DataFrame, sums: pd.DataFrame, params: Params) -> pd.DataFrame:
    """Return the rows of CUSTOMER_PRICES."""
    rows = last.merge(sums, on="customer_id", how="left")
    money = {name: rows[name].fillna(0).astype(float) / 10_000 for name in SUMS}
    knows = money["off"].sum() > 0
    below = (money["listed_below"] / money["listed"]).where(knows & (money["listed"] > 0))
    return rows[["customer_id", "segment"]].assign(
        revenue=money["revenue"],
        costed_revenue=money["costed_revenue"],
        margin=(money["costed_revenue"] - money["cost"]).where(money["costed_revenue"] > 0),
        cost_known_share=(money["costed_revenue"] / money["revenue"]).fillna(0).clip(0, 1),
        discounted_share=below.clip(0, 1),
        discount_depth=(money["off"] / money["listed_below"]).where(below > 0).clip(0, 1),
        buys_on_promotion=(below.fillna(0) >= params.promotion_share)
        & (rows["orders"].fillna(0) >= params.promotion_orders),
    )


def figures_of(rows: pd.DataFrame) -> dict[str, Any]:
    """Totals of these customers; what is unknown is left out."""
    revenue, costed = rows["revenue"].sum(), rows["costed_revenue"].sum()
    found: dict[str, Any] = {"cost_known_share": costed / revenue if revenue else 0.0}
    if costed > 0:
        margin = rows["margin"].sum()
        found |= {"margin": margin, "margin_rate": margin / costed}
    if rows["discounted_share"].notna().any():
        found["buy_on_promotion"] = int(rows["buys_on_promotion"].sum())
        found["mean_discounted_share"] = rows["discounted_share"].mean()
    return found


if __name__ == "__main__":
    run_stage(main, __doc__)

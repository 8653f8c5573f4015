"""Find the key patterns: season, weekday and hour, countries, baskets, returns, cohorts.

Reads   data/sales.parquet, data/returned_units.parquet
Writes  data/exploration.parquet, metrics/explore.json, metrics/plots/season.csv

Example: python -m pipeline.explore
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import narwhals as nw
import pandas as pd
from pydantic import Field, model_validator

from pipeline.core.engines.base import Engine, open_engine
from pipeline.core.run.errors import InputError
from pipeline.core.run.metrics import write_metrics
from pipeline.core.run.outputs import write_text
from pipeline.core.run.params import StageParams, load_params
from pipeline.core.run.stage import run_stage, stage
from pipeline.core.tables.clean import RETURNED_UNITS, SALES
from pipeline.core.tables.contract import write_table
from pipeline.core.tables.explore import EXPLORATION
from pipeline.explore.concentration import gini, share_holding
from pipeline.explore.patterns import (
    bin_of,
    cohort_activity,
    customer_totals,
    descriptions_of,
    orders_of,
    product_totals,
    return_delays,
    totals_by,
)
from pipeline.explore.rows import (
    binned,
    cohort_rows,
    concentration_rows,
    every_month,
    money,
    month_name,
    ratio,
    retention,
    rows_of,
    shares,
    whole_months,
)

Lines = nw.LazyFrame[Any]
SEASON = Path("metrics/plots/season.csv")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LINES_EDGES = (1, 2, 6, 11, 21, 51, 101)
ORDERS_EDGES = (0, 1, 2, 3, 4, 6, 11, 21)
DELAY_EDGES = (0, 1, 8, 31, 91)
BEST_BY = {
    "product_by_revenue": "amount",
    "product_by_orders": "orders",
    "product_by_returns": "returned_amount",
}
PERCENTS = (*range(11), *range(15, 101, 5))


class Params(StageParams):
    """Section `explore` of params.yaml."""

    top_products: int = Field(ge=1, le=1000)
    basket_value_edges: Annotated[tuple[int, ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _edges_ascend_from_zero(self) -> Params:
        edges = self.basket_value_edges
        if edges[0] != 0 or any(a >= b for a, b in pairwise(edges)):
            raise ValueError("basket_value_edges must begin with 0 and ascend")
        return self


@dataclass(frozen=True)
class Aggregates:
    """What is read from the lines, in pandas: products and customers, and smaller."""

    first: date
    last: date
    months: pd.DataFrame
    unknown: pd.DataFrame
    weekday_hours: pd.DataFrame
    countries: pd.DataFrame
    basket_lines: pd.DataFrame
    basket_values: pd.DataFrame
    median_basket: float
    customers: pd.DataFrame
    activity: pd.DataFrame
    products: pd.DataFrame
    delays: pd.DataFrame


def main() -> None:
    """Read the sales, count the patterns, write them, the season's plot and the figures."""
    params = load_params("explore", Params)
    with stage("explore") as log, open_engine() as engine:
        sales = engine.scan(SALES)
        found = aggregates(engine, sales, engine.scan(RETURNED_UNITS), params)
        patterns = dict(patterns_of(found, params))
        for top in BEST_BY:
            patterns[top] = best_products(engine, sales, found, top, params.top_products)
        write_table(
            EXPLORATION,
            pd.concat([rows_of(n, f) for n, f in patterns.items() if len(f)], ignore_index=True),
        )
        write_text(SEASON, season(patterns["month"]).to_csv(index=False, lineterminator="\n"))
        write_metrics("explore", figures(found, patterns))
        log.info("%d patterns of %d lines", len(patterns), found.months["lines"].sum())


def aggregates(engine: Engine, sales: Lines, returned: Lines, params: Params) -> Aggregates:
    """Return everything that the patterns need; the lines are read for orders and for products."""
    orders = engine.keep(orders_of(sales))
    kept = orders.filter(nw.col("orders") > 0)
    customers = engine.keep(customer_totals(orders))
    span = engine.collect(
        sales.select(nw.col("sold_at").min().alias("first"), nw.col("sold_at").max().alias("last"))
    )
    if pd.isna(span["first"].iloc[0]):
        raise InputError(f"{SALES.path} has no sales: see metrics/clean.json for where they went")
    no_customer = nw.col("customer_id").is_null()
    value_edges = [edge * 10_000 for edge in params.basket_value_edges]
    median = engine.collect(kept.select(nw.col("amount").median()))
    if pd.isna(median["amount"].iloc[0]):
        raise InputError(
            f"{SALES.path}: every order in it was taken back whole, so nothing was sold that could "
            "be explored; see metrics/clean.json for where the lines went"
        )
    return Aggregates(
        first=pd.Timestamp(span["first"].iloc[0]).date(),
        last=pd.Timestamp(span["last"].iloc[0]).date(),
        months=engine.collect(totals_by(orders, "month")),
        unknown=engine.collect(totals_by(orders.filter(no_customer), "month")),
        weekday_hours=engine.collect(totals_by(orders, "weekday", "hour")),
        countries=engine.collect(totals_by(orders, "country")),
        basket_lines=engine.collect(_binned_totals(kept, "lines", LINES_EDGES)),
        basket_values=engine.collect(_binned_totals(kept, "amount", value_edges)),
        median_basket=float(median["amount"].iloc[0] or 0) / 10_000,
        customers=engine.collect(customers.select("orders", "amount")),
        activity=engine.collect(cohort_activity(orders, customers)),
        products=engine.collect(product_totals(sales)),
        delays=engine.collect(return_delays(sales, returned, DELAY_EDGES)),
    )


def _binned_totals(orders: Lines, column: str, edges: tuple[int, ...] | list[int]) -> Lines:
    return totals_by(orders.with_columns(bin_of(nw.col(column), edges).alias("bin")), "bin")


def patterns_of(found: Aggregates, params: Params) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each pattern's name and its rows, but for the best products."""
    months = every_month(found.months)
    months = months.assign(bucket=[month_name(m) for m in months["month"]])
    yield "month", months.assign(share=shares(months["amount"]))
    hours = found.weekday_hours.sort_values(["weekday", "hour"])
    yield (
        "weekday_hour",
        hours.assign(
            bucket=hours["weekday"].astype(str),
            sub_bucket=[f"{hour:02d}" for hour in hours["hour"]],
            share=shares(hours["orders"]),
        ),
    )
    countries = found.countries.sort_values(["amount", "country"], ascending=[False, True])
    yield (
        "country",
        countries.assign(bucket=countries["country"], share=shares(countries["amount"])),
    )
    lines = binned(found.basket_lines, LINES_EDGES, whole=True)
    yield "basket_lines", lines.assign(share=shares(lines["orders"]))
    values = binned(found.basket_values, params.basket_value_edges, whole=False)
    yield "basket_value", values.assign(share=shares(values["orders"]))
    yield "orders_per_customer", _orders_per_customer(found.customers)
    sold = months["amount"] + months["returned_amount"]
    rates = [ratio(r, s) for r, s in zip(months["returned_amount"], sold, strict=True)]
    yield "return_rate", months.assign(share=rates)
    delays = binned(found.delays, DELAY_EDGES, whole=True)
    yield "return_delay", delays.assign(share=shares(delays["returned_amount"]))
    unknown = found.unknown.set_index("month").reindex(months["month"], fill_value=0).reset_index()
    rates = [ratio(u, n) for u, n in zip(unknown["lines"], months["lines"], strict=True)]
    yield "no_customer", unknown.assign(bucket=months["bucket"], share=rates)
    if len(found.customers):
        yield "concentration", concentration_rows(found.customers, PERCENTS)
    yield "cohort", cohort_rows(found.activity, int(months["month"].max()))


def _orders_per_customer(customers: pd.DataFrame) -> pd.DataFrame:
    bins = pd.cut(customers["orders"], [*ORDERS_EDGES, float("inf")], right=False, labels=False)
    counted = customers.assign(bin=bins + 1, customers=1).groupby("bin").sum().reset_index()
    table = binned(counted, ORDERS_EDGES, whole=True)
    return table.assign(share=shares(table["customers"]))


def best_products(
    engine: Engine, sales: Lines, found: Aggregates, pattern: str, top: int
) -> pd.DataFrame:
    """Return the first products by revenue, by orders or by the money of their returns."""
    by = BEST_BY[pattern]
    ranked = found.products.sort_values([by, "stock_code"], ascending=[False, True])
    best = ranked[ranked[by] > 0].head(top)
    whole: dict[str, Any] = {
        "product_by_revenue": found.products["amount"].sum(),
        "product_by_orders": found.months["orders"].sum(),
        "product_by_returns": best["amount"] + best["returned_amount"],  # the product's own sales
    }
    part = best[by] / whole[pattern]
    texts = engine.collect(descriptions_of(sales, list(best["stock_code"])))
    texts = texts.sort_values(["lines", "description"], ascending=[False, True])
    text_of = dict(reversed(list(zip(texts["stock_code"], texts["description"], strict=True))))
    return best.assign(
        bucket=best["stock_code"], sub_bucket=best["stock_code"].map(text_of), share=part
    )


def season(months: pd.DataFrame) -> pd.DataFrame:
    """Return the months for a plot: month, revenue, orders, customers."""
    return pd.DataFrame(
        {
            "month": months["bucket"],
            "revenue": [f"{amount / 10_000:.2f}" for amount in months["amount"]],
            "orders": months["orders"],
            "customers": months["customers"],
        }
    )


def figures(found: Aggregates, patterns: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Return the figures that are worth a sentence."""
    months, cohorts = patterns["month"], patterns["cohort"]
    whole = whole_months(found.first, found.last)
    judged = months[months["month"].isin(whole)] if whole else months
    best_month = judged.sort_values("amount", kind="stable").iloc[-1]
    hours = found.weekday_hours
    weekdays = hours.groupby("weekday")["orders"].sum().reindex(range(1, 8), fill_value=0)
    by_hour = hours.groupby("hour")["orders"].sum().reindex(range(24), fill_value=0)
    home = found.countries.sort_values(["orders", "country"], ascending=[False, True]).iloc[0]
    revenue, returned = int(months["amount"].sum()), int(months["returned_amount"].sum())
    amounts = found.customers["amount"].to_numpy(dtype="int64")
    buyers = found.customers[found.customers["orders"] > 0]
    result: dict[str, Any] = {
        "sales": {
            "lines": months["lines"].sum(),
            "orders": months["orders"].sum(),
            "customers": len(found.customers),
            "products": len(found.products),
            "revenue": money(revenue),
        },
        "season": {
            "strongest_month": best_month["bucket"],
            "strongest_month_to_mean": ratio(best_month["amount"], judged["amount"].mean()),
            "busiest_weekday": WEEKDAYS[int(weekdays.to_numpy().argmax())],
            "busiest_weekday_share_of_orders": ratio(weekdays.max(), weekdays.sum()),
            "busiest_hour": int(by_hour.to_numpy().argmax()),
            "busiest_hour_share_of_orders": ratio(by_hour.max(), by_hour.sum()),
        },
        "countries": {
            "count": int((found.countries["country"] != "unknown").sum()),
            "home": home["country"],
            "share_of_revenue_abroad": 1 - ratio(home["amount"], revenue),
        },
        "baskets": {"median_value": found.median_basket},
        "returns": {"share_of_sold_money": ratio(returned, revenue + returned)},
        "no_customer": {
            "share_of_lines": ratio(found.unknown["lines"].sum(), months["lines"].sum()),
            "share_of_revenue": ratio(found.unknown["amount"].sum(), revenue),
        },
    }
    if len(buyers):
        top = patterns["concentration"].set_index("bucket")["share"]
        result["customers"] = {
            "share_with_one_order": float((buyers["orders"] == 1).mean()),
            "gini_of_revenue": gini(amounts),
            "share_of_revenue_of_top_1_percent": top["001"],
            "share_of_revenue_of_top_20_percent": top["020"],
            "share_of_customers_with_half_of_revenue": share_holding(amounts, 0.5),
        }
    known = {k: retention(cohorts, k, whole) for k in (1, 3)} if len(cohorts) else {}
    again = {f"month_{k}": share for k, share in known.items() if share is not None}
    return result | ({"retention": again} if again else {})


if __name__ == "__main__":
    run_stage(main, __doc__)

"""Find the key patterns: season, weekday and hour, countries, baskets, products, cohorts.

Reads   data/sales.parquet
Writes  data/exploration.parquet, metrics/explore.json, metrics/plots/season.csv

Example: python -m pipeline.explore
"""

from __future__ import annotations

from collections.abc import Iterator
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
from pipeline.core.tables.clean import SALES
from pipeline.core.tables.contract import write_table
from pipeline.core.tables.explore import EXPLORATION
from pipeline.explore.concentration import gini
from pipeline.explore.patterns import (
    bin_of,
    cohort_activity,
    customer_totals,
    descriptions_of,
    orders_of,
    product_orders,
    product_totals,
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
ORDERS_EDGES = (0, 1, 2, 3, 4, 6, 11, 21)
PERCENTS = (*range(11), *range(15, 101, 5))
IS_UNKNOWN = nw.col("customer_id").is_null()
# One row of the orders; money in ten-thousandths.
TOTALS = {
    "first": nw.col("sold_at").min(),
    "last": nw.col("sold_at").max(),
    "median_basket": nw.when(nw.col("orders") > 0).then(nw.col("amount")).median(),
    "unknown_lines": nw.when(IS_UNKNOWN).then(nw.col("lines")).otherwise(nw.lit(0)).sum(),
    "unknown_amount": nw.when(IS_UNKNOWN).then(nw.col("amount")).otherwise(nw.lit(0)).sum(),
}


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


def main() -> None:
    """Read the sales, count the patterns, write them, the season's plot and the figures."""
    params = load_params("explore", Params)
    with stage("explore") as log, open_engine() as engine:
        sales = engine.scan(SALES)
        orders = engine.keep(orders_of(sales))
        totals = engine.collect(orders.select(**TOTALS)).iloc[0]
        check_that_something_was_sold(totals)
        customers = engine.collect(customer_totals(orders))
        products = engine.collect(product_totals(sales))
        patterns = dict(patterns_of(engine, orders, customers, params))
        patterns |= best_products(engine, sales, products, params.top_products)
        tables = [rows_of(name, rows) for name, rows in patterns.items() if len(rows)]
        write_table(EXPLORATION, pd.concat(tables, ignore_index=True))
        write_text(SEASON, season(patterns["month"]).to_csv(index=False, lineterminator="\n"))
        write_metrics("explore", figures(patterns, customers, len(products), totals))
        log.info("%d patterns of %d lines", len(patterns), patterns["month"]["lines"].sum())


def check_that_something_was_sold(totals: pd.Series[Any]) -> None:
    """Raise InputError that says where the lines went."""
    if pd.isna(totals["first"]):
        raise InputError(f"{SALES.path} has no sales: see metrics/clean.json for where they went")
    if pd.isna(totals["median_basket"]):
        raise InputError(
            f"{SALES.path}: every order in it was returned whole, so there is nothing to explore; "
            "see metrics/clean.json for where the lines went"
        )


def patterns_of(
    engine: Engine, orders: Lines, customers: pd.DataFrame, params: Params
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each pattern's name and its rows, but for the best products."""

    def totals(*columns: str, of: Lines = orders) -> pd.DataFrame:
        return engine.collect(totals_by(of, *columns))

    months = every_month(totals("month"))
    months["bucket"] = [month_name(month) for month in months["month"]]
    yield "month", months.assign(share=shares(months["amount"]))
    hours = totals("weekday", "hour").sort_values(["weekday", "hour"])
    hours["bucket"] = hours["weekday"].astype(str)
    hours["sub_bucket"] = hours["hour"].map("{:02d}".format)
    yield "weekday_hour", hours.assign(share=shares(hours["orders"]))
    countries = totals("country").sort_values(["amount", "country"], ascending=[False, True])
    share = shares(countries["amount"])
    yield "country", countries.assign(bucket=countries["country"], share=share)
    edges = params.basket_value_edges
    value = bin_of(nw.col("amount"), [edge * 10_000 for edge in edges]).alias("bin")
    kept = orders.filter(nw.col("orders") > 0).with_columns(value)
    values = binned(totals("bin", of=kept), edges, whole=False)
    yield "basket_value", values.assign(share=shares(values["orders"]))
    bins = pd.cut(customers["orders"], [*ORDERS_EDGES, float("inf")], right=False, labels=False)
    counted = customers.assign(bin=bins + 1, customers=1).drop(columns="customer_id")
    counts = binned(counted.groupby("bin").sum().reset_index(), ORDERS_EDGES, whole=True)
    yield "orders_per_customer", counts.assign(share=shares(counts["customers"]))
    if len(customers):
        yield "concentration", concentration_rows(customers, PERCENTS)
    activity = engine.collect(cohort_activity(orders))
    yield "cohort", cohort_rows(activity, int(months["month"].max()))


def best_products(
    engine: Engine, sales: Lines, products: pd.DataFrame, top: int
) -> dict[str, pd.DataFrame]:
    """Return the first products by revenue and by the money of their returns, as patterns."""
    sold = products["amount"] + products["returned_amount"]
    found = {}
    for by, whole in (("amount", products["amount"].sum()), ("returned_amount", sold)):
        ranked = products.assign(bucket=products["stock_code"], share=products[by] / whole)
        ranked = ranked[ranked[by] > 0].sort_values([by, "stock_code"], ascending=[False, True])
        found["product_by_revenue" if by == "amount" else "product_by_returns"] = ranked.head(top)
    codes = sorted({code for rows in found.values() for code in rows["stock_code"]})
    best = sales.filter(nw.col("stock_code").is_in(codes))
    orders = engine.collect(product_orders(best)).set_index("stock_code")["orders"]
    texts = engine.collect(descriptions_of(best))
    texts = texts.sort_values(["lines", "description"], ascending=[False, True])
    text_of = texts.drop_duplicates("stock_code").set_index("stock_code")["description"]
    return {
        name: rows.assign(
            sub_bucket=rows["bucket"].map(text_of),
            orders=rows["bucket"].map(orders).fillna(0).astype("int64"),
        )
        for name, rows in found.items()
    }


def season(months: pd.DataFrame) -> pd.DataFrame:
    """Return the months for a plot: month, revenue, orders, customers."""
    revenue = [f"{amount / 10_000:.2f}" for amount in months["amount"]]
    table = months.assign(month=months["bucket"], revenue=revenue)
    return table[["month", "revenue", "orders", "customers"]]


def figures(
    patterns: dict[str, pd.DataFrame],
    customers: pd.DataFrame,
    products: int,
    totals: pd.Series[Any],
) -> dict[str, Any]:
    """Return the figures that are worth a sentence."""
    months, hours, countries = (patterns[n] for n in ("month", "weekday_hour", "country"))
    whole = whole_months(totals["first"].date(), totals["last"].date())
    judged = months[months["month"].isin(whole)] if whole else months
    best_month = judged.sort_values("amount", kind="stable").iloc[-1]
    weekdays = hours.groupby("weekday")["orders"].sum().reindex(range(1, 8), fill_value=0)
    by_hour = hours.groupby("hour")["orders"].sum().reindex(range(24), fill_value=0)
    home = countries.sort_values(["orders", "country"], ascending=[False, True]).iloc[0]
    revenue, returned = int(months["amount"].sum()), int(months["returned_amount"].sum())
    amounts = customers["amount"].to_numpy(dtype="int64")
    buyers = customers[customers["orders"] > 0]
    result: dict[str, Any] = {
        "sales": {
            "lines": months["lines"].sum(),
            "orders": months["orders"].sum(),
            "customers": len(customers),
            "products": products,
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
            "count": int((countries["country"] != "unknown").sum()),
            "home": home["country"],
            "share_of_revenue_abroad": 1 - ratio(home["amount"], revenue),
        },
        "baskets": {"median_value": float(totals["median_basket"]) / 10_000},
        "returns": {
            "share_of_sold_money": ratio(returned, revenue + returned),
            "share_of_two_products": ratio(
                patterns["product_by_returns"]["returned_amount"].head(2).sum(), returned
            ),
        },
        "no_customer": {
            "share_of_lines": ratio(int(totals["unknown_lines"]), months["lines"].sum()),
            "share_of_revenue": ratio(int(totals["unknown_amount"]), revenue),
        },
    }
    if len(buyers):
        top = patterns["concentration"].set_index("bucket")["share"]
        result["customers"] = {
            "share_with_one_order": float((buyers["orders"] == 1).mean()),
            "gini_of_revenue": gini(amounts),
            "share_of_revenue_of_top_1_percent": top["001"],
            "share_of_revenue_of_top_20_percent": top["020"],
        }
    cohorts = patterns["cohort"]
    known = {k: retention(cohorts, k, whole) for k in (1, 3)} if len(cohorts) else {}
    again = {f"month_{k}": share for k, share in known.items() if share is not None}
    return result | ({"retention": again} if again else {})


if __name__ == "__main__":
    run_stage(main, __doc__)

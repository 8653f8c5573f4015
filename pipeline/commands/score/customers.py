"""From order lines to their customers as of a day, by the stages' own functions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import narwhals as nw
import pandas as pd
import pyarrow as pa

from pipeline.aggregate_rfm.features import customer_features
from pipeline.aggregate_rfm.movements import movements
from pipeline.aggregate_rfm.rfm_scores import with_scores
from pipeline.clean.ledger import NotGoods, net_sales, place_lines, returned_units
from pipeline.commands.score.scoring import categorize_new
from pipeline.core.engines.duckdb import DuckDBEngine
from pipeline.core.run.errors import InputError
from pipeline.core.tables.categorize_products import CATEGORY_WORDS
from pipeline.core.tables.contract import read_table
from pipeline.core.tables.ingest import INVOICE_LINES

Lines = nw.LazyFrame[Any]
A_YEAR = timedelta(days=366)


@dataclass(frozen=True)
class NetSales:
    """Sales of goods with what was returned of them, and which lines of the file they are of."""

    sales: Lines
    returned_units: Lines
    first_sale: date  # of the file itself, to anyone
    last_sale: date


def net_lines(
    engine: DuckDBEngine, lines: Lines, not_goods: NotGoods, *, with_history: bool
) -> NetSales:
    """The genuine sales and their returns, as clean would keep them.

    With history, the earlier lines of the file's customers come before the file's own.
    """
    placed = place_lines(lines, not_goods, engine.keep)
    is_sale = (nw.col("place") == "goods") & (nw.col("quantity") > 0)
    days = placed.filter(is_sale).select(
        nw.col("sold_at").min().alias("first"), nw.col("sold_at").max().alias("last")
    )
    first, last = (pd.Timestamp(moment) for moment in engine.collect(days).iloc[0])
    if pd.isna(last):
        raise InputError(
            "none of the file's lines is a sale of goods; see section clean of params.yaml for "
            "what is none"
        )
    if with_history:
        past = engine.scan(INVOICE_LINES)
        both = engine.keep(after_history(engine, past, lines))
        placed = place_lines(both, not_goods, engine.keep)
    returned = returned_units(engine, placed)
    sales = engine.keep(net_sales(placed, returned))
    return NetSales(sales, returned, first.date(), last.date())


def after_history(engine: DuckDBEngine, past: Lines, lines: Lines) -> Lines:
    """The lines after the past ones of their customers, with positions of their own."""
    columns = [column.name for column in INVOICE_LINES.columns]
    buyers = lines.filter(~nw.col("customer_id").is_null()).select("customer_id").unique()
    first = int(one_value(engine, past.select(nw.col("line_id").max()))) + 1
    return nw.concat(
        [
            past.join(buyers, on="customer_id", how="semi").select(columns),
            lines.with_columns(line_id=nw.col("line_id") + first).select(columns),
        ]
    )


def check_date(engine: DuckDBEngine, sales: Lines, as_of: date) -> None:
    """Raise InputError where no known customer has bought by that day, or it is long after."""
    known = engine.collect(
        sales.filter(~nw.col("customer_id").is_null()).select(
            nw.col("sold_at").min().alias("first"), nw.col("sold_at").max().alias("last")
        )
    )
    first, last = (pd.Timestamp(moment) for moment in known.iloc[0])
    if pd.isna(first):
        raise InputError(
            "no sale of the file has a customer, so there is nobody to score; "
            "check source.columns: customer_id in params.yaml"
        )
    if not first.date() <= as_of <= last.date() + A_YEAR:
        raise InputError(
            f"--as-of {as_of} is outside the data: sales to known customers run from "
            f"{first.date()} to {last.date()}; choose a day of them, or leave --as-of out for the "
            "day after the file's last sale"
        )


def with_new_products(engine: DuckDBEngine, sales: Lines, categories: pd.DataFrame) -> pd.DataFrame:
    """`stock_code` and `category` of every product of the sales, seen by the last run or not."""
    known = engine.load(pa.table({"stock_code": categories["stock_code"].to_numpy(dtype=object)}))
    counted = engine.collect(
        sales.join(known, on="stock_code", how="anti")
        .with_columns(description=nw.col("description").fill_null("").str.strip_chars())
        .group_by("stock_code", "description")
        .agg(nw.len().alias("lines"))
    )
    found = categories[["stock_code", "category"]]
    if counted.empty:
        return found
    # The most frequent text of each, as categorize_products takes it.
    counted["is_empty"] = counted["description"] == ""
    counted = counted.sort_values(
        ["stock_code", "is_empty", "lines", "description"], ascending=[True, True, False, True]
    ).drop_duplicates("stock_code")
    new = categorize_new(counted, categories, read_table(CATEGORY_WORDS))
    return pd.concat([found, new], ignore_index=True)


def describe(
    engine: DuckDBEngine, net: NetSales, categories: pd.DataFrame, as_of: date
) -> pd.DataFrame:
    """The customers as of that day, as aggregate_rfm describes them."""
    customers = customer_features(
        movements(net.sales, net.returned_units, as_of, engine.keep),
        engine.load(pa.Table.from_pandas(categories, preserve_index=False)),
        categories=sorted(set(categories["category"])),
        snapshots=(as_of,),
        keep=engine.keep,
    )
    found = engine.collect(with_scores(customers).drop("amount", "last_kept_day"))
    found["snapshot_date"] = as_of
    return found.sort_values("customer_id", ignore_index=True)


def customers_in(engine: DuckDBEngine, lines: Lines) -> int:
    """How many customers the lines name."""
    named = lines.filter(~nw.col("customer_id").is_null())
    return int(one_value(engine, named.select(nw.col("customer_id").n_unique())))


def one_value(engine: DuckDBEngine, frame: Lines) -> Any:
    """The one value of a frame of one row and one column."""
    return engine.collect(frame).iloc[0, 0]

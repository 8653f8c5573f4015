"""The rows that the stage writes, from the fitted categories."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from pipeline.categorize_products.fit import Fit
from pipeline.categorize_products.quality import telling_words
from pipeline.core.tables.contract import parquet_glob
from pipeline.core.text.spreadsheet import safe_csv

EXAMPLES = 5

Positions = npt.NDArray[np.int64]


def categorized_products(
    products: pd.DataFrame, fit: Fit, overrides: dict[str, str]
) -> tuple[Positions, pd.DataFrame]:
    """Each product's category as a position, and the rows of product_categories."""
    keys = np.array(list(fit.categories), dtype=object)
    titles = np.array([c.title for c in fit.categories.values()], dtype=object)
    labels = fit.labels
    confidence = fit.chance.max(axis=1)
    decided = fit.decided_by.astype(object)
    ordered = np.argsort(-fit.chance, axis=1, kind="stable")
    runner_up = ordered[:, 1] if len(keys) > 1 else ordered[:, 0]
    for row, code in enumerate(products["stock_code"]):
        if code in overrides:
            chosen = int(np.flatnonzero(keys == overrides[code])[0])
            runner_up[row] = labels[row] if labels[row] != chosen else runner_up[row]
            labels[row], confidence[row], decided[row] = chosen, 1.0, "override"
    rows = pd.DataFrame(
        {
            "stock_code": products["stock_code"],
            "description": products["description"],
            "category": keys[labels],
            "category_title": titles[labels],
            "confidence": confidence.round(4).clip(0, 1),
            "runner_up": keys[runner_up],
            "decided_by": decided,
        }
    )
    return labels, rows


def category_facts(
    database: duckdb.DuckDBPyConnection,
    sales: Path,
    categorized: pd.DataFrame,
    fit: Fit,
    labels: Positions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of `categories` and of `category_months`."""
    database.register("categorized", categorized[["stock_code", "description", "category"]])
    named = "from read_parquet($sales) join categorized using (stock_code)"
    given = {"sales": parquet_glob(sales)}
    months = _rows(
        database,
        f"""
        select category, cast(date_trunc('month', sold_at) as date) as month,
            cast(sum(quantity) as bigint) as units_sold,
            cast(sum(net_amount) as decimal(18, 4)) as revenue,
            round(
                revenue / nullif(sum(revenue) over (partition by month), 0)
                / nullif(sum(revenue) over (partition by category) / sum(revenue) over (), 0), 4
            ) as season_index
        {named} group by 1, 2 order by 1, 2
        """,
        given,
    )
    facts = _rows(
        database,
        f"""
        with products as (
            select category, stock_code, any_value(categorized.description) as description,
                sum(quantity) as units, sum(quantity_returned) as returned,
                sum(net_amount) as revenue
            {named} group by all
        )
        select category, cast(sum(units) as bigint) as units_sold,
            cast(sum(revenue) as decimal(18, 4)) as revenue,
            round(sum(returned) / sum(units), 6) as return_rate,
            array_to_string(
                list(description order by products.revenue desc, stock_code)[:{EXAMPLES}], ' | '
            ) as examples
        from products group by category order by category
        """,  # noqa: S608, of constants
        given,
    )
    database.unregister("categorized")
    words = telling_words(fit.texts, labels)
    by_key = {key: at for at, key in enumerate(fit.categories)}
    grouped = categorized.groupby("category")
    facts["category_title"] = [fit.categories[key].title for key in facts["category"]]
    facts["about"] = [fit.categories[key].about for key in facts["category"]]
    facts["products"] = facts["category"].map(grouped.size()).astype("int64")
    facts["confidence"] = facts["category"].map(grouped["confidence"].mean()).round(4)
    facts["telling_words"] = [", ".join(words[by_key[key]]) for key in facts["category"]]
    return facts, months


def _rows(database: duckdb.DuckDBPyConnection, sql: str, given: dict[str, str]) -> pd.DataFrame:
    """The result with its decimals and dates kept, which `.df()` would turn into floats."""
    table: pa.Table = database.sql(sql, params=given).to_arrow_table()
    rows: pd.DataFrame = table.to_pandas()
    return rows


def review_list(categorized: pd.DataFrame, products: pd.DataFrame, most: int) -> str:
    """The products whose category most deserves a look, as CSV: unsure and of high revenue.

    A text that a spreadsheet would run as a formula is guarded.
    """
    unsure = categorized.assign(revenue=products["revenue"].astype(float).round(2))
    unsure = unsure[unsure["decided_by"] != "override"]
    stake = (1 - unsure["confidence"]) * unsure["revenue"].clip(lower=0)
    unsure = unsure.assign(stake=stake).sort_values(
        ["stake", "stock_code"], ascending=[False, True], kind="stable"
    )
    columns = ["stock_code", "description", "category", "runner_up", "confidence", "revenue"]
    return safe_csv(columns, unsure.head(most)[columns].itertuples(index=False))

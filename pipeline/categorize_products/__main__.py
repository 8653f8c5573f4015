"""Put every product into exactly one named category, by its text and by the baskets it was in.

Reads   data/sales.parquet, a taxonomy (pipeline/settings/taxonomies/gifts.yaml or the shop's own),
        pipeline/settings/taxonomies/overrides.csv
Writes  data/product_categories.parquet, data/categories.parquet, data/category_months.parquet,
        data/category_words.parquet, reports/products_to_review.csv, metrics/categorize.json

Example: python -m pipeline.categorize_products
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from pydantic import Field
from scipy import sparse
from sklearn.metrics import adjusted_mutual_info_score
from threadpoolctl import threadpool_limits

from pipeline.categorize_products.copurchase import pair_weights, read_baskets
from pipeline.categorize_products.fit import Fit, Settings, fit_categories, text_model
from pipeline.categorize_products.overrides import read_overrides
from pipeline.categorize_products.product_map import product_map
from pipeline.categorize_products.quality import coherence, copurchase_lift, telling_words
from pipeline.categorize_products.taxonomy import Taxonomy, find_taxonomy, read_taxonomy
from pipeline.core.engines.duckdb import open_duckdb
from pipeline.core.run.metrics import write_metrics
from pipeline.core.run.outputs import write_text
from pipeline.core.run.params import StageParams, load_params
from pipeline.core.run.stage import run_stage, stage
from pipeline.core.tables.categorize_products import (
    CATEGORIES,
    CATEGORY_MONTHS,
    CATEGORY_WORDS,
    PRODUCT_CATEGORIES,
)
from pipeline.core.tables.clean import SALES
from pipeline.core.tables.contract import parquet_glob, write_table
from pipeline.core.text.spreadsheet import safe_csv

REVIEW = Path("reports/products_to_review.csv")
EXAMPLES = 5
HARDLY_KNOWN = 0.5  # of the products unknown to a taxonomy, and it is another shop's

Positions = npt.NDArray[np.int64]


class Params(StageParams):
    """Section `categorize` of params.yaml."""

    taxonomy: str | None
    overrides: Path | None
    discovered_categories: int = Field(ge=2, le=200)
    embedding: Literal["minilm"] | None
    longest_basket: int = Field(ge=2)
    most_pairs: int = Field(ge=1)
    dimensions: int = Field(ge=2, le=500)
    copurchase_weight: float = Field(ge=0, le=10)
    least_confidence: float = Field(ge=0, lt=1)
    most_training_products: int = Field(ge=100)
    review_products: int = Field(ge=0)
    seed: int

    @property
    def settings(self) -> Settings:
        """What the fit takes."""
        return Settings(
            discovered_categories=self.discovered_categories,
            embedding=self.embedding,
            dimensions=self.dimensions,
            copurchase_weight=self.copurchase_weight,
            least_confidence=self.least_confidence,
            most_training_products=self.most_training_products,
            seed=self.seed,
        )


def main() -> None:
    """Read products and baskets, categorise, measure, write."""
    params = load_params("categorize", Params)
    taxonomy = read_taxonomy(find_taxonomy(params.taxonomy)) if params.taxonomy else None
    # One thread: a sum that is split over threads differs in its last digits.
    with stage("categorize_products") as log, open_duckdb() as engine, threadpool_limits(1):
        engine.scan(SALES)
        products = read_products(engine.database, SALES.path)
        baskets = read_baskets(
            engine.database,
            SALES.path,
            products["stock_code"],
            longest=params.longest_basket,
            most_pairs=params.most_pairs,
        )
        pairs = pair_weights(baskets)
        fit = fit_categories(products, pairs, taxonomy, params.settings)
        overrides = (
            read_overrides(params.overrides, fit.categories, set(products["stock_code"]))
            if params.overrides
            else {}
        )
        labels, categorized = categorized_products(products, fit, overrides, pairs)
        write_table(PRODUCT_CATEGORIES, categorized)
        write_table(CATEGORY_WORDS, text_model(fit, labels, params.settings))
        facts, months = category_facts(engine.database, SALES.path, categorized, fit, labels)
        write_table(CATEGORIES, facts)
        write_table(CATEGORY_MONTHS, months)
        write_text(REVIEW, review_list(categorized, products, params.review_products))
        figures = measure(
            products,
            baskets,
            taxonomy,
            params.settings,
            fit=fit,
            categorized=categorized,
            labels=labels,
        )
        write_metrics("categorize", figures)
        log.info("%d products in %d categories", len(categorized), len(facts))
        if taxonomy and (unknown := unknown_share(categorized, taxonomy.rest)) > HARDLY_KNOWN:
            log.warning(
                "%.0f %% of the products are in the category %s: the words of the taxonomy %s are "
                "not this shop's; categorize.taxonomy: null in params.yaml finds groups without "
                "it (run `make discover` once), and docs/extending.md shows how to write one",
                100 * unknown,
                taxonomy.rest,
                params.taxonomy,
            )


def unknown_share(categorized: pd.DataFrame, rest: str) -> float:
    """Return the share of the products in `rest`; 0 where the lines tell no products apart."""
    return float((categorized["category"] == rest).mean()) if len(categorized) > 1 else 0.0


def read_products(database: duckdb.DuckDBPyConnection, sales: Path) -> pd.DataFrame:
    """One row per stock code: most frequent description, median price, revenue.

    In the order of these, so that with other codes every draw takes the same products.
    """
    products: pd.DataFrame = database.execute(
        """
        with texts as (
            select stock_code, trim(coalesce(description, '')) as description, count(*) as lines
            from read_parquet($sales) group by all
        ),
        canonical as (
            select stock_code, description from texts
            qualify row_number() over (
                partition by stock_code order by description = '', lines desc, description
            ) = 1
        ),
        prices as (
            select stock_code, cast(quantile_disc(unit_price, 0.5) as double) as unit_price,
                sum(net_amount) as revenue
            from read_parquet($sales) group by stock_code
        )
        select stock_code, description, unit_price, revenue
        from canonical join prices using (stock_code)
        order by description, unit_price, revenue, stock_code
        """,
        {"sales": parquet_glob(sales)},
    ).df()
    return products


def categorized_products(
    products: pd.DataFrame, fit: Fit, overrides: dict[str, str], pairs: sparse.csr_array
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
    places = product_map(labels, pairs, confidence).round(4)
    rows = pd.DataFrame(
        {
            "stock_code": products["stock_code"],
            "description": products["description"],
            "category": keys[labels],
            "category_title": titles[labels],
            "confidence": confidence.round(4).clip(0, 1),
            "runner_up": keys[runner_up],
            "decided_by": decided,
            "map_x": places[:, 0],
            "map_y": places[:, 1],
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
        select category, cast(sum(quantity) as bigint) as units_sold,
            cast(sum(net_amount) as decimal(18, 4)) as revenue,
            round(sum(quantity_returned) / sum(quantity), 6) as return_rate
        {named} group by all order by category
        """,
        given,
    )
    best = database.execute(
        f"""
        select category, any_value(categorized.description) as description
        {named} group by category, stock_code
        qualify row_number() over (
            partition by category order by sum(net_amount) desc, stock_code
        ) <= {EXAMPLES}
        order by category, sum(net_amount) desc, stock_code
        """,
        given,
    ).df()
    database.unregister("categorized")
    words = telling_words(fit.texts, labels)
    by_key = {key: at for at, key in enumerate(fit.categories)}
    grouped = categorized.groupby("category")
    facts["category_title"] = [fit.categories[key].title for key in facts["category"]]
    facts["about"] = [fit.categories[key].about for key in facts["category"]]
    facts["products"] = facts["category"].map(grouped.size()).astype("int64")
    facts["confidence"] = facts["category"].map(grouped["confidence"].mean()).round(4)
    facts["telling_words"] = [", ".join(words[by_key[key]]) for key in facts["category"]]
    examples = best.groupby("category")["description"].agg(" | ".join)
    facts["examples"] = facts["category"].map(examples)
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


def measure(
    products: pd.DataFrame,
    baskets: sparse.csr_array,
    taxonomy: Taxonomy | None,
    settings: Settings,
    *,
    fit: Fit,
    categorized: pd.DataFrame,
    labels: Positions,
) -> dict[str, Any]:
    """The figures of metrics/categorize.json; none needs a label."""
    seed = settings.seed
    one, other = pair_weights(baskets[0::2]), pair_weights(baskets[1::2])
    from_one = fit_categories(products, one, taxonomy, settings).labels
    from_other = fit_categories(products, other, taxonomy, settings).labels
    size = len(products)
    some = np.sort(np.random.default_rng(seed).choice(size, max(1, int(0.8 * size)), replace=False))
    fewer = fit_categories(
        products.iloc[some].reset_index(drop=True),
        pair_weights(baskets[:, some]),
        taxonomy,
        settings,
    ).labels
    share = categorized["category"].value_counts(normalize=True).sort_index()
    decided = categorized["decided_by"].value_counts(normalize=True).sort_index()
    return {
        "way": "discovered" if taxonomy is None else "guided",
        "products": size,
        "baskets": int(baskets.shape[0]),
        "categories": len(share),
        "largest_share": float(share.max()),
        "mean_confidence": float(categorized["confidence"].mean()),
        "coherence_npmi": coherence(baskets, fit.texts, labels),
        "held_out_copurchase_lift": copurchase_lift(other, from_one, seed),
        "stability_ami": {
            "halves_of_baskets": float(adjusted_mutual_info_score(from_one, from_other)),
            "four_fifths_of_products": float(adjusted_mutual_info_score(labels[some], fewer)),
        },
        "decided_by": decided.to_dict(),
        "share": share.to_dict(),
    }


if __name__ == "__main__":
    run_stage(main, __doc__)

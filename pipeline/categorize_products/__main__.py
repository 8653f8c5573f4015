"""Put every product into exactly one named category, by its text and by the baskets it was in.

Reads   data/sales.parquet, a taxonomy (pipeline/settings/taxonomies/gifts.yaml or the shop's own),
        pipeline/settings/taxonomies/overrides.csv
Writes  data/product_categories.parquet, data/categories.parquet, data/category_months.parquet,
        data/category_words.parquet, reports/products_to_review.csv, metrics/categorize.json

Example: python -m pipeline.categorize_products
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from threadpoolctl import threadpool_limits

from pipeline.categorize_products.copurchase import pair_weights, read_baskets
from pipeline.categorize_products.fit import Settings, fit_categories, text_model
from pipeline.categorize_products.overrides import read_overrides
from pipeline.categorize_products.products import read_products
from pipeline.categorize_products.quality import measure
from pipeline.categorize_products.rows import categorized_products, category_facts, review_list
from pipeline.categorize_products.taxonomy import find_taxonomy, read_taxonomy
from pipeline.core.engines.duckdb import open_duckdb
from pipeline.core.run.metrics import write_metrics
from pipeline.core.run.outputs import write_text
from pipeline.core.run.params import load_params
from pipeline.core.run.stage import run_stage, stage
from pipeline.core.tables.categorize_products import (
    CATEGORIES,
    CATEGORY_MONTHS,
    CATEGORY_WORDS,
    PRODUCT_CATEGORIES,
)
from pipeline.core.tables.clean import SALES
from pipeline.core.tables.contract import write_table

REVIEW = Path("reports/products_to_review.csv")
MOST_UNKNOWN = 0.5  # of the products; a taxonomy that knows fewer was written for another shop


class Params(Settings):
    """Section `categorize` of params.yaml."""

    taxonomy: str | None
    overrides: Path | None
    longest_basket: int = Field(ge=2)
    most_pairs: int = Field(ge=1)
    review_products: int = Field(ge=0)


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
        fit = fit_categories(products, pair_weights(baskets), taxonomy, params)
        overrides = (
            read_overrides(params.overrides, fit.categories, set(products["stock_code"]))
            if params.overrides
            else {}
        )
        labels, categorized = categorized_products(products, fit, overrides)
        write_table(PRODUCT_CATEGORIES, categorized)
        write_table(CATEGORY_WORDS, text_model(fit, labels, params))
        facts, months = category_facts(engine.database, SALES.path, categorized, fit, labels)
        write_table(CATEGORIES, facts)
        write_table(CATEGORY_MONTHS, months)
        write_text(REVIEW, review_list(categorized, products, params.review_products))
        figures = measure(
            products, baskets, taxonomy, params, fit=fit, categorized=categorized, labels=labels
        )
        write_metrics("categorize", figures)
        log.info("%d products in %d categories", len(categorized), len(facts))
        unknown = (categorized["category"] == taxonomy.rest).mean() if taxonomy else 0.0
        if taxonomy and len(categorized) > 1 and unknown > MOST_UNKNOWN:
            log.warning(
                "%.0f%% of the products are in the category %s: the taxonomy %s does not have the "
                "words of this shop; categorize.taxonomy: null in params.yaml finds groups without "
                "one (run `make discover` once), and docs/extending.md shows how to write one",
                100 * unknown,
                taxonomy.rest,
                params.taxonomy,
            )


if __name__ == "__main__":
    run_stage(main, __doc__)

"""Put every product into exactly one named category, by its text and by the baskets it was in.

Reads   data/sales.parquet, a taxonomy (pipeline/taxonomies/gifts.yaml or the shop's own)
Writes  data/product_categories.parquet, metrics/categorize.json
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from pipeline.engines.duckdb import open_duckdb
from pipeline.methods.category_seeds import lexicon_of, seed_products
from pipeline.methods.product_text import (
    mended_spellings,
    product_counts,
    spellings_from,
    words_of,
)
from pipeline.methods.taxonomy import Taxonomy, find_taxonomy, read_taxonomy
from pipeline.shared.metrics import write_metrics
from pipeline.shared.params import StageParams, load_params
from pipeline.shared.stage import run_stage, stage
from pipeline.tables.contract import parquet_glob, write_table
from pipeline.tables.product_categories import PRODUCT_CATEGORIES
from pipeline.tables.sales import SALES


class Params(StageParams):
    """Section `categorize` of params.yaml."""

    taxonomy: str | None


def main() -> None:
    """Read the products, categorise them, write the table and its figures."""
    params = load_params("categorize", Params)
    with stage("categorize_products") as log, open_duckdb() as engine, threadpool_limits(1):
        engine.scan(SALES)
        products = read_products(engine.database, SALES.path)
        taxonomy = read_taxonomy(find_taxonomy(params.taxonomy or "gifts"))
        categories = guided(products, taxonomy)
        write_table(PRODUCT_CATEGORIES, categories)
        shares = categories["category"].value_counts(normalize=True).sort_index()
        write_metrics(
            "categorize",
            {
                "products": len(categories),
                "categories": int(categories["category"].nunique()),
                "share": shares.to_dict(),
                "decided_by": categories["decided_by"].value_counts(normalize=True).to_dict(),
                "mean_confidence": float(categories["confidence"].mean()),
            },
        )
        log.info("%d products in %d categories", len(categories), len(shares))


def read_products(database: object, sales: Path) -> pd.DataFrame:
    """One row per stock code with its most frequent description."""
    rows: pd.DataFrame = database.execute(  # type: ignore[attr-defined]
        """
        with texts as (
            select stock_code, trim(coalesce(description, '')) as description, count(*) as lines
            from read_parquet(?) group by all
        )
        select stock_code, description from texts
        qualify row_number() over (
            partition by stock_code order by description = '', lines desc, description
        ) = 1
        order by stock_code
        """,
        [parquet_glob(sales)],
    ).df()
    return rows


def guided(products: pd.DataFrame, taxonomy: Taxonomy) -> pd.DataFrame:
    """Every product in the taxonomy's category that its words lead to."""
    declared = spellings_from(taxonomy.spellings)
    lexicon = lexicon_of(taxonomy, declared)
    plain = [words_of(text, declared) for text in products["description"]]
    spellings = mended_spellings(product_counts(plain), lexicon.words) | declared
    texts = [words_of(text, spellings) for text in products["description"]]
    seeds = seed_products(texts, lexicon, {})
    vectorizer = TfidfVectorizer(analyzer=_features, sublinear_tf=True, min_df=1)
    features = vectorizer.fit_transform([" ".join(words) for words in texts])
    probabilities = np.zeros((len(products), len(lexicon.categories)))
    train = np.isin(seeds.kind, ["always", "seed"])
    if len(set(seeds.category[train])) > 1:
        model = LogisticRegression(C=10, max_iter=300).fit(features[train], seeds.category[train])
        probabilities[:, model.classes_] = model.predict_proba(features)
    spread = probabilities.argmax(axis=1)
    seeded = train
    category = np.where(seeded, seeds.category, spread)
    ordered = probabilities.copy()
    ordered[np.arange(len(products)), category] = -1
    keys = np.array(lexicon.categories)
    titles = np.array([taxonomy.categories[key].title for key in keys])
    return pd.DataFrame(
        {
            "stock_code": products["stock_code"],
            "description": products["description"],
            "category": keys[category],
            "category_title": titles[category],
            "confidence": probabilities[np.arange(len(products)), category].round(4),
            "runner_up": keys[ordered.argmax(axis=1)],
            "decided_by": np.where(seeded, "seed", "spread"),
            "map_x": 0.0,
            "map_y": 0.0,
        }
    )


def _features(text: str) -> list[str]:
    words = text.split()
    return words + [f"{a} {b}" for a, b in zip(words, words[1:], strict=False)]


if __name__ == "__main__":
    run_stage(main, __doc__)

"""From products and pairs to categories: the guided way and the discovered way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field
from scipy import sparse

from pipeline.categorize_products.copurchase import copurchase_vectors
from pipeline.categorize_products.head_nouns import head_nouns, naming_words, pattern_scores
from pipeline.categorize_products.model import (
    fit_classes,
    learn_vocabulary,
    model_table,
)
from pipeline.categorize_products.product_text import (
    RARE,
    mended_spellings,
    product_counts,
    spelled,
    spellings_from,
    words_of,
)
from pipeline.categorize_products.seeds import Seeds, lexicon_of, seed_products
from pipeline.categorize_products.spread import cross_fitted, joined, spread_seeds
from pipeline.categorize_products.taxonomy import Category, Taxonomy
from pipeline.core.run.params import StageParams

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]
Texts = Sequence[Sequence[str]]


class Settings(StageParams):
    """What a fit is told: keys of section `categorize` of params.yaml."""

    discovered_categories: int = Field(ge=2, le=200)
    embedding: Literal["minilm"] | None
    dimensions: int = Field(ge=2, le=500)
    copurchase_weight: float = Field(ge=0, le=10)
    least_confidence: float = Field(ge=0, lt=1)
    most_training_products: int = Field(ge=100)
    seed: int


@dataclass(frozen=True)
class Fit:
    """Categories by key, each product's chance of each, and what decided."""

    categories: Mapping[str, Category]
    chance: Floats
    decided_by: npt.NDArray[np.str_]
    texts: Texts
    patterns: Mapping[str, float]

    @property
    def labels(self) -> Positions:
        """Each product's most likely category, as a position in `categories`."""
        return np.asarray(self.chance.argmax(axis=1), dtype=np.int64)


def fit_categories(
    products: pd.DataFrame, pairs: sparse.csr_array, taxonomy: Taxonomy | None, settings: Settings
) -> Fit:
    """Put every product (columns `description`, `unit_price`) into a category.

    With a taxonomy its seeds spread by text and co-purchase; without one the groups are found.
    """
    texts = texts_of(products["description"].tolist(), taxonomy)
    parts = [naming_words(words) for words in texts]
    heads = head_nouns(parts, np.log(products["unit_price"].to_numpy(dtype=np.float64)))
    patterns = pattern_scores(parts, heads)
    vectors = copurchase_vectors(pairs, settings.dimensions, settings.seed)
    if taxonomy is not None:
        return _guided(texts, patterns, vectors, taxonomy, settings)
    return _discovered(texts, patterns, vectors, settings, parts=parts, heads=heads)


def texts_of(descriptions: Sequence[str], taxonomy: Taxonomy | None) -> list[list[str]]:
    """The words of each description, spelling mended towards the taxonomy or the common words."""
    declared = spellings_from(taxonomy.spellings) if taxonomy else {}
    plain = [words_of(text) for text in descriptions]
    counts = product_counts(spelled(words, declared) for words in plain)
    known = (
        lexicon_of(taxonomy, declared).words
        if taxonomy
        else frozenset(w for w, n in counts.items() if n > 2 * RARE)
    )
    spellings = mended_spellings(counts, known) | declared
    return [spelled(words, spellings) for words in plain]


def _guided(
    texts: Texts,
    patterns: Mapping[str, float],
    vectors: Floats,
    taxonomy: Taxonomy,
    settings: Settings,
) -> Fit:
    lexicon = lexicon_of(taxonomy, spellings_from(taxonomy.spellings))
    spread = spread_seeds(
        texts,
        seed_products(texts, lexicon, patterns),
        vectors,
        patterns,
        categories=len(lexicon.categories),
        rest=lexicon.rest,
        least_confidence=settings.least_confidence,
        copurchase_weight=settings.copurchase_weight,
        most_training=settings.most_training_products,
        seed=settings.seed,
    )
    return Fit(taxonomy.categories, spread.chance, spread.decided_by, texts, patterns)


def _discovered(
    texts: Texts,
    patterns: Mapping[str, float],
    vectors: Floats,
    settings: Settings,
    *,
    parts: Texts,
    heads: Sequence[str],
) -> Fit:
    """Groups found on at most `most_training_products` products; a model puts the rest in them."""
    from pipeline.categorize_products.discovery import discover, meanings_of, name_groups

    drawn = _drawn(np.arange(len(texts)), settings)
    drawn_heads = [heads[row] for row in drawn]
    drawn_parts = [parts[row] for row in drawn]
    meanings = meanings_of(
        drawn_parts,
        drawn_heads,
        patterns,
        embedded=settings.embedding is not None,
    )
    groups = discover(
        meanings, drawn_heads, vectors[drawn], settings.discovered_categories, settings.seed
    )
    names = name_groups(groups, drawn_heads, patterns, drawn_parts)
    position = {group: at for at, group in enumerate(names)}
    labels = np.full(len(texts), -1)
    labels[drawn] = [position[int(group)] for group in groups]
    kinds = np.where(labels < 0, "none", "seed")
    seeds = Seeds(labels, np.full(len(labels), 2.0), kinds)
    vocabulary = learn_vocabulary(texts, patterns)
    features = joined(vocabulary, texts, vectors, settings.copurchase_weight)
    most = settings.most_training_products
    chance = cross_fitted(features, seeds, len(names), most, settings.seed)
    # Half of the say to the group, half to a model that never saw the product: what the model
    # would have put elsewhere stays, but is unsure.
    chance[drawn] = (np.eye(len(names))[labels[drawn]] + chance[drawn]) / 2
    categories = {
        key: Category(title=title, about=f"Products such as {title.lower()}.")
        for key, title in names.values()
    }
    decided = np.full(len(labels), "cluster")
    return Fit(categories, chance, decided, texts, patterns)


def _drawn(rows: Positions, settings: Settings) -> Positions:
    """The rows, or as many of them as a model may learn from."""
    most = settings.most_training_products
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(settings.seed).choice(rows, most, replace=False))


def text_model(fit: Fit, labels: Positions, settings: Settings) -> pd.DataFrame:
    """The categories as a model of text alone, for products that were never sold."""
    rows = _drawn(np.flatnonzero(fit.decided_by != "prior"), settings)
    texts = [fit.texts[int(row)] for row in rows]
    vocabulary = learn_vocabulary(texts, fit.patterns)
    features = joined(vocabulary, texts, np.zeros((len(texts), 0)), 0.0)
    model = fit_classes(features, labels[rows], np.ones(len(rows)), len(fit.categories))
    return model_table(vocabulary, *model, list(fit.categories))

"""Which word of a product's text names the thing, and which are mere pattern, by measured rules.

Nothing here knows English beyond its word order: the noun that names the thing tends to stand
last, its products cost alike, and patterns, colours and themes combine with many such nouns.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pipeline.categorize_products.product_text import NUMBER, naming_part

Floats = npt.NDArray[np.float64]

ROUNDS = 10
LATER_PLACE = 0.15  # how much more each place to the right counts
PRIOR_PRODUCTS = 3  # a word's price spread is shrunk towards the shop's by so many products
SHORTEST = 3
DRAWS = 5  # pattern = the other nouns in so many draws of a word's products


def naming_words(words: Sequence[str]) -> list[str]:
    """The words that may name the thing; never empty."""
    start, stop = naming_part(words)
    return [w for w in words[start:stop] if w != NUMBER and len(w) >= SHORTEST] or ["unnamed"]


def head_nouns(parts: Sequence[Sequence[str]], log_prices: Floats) -> list[str]:
    """The head noun of each product's naming words.

    A word is taken for a head the more often it is one elsewhere, the more products carry it, and
    the less the prices of its products differ; the first guess is the last word, then the choice
    and the rates are made from one another in turn until they settle.
    """
    counts = Counter(word for part in parts for word in set(part))
    narrow = _price_narrowness(parts, log_prices)
    heads = [part[-1] for part in parts]
    for _ in range(ROUNDS):
        chosen = Counter(heads)
        worth = {
            w: (chosen[w] + 0.5) / (n + 2) * np.log1p(n) * narrow[w] for w, n in counts.items()
        }
        previous = heads
        heads = [_best(part, worth) for part in parts]
        if heads == previous:
            break
    return heads


def _best(part: Sequence[str], worth: Mapping[str, float]) -> str:
    places = range(len(part))
    return part[max(places, key=lambda at: (worth[part[at]] * (1 + LATER_PLACE * at), at))]


def _price_narrowness(parts: Sequence[Sequence[str]], log_prices: Floats) -> dict[str, float]:
    whole = max(float(np.var(log_prices)), 1e-9)
    products: dict[str, list[int]] = defaultdict(list)
    for row, part in enumerate(parts):
        for word in set(part):
            products[word].append(row)
    narrow = {}
    for word, rows in products.items():
        spread = float(np.var(log_prices[rows])) * len(rows) + 0.8 * whole * PRIOR_PRODUCTS
        narrow[word] = 1.3 - min(spread / (len(rows) + PRIOR_PRODUCTS) / whole, 1.2)
    return narrow


def pattern_scores(parts: Sequence[Sequence[str]], heads: Sequence[str]) -> dict[str, float]:
    """How much a word is a pattern, 0 to 1: it is seldom the head and combines with many heads.

    The many heads are counted as in rarefaction (Hurlbert 1971, "The nonconcept of species
    diversity"): the expected number of different heads in five of the word's products, so that
    frequent and rare words compare. Words of fewer products have no score.
    """
    combined: dict[str, Counter[str]] = defaultdict(Counter)
    for part, head in zip(parts, heads, strict=True):
        for word in set(part):
            combined[word][head] += 1
    scores = {}
    for word, with_heads in combined.items():
        total = with_heads.total()
        others = total - with_heads[word]
        if others < DRAWS:
            continue
        different = sum(
            1 - _none_drawn(others, n) for head, n in with_heads.items() if head != word
        )
        scores[word] = others / total * (different - 1) / (DRAWS - 1)
    return scores


def _none_drawn(total: int, of_kind: int) -> float:
    """The chance that none of `of_kind` among `total` is in DRAWS draws without replacement."""
    chance = 1.0
    for drawn in range(DRAWS):
        chance *= max(total - of_kind - drawn, 0) / (total - drawn)
    return chance

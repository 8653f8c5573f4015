"""What a taxonomy says about a product's words: the categories that they name, and how plainly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.categorize_products.product_text import naming_part, phrases_in, words_of
from pipeline.categorize_products.taxonomy import Taxonomy

Floats = npt.NDArray[np.float64]

# A phrase counts by its words and by how near the end of the naming part it stands, because the
# last noun of an English name is the thing and what stands before it says which one.
PER_WORD = 1.0
PER_PLACE = 0.35
OUTSIDE = 3.0  # taken off a phrase before or after the naming part ("... with hooks")
SURE = 2.0  # added for `always` over any seed


@dataclass(frozen=True)
class Lexicon:
    """A taxonomy's phrases as words, ready to be found: phrase → position of its category."""

    categories: tuple[str, ...]
    rest: int
    always: Mapping[tuple[str, ...], int]
    seeds: Mapping[tuple[str, ...], int]
    hints: Mapping[tuple[str, ...], int]
    themes: Mapping[tuple[str, ...], int]
    longest: int

    @property
    def words(self) -> frozenset[str]:
        """Every word that stands in a phrase."""
        kinds = (self.always, self.seeds, self.hints, self.themes)
        return frozenset(word for kind in kinds for phrase in kind for word in phrase)


def lexicon_of(taxonomy: Taxonomy, spellings: Mapping[str, tuple[str, ...]]) -> Lexicon:
    """The taxonomy's phrases in the words that `words_of` makes of a description."""
    categories = tuple(taxonomy.categories)
    kinds: dict[str, dict[tuple[str, ...], int]] = {"always": {}, "seeds": {}, "hints": {}}
    for kind, key, phrase in taxonomy.phrases():
        words = tuple(words_of(phrase, spellings))
        if words:
            kinds[kind].setdefault(words, categories.index(key))
    themes = {tuple(words_of(theme, spellings)): 0 for theme in taxonomy.themes}
    longest = max(len(p) for kind in (*kinds.values(), themes) for p in [*kind, ("",)])
    return Lexicon(
        categories, categories.index(taxonomy.rest), **kinds, themes=themes, longest=longest
    )


@dataclass(frozen=True)
class Seeds:
    """Per product: the seeded category (-1 = none), its lead over the next, and its kind."""

    category: npt.NDArray[np.int64]
    lead: Floats
    kind: npt.NDArray[np.str_]  # always, seed, hint or none


def seed_products(
    texts: Iterable[Sequence[str]], lexicon: Lexicon, damping: Mapping[str, float]
) -> Seeds:
    """What the lexicon says about each product; `damping` (0 to 1) weakens words of pattern."""
    rows = [seed_product(words, lexicon, damping) for words in texts]
    return Seeds(
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=np.float64),
        np.array([row[2] for row in rows], dtype=np.str_),
    )


def seed_product(
    words: Sequence[str], lexicon: Lexicon, damping: Mapping[str, float]
) -> tuple[int, float, str]:
    """The category that one product's words name, its lead, and the kind of evidence."""
    decisive = phrases_in(words, lexicon.always, lexicon.longest)
    if decisive:
        return decisive[0][2], SURE, "always"
    masked = _without_themes(words, lexicon)
    start, stop = naming_part(words)
    for kind, phrases in (("seed", lexicon.seeds), ("hint", lexicon.hints)):
        scores: dict[int, float] = {}
        for first, last, category in phrases_in(masked, phrases, lexicon.longest):
            score = PER_WORD * (last - first) + PER_PLACE * last
            if first >= stop or first < start:
                score -= OUTSIDE
            if last - first == 1:
                score -= damping.get(words[first], 0.0)
            scores[category] = max(score, scores.get(category, -np.inf))
        if scores:
            ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
            lead = ranked[0][1] - ranked[1][1] if len(ranked) > 1 else SURE
            return ranked[0][0], lead, kind
    return -1, 0.0, "none"


def _without_themes(words: Sequence[str], lexicon: Lexicon) -> list[str]:
    masked = list(words)
    for first, last, _ in phrases_in(words, lexicon.themes, lexicon.longest):
        masked[first:last] = ["_"] * (last - first)
    return masked

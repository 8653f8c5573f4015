"""Categories without a taxonomy: products that mean alike and are bought alike, in named groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, ward
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd

from pipeline.categorize_products.copurchase import unit_rows
from pipeline.categorize_products.embedding import embed

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]
Parts = Sequence[Sequence[str]]

PATTERN = 0.7  # a word that scores higher says how a thing looks, not what it is
PLAIN_TEXT = 0.8  # weight of the text without its patterns beside the whole text
BOUGHT, NOUN_BOUGHT = 0.6, 0.4  # weights of co-purchase in small groups, beside text
MERGED_BOUGHT, MERGED_NOUN_BOUGHT = 0.7, 1.0  # the same where small groups are merged
SMALL_GROUPS = 80
DIMENSIONS = 50
STARTS = 3
ROUNDS = 30
NAME_WORDS = 3


def discover(
    meanings: Floats, heads: Sequence[str], vectors: Floats, groups: int, seed: int
) -> Positions:
    """The group of each product from what its text means and what it is bought with.

    A basket follows a theme as much as a use; over all products of one head noun the themes
    average out, and the use stays, so co-purchase counts twice: the product's own, and its noun's
    mean. k-means makes many small groups; their centres, over many products, are less noisy than
    any product, and Ward's method merges those, by co-purchase more than before.
    """
    bought = _centred(vectors)
    noun_bought = _centred(_group_means(vectors, np.unique(heads, return_inverse=True)[1]))
    blocks = np.hstack([meanings, BOUGHT * vectors, NOUN_BOUGHT * noun_bought])
    size = min(DIMENSIONS, *blocks.shape)
    reduced = PCA(size, svd_solver="covariance_eigh").fit_transform(blocks)
    most = min(max(SMALL_GROUPS, 2 * groups), max(groups, len(np.unique(heads))), len(reduced))
    clusters = KMeans(most, n_init=STARTS, max_iter=ROUNDS, random_state=seed)
    small = np.unique(clusters.fit(reduced).labels_, return_inverse=True)[1]
    if small.max() < groups:
        return np.asarray(small, dtype=np.int64)
    centres = np.hstack(
        [
            unit_rows(_sums(rows, small, small.max() + 1)) * weight
            for rows, weight in (
                (_centred(meanings), 1.0),
                (bought, MERGED_BOUGHT),
                (noun_bought, MERGED_NOUN_BOUGHT),
            )
        ]
    )
    merged = fcluster(ward(centres), groups, criterion="maxclust") - 1
    return np.asarray(merged[small], dtype=np.int64)


def meanings_of(
    parts: Parts, heads: Sequence[str], patterns: Mapping[str, float], *, embedded: bool
) -> Floats:
    """A unit vector for each product's naming words, those of pattern counting for less.

    The words are embedded by a sentence model, or else stand for themselves (TF-IDF, reduced).
    """
    plain = [
        [w for w in part if w == head or patterns.get(w, 0.0) < PATTERN]
        for part, head in zip(parts, heads, strict=True)
    ]
    both = [_vectors([" ".join(words) for words in some], embedded) for some in (parts, plain)]
    return unit_rows(np.hstack([_centred(both[0]), PLAIN_TEXT * _centred(both[1])]))


def _vectors(texts: Sequence[str], embedded: bool) -> Floats:
    if embedded:
        return embed(texts)
    words = TfidfVectorizer(sublinear_tf=True, analyzer=str.split).fit_transform(texts)
    size = min(2 * DIMENSIONS, min(words.shape) - 1)
    if size < 2:
        return np.asarray(words.toarray())
    left, values, _ = randomized_svd(words, size, n_iter=6, random_state=0, flip_sign=True)
    return unit_rows(left * values)


def _centred(rows: Floats) -> Floats:
    return unit_rows(rows - rows.mean(axis=0))


def _group_means(rows: Floats, group: Positions) -> Floats:
    """For each row the mean direction of its group."""
    return unit_rows(_sums(rows, group, int(group.max()) + 1))[group]


def _sums(rows: Floats, group: Positions, groups: int) -> Floats:
    sums = np.zeros((groups, rows.shape[1]))
    np.add.at(sums, group, rows)
    return sums


def name_groups(
    labels: Positions,
    heads: Sequence[str],
    patterns: Mapping[str, float],
    words: Sequence[Sequence[str]],
) -> dict[int, tuple[str, str]]:
    """A key and a title for each group, from the nouns that tell most of it; all unique.

    The nouns are ranked by class-based TF-IDF (Grootendorst 2022, "BERTopic"): frequent in this
    group, rare in the others. A noun is used in one name only; a group that has none left is called
    by the words of its first product.
    """
    within = {int(g): Counter[str]() for g in np.unique(labels)}
    for label, head in zip(labels, heads, strict=True):
        within[int(label)][head] += 1
    total = Counter(heads)
    average = len(heads) / len(within)
    used: set[str] = set()
    names = {}
    for group, nouns in sorted(within.items(), key=lambda item: (-item[1].total(), item[0])):
        size = nouns.total()
        worth = {
            noun: n / size * np.log1p(average / total[noun]) * (1 - patterns.get(noun, 0.0))
            for noun, n in nouns.items()
            if noun not in used and n * 2 >= total[noun]
        }
        best = sorted(worth, key=lambda noun: (-worth[noun], noun))[:NAME_WORDS]
        if not best:
            text = " ".join(words[int(np.flatnonzero(labels == group)[0])])
            best = [f"{text} {group + 1}".strip() if text in {"", *used} else text]
        used |= set(best)
        key = "_".join(best).replace(" ", "_")
        names[group] = (key, ", ".join(best).capitalize())
    return names

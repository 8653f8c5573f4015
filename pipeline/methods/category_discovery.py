"""Categories without a taxonomy: groups of head nouns that are bought and worded alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans

from pipeline.methods.copurchase import unit_rows

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

STARTS = 8
FEW = 5  # a phrase of fewer products is read as its head alone
SHRINK = 5.0  # a phrase's vector is drawn towards its head's by so many products
PATTERN = 0.9
NAME_WORDS = 3


def thing_phrases(
    parts: Sequence[Sequence[str]], heads: Sequence[str], patterns: Mapping[str, float]
) -> list[str]:
    """The phrase that names each product: its head, with the word before it if that is common.

    A word before the head that is mere pattern is left out ("red bag" is a bag).
    """
    phrases = []
    for part, head in zip(parts, heads, strict=True):
        at = len(part) - 1 - list(reversed(part)).index(head)
        before = part[at - 1] if at else ""
        is_pattern = patterns.get(before, 0.0) >= PATTERN
        phrases.append(f"{before} {head}" if before and not is_pattern else head)
    counts = Counter(phrases)
    return [
        phrase if counts[phrase] >= FEW else head
        for phrase, head in zip(phrases, heads, strict=True)
    ]


def discover(
    phrases: Sequence[str], heads: Sequence[str], vectors: Floats, groups: int, seed: int
) -> Positions:
    """The group of each product: k-means over phrases, each at the mean of its products' vectors.

    Products alone are too noisy to cluster: a basket follows a theme as much as a use. Over all
    products of one noun the themes average out, and the use stays.
    """
    _, head = np.unique(np.array(heads), return_inverse=True)
    names, phrase = np.unique(np.array(phrases), return_inverse=True)
    counts = np.bincount(phrase)
    head_of_phrase = np.zeros(len(names), dtype=np.int64)
    head_of_phrase[phrase] = head
    means = _sums(vectors, head, int(head.max()) + 1) / np.bincount(head)[:, None]
    sums = _sums(vectors, phrase, len(names))
    shrunk = (sums + SHRINK * means[head_of_phrase]) / (counts[:, None] + SHRINK)
    clusters = KMeans(min(groups, len(names)), n_init=STARTS, random_state=seed)
    labels = clusters.fit(unit_rows(shrunk), sample_weight=np.sqrt(counts)).labels_
    return np.asarray(labels, dtype=np.int64)[phrase]


def _sums(rows: Floats, group: Positions, groups: int) -> Floats:
    sums = np.zeros((groups, rows.shape[1]))
    np.add.at(sums, group, rows)
    return sums


def name_groups(
    labels: Positions, heads: Sequence[str], patterns: Mapping[str, float]
) -> dict[int, tuple[str, str]]:
    """A key and a title for each group, from the nouns that tell most of it; all unique.

    The nouns are ranked by class-based TF-IDF (Grootendorst 2022, "BERTopic"): frequent in this
    group, rare in the others. A noun is used in one name only.
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
        best = best or [f"group {group + 1}"]
        used |= set(best)
        key = "_".join(best).replace(" ", "_")
        names[group] = (key, ", ".join(best).capitalize())
    return names

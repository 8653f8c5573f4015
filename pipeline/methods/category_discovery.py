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
VOTE_SIZES = (10, 15, 20, 30, 40)
VOTES = 8
MOST_NOUNS = 2000
NAME_WORDS = 3


def discover(heads: Sequence[str], vectors: Floats, groups: int, seed: int) -> Positions:
    """The group of each product, found over head nouns, each at the mean of its products' vectors.

    Products alone are too noisy to cluster: a basket follows a theme as much as a use. Over all
    products of one noun the themes average out, and the use stays. One k-means depends on its
    start, so many of them vote: nouns are clustered by how often they fell together (consensus
    clustering, Monti et al. 2003, and evidence accumulation, Fred & Jain 2005). Nouns beyond the
    MOST_NOUNS most frequent join the group whose centre is nearest.
    """
    nouns, noun = np.unique(np.array(heads), return_inverse=True)
    counts = np.bincount(noun)
    means = unit_rows(_sums(vectors, noun, len(nouns)) / counts[:, None])
    weights = np.sqrt(counts)
    frequent = np.sort(np.argsort(-counts, kind="stable")[:MOST_NOUNS])
    together = _times_together(means[frequent], weights[frequent], seed)
    clusters = KMeans(min(groups, len(frequent)), n_init=STARTS, random_state=seed)
    found = clusters.fit(unit_rows(together), sample_weight=weights[frequent]).labels_
    centres = unit_rows(_sums(means[frequent] * weights[frequent, None], found, found.max() + 1))
    labels = np.asarray((means @ centres.T).argmax(axis=1), dtype=np.int64)
    labels[frequent] = found
    return labels[noun]


def _times_together(means: Floats, weights: Floats, seed: int) -> Floats:
    votes = np.zeros((len(means), len(means)))
    # More groups than half the nouns would leave most of them alone, and say nothing.
    most = max(2, len(means) // 2)
    if len(means) <= most:
        return np.eye(len(means))
    for size in VOTE_SIZES:
        for start in range(VOTES):
            clusters = KMeans(min(size, most), n_init=1, random_state=seed + start)
            labels = clusters.fit(means, sample_weight=weights).labels_
            votes += labels[:, None] == labels[None, :]
    return votes / (len(VOTE_SIZES) * VOTES)


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

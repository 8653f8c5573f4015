"""How good categories are, measured without labels: the figures of metrics/categorize.json."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.metrics import adjusted_mutual_info_score

from pipeline.categorize_products.copurchase import pair_weights
from pipeline.categorize_products.fit import Fit, Settings, fit_categories
from pipeline.categorize_products.taxonomy import Taxonomy

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

TOP_WORDS = 10
SHUFFLES = 20
MOST_REFITTED = 10_000  # products of the second fit: enough to judge by, whatever the shop's size


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
    """Return the figures; stability and lift come of one more fit, on less.

    It sees every other basket and four fifths of the products, `MOST_REFITTED` at most. Its
    categories are compared with those of all (stability), and judged by the other baskets (lift).
    """
    seed, size = settings.seed, len(products)
    some = min(max(1, int(0.8 * size)), MOST_REFITTED)
    drawn = np.sort(np.random.default_rng(seed).choice(size, some, replace=False))
    again = fit_categories(
        products.iloc[drawn].reset_index(drop=True),
        pair_weights(baskets[0::2][:, drawn]),
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
        "held_out_copurchase_lift": copurchase_lift(
            pair_weights(baskets[1::2][:, drawn]), again, seed
        ),
        "stability_ami": float(adjusted_mutual_info_score(labels[drawn], again)),
        "decided_by": decided.to_dict(),
        "share": share.to_dict(),
    }


def telling_words(
    texts: Sequence[Sequence[str]], labels: Positions, most: int = TOP_WORDS
) -> dict[int, list[str]]:
    """The words that tell most of each category, by class-based TF-IDF (Grootendorst 2022)."""
    within = {int(g): Counter[str]() for g in np.unique(labels)}
    for words, label in zip(texts, labels, strict=True):
        within[int(label)].update(w for w in set(words) if len(w) > 2)
    total = Counter[str]()
    for words_of_group in within.values():
        total.update(words_of_group)
    average = total.total() / max(len(within), 1)
    return {
        group: sorted(
            counts,
            key=lambda w: (-counts[w] / counts.total() * np.log1p(average / total[w]), w),
        )[:most]
        for group, counts in within.items()
    }


def coherence(
    baskets: sparse.csr_array, texts: Sequence[Sequence[str]], labels: Positions
) -> float:
    """Mean NPMI, over baskets, of the pairs of each category's telling words (-1 to 1).

    Normalised pointwise mutual information of topic words (Bouma 2009; Röder, Both & Hinneburg
    2015), with a basket for a document: above 0, the words meet more often than by chance.
    """
    top = telling_words(texts, labels)
    words = sorted({w for group in top.values() for w in group})
    place = {w: at for at, w in enumerate(words)}
    entries = [(row, place[w]) for row, text in enumerate(texts) for w in set(text) if w in place]
    if not entries or baskets.shape[0] == 0:
        return 0.0
    rows, columns = zip(*entries, strict=True)
    has = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(texts), len(words)))
    in_basket = (baskets @ has).sign()
    share = np.asarray(in_basket.sum(axis=0)).ravel() / baskets.shape[0]
    both = (in_basket.T @ in_basket).toarray() / baskets.shape[0]
    scores = []
    for group in top.values():
        at = [place[w] for w in group]
        pairs = [(a, b) for i, a in enumerate(at) for b in at[i + 1 :]]
        values = [_npmi(both[a, b], share[a], share[b]) for a, b in pairs]
        if values:
            scores.append(float(np.mean(values)))
    return float(np.mean(scores)) if scores else 0.0


def _npmi(both: float, one: float, other: float) -> float:
    if both <= 0:
        return -1.0
    if both >= 1:
        return 1.0
    return float(np.log(both / (one * other)) / -np.log(both))


def copurchase_lift(pairs: sparse.csr_array, labels: Positions, seed: int) -> float:
    """Share of co-purchase within categories, over that of random categories of the same sizes."""
    entries = pairs.tocoo()
    total = float(entries.data.sum())
    if total == 0:
        return 1.0
    chance = np.random.default_rng(seed)

    def within(some: Positions) -> float:
        return float(entries.data[some[entries.row] == some[entries.col]].sum()) / total

    at_random = float(np.mean([within(chance.permutation(labels)) for _ in range(SHUFFLES)]))
    return within(labels) / at_random if at_random > 0 else 1.0

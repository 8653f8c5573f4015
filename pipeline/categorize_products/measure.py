"""The figures of metrics/categorize.json; none needs a label."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.metrics import adjusted_mutual_info_score

from pipeline.categorize_products.copurchase import pair_weights
from pipeline.categorize_products.fit import Fit, Settings, fit_categories
from pipeline.categorize_products.quality import coherence, copurchase_lift
from pipeline.categorize_products.taxonomy import Taxonomy

MOST_REFITTED = 10_000  # products of the second fit: enough to judge by, whatever the shop's size

Positions = npt.NDArray[np.int64]


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

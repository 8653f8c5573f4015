"""RFM scores 1 to 5 in which equal customers get equal scores.

A score is 1 + floor(5 x strictly worse / all): customers who are alike have the same number of
strictly worse ones, so that no tie is broken by row order and no quantile edge has to be unique.
Where ties are large (half of the customers with one order), a score may have no customers.
"""

from __future__ import annotations

from typing import Any

import narwhals as nw

Lines = nw.LazyFrame[Any]

# Each measure, and the whole number by which it ranks: the larger the better.
RANKED_BY = {"recency": "last_kept_day", "frequency": "frequency", "monetary": "amount"}
SCORES = 5


def with_scores(features: Lines) -> Lines:
    """Return the features with `recency_score`, `frequency_score` and `monetary_score`."""
    customers = nw.len().over("snapshot_date").cast(nw.Int64)
    return features.with_columns(
        **{
            f"{measure}_score": 1 + (SCORES * (_rank(column) - 1)).cast(nw.Int64) // customers
            for measure, column in RANKED_BY.items()
        }
    )


def _rank(column: str) -> nw.Expr:
    return nw.col(column).rank("min").over("snapshot_date").cast(nw.Int64)

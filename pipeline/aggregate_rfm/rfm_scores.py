"""RFM scores 1 to 5 in which equal customers get equal scores, and what values each one spans.

A score is 1 + floor(5 x strictly worse / all): customers who are alike have the same number of
strictly worse ones, so that no tie is broken by row order and no quantile edge has to be unique.
Where ties are large (half of the customers with one order), a score may have no customers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import narwhals as nw
import pandas as pd

from pipeline.aggregate_rfm.features import MONEY_UNIT

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


def score_thresholds(customers: Lines) -> Lines:
    """Return the values that each score of each measure spans at each snapshot.

    Columns: `snapshot_date`, `measure`, `score`, `lowest`, `highest` (null where the score holds
    only customers who kept nothing, for recency), `customers`.
    """
    values = {
        "recency": nw.col("recency_days") * 10_000,
        "frequency": nw.col("frequency") * 10_000,
        "monetary": nw.col("amount"),
    }
    spans = [
        customers.select(
            "snapshot_date",
            nw.lit(measure).alias("measure"),
            nw.col(f"{measure}_score").alias("score"),
            value.alias("value"),
        )
        .group_by("snapshot_date", "measure", "score")
        .agg(
            nw.col("value").min().alias("lowest"),
            nw.col("value").max().alias("highest"),
            nw.len().alias("customers"),
        )
        for measure, value in values.items()
    ]
    return nw.concat(spans).with_columns(
        nw.col("lowest") * nw.lit(MONEY_UNIT), nw.col("highest") * nw.lit(MONEY_UNIT)
    )


def score_of(measure: str, value: Decimal | int | None, thresholds: pd.DataFrame) -> int:
    """Return the score that a value would have among the customers of one snapshot's thresholds.

    A value between two scores has as many strictly worse customers as the better of the two; one
    better than all has the highest score. None is the recency of a customer who kept nothing.
    """
    if value is None:
        return 1
    spans = thresholds[(thresholds["measure"] == measure) & thresholds["lowest"].notna()]
    if measure == "recency":
        reached = spans.loc[spans["lowest"] <= value, "score"]
    else:
        reached = spans.loc[spans["highest"] >= value, "score"]
    return int(reached.min()) if len(reached) else SCORES

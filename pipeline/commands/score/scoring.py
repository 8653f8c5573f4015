"""What the definition and the trained run say about customers that they have not seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.categorize_products.model import INTERCEPT, categorize_texts
from pipeline.categorize_products.product_text import mended_spellings, product_counts, words_of
from pipeline.core.model.definition import Definition, assign
from pipeline.core.model.naming import Playbook
from pipeline.core.model.transforms import feature_matrix
from pipeline.core.tables.contract import MONEY
from pipeline.core.text.words import SPACE
from pipeline.profile_segments.drift import DRIFTED, SEGMENT_SHARES, noise_level, psi, verdict
from pipeline.profile_segments.facts import REST, category_titles
from pipeline.profile_segments.next_category import Habits, learn_habits, next_best
from pipeline.profile_segments.profiles import SHARE_PREFIX, top_category
from pipeline.render_report.rows import rows_of
from pipeline.render_report.sentences import Writer

Counts = NDArray[np.float64]

SCORED = pa.schema(
    [
        ("customer_id", pa.string()),
        ("as_of", pa.date32()),
        ("segment_id", pa.int32()),
        ("segment", pa.string()),
        ("confidence", pa.float64()),
        ("segment_before", pa.string()),
        ("recency_days", pa.int32()),
        ("frequency", pa.int32()),
        ("monetary", MONEY),
        ("top_category", pa.string()),
        ("next_best_category", pa.string()),
        ("suggested_action", pa.string()),
    ]
)


@dataclass(frozen=True)
class Trained:
    """What the trained run left: the definition, the segments' names, and its customers.

    `customers` are those of its last snapshot, `before` the segment of each; `titles` are
    the names of the categories, `keys` those worth advertising, `offered` those of them in season.
    """

    definition: Definition
    name_of: Mapping[int, str]
    customers: pd.DataFrame
    before: pd.Series[str]
    titles: Mapping[str, str]
    keys: Sequence[str]
    offered: Sequence[str]
    habits: Habits
    playbook: Playbook
    writer: Writer

    @property
    def day(self) -> date:
        """The last snapshot."""
        day: date = self.customers["snapshot_date"].iloc[0]
        return day


def trained_run(
    definition: Definition,
    names: pd.DataFrame,
    customers: pd.DataFrame,
    categories: pd.DataFrame,
    *,
    out_of_season: Collection[str],
    playbook: Playbook,
    writer: Writer,
) -> Trained:
    """Put together what scoring needs; `customers` are those of its last snapshot."""
    segment = assign(definition, customers)["segment_id"].to_numpy(dtype=np.int64)
    name_of = dict(zip(names["segment_id"].astype(int), names["segment"], strict=True))
    titles = category_titles(categories)
    keys = [key for key in sorted(titles) if key != REST]
    offered = [key for key in keys if key not in out_of_season]
    shares = customers[[SHARE_PREFIX + key for key in offered]].to_numpy(dtype=float)
    return Trained(
        definition=definition,
        name_of=name_of,
        customers=customers,
        before=pd.Series([name_of[s] for s in segment], index=customers["customer_id"]),
        titles=titles,
        keys=keys,
        offered=offered,
        habits=learn_habits(shares, segment, definition.size)
        if offered
        else Habits(shares, shares),
        playbook=playbook,
        writer=writer,
    )


def score(trained: Trained, customers: pd.DataFrame) -> pd.DataFrame:
    """Return a row of SCORED for each of `customers`, in their order.

    A customer's row depends on that customer alone, so a table may be scored in pieces.
    """
    offered = list(trained.offered)
    given = assign(trained.definition, customers)
    segment = given["segment_id"].to_numpy(dtype=np.int64)
    title_of: dict[str | None, str | None] = {None: None}
    title_of.update(trained.titles)
    following: list[str | None] = [None] * len(customers)
    if len(offered) > 1 and len(customers):
        shares = customers[[SHARE_PREFIX + key for key in offered]].to_numpy(dtype=float)
        following = [offered[place] for place in next_best(shares, segment, trained.habits)]
    rows = customers.assign(
        as_of=customers["snapshot_date"],
        segment_id=segment,
        segment=[trained.name_of[s] for s in segment],
        confidence=given["confidence"],
        segment_before=customers["customer_id"].map(trained.before),
        play=given["play"],
        **{
            name: pd.Series(
                [title_of[key] for key in top_category(customers, keys)],
                customers.index,
                dtype=object,
            )
            for name, keys in (
                ("top_category_title", list(trained.keys)),
                ("offer_category_title", offered),
            )
        },
        next_category_title=pd.Series(
            [title_of[key] for key in following], customers.index, dtype=object
        ),
        expected_spend=None,  # nothing that foretells it is kept
    )
    rows["suggested_action"] = [
        trained.writer.customer_action(row).replace(SPACE, " ") for row in rows_of(rows)
    ]
    renamed = {"top_category_title": "top_category", "next_category_title": "next_best_category"}
    scored: pd.DataFrame = rows.rename(columns=renamed)[SCORED.names]
    return scored


@dataclass
class DriftCounts:
    """How many customers lie in each bin of the training distribution; pieces add up."""

    definition: Definition
    customers: int = 0
    features: dict[str, Counts] = field(default_factory=dict)
    segments: Counts = field(default_factory=lambda: np.zeros(0))

    def add(self, customers: pd.DataFrame, segment_id: NDArray[Any]) -> None:
        """Count these customers too."""
        self.customers += len(customers)
        matrix = feature_matrix(customers, self.definition.columns, self.definition.money_unit)
        for place, name in enumerate(self.definition.columns):
            edges = np.asarray(self.definition.training[name]["edges"])
            bins = np.searchsorted(edges, matrix[:, place], side="right")
            counts = np.bincount(bins, minlength=len(edges) + 1).astype(float)
            self.features[name] = self.features.get(name, 0.0) + counts
        found = np.bincount(segment_id, minlength=self.definition.size).astype(float)
        self.segments = found + (self.segments if len(self.segments) else 0.0)

    def against(self, others: DriftCounts) -> pd.DataFrame:
        """Return `measure`, `psi`, `noise` and `verdict` of each feature and the segments' shares.

        By the population stability index. Where chance alone could look like a clear drift, or
        there is nobody to compare with, the verdict is `too few to tell`.
        """
        pairs = {name: (counts, others.features[name]) for name, counts in self.features.items()}
        pairs[SEGMENT_SHARES] = (self.segments, others.segments)
        rows = []
        for measure, (sample, reference) in pairs.items():
            used = (sample + reference) > 0
            index = max(psi(sample[used], reference[used]), 0.0)
            noise = noise_level(int(used.sum()), sample.sum(), reference.sum())
            too_few = not others.customers or (index < noise and noise >= DRIFTED)
            found = "too few to tell" if too_few else verdict(index, noise)
            rows.append({"measure": measure, "psi": index, "noise": noise, "verdict": found})
        return pd.DataFrame(rows)


def those_who_bought_within(days: int, trained: Trained, later: int = 0) -> DriftCounts:
    """Return the counts of the run's customers whose last order is at most so many days old.

    A file of one month holds nobody who last bought before it, so the others say nothing of it.
    On a day before the run's (`later` < 0) they were younger, or not there yet. On a day after it
    they would be older, but others come, who are new.
    """
    everyone = trained.customers
    last = everyone["recency_days"].astype(float).fillna(everyone["tenure_days"].astype(float))
    recent = everyone[last <= days]
    segment_id = assign(trained.definition, recent)["segment_id"].to_numpy(dtype=np.int64)
    tenure = recent["tenure_days"] + min(later, 0)
    known = (tenure >= 0).to_numpy(dtype=bool)
    counts = DriftCounts(trained.definition)
    counts.add(recent.assign(tenure_days=tenure)[known], segment_id[known])
    return counts


def categorize_new(
    products: pd.DataFrame, categories: pd.DataFrame, category_words: pd.DataFrame
) -> pd.DataFrame:
    """Return `stock_code` and `category` of products that no run has seen, by their texts alone.

    Spelling is mended by the words of the products that are known (`categories`).
    """
    features = category_words.loc[category_words["feature"] != INTERCEPT, "feature"]
    known = frozenset(f for f in features.unique() if " " not in f)
    plain = [words_of(text) for text in [*categories["description"], *products["description"]]]
    spellings = mended_spellings(product_counts(plain), known)
    texts = [words_of(text, spellings) for text in products["description"]]
    found = categorize_texts(texts, category_words)
    return pd.DataFrame(
        {
            "stock_code": products["stock_code"].to_numpy(),
            "category": found["category"].to_numpy(),
        }
    )

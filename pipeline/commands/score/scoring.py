"""What the definition and the trained run say about customers that they have not seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from pipeline.categorize_products.model import INTERCEPT, categorize_texts
from pipeline.categorize_products.product_text import mended_spellings, product_counts, words_of
from pipeline.core.model.definition import Definition, assign
from pipeline.core.model.transforms import feature_matrix
from pipeline.core.text.words import SPACE
from pipeline.profile_segments.drift import DRIFTED, SEGMENT_SHARES, group_drift, value_drift
from pipeline.profile_segments.facts import REST, next_categories
from pipeline.profile_segments.profiles import top_category
from pipeline.render_report.rows import rows_of
from pipeline.render_report.sentences import Writer

COLUMNS = (
    "customer_id", "as_of", "segment_id", "segment", "confidence", "segment_before",
    "recency_days", "frequency", "monetary", "top_category", "next_best_category",
    "suggested_action",
)  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """What the trained run left.

    `customers` are those of its last snapshot with their segment_id, `titles` the names of the
    categories.
    """

    definition: Definition
    name_of: Mapping[int, str]
    customers: pd.DataFrame
    titles: Mapping[str, str]
    out_of_season: Collection[str]
    writer: Writer

    @property
    def day(self) -> date:
        """The last snapshot."""
        day: date = self.customers["snapshot_date"].iloc[0]
        return day


def score(trained: Trained, customers: pd.DataFrame) -> pd.DataFrame:
    """Return the customers with COLUMNS, in their order; each row depends on that one alone."""
    keys = [key for key in sorted(trained.titles) if key != REST]
    offered = [key for key in keys if key not in trained.out_of_season]

    def named(found: Sequence[str | None]) -> pd.Series:
        return pd.Series([key and trained.titles[key] for key in found], customers.index, object)

    before = trained.customers.set_index("customer_id")["segment_id"].map(trained.name_of)
    given = customers.assign(**assign(trained.definition, customers))
    rows = given.assign(
        as_of=given["snapshot_date"],
        segment=given["segment_id"].map(trained.name_of),
        segment_before=given["customer_id"].map(before),
        top_category_title=named(top_category(given, keys)),
        offer_category_title=named(top_category(given, offered)),
        next_category_title=named(next_categories(given, offered, trained.customers)),
        expected_spend=None,  # nothing that foretells it is kept
    )
    actions = [trained.writer.customer_action(row).replace(SPACE, " ") for row in rows_of(rows)]
    return rows.assign(
        recency_days=rows["recency_days"].astype("Int64").astype(object).replace({pd.NA: None}),
        monetary=[f"{value:.2f}" for value in rows["monetary"]],
        top_category=rows["top_category_title"],
        next_best_category=rows["next_category_title"],
        suggested_action=actions,
    )


def drift_from(
    definition: Definition, customers: pd.DataFrame, others: pd.DataFrame
) -> pd.DataFrame:
    """Return measure, psi, noise, verdict and is_stable of each feature and the segments' shares.

    By the population stability index. Where chance alone could look like a clear drift, or
    there is nobody to compare with, the verdict is `too few to tell`.
    """
    here, there = (
        feature_matrix(rows, definition.columns, definition.money_unit)
        for rows in (customers, others)
    )
    found = pd.DataFrame(
        [value_drift(here[:, n], there[:, n]) for n in range(len(definition.columns))]
        + [group_drift(customers["segment_id"], others["segment_id"])]
    ).assign(measure=[*definition.columns, SEGMENT_SHARES])
    few = (found["psi"] < found["noise"]) & (found["noise"] >= DRIFTED) | others.empty
    found["verdict"] = found["verdict"].mask(few, "too few to tell")
    return found.assign(is_stable=few | (found["verdict"] == "stable"))


def those_who_bought_within(days: int, customers: pd.DataFrame, later: int = 0) -> pd.DataFrame:
    """Return the run's customers whose last order is at most so many days old.

    A file of one month holds nobody who last bought before it, so the others say nothing of it.
    On a day before the run's (`later` < 0) they were younger, or not there yet. On a day after it
    they would be older, but others come, who are new.
    """
    last = customers["recency_days"].astype(float).fillna(customers["tenure_days"].astype(float))
    tenure = customers["tenure_days"] + min(later, 0)
    return customers.assign(tenure_days=tenure)[(last <= days) & (tenure >= 0)]


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
    found = categorize_texts(texts, category_words)["category"].to_numpy()
    return products[["stock_code"]].assign(category=found)

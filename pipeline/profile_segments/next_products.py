"""What to offer next: products a customer never bought, by what buyers of the own ones bought too.

Products are neighbours as far as the same customers bought them: cosine of their columns in the
table of customers and products, a customer of many products counting less (TF-IDF). A customer's
products each vote for their neighbours. Where that does not beat the most popular products by two
standard errors on the days just over, the most popular ones are offered instead.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import normalize

OFFERS = 3
MOST_PRODUCTS = 4_000  # those with most buyers; what hardly anybody bought has no neighbours
MOST_LEARNT_FROM = 50_000  # customers; of more, an even sample
BLOCK = 2_000  # customers scored at a time
CHECK_DAYS = 30


@dataclass(frozen=True)
class Bought:
    """Who bought which product first on which day, as codes of `customers` and `products`."""

    customers: pd.Index
    products: pd.Index
    customer: NDArray[np.int64]
    product: NDArray[np.int64]
    day: NDArray[np.int64]

    @classmethod
    def of(cls, firsts: pd.DataFrame) -> Bought:
        """From rows of customer_id, stock_code and day (an ordinal).

        Of products with as many buyers those come first that found them later, whatever their code.
        """
        found = firsts.groupby("stock_code")["day"].agg(["size", "sum"])
        products = pd.Index(found.sort_values(["size", "sum"], kind="stable").index[::-1])
        products = products[:MOST_PRODUCTS]
        rows = firsts[firsts["stock_code"].isin(products)]
        customers = pd.Index(sorted(set(rows["customer_id"])))
        return cls(
            customers=customers,
            products=products,
            customer=customers.get_indexer(pd.Index(rows["customer_id"])).astype(np.int64),
            product=products.get_indexer(pd.Index(rows["stock_code"])).astype(np.int64),
            day=rows["day"].to_numpy(dtype=np.int64),
        )

    def owned(self, after: int, until: int) -> csr_matrix:
        """The table of customers and products first bought after a day until another."""
        rows = (self.day > after) & (self.day <= until)
        place = self.customer[rows], self.product[rows]
        shape = len(self.customers), len(self.products)
        return csr_matrix((np.ones(int(rows.sum())), place), shape)


def best_unbought(
    owned: csr_matrix,
    offers: int = OFFERS,
    *,
    by_neighbours: bool = True,
    is_offered: NDArray[np.bool_] | None = None,
) -> NDArray[np.int64]:
    """The products (columns) to offer to each customer (row), best first; −1 where none is left.

    Of those only that are `is_offered`, where it is given; the others still vote.
    Products without a neighbour among the customer's own follow by the number of their buyers,
    which alone decides where it is not `by_neighbours`.
    """
    buyers = np.asarray(owned.sum(axis=0)).ravel()
    step = -(-owned.shape[0] // MOST_LEARNT_FROM)
    weights = normalize(TfidfTransformer().fit_transform(owned[::step]).T.tocsr())
    alike = (weights @ weights.T).toarray()
    np.fill_diagonal(alike, 0)
    usual = 1e-6 * buyers / max(float(buyers.max(initial=0)), 1.0)
    found = np.full((owned.shape[0], offers), -1)
    for start in range(0, owned.shape[0], BLOCK):
        mine = owned[start : start + BLOCK]
        votes = normalize(mine, norm="l1") @ alike if by_neighbours else np.zeros(mine.shape)
        scores = np.round(votes + usual, 9)
        scores[mine.nonzero()] = -1
        if is_offered is not None:
            scores[:, ~is_offered] = -1
        best = _highest(scores, offers)
        kept = np.take_along_axis(scores, best, axis=1) >= 0
        found[start : start + BLOCK, : best.shape[1]] = np.where(kept, best, -1)
    return found


def offer_figures(bought: Bought, day: int) -> dict[str, Any]:
    """How often one of the offers of CHECK_DAYS ago was bought since, and its rival's.

    Of customers known then who have bought a new product since.
    """
    owned, since = bought.owned(0, day - CHECK_DAYS), bought.owned(day - CHECK_DAYS, day)
    rows = np.flatnonzero((owned.getnnz(axis=1) > 0) & (since.getnnz(axis=1) > 0))
    if not len(rows) or len(bought.products) <= OFFERS:
        return {"is_checked": False}
    new = since[rows].toarray() > 0
    hits = {
        name: np.take_along_axis(new, offers.clip(0), axis=1).any(axis=1)
        for name, offers in (
            ("hit_rate", best_unbought(owned)[rows]),
            ("hit_rate_of_the_most_popular", best_unbought(owned, by_neighbours=False)[rows]),
        )
    }
    apart = hits["hit_rate"].astype(float) - hits["hit_rate_of_the_most_popular"]
    error = float(apart.std() / np.sqrt(len(rows)))
    return {
        "is_checked": True,
        "days": CHECK_DAYS,
        "customers": len(rows),
        **{name: float(hit.mean()) for name, hit in hits.items()},
        "error": error,
        "beats_the_most_popular": bool(apart.mean() > 2 * error),
    }


def offered(
    bought: Bought,
    day: int,
    titles: dict[str, str],
    left_out: Collection[str] = (),
    *,
    by_neighbours: bool,
) -> pd.DataFrame:
    """One row per customer: customer_id and next_products, their descriptions joined by "; ".

    The codes `left_out` are offered to nobody.
    """
    names = [titles.get(str(code)) or str(code) for code in bought.products]
    is_offered = ~bought.products.isin(left_out)
    best = best_unbought(bought.owned(0, day), by_neighbours=by_neighbours, is_offered=is_offered)
    texts = ["; ".join(names[i] for i in row if i >= 0) or None for row in best]
    return pd.DataFrame({"customer_id": bought.customers, "next_products": texts})


def _highest(scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The columns of each row's highest scores, best first; of equal ones the first."""
    parted = -scores + 1e-12 * np.arange(scores.shape[1])
    count = min(count, scores.shape[1])
    best = np.argpartition(parted, count - 1, axis=1)[:, :count]
    order = np.argsort(np.take_along_axis(parted, best, axis=1), axis=1)
    return np.asarray(np.take_along_axis(best, order, axis=1))

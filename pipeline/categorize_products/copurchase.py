"""What is bought together: baskets as a sparse matrix, and products as vectors made from it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from pipeline.core.tables.contract import parquet_glob

Floats = npt.NDArray[np.float64]

MOST_CONTEXTS = 20_000  # products that others are described by; the cost grows with their pairs
BLOCK = 1 << 20  # pairs at a time

# The distinct products of each basket. A very long invoice says little about each of its pairs
# and has very many, so it is cut to a declared number of its products; and baskets are taken in
# an order of their own (md5, the same on every machine) until their pairs fill the budget.
BASKETS = """
with pairs as (
    select distinct invoice_id, stock_code from read_parquet($sales)
),
sizes as (
    select invoice_id, least(count(*), $longest) as size
    from pairs group by invoice_id having count(*) > 1
),
chosen as (
    select invoice_id, row_number() over (order by md5(invoice_id), invoice_id) - 1 as basket,
        sum(size * (size - 1) // 2) over (
            order by md5(invoice_id), invoice_id rows unbounded preceding
        ) as pairs_so_far
    from sizes qualify pairs_so_far <= $most_pairs
)
select cast(basket as integer) as basket, stock_code
from pairs join chosen using (invoice_id)
qualify row_number() over (
    partition by invoice_id order by md5(invoice_id || '/' || stock_code), stock_code
) <= $longest
order by basket, stock_code
"""


def read_baskets(
    database: duckdb.DuckDBPyConnection,
    sales: Path,
    products: pd.Series[str],
    *,
    longest: int,
    most_pairs: int,
) -> sparse.csr_array:
    """Baskets of two products or more as 0/1 rows over `products` (stock codes)."""
    rows = database.execute(
        BASKETS, {"sales": parquet_glob(sales), "longest": longest, "most_pairs": most_pairs}
    ).df()
    columns = pd.Index(products).get_indexer(pd.Index(rows["stock_code"]))
    places = (rows["basket"], columns.astype("int32"))  # 64 bits would double the pairs' memory
    baskets = int(rows["basket"].max()) + 1 if len(rows) else 0
    return sparse.csr_array((np.ones(len(rows)), places), shape=(baskets, len(products)))


def pair_weights(baskets: sparse.csr_array) -> sparse.csr_array:
    """How often two products share a basket; each basket gives each of its products weight 1."""
    sizes = np.asarray(baskets.sum(axis=1)).ravel()
    weighted = sparse.diags_array(1.0 / np.maximum(sizes - 1, 1)) @ baskets
    pairs = (baskets.T @ weighted).T  # symmetric: turned round it is by rows without a copy
    pairs.sort_indices()
    bought = np.flatnonzero(pairs.diagonal())
    pairs[bought, bought] = 0  # setdiag would set those of all, and copy the pairs for it
    pairs.eliminate_zeros()
    return pairs


def positive_pmi(pairs: sparse.csr_array, smoothing: float = 0.75) -> sparse.csr_array:
    """Positive pointwise mutual information of the pairs.

    Contexts are smoothed (Levy, Goldberg & Dagan 2015, "Improving distributional similarity with
    lessons learned from word embeddings"): without it rare products seem tied to everything.
    In a shop of very many products the columns are only those most bought with others.
    """
    mass = np.asarray(pairs.sum(axis=1)).ravel()
    context = np.where(mass > 0, np.maximum(mass, 1e-12) ** smoothing, 0.0)
    whole = max(context.sum(), 1e-12)
    columns = np.sort(np.argsort(-mass, kind="stable")[:MOST_CONTEXTS])
    information, context = pairs[:, columns], context[columns]
    expected = np.repeat(mass, np.diff(information.indptr))
    for start in range(0, len(expected), BLOCK):  # in place: there are most_pairs of them
        expected[start : start + BLOCK] *= context[information.indices[start : start + BLOCK]]
    expected /= whole
    np.maximum(expected, 1e-12, out=expected)
    information.data /= expected
    np.log(information.data, out=information.data)
    np.maximum(information.data, 0.0, out=information.data)
    information.eliminate_zeros()
    return information


def copurchase_vectors(pairs: sparse.csr_array, dimensions: int, seed: int) -> Floats:
    """One unit vector per product from its pairs; zero where it was in no basket with others."""
    size = min(dimensions, pairs.shape[0] - 1)
    if size < 2 or pairs.nnz == 0:
        return np.zeros((pairs.shape[0], dimensions))
    left, values, _ = randomized_svd(
        positive_pmi(pairs), size, n_iter=6, random_state=seed, flip_sign=True
    )
    return unit_rows(left * np.sqrt(values))


def unit_rows(rows: Floats) -> Floats:
    """The rows at length 1; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Floats = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return scaled

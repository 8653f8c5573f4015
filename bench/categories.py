"""Categories against labels made by reading: the two ways and their rivals.

The labels in bench/labels have two halves. The taxonomy was written, and the method tuned, with
`tune` in view; `final` is for the last measurement only. `all` is these two. `fresh` is a later
draw, labelled apart from the method, to be measured once when the method is frozen.

What the stage costs is measured by `python -m bench lines`.

Example: python -m bench.categories --half final
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_mutual_info_score
from threadpoolctl import threadpool_limits

from bench.lines import ROOT
from bench.scoring import REAL_DATA, train
from pipeline.categorize_products.__main__ import Params
from pipeline.categorize_products.copurchase import (
    copurchase_vectors,
    pair_weights,
    read_baskets,
    unit_rows,
)
from pipeline.categorize_products.fit import Settings, fit_categories, texts_of
from pipeline.categorize_products.product_text import spellings_from
from pipeline.categorize_products.products import read_products
from pipeline.categorize_products.seeds import lexicon_of, seed_products
from pipeline.categorize_products.spread import TEMPERATURE
from pipeline.categorize_products.taxonomy import Taxonomy, find_taxonomy, read_taxonomy
from pipeline.core.engines.duckdb import open_duckdb
from pipeline.core.run.params import load_params

LABELS = Path(__file__).parent / "labels" / "online_retail_categories.csv"
HALVES = {
    "tune": ["tune"],
    "final": ["final"],
    "all": ["tune", "final"],
    "fresh": ["fresh"],
    "unseen": ["final", "fresh"],
}
RESAMPLES = 1000
GUIDED_GOAL, DISCOVERED_GOAL = 0.70, 0.40

Labels = npt.NDArray[np.object_]
Positions = npt.NDArray[np.int64]
Pairs: TypeAlias = sparse.csr_array


def main() -> None:
    """Print agreement with the labels for every way, and how often confidence is right."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sales", type=Path, help="sales.parquet of online_retail, if at hand")
    parser.add_argument("--half", choices=list(HALVES), default="tune")
    parser.add_argument("--ways", nargs="+", help="only the ways whose names start so")
    arguments = parser.parse_args()
    params = load_params("categorize", Params, ROOT / "params.yaml")
    taxonomy = read_taxonomy(find_taxonomy("gifts"))
    with sales_of_real_shop(arguments.sales) as sales, threadpool_limits(1):
        products, baskets = read(sales, params)
        pairs = pair_weights(baskets)
        chosen = labelled(arguments.half)
        rows = pd.Index(products["stock_code"]).get_indexer(pd.Index(chosen["stock_code"]))
        truth = chosen["category"].to_numpy(dtype=object)
        print(f"{len(chosen)} labelled products, half {arguments.half}\n")
        print(f"{'way':44s} {'AMI (95 %)':24s} {'accuracy (95 %)':24s} groups  seconds")
        for name, way in ways(products, pairs, taxonomy, params).items():
            if arguments.ways and not any(name.startswith(start) for start in arguments.ways):
                continue
            start = time.perf_counter()
            found = way()[rows]
            seconds = time.perf_counter() - start
            print(f"{name:44s} {_line(truth, found)}  {seconds:6.1f}", flush=True)
        print(f"\ngoals: guided {GUIDED_GOAL}, discovered {DISCOVERED_GOAL} AMI")
        fit = fit_categories(products, pairs, taxonomy, params)
        keys = np.array(list(fit.categories), dtype=object)
        right = truth == keys[fit.labels][rows]
        print_reliability(fit.chance.max(axis=1)[rows], right)
        print_calibration(fit.chance[rows], fit.decided_by[rows], pd.Index(keys).get_indexer(truth))


def labelled(half: str) -> pd.DataFrame:
    """The labelled products of a half; `all` is tune and final, without the fresh ones."""
    labels = pd.read_csv(LABELS, dtype=str)
    return labels[labels["half"].isin(HALVES[half])]


def print_reliability(confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> None:
    """How often the guided way is right among products of like confidence (Wilson intervals)."""
    print("\nconfidence       products  mean said  right (95 %)")
    edges = [0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 1.01]
    for low, high in [*itertools.pairwise(edges), (0.0, 1.01)]:
        among = (confidence >= low) & (confidence < high)
        if not among.any():
            continue
        held = binomtest(int(right[among].sum()), int(among.sum())).proportion_ci(method="wilson")
        print(
            f"{low:.2f} to {min(high, 1.0):.2f} {among.sum():12d} {confidence[among].mean():10.3f}"
            f"  {right[among].mean():.3f} ({held.low:.3f} to {held.high:.3f})"
        )


def print_calibration(
    chance: npt.NDArray[np.float64], decided_by: npt.NDArray[np.str_], truth: Positions
) -> None:
    """Temperatures fitted on one half of the labels, and how they do on the other."""
    start = np.array([TEMPERATURE[way] for way in decided_by])[:, None]
    raw = chance**start

    def best(rows: npt.NDArray[np.bool_]) -> float:
        def loss(temperature: float) -> float:
            powers = raw[rows] ** (1 / temperature)
            said = powers[np.arange(len(powers)), truth[rows]] / powers.sum(axis=1)
            return -float(np.log(said).sum())

        return float(minimize_scalar(loss, bounds=(0.3, 8), method="bounded").x)

    print("\ndecided by   products  temperature: shipped  fitted  said less right, other half")
    rng = np.random.default_rng(0)
    for way in ("seed", "spread"):
        among = decided_by == way
        gaps = []
        for _ in range(RESAMPLES // 10):
            half = rng.random(len(among)) < 0.5
            powers = raw[among & ~half] ** (1 / best(among & half))
            said = powers.max(axis=1) / powers.sum(axis=1)
            gaps.append(said.mean() - (powers.argmax(axis=1) == truth[among & ~half]).mean())
        print(
            f"{way:12s} {among.sum():8d} {TEMPERATURE[way]:21.2f} {best(among):7.2f} "
            f"{np.mean(gaps):+.3f} ± {np.std(gaps):.3f}"
        )


@contextmanager
def sales_of_real_shop(given: Path | None) -> Iterator[Path]:
    """The path of the real shop's sales: the one given, or made by ingest and clean for now."""
    if given is not None:
        yield given
        return
    if not REAL_DATA.exists():
        sys.exit(f"error: {REAL_DATA} is missing; give --sales")
    with tempfile.TemporaryDirectory() as folder:
        train(Path(folder), str(REAL_DATA), ("ingest", "clean"))
        yield Path(folder) / "data" / "sales.parquet"


def read(sales: Path, params: Params) -> tuple[pd.DataFrame, Pairs]:
    """Products and baskets, as the stage reads them."""
    with open_duckdb() as engine:
        products = read_products(engine.database, sales)
        baskets = read_baskets(
            engine.database,
            sales,
            products["stock_code"],
            longest=params.longest_basket,
            most_pairs=params.most_pairs,
        )
    return products, baskets


def ways(
    products: pd.DataFrame, pairs: Pairs, taxonomy: Taxonomy, settings: Settings
) -> dict[str, Callable[[], Labels]]:
    """Every way by its name; each gives one label per product."""
    text_only = settings.model_copy(update={"copurchase_weight": 0.0})

    def fitted(taxonomy: Taxonomy | None, settings: Settings) -> Labels:
        fit = fit_categories(products, pairs, taxonomy, settings)
        return np.array(list(fit.categories), dtype=object)[fit.labels]

    return {
        "guided": lambda: fitted(taxonomy, settings),
        "guided, without co-purchase": lambda: fitted(taxonomy, text_only),
        "seeds + plain logistic regression": lambda: seeds_and_regression(products, taxonomy),
        "discovered": lambda: fitted(None, settings),
        "discovered, without the sentence model": lambda: fitted(
            None, settings.model_copy(update={"embedding": None})
        ),
        "rival: TF-IDF with co-purchase": lambda: k_means(
            np.hstack(
                [
                    text_vectors(products),
                    copurchase_vectors(pairs, settings.dimensions, settings.seed),
                ]
            )
        ),
    }


def seeds_and_regression(products: pd.DataFrame, taxonomy: Taxonomy) -> Labels:
    """Seeds where found; a plain regression on TF-IDF for the rest."""
    lexicon = lexicon_of(taxonomy, spellings_from(taxonomy.spellings))
    texts = texts_of(products["description"].tolist(), taxonomy)
    seeded = seed_products(texts, lexicon, {}).category
    features = TfidfVectorizer().fit_transform([" ".join(words) for words in texts])
    known = seeded >= 0
    labels = seeded.copy()
    if not known.all():
        model = LogisticRegression(max_iter=300).fit(features[known], seeded[known])
        labels[~known] = model.predict(features[~known])
    return np.array(lexicon.categories, dtype=object)[labels]


def text_vectors(products: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Unit vectors of TF-IDF + SVD."""
    features = TfidfVectorizer(min_df=2, sublinear_tf=True).fit_transform(products["description"])
    return unit_rows(TruncatedSVD(100, random_state=0).fit_transform(features))


def k_means(vectors: object, groups: int = 15) -> Labels:
    """Groups by k-means, as many as the labels have categories."""
    labels = KMeans(groups, n_init=5, random_state=0).fit_predict(vectors)
    return np.asarray(labels, dtype=object)


def _line(truth: Labels, found: Labels) -> str:
    chance = np.random.default_rng(0)
    halves = [chance.permutation(len(truth))[: len(truth) // 2] for _ in range(RESAMPLES)]
    mutual = [adjusted_mutual_info_score(truth[h], found[h]) for h in halves]
    right = truth == named(truth, found)
    accuracy = [right[h].mean() for h in halves]
    return (
        f"{_with_interval(adjusted_mutual_info_score(truth, found), mutual)}  "
        f"{_with_interval(float(right.mean()), accuracy)}  {len(set(found)):6d}"
    )


def named(truth: Labels, found: Labels) -> Labels:
    """Groups that are no category, named for the label most frequent in them (flatters them)."""
    if set(found) <= set(truth) | {"other"}:
        return found
    best = {g: Counter(truth[found == g]).most_common(1)[0][0] for g in set(found)}
    return np.array([best[group] for group in found], dtype=object)


def _with_interval(value: float, halves: Sequence[float]) -> str:
    """The value with its 95 % interval by the delete-half jackknife (Shao & Wu 1989).

    Halves without repeats vary around their mean as the whole does around the truth. The usual
    bootstrap repeats products, and a repeated product agrees with itself: that lifts AMI.
    """
    low, high = value + np.quantile(halves, [0.025, 0.975]) - np.mean(halves)
    return f"{value:.3f} ({low:.3f} to {min(high, 1.0):.3f})"


if __name__ == "__main__":
    main()

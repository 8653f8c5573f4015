"""Categories against labels made by reading: the two ways, their rivals, and the cost.

The labels in bench/labels have two halves. The taxonomy was written, and the method tuned, with
`tune` in view; `final` is for the last measurement only. `all` is these two. `fresh` is a later
draw, labelled apart from the method, to be measured once when the method is frozen.

The cost is that of one fit on made-up shops of growing size, each in a process of its own.

Example: python -m bench.categories --half final --no-cost
         python -m bench.categories --cost-only --products 10000 100000 1000000
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
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
import yaml
from scipy import sparse
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_mutual_info_score
from threadpoolctl import threadpool_limits

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
from pipeline.core.tables.categorize_products import PRODUCT_CATEGORIES
from pipeline.core.tables.make_sample import SAMPLE_TRUTH

ROOT = Path(__file__).resolve().parents[1]
LABELS = Path(__file__).parent / "labels" / "online_retail_categories.csv"
REAL_DATA = ROOT.parent / "shared" / "data" / "online_retail.zip"
HALVES = {
    "tune": ["tune"],
    "final": ["final"],
    "all": ["tune", "final"],
    "fresh": ["fresh"],
    "unseen": ["final", "fresh"],
}
RESAMPLES = 1000
GUIDED_GOAL, DISCOVERED_GOAL = 0.70, 0.40
GIGABYTES_LIMIT = 8

# Every product is one of 40 things in one of 25 looks, of a line of its own; an order has 20 lines.
THINGS = """mug,tea cup,bowl,plate,jug,cushion,clock,sign,photo frame,vase,candle,lantern,tlight
holder,lunch box,bag,purse,necklace,bracelet,earrings,notebook,gift wrap,card,ribbon,pencil case,
doll,jigsaw,puzzle,apron,cake tin,oven glove,storage tin,hook,drawer knob,basket,soap dish,
hot water bottle,watering can,plant pot,bunting,christmas bauble""".replace("\n", " ")
LOOKS = """red,blue,pink,ivory,retrospot,polkadot,floral,vintage,skull,union jack,paisley,striped,
heart,star,owl,strawberry,woodland,spaceboy,rose,butterfly,gingham,zinc,wooden,glass,enamel"""
MADE_UP = f"""
copy (
    with lines as (
        select range as line, (hash(range) % {{products}})::bigint as product
        from range({{products}} * 10)
    )
    select 'P' || lpad(product::varchar, 8, '0') as stock_code,
        upper(
            trim(split_part('{LOOKS}', ',', (hash(product, 1) % 25)::int + 1), chr(10) || ' ')
            || ' ' || trim(split_part('{THINGS}', ',', (hash(product, 2) % 40)::int + 1))
            || ' line ' || chr(97 + (hash(product, 3) % 26)::int)
            || chr(97 + (hash(product, 4) % 26)::int) || 'x'
        ) as description,
        (line // 20)::varchar as invoice_id,
        (1 + hash(product, 2) % 40)::decimal(18, 4) as unit_price,
        (1 + hash(product, 2) % 40)::decimal(18, 4) as net_amount
    from lines
) to '{{path}}' (format parquet)
"""

Labels = npt.NDArray[np.object_]
Positions = npt.NDArray[np.int64]
Pairs: TypeAlias = sparse.csr_array


def main() -> None:
    """Print agreement with the labels for every way, then the cost."""
    arguments = _arguments()
    params = load_params("categorize", Params, ROOT / "params.yaml")
    if arguments.one_size:
        print(json.dumps(fit_made_up_shop(arguments.one_size, params)))
        return
    if not arguments.cost_only:
        print_sample_agreement(PRODUCT_CATEGORIES.path, SAMPLE_TRUTH.path)
        quality(arguments, params)
    if not arguments.no_cost:
        cost(arguments.products)


def print_sample_agreement(found: Path, planted: Path) -> None:
    """Agreement of the last run with the categories that the sample's generator planted."""
    if not (found.exists() and planted.exists()):
        print("the sample's planted categories: run `make` first to compare with them\n")
        return
    truth = pd.read_parquet(planted).query("kind == 'product'").set_index("id")["truth"]
    rows = pd.read_parquet(found).set_index("stock_code").join(truth, how="inner")
    if rows.empty:
        print("the sample's planted categories: the last run was not on the sample\n")
        return
    agreement = adjusted_mutual_info_score(rows["truth"], rows["category"])
    print(f"planted categories of {len(rows)} products of the sample: AMI {agreement:.3f}\n")


def quality(arguments: argparse.Namespace, params: Params) -> None:
    """Print agreement with the labels for every way, and how often confidence is right."""
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


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sales", type=Path, help="sales.parquet of online_retail, if at hand")
    parser.add_argument("--half", choices=list(HALVES), default="tune")
    parser.add_argument("--ways", nargs="+", help="only the ways whose names start so")
    parser.add_argument("--no-cost", action="store_true", help="leave the cost out")
    parser.add_argument("--cost-only", action="store_true", help="leave the labels out")
    parser.add_argument("--products", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--one-size", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


@contextmanager
def sales_of_real_shop(given: Path | None) -> Iterator[Path]:
    """The path of the real shop's sales: the one given, or made by ingest and clean for now."""
    if given is not None:
        yield given
        return
    if not REAL_DATA.exists():
        sys.exit(f"error: {REAL_DATA} is missing; give --sales")
    with tempfile.TemporaryDirectory() as folder:
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        params["source"] |= {"path": str(REAL_DATA), "layout": "online_retail"}
        (Path(folder) / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        for stage in ("ingest", "clean"):
            command = [sys.executable, "-m", f"pipeline.{stage}"]
            paths = {**os.environ, "PYTHONPATH": str(ROOT)}
            subprocess.run(command, cwd=folder, check=True, env=paths)
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

    found: dict[str, Callable[[], Labels]] = {
        "guided": lambda: fitted(taxonomy, settings),
        "guided, without co-purchase": lambda: fitted(taxonomy, text_only),
        "seeds alone, the rest `other`": lambda: seeds_alone(products, taxonomy),
        "seeds + plain logistic regression": lambda: seeds_and_regression(products, taxonomy),
        "discovered": lambda: fitted(None, settings),
        "discovered, without the sentence model": lambda: fitted(
            None, settings.model_copy(update={"embedding": None})
        ),
        "rival: noun counts + k-means": lambda: noun_counts(products),
        "rival: TF-IDF + SVD + k-means": lambda: k_means(text_vectors(products)),
        "rival: co-purchase PPMI + SVD + k-means": lambda: k_means(
            copurchase_vectors(pairs, settings.dimensions, settings.seed)
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
    return found


def seeds_alone(products: pd.DataFrame, taxonomy: Taxonomy) -> Labels:
    """The seeded category, `rest` where there is none."""
    lexicon = lexicon_of(taxonomy, spellings_from(taxonomy.spellings))
    texts = texts_of(products["description"].tolist(), taxonomy)
    seeded = seed_products(texts, lexicon, {}).category
    keys = np.array(lexicon.categories, dtype=object)
    return keys[np.where(seeded < 0, lexicon.rest, seeded)]


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


def noun_counts(products: pd.DataFrame) -> Labels:
    """The way of the best-known notebook: presence of frequent words, k-means with 5 groups."""
    words = CountVectorizer(min_df=13, binary=True, token_pattern=r"[A-Za-z]{4,}")
    return k_means(words.fit_transform(products["description"]), 5)


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


def cost(sizes: Sequence[int]) -> None:
    """Seconds and peak memory of reading and one guided fit, on made-up shops of these sizes."""
    print(
        f"\nproducts      lines   pairs kept  seconds  peak GB  (limit {GIGABYTES_LIMIT})"
        "  microseconds each"
    )
    for size in sizes:
        command = [sys.executable, "-m", "bench.categories", "--one-size", str(size)]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        at = json.loads(done.stdout)
        print(
            f"{size:8d} {at['lines']:10d} {at['pairs']:12d} {at['seconds']:8.1f} "
            f"{at['gigabytes']:8.2f} {1e6 * at['seconds'] / size:28.0f}",
            flush=True,
        )


def fit_made_up_shop(products: int, params: Params) -> dict[str, float]:
    """What it costs to read a shop of so many products and ten times as many lines, and to fit."""
    with tempfile.TemporaryDirectory() as folder, open_duckdb() as engine, threadpool_limits(1):
        sales = Path(folder) / "sales.parquet"
        engine.database.execute(MADE_UP.format(products=products, path=sales))
        start = time.perf_counter()
        goods = read_products(engine.database, sales)
        baskets = read_baskets(
            engine.database,
            sales,
            goods["stock_code"],
            longest=params.longest_basket,
            most_pairs=params.most_pairs,
        )
        pairs = pair_weights(baskets)
        fit_categories(goods, pairs, read_taxonomy(find_taxonomy("gifts")), params)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"lines": 10 * products, "pairs": pairs.nnz, "seconds": seconds, "gigabytes": peak}


if __name__ == "__main__":
    main()

"""What choosing and assigning cost and are worth: each figure beside its limit and its rivals.

Reads the tables of the last run in data/ (any shop). `quality` prints the best candidates
on the rolling origins, `growth` the cost on 1,000 to a million made-up customers, `truth` how
much of the sample's planted types the segments find.

Example: python -m bench.selection quality truth growth
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import cross_val_predict
from sklearn.preprocessing import scale

from pipeline.core.model.transforms import feature_matrix
from pipeline.core.run.errors import InputError
from pipeline.core.tables.aggregate_rfm import CUSTOMERS, LATER_PURCHASES
from pipeline.core.tables.assign_segments import SEGMENTS
from pipeline.core.tables.contract import read_table
from pipeline.core.tables.make_sample import SAMPLE_TRUTH
from pipeline.core.tables.select_model import CANDIDATES

Matrix = NDArray[np.float64]

LIMITS = {1_000: (20, 4), 4_300: (10, 4), 25_000: (30, 4), 1_000_000: (180, 4)}  # seconds, GB
SNAPSHOTS = 8


def main() -> None:
    """Run the parts that are named, or all."""
    parts: dict[str, Callable[[], None]] = {"quality": quality, "truth": truth, "growth": growth}
    for name in sys.argv[1:] or list(parts):
        print(f"\n-- {name}")
        try:
            parts[name]()
        except InputError as error:
            print(f"   not measured: {error}")


def quality() -> None:
    """The chosen candidate beside the best of each family and the baselines."""
    candidates = read_table(CANDIDATES)
    best = candidates.sort_values("eta_squared", ascending=False)
    is_good = best["failed_gates"] == ""
    families = best[is_good].groupby(["algorithm", "features", "transform"], sort=False).head(1)
    shown = pd.concat([families, best[best["is_baseline"]], best[best["is_chosen"]]])
    columns = ["candidate", "is_chosen", "segments", "smallest_share", "jaccard"]
    columns += ["prediction_strength", "eta_squared", "eta_squared_se", "share_of_reference"]
    columns += ["r_squared", "gini", "top20_capture", "auc"]
    print(shown.drop_duplicates("candidate")[columns].round(3).to_string(index=False))
    print("goal: every gate of params.yaml passed with at most 8 segments")


def truth() -> None:
    """Adjusted Rand index of the segments with the planted types, beside the best possible."""
    sample = read_table(SAMPLE_TRUTH)
    planted = sample[sample["kind"] == "customer"].set_index("id")["truth"]
    segments, customers = read_table(SEGMENTS), read_table(CUSTOMERS)
    last = segments["snapshot_date"].max()
    rows = customers[customers["snapshot_date"] == last].reset_index(drop=True)
    given = segments.loc[segments["snapshot_date"] == last, "segment_id"].to_numpy()
    types = rows["customer_id"].map(planted)
    known = types.notna().to_numpy()
    columns = ["recency_days", "frequency", "monetary", "tenure_days", "units_per_line"]
    columns += ["return_rate", *(c for c in rows.columns if c.startswith("spend_share_"))]
    features, types = feature_matrix(rows, columns, 1.0)[known], types[known].to_numpy()
    size = len(np.unique(types))
    print(f"{len(types)} customers of {size} planted types; adjusted Rand index with them:")
    print(f"the segments: {adjusted_rand_score(types, given[known]):.3f}")
    # Rivals without the truth: the usual clustering, told nothing but the number of types.
    space = scale(np.log1p(np.maximum(features[:, :3], 0)))
    groups = KMeans(size, n_init=10, random_state=0).fit_predict(space)
    print(f"k-means of log RFM with {size} groups: {adjusted_rand_score(types, groups):.3f}")
    # The best possible for this noise: a classifier that learns the types of other customers.
    forest = RandomForestClassifier(400, min_samples_leaf=3, random_state=0)
    for name, width in (("recency, frequency and monetary", 3), ("all of these features", None)):
        told = cross_val_predict(forest, features[:, :width], types, cv=10)
        print(f"told the types of nine in ten, by {name}: {adjusted_rand_score(types, told):.3f}")


def growth() -> None:
    """Seconds and memory of both stages on more and more customers, on PIPELINE_THREADS cores."""
    here = Path.cwd()
    print(f"{'customers':>10} {'stage':<16} {'seconds':>8} {'GB':>6}  limit")
    for size, (seconds, memory) in LIMITS.items():
        with tempfile.TemporaryDirectory() as folder:
            made_up_shop(Path(folder), size)
            shutil.copy(here / "params.yaml", folder)
            for stage in ("select_model", "assign_segments"):
                took, used = _measured(stage, Path(folder))
                print(
                    f"{size:>10,} {stage:<16} {took:>8.1f} {used:>6.2f}  {seconds} s, {memory} GB",
                    flush=True,
                )


def made_up_shop(folder: Path, size: int) -> None:
    """Write customers with habits at eight month ends, and what they bought after the first six."""
    data = folder / "data"
    data.mkdir()
    habit = np.random.default_rng(0).beta(1, 3, size)
    ids = pa.array([f"{n:07d}" for n in range(size)])
    days = pd.date_range("2011-03-31", periods=SNAPSHOTS, freq="ME").date
    with (
        pq.ParquetWriter(folder / CUSTOMERS.path, _schema(CUSTOMERS.schema)) as customers,
        pq.ParquetWriter(folder / LATER_PURCHASES.path, LATER_PURCHASES.schema) as later,
    ):
        for number, day in enumerate(days):
            frame, spend = _snapshot(habit, np.random.default_rng(number + 1))
            keys = {"snapshot_date": pa.array([day] * size, pa.date32()), "customer_id": ids}
            table = pa.table(keys | {str(c): pa.array(frame[c]) for c in frame})
            names = _schema(CUSTOMERS.schema).names
            customers.write_table(table.select(names).cast(_schema(CUSTOMERS.schema)))
            if number < SNAPSHOTS - 3:
                bought = {"later_orders": (spend > 0).astype("int32"), "later_spend": spend}
                table = pa.table({**keys, **{n: pa.array(v) for n, v in bought.items()}})
                later.write_table(table.cast(LATER_PURCHASES.schema))


def _schema(schema: pa.Schema) -> pa.Schema:
    return schema.append(pa.field("spend_share_party", pa.float64()))


def _snapshot(habit: Matrix, rng: np.random.Generator) -> tuple[pd.DataFrame, Matrix]:
    size = len(habit)
    frequency = 1 + rng.poisson(12 * habit)
    recency = (rng.exponential(20 + 150 * (1 - habit))).astype(int)
    average = rng.lognormal(5.5, 0.6, size).round(2)
    frame = pd.DataFrame(
        {
            "recency_days": recency,
            "frequency": frequency,
            "monetary": (average * frequency).round(2),
            "tenure_days": recency + 20 * frequency,
            "average_order_value": average,
            "items_per_order": average / 2,
            "days_between_orders": np.where(frequency > 1, 30.0, np.nan),
            "return_rate": 0.0,
            "distinct_products": frequency * 8,
            "units_per_line": np.exp(rng.normal(2, 0.8, size)),
            "recency_score": 3,
            "frequency_score": 3,
            "monetary_score": 3,
            "spend_share_party": rng.random(size),
        }
    )
    others = set(CUSTOMERS.schema.names) - {*frame, *CUSTOMERS.key}
    frame = frame.assign(**dict.fromkeys(others, 0))
    spend = np.where(rng.random(size) < habit, average * rng.random(size), 0.0).round(2)
    return frame, spend


def _measured(stage: str, folder: Path) -> tuple[float, float]:
    """Seconds of one stage in `folder`, and gigabytes of all its processes together at most."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    start = time.perf_counter()
    most = 0
    with subprocess.Popen(
        [sys.executable, "-m", f"pipeline.{stage}"],
        cwd=folder,
        env=environment,
        stderr=subprocess.DEVNULL,
    ) as running:
        while running.poll() is None:
            most = max(most, _memory(importlib.import_module("psutil").Process(running.pid)))
            time.sleep(0.1)
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, stage)
    return time.perf_counter() - start, most / 1e9


def _memory(process: Any) -> int:
    try:
        family = [process, *process.children(recursive=True)]
        return sum(member.memory_info().rss for member in family)
    except importlib.import_module("psutil").NoSuchProcess:
        return 0


if __name__ == "__main__":
    main()

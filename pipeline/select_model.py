"""Choose the segmentation: sound, stable, and the best at foretelling later purchases.

Reads   data/customers.parquet, data/later_purchases.parquet
Writes  data/model.skops, data/candidates.parquet, metrics/select.json,
        metrics/plots/k_sweep.csv
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import joblib
import numpy as np
import pandas as pd
from annotated_types import Interval
from pydantic import Field
from threadpoolctl import threadpool_limits

from pipeline.methods.candidates import (
    Candidate,
    Effort,
    Origin,
    Snapshot,
    fit_candidate,
    measure,
    value_of_parts,
)
from pipeline.methods.prediction import LaterFigures, ceiling
from pipeline.methods.segment_model import (
    KEPT_NOTHING,
    WHOLESALE,
    SegmentModel,
    declared_group,
    save_model,
)
from pipeline.methods.selection import Gates, choose, failed_gates
from pipeline.methods.transforms import feature_columns, feature_matrix
from pipeline.shared.metrics import METRICS, write_metrics
from pipeline.shared.outputs import write_text
from pipeline.shared.params import StageParams, load_params
from pipeline.shared.stage import progress, run_stage, stage
from pipeline.tables.candidates import CANDIDATES
from pipeline.tables.contract import read_table, write_table
from pipeline.tables.customers import CUSTOMERS
from pipeline.tables.later_purchases import LATER_PURCHASES

K_SWEEP = METRICS / "plots" / "k_sweep.csv"
GROUPS = (KEPT_NOTHING, WHOLESALE)


class Family(StageParams):
    """Algorithms x feature sets x transforms to try, each at every k (or at `k`)."""

    algorithms: tuple[str, ...]
    features: tuple[str, ...]
    transforms: tuple[str, ...]
    k: tuple[int, ...] | None = None


class Wholesale(StageParams):
    """The declared rule for wholesalers."""

    is_apart: bool
    minimum_units_per_line: float = Field(gt=0)


class GateParams(StageParams):
    """What a candidate must reach."""

    minimum_share: float = Field(gt=0, lt=1)
    jaccard: float = Field(ge=0, le=1)
    prediction_strength: float = Field(ge=0, le=1)
    maximum_segments: int = Field(ge=2)


class EffortParams(StageParams):
    """How much is spent on the figures."""

    resamples: int = Field(ge=2)
    splits: int = Field(ge=2)
    gap_references: int = Field(ge=0)
    later_resamples: int = Field(ge=10)
    customers: int = Field(ge=100)
    quadratic_sample: int = Field(ge=100)


class Params(StageParams):
    """Section `select`."""

    seed: int
    k: Annotated[tuple[int, int], Field()]
    horizon_days: Annotated[int, Interval(ge=1)]
    origins: int = Field(ge=1)
    feature_sets: dict[str, tuple[str, ...]]
    candidates: tuple[Family, ...]
    baselines: tuple[Family, ...]
    wholesale: Wholesale
    gates: GateParams
    effort: EffortParams


def main() -> None:
    """Read the snapshots, measure every candidate, choose, keep the model."""
    params = load_params("select", Params)
    with stage("select_model") as log:
        customers, later = read_table(CUSTOMERS), read_table(LATER_PURCHASES)
        snapshots = snapshots_of(customers, later, params)
        now, learn, origins = in_time(snapshots, params)
        tried = declared_candidates(params)
        log.info("%d candidates, %d rolling origins", len(tried), len(origins))
        table, spreads = measure_all(tried, now, learn, origins, params)
        ceilings = measure_ceilings(origins, params)
        table = judged(table, spreads, ceilings, params)
        chosen = tried[int(np.flatnonzero(table["is_chosen"])[0])]
        columns = feature_columns(params.feature_sets[chosen.features], list(customers.columns))
        model = kept_model(chosen, columns, customers, now, learn, params)
        save_model(model)
        write_table(CANDIDATES, table)
        write_text(K_SWEEP, k_sweep(table))
        write_metrics("select", select_metrics(table, ceilings, origins))
        log.info("chosen: %s", chosen.name)


def snapshots_of(
    customers: pd.DataFrame, later: pd.DataFrame, params: Params
) -> dict[str, Snapshot]:
    """Every snapshot by its date, in the order of time."""
    threshold = params.wholesale.minimum_units_per_line if params.wholesale.is_apart else 0.0
    names = np.array(sorted(customers["customer_id"].unique()))
    joined = customers.merge(later, on=["snapshot_date", "customer_id"], how="left")
    found = {}
    for date, rows in joined.groupby("snapshot_date", sort=True):
        group = np.full(len(rows), -1)
        declared = declared_group(rows, threshold)
        for number, name in enumerate(GROUPS):
            group[declared == name] = number
        spend = rows["later_spend"]
        found[str(date)] = Snapshot(
            date=str(date),
            features={
                name: feature_matrix(rows, feature_columns(declared_columns, list(rows.columns)))
                for name, declared_columns in params.feature_sets.items()
            },
            group=group,
            customer=np.searchsorted(names, rows["customer_id"].to_numpy(str)),
            spend=None if spend.isna().any() else spend.astype(float).to_numpy(),
        )
    return found


def in_time(
    snapshots: dict[str, Snapshot], params: Params
) -> tuple[Snapshot, Snapshot, list[Origin]]:
    """The last snapshot, the last one with outcomes, and the rolling origins.

    What an origin learns from had its whole horizon over at the cut.
    """
    known = [s for s in snapshots.values() if s.spend is not None]
    horizon = pd.Timedelta(days=params.horizon_days)
    origins = []
    for cut in known:
        past = [s for s in known if pd.Timestamp(s.date) + horizon <= pd.Timestamp(cut.date)]
        if past:
            origins.append(Origin(cut, past[-1]))
    return list(snapshots.values())[-1], known[-1], origins[-params.origins :]


def declared_candidates(params: Params) -> list[Candidate]:
    """Every candidate and baseline that the parameters declare, in their order."""
    return [
        Candidate(algorithm, features, transform, k, is_baseline)
        for is_baseline, families in ((False, params.candidates), (True, params.baselines))
        for family in families
        for algorithm in family.algorithms
        for features in family.features
        for transform in family.transforms
        for k in family.k or range(params.k[0], params.k[1] + 1)
    ]


def measure_all(
    tried: Sequence[Candidate],
    now: Snapshot,
    learn: Snapshot,
    origins: Sequence[Origin],
    params: Params,
) -> tuple[pd.DataFrame, np.ndarray[Any, np.dtype[np.float64]]]:
    """The figures of every candidate, one row each, and the resampled eta squared."""
    effort = _effort(params)
    size = 1 + max(int(s.customer.max()) for s in (now, *(o.cut for o in origins)))
    rng = np.random.default_rng(params.seed)
    resamples = params.effort.later_resamples
    weights = rng.multinomial(size, np.full(size, 1 / size), size=resamples).astype(float)
    jobs = (
        joblib.delayed(_measured)(candidate, now, learn, origins, weights, effort)
        for candidate in tried
    )
    results = list(progress(_in_parallel(jobs), "measuring candidates", total=len(tried)))
    rows = [
        {
            "candidate": c.name,
            "algorithm": c.algorithm,
            "features": c.features,
            "transform": c.transform,
            "k": c.k,
            "is_baseline": c.is_baseline,
            **figures,
        }
        for c, (figures, _) in zip(tried, results, strict=True)
    ]
    return pd.DataFrame(rows), np.array([spread for _, spread in results])


def measure_ceilings(origins: Sequence[Origin], params: Params) -> dict[str, LaterFigures]:
    """For each feature set, the mean over the origins of what a boosted model reaches."""
    names = list(params.feature_sets)
    jobs = (joblib.delayed(_ceiling)(o.cut, name, params.seed) for name in names for o in origins)
    each = [vars(f) for f in _in_parallel(jobs)]
    found = {}
    for number, name in enumerate(names):
        rows = pd.DataFrame(each[number * len(origins) : (number + 1) * len(origins)])
        found[name] = LaterFigures(**{str(k): float(v) for k, v in rows.mean().items()})
    return found


def judged(
    table: pd.DataFrame,
    spreads: np.ndarray[Any, np.dtype[np.float64]],
    ceilings: dict[str, LaterFigures],
    params: Params,
) -> pd.DataFrame:
    """The table with shares of the ceiling, failed gates, the choice and the runner-up."""
    gates = Gates(**params.gates.model_dump())
    judged = table.copy()
    for figure in ("eta_squared", "gini", "top20_capture", "auc"):
        top = judged["features"].map({n: getattr(c, figure) for n, c in ceilings.items()})
        judged[f"{figure}_of_ceiling"] = judged[figure] / top
    judged["failed_gates"] = failed_gates(judged, gates)
    chosen, runner_up = choose(judged, spreads, gates)
    judged["is_chosen"] = np.arange(len(judged)) == chosen
    judged["is_runner_up"] = np.arange(len(judged)) == runner_up
    floats = judged.select_dtypes("floating").columns
    judged[floats] = judged[floats].astype("float64").round(6)
    return judged


def kept_model(
    chosen: Candidate,
    columns: list[str],
    customers: pd.DataFrame,
    now: Snapshot,
    learn: Snapshot,
    params: Params,
) -> SegmentModel:
    """The chosen candidate fitted on the last snapshot, its segments ordered by value."""
    effort = _effort(params)
    with threadpool_limits(1):
        fitted = fit_candidate(chosen, now, learn, effort, chosen.seed(effort.seed))
        value = value_of_parts(fitted, learn, len(GROUPS))
        parts = fitted.parts(now)
    size = fitted.partition.size
    present = [g for n, g in enumerate(GROUPS) if g == KEPT_NOTHING or params.wholesale.is_apart]
    value = value[: size + len(present)]
    value[size] = -np.inf  # who kept nothing stands last
    ranks = np.argsort(-value, kind="stable")
    order = np.empty(len(ranks), dtype=np.int64)
    order[ranks] = np.arange(len(ranks))
    rows = customers[customers["snapshot_date"].astype(str) == now.date]
    return SegmentModel(
        candidate=chosen.name,
        snapshot_date=now.date,
        columns=columns,
        transform=fitted.transform,
        partition=fitted.partition,
        groups={name: size + number for number, name in enumerate(present)},
        wholesale_units_per_line=(
            params.wholesale.minimum_units_per_line if params.wholesale.is_apart else 0.0
        ),
        order=order,
        levels=_levels(rows, order[parts], len(order)),
        training=_training(rows, columns),
    )


def k_sweep(table: pd.DataFrame) -> str:
    """The figures that are plotted over k, as CSV."""
    columns = [
        "algorithm", "features", "transform", "k", "silhouette", "gap", "jaccard",
        "prediction_strength", "eta_squared", "eta_squared_of_ceiling", "smallest_share",
    ]  # fmt: skip
    text: str = table[columns].round(4).to_csv(index=False, lineterminator="\n")
    return text


def select_metrics(
    table: pd.DataFrame, ceilings: dict[str, LaterFigures], origins: Sequence[Origin]
) -> dict[str, Any]:
    """The figures worth comparing between two versions."""
    chosen = table[table["is_chosen"]].iloc[0]
    runner_up = table[table["is_runner_up"]].iloc[0]
    figures = [
        c.name for c in CANDIDATES.columns if c.name not in ("is_chosen", "is_runner_up", "k")
    ]
    return {
        "chosen": {n: chosen[n] for n in figures if not pd.isna(chosen[n])},
        "runner_up": {"candidate": runner_up["candidate"], "eta_squared": runner_up["eta_squared"]},
        "ceiling": {name: vars(c) for name, c in ceilings.items()},
        "baselines": {
            row["candidate"]: {
                "eta_squared": row["eta_squared"],
                "eta_squared_of_ceiling": row["eta_squared_of_ceiling"],
            }
            for _, row in table[table["is_baseline"]].iterrows()
        },
        "candidates": len(table),
        "candidates_passed": int((table["failed_gates"] == "").sum()),
        "origins": len(origins),
    }


def _levels(rows: pd.DataFrame, segment: Any, size: int) -> dict[str, Any]:
    frame = rows[["recency_days", "frequency", "monetary"]].astype("float64")
    medians = frame.groupby(np.asarray(segment)).median().reindex(range(size))
    counts = np.bincount(segment, minlength=size)
    return {**{c: medians[c].to_numpy() for c in medians}, "customers": counts}


def _training(rows: pd.DataFrame, columns: Sequence[str]) -> dict[str, Any]:
    """Decile edges and shares of each feature, so that drift can be measured later."""
    found = {}
    for number, name in enumerate(columns):
        values = feature_matrix(rows, columns)[:, number]
        edges = np.unique(np.quantile(values, np.arange(1, 10) / 10))
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
        found[name] = {"edges": edges, "shares": counts / max(len(values), 1)}
    return found


def _effort(params: Params) -> Effort:
    return Effort(
        seed=params.seed,
        groups=len(GROUPS),
        minimum_share=params.gates.minimum_share,
        resamples=params.effort.resamples,
        splits=params.effort.splits,
        gap_references=params.effort.gap_references,
        quadratic_sample=params.effort.quadratic_sample,
    )


def _in_parallel(jobs: Any) -> Iterator[Any]:
    threads = int(os.environ.get("PIPELINE_THREADS", "0")) or joblib.cpu_count()
    with joblib.parallel_config("loky", n_jobs=threads, inner_max_num_threads=1):
        yield from joblib.Parallel(return_as="generator")(jobs)


def _measured(*arguments: Any) -> Any:
    # One thread each: the work is spread over candidates, and a sum's bits depend on threads.
    with threadpool_limits(1):
        return measure(*arguments)


def _ceiling(cut: Snapshot, features: str, seed: int) -> LaterFigures:
    with threadpool_limits(1):
        outcomes = cut.outcomes
        return ceiling(cut.features[features], outcomes, np.expm1(outcomes), seed)


if __name__ == "__main__":
    run_stage(main, __doc__)

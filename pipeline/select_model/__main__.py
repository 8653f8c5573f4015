"""Choose the segmentation: sound, stable, and the best at foretelling later purchases.

Reads   data/customers.parquet, data/later_purchases.parquet
Writes  data/model.skops, data/candidates.parquet, data/selection_reasons.parquet,
        metrics/select.json, metrics/plots/k_sweep.csv

Example: python -m pipeline.select_model
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import Field, model_validator
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from pipeline.core.model.money_unit import money_unit
from pipeline.core.model.partitions import ALGORITHMS, MIXTURES, sample_rows
from pipeline.core.model.segment_model import (
    KEPT_NOTHING,
    WHOLESALE,
    SegmentModel,
    Wholesale,
    declared_group,
    save_model,
)
from pipeline.core.model.transforms import (
    TRANSFORMS,
    apply_transform,
    feature_columns,
    feature_matrix,
    fit_transform,
)
from pipeline.core.run.errors import InputError
from pipeline.core.run.metrics import METRICS, write_metrics
from pipeline.core.run.outputs import write_text
from pipeline.core.run.params import ShopParams, StageParams, load_params
from pipeline.core.run.stage import progress, run_stage, stage
from pipeline.core.run.unchanged import end_with
from pipeline.core.tables.aggregate_rfm import CUSTOMERS, LATER_PURCHASES
from pipeline.core.tables.contract import Table, check, write_table
from pipeline.core.tables.select_model import CANDIDATES, SELECTION_REASONS
from pipeline.select_model.candidates import (
    Effort,
    Family,
    Origin,
    Snapshot,
    at_one_size,
    fit_family,
    measure_family,
    value_of_parts,
)
from pipeline.select_model.history import KEY, in_order_of_history
from pipeline.select_model.prediction import LaterFigures, ceiling
from pipeline.select_model.selection import Choice, Gates, choose, failed_gates, reasons
from pipeline.select_model.stability import structure_of

Matrix = NDArray[np.float64]

K_SWEEP = METRICS / "plots" / "k_sweep.csv"
GROUPS = (KEPT_NOTHING, WHOLESALE)
# Stability is judged on halves and on resamples: fewer than these, and parts of it are empty.
CUSTOMERS_PER_SEGMENT = 5
FAMILY = re.compile(
    r"(?P<algorithm>\w+)/(?P<features>\w+)/(?P<transform>\w+)(/(?P<first>\d+)(-(?P<last>\d+))?)?"
)
FIGURES = ("eta_squared", "gini", "top20_capture", "auc")


class WholesaleParams(StageParams):
    """The declared rule for wholesalers."""

    is_apart: bool
    minimum_units_per_line: float = Field(gt=0)
    minimum_orders: int = Field(ge=1)


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
    """Section `select` of params.yaml."""

    seed: int = Field(ge=0)
    k_from: int = Field(ge=2)
    k_to: int = Field(ge=2, le=50)
    origins: int = Field(ge=1)
    past_snapshots: int = Field(ge=1)
    feature_sets: dict[str, tuple[str, ...]]
    candidates: tuple[str, ...] = Field(min_length=1)
    baselines: tuple[str, ...]
    wholesale: WholesaleParams
    gates: GateParams
    effort: EffortParams

    @model_validator(mode="after")
    def _names_are_declared(self) -> Params:
        unknown = sorted({f.features for f in declared_families(self)} - set(self.feature_sets))
        if unknown:
            raise ValueError(
                f"feature set {unknown[0]!r} is not in feature_sets: {', '.join(self.feature_sets)}"
            )
        if self.k_from > self.k_to:
            raise ValueError(f"k_from {self.k_from} is above k_to {self.k_to}")
        return self


def main() -> None:
    """Read the snapshots, measure every candidate, choose, keep the model."""
    params = load_params("select", Params)
    horizon_days = load_params("shop", ShopParams).horizon_days
    with stage("select_model") as log:
        customers, later = read_sampled(params)
        snapshots = snapshots_of(customers, later, params, horizon_days)
        now, past, origins = in_time(snapshots, params, horizon_days)
        families = declared_families(params)
        log.info(
            "%d candidates in %d families, judged at %d cuts",
            sum(len(f.sizes) for f in families),
            len(families),
            len(origins),
        )
        candidates, spreads = measure_all(families, now, past, origins, params)
        ceilings = measure_ceilings(origins, params)
        candidates, choice = judged(candidates, spreads, ceilings, params)
        why = reasons(candidates, spreads, choice, _gates(params))
        structure = _single_threaded(structure_among, now, params)
        family = _family_of(families, str(candidates["candidate"].iloc[choice.chosen]))
        model = kept_model(family, customers, now, past, params, horizon_days=horizon_days)
        save_model(model)
        write_table(CANDIDATES, candidates)
        write_table(SELECTION_REASONS, why)
        write_text(K_SWEEP, k_sweep(candidates))
        write_metrics("select", figures(candidates, choice, ceilings, origins, structure))
        log.info("chosen: %s; %s", model.candidate, why.set_index("verdict").loc["chosen"].reason)


def read_sampled(params: Params) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Customers and later purchases, of a sample of customers where there are many.

    The same customers in every snapshot, drawn from those of the last one. They stand in an order
    of what they did: with other names every draw takes the same ones. Money becomes a float here:
    this is where the model begins.
    """
    check(CUSTOMERS)
    check(LATER_PURCHASES)
    last = pq.read_table(CUSTOMERS.path, columns=["snapshot_date"])["snapshot_date"].to_numpy()
    newest = pd.Timestamp(last.max()).date()
    rows = pq.read_table(CUSTOMERS.path, filters=[("snapshot_date", "==", newest)])
    taken = None
    if len(rows) > params.effort.customers:
        figures = [name for name in rows.column_names if name not in KEY]
        by = [(name, "ascending") for name in (*figures, "customer_id")]
        some = sample_rows(len(rows), params.effort.customers, params.seed)
        taken = rows.sort_by(by)["customer_id"].take(pa.array(some))
    return in_order_of_history(_read(CUSTOMERS, taken)), _read(LATER_PURCHASES, taken)


def _read(table: Table, ids: pa.ChunkedArray | None) -> pd.DataFrame:
    filters = None if ids is None else pa.compute.field("customer_id").isin(ids)
    rows = pq.read_table(table.path, filters=filters)
    schema = pa.schema(
        [pa.field(f.name, pa.float64()) if pa.types.is_decimal(f.type) else f for f in rows.schema]
    )
    frame: pd.DataFrame = rows.cast(schema).to_pandas()
    return frame


def snapshots_of(
    customers: pd.DataFrame, later: pd.DataFrame, params: Params, horizon_days: int
) -> dict[str, Snapshot]:
    """Every snapshot by its date, in the order of time; its rows in the order of `customers`.

    Money is in units of money_unit.
    """
    rule, unit = _wholesale(params), money_unit(customers, horizon_days)
    customers = customers.assign(number=pd.factorize(customers["customer_id"])[0])
    joined = customers.merge(later, on=["snapshot_date", "customer_id"], how="left")
    found = {}
    for date, rows in joined.groupby("snapshot_date", sort=True):
        group = np.full(len(rows), -1)
        declared = declared_group(rows, rule)
        for number, name in enumerate(GROUPS):
            group[declared == name] = number
        spend = rows["later_spend"]
        found[str(date)] = Snapshot(
            date=str(date),
            features={
                name: feature_matrix(rows, feature_columns(columns, list(rows.columns)), unit)
                for name, columns in params.feature_sets.items()
            },
            group=group,
            customer=rows["number"].to_numpy(np.int64),
            spend=None if spend.isna().any() else spend.to_numpy(float) / unit,
        )
    return found


def in_time(
    snapshots: dict[str, Snapshot], params: Params, horizon_days: int
) -> tuple[Snapshot, tuple[Snapshot, ...], list[Origin]]:
    """The last snapshot, the past ones with outcomes, and the rolling origins.

    What an origin learns from had its whole horizon over at the cut. Raises InputError where
    there are too few customers or too little time for a single cut.
    """
    now = list(snapshots.values())[-1]
    most = max(k for family in declared_families(params) for k in family.sizes)
    fewest = CUSTOMERS_PER_SEGMENT * most
    if (there := len(now.rows(None))) < fewest:
        raise InputError(
            f"{CUSTOMERS.path}: {there} customer{'s'[: there != 1]} on {now.date}, those of "
            f"declared groups not counted; segments are drawn and judged from {fewest} on "
            f"({CUSTOMERS_PER_SEGMENT} for each of up to {most} segments): give lines of more "
            "customers, or lower select.k_to and every k of select.candidates and select.baselines"
        )
    known = [s for s in snapshots.values() if s.spend is not None and len(s.rows(None)) >= fewest]
    horizon = pd.Timedelta(days=horizon_days)
    origins = []
    for cut in known:
        past = [s for s in known if pd.Timestamp(s.date) + horizon <= pd.Timestamp(cut.date)]
        if past:
            origins.append(Origin(cut, tuple(past[-params.past_snapshots :])))
    if not origins:
        raise InputError(
            f"{LATER_PURCHASES.path} has {len(known)} snapshots with outcomes of at least "
            f"{fewest} customers, which do not span two horizons of {horizon_days} days: "
            "give a longer history, a shorter shop.horizon_days, or "
            "rfm.snapshots: month_ends"
        )
    return now, tuple(known[-params.past_snapshots :]), origins[-params.origins :]


def declared_families(params: Params) -> list[Family]:
    """Every family of candidates and baselines that the parameters declare, in their order."""
    sweep = tuple(range(params.k_from, params.k_to + 1))
    return [
        *(declared_family(text, sweep, is_baseline=False) for text in params.candidates),
        *(declared_family(text, sweep, is_baseline=True) for text in params.baselines),
    ]


def declared_family(text: str, sweep: tuple[int, ...], *, is_baseline: bool) -> Family:
    """Return the family that a text such as kmeans/rfm/log or mixture/rfm/log/2-8 declares."""
    found = FAMILY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r}: expected algorithm/features/transform, /2 or /2-8 after it")
    first, last = found["first"], found["last"] or found["first"]
    sizes = tuple(range(int(first), int(last) + 1)) if first else sweep
    family = Family(found["algorithm"], found["features"], found["transform"], sizes, is_baseline)
    for what, name, known in (
        ("algorithm", family.algorithm, ALGORITHMS),
        ("transform", family.transform, TRANSFORMS),
    ):
        if name not in known:
            raise ValueError(f"{text}: unknown {what} {name!r}; there are {', '.join(known)}")
    return family


def measure_all(
    families: Sequence[Family],
    now: Snapshot,
    past: Sequence[Snapshot],
    origins: Sequence[Origin],
    params: Params,
) -> tuple[pd.DataFrame, Matrix]:
    """The figures of every candidate, one row each, and the resampled eta squared."""
    effort = _effort(now, params)
    rng = np.random.default_rng((params.seed, 0))
    even = np.full(effort.customers, 1 / effort.customers)
    weights = rng.multinomial(effort.customers, even, size=params.effort.later_resamples)
    # The dearest first, so that no core waits long for the last.
    by_cost = sorted(range(len(families)), key=lambda n: _cost(families[n]), reverse=True)
    jobs = [
        joblib.delayed(_single_threaded)(
            measure_family,
            family,
            now,
            past,
            origins,
            later_weights=weights.astype(float),
            effort=effort,
        )
        for family in (families[n] for n in by_cost)
    ]
    done = list(progress(_in_parallel(jobs), "measuring families", total=len(jobs)))
    in_order = sorted(zip(by_cost, done, strict=True), key=lambda pair: pair[0])
    results = [result for _, of_family in in_order for result in of_family]
    return pd.DataFrame([row for row, _ in results]), np.array([spread for _, spread in results])


def _cost(family: Family) -> float:
    """About how long a family takes, in comparison with the others."""
    return len(family.sizes) * (4.0 if family.algorithm in MIXTURES else 1.0)


def measure_ceilings(origins: Sequence[Origin], params: Params) -> dict[str, LaterFigures]:
    """For each feature set, the mean over the origins of what a boosted model reaches."""
    names = list(params.feature_sets)
    jobs = [
        joblib.delayed(_single_threaded)(
            ceiling, o.cut.features[name], o.cut.outcomes, np.expm1(o.cut.outcomes), params.seed
        )
        for name in names
        for o in origins
    ]
    each = [vars(f) for f in progress(_in_parallel(jobs), "measuring the ceiling", len(jobs))]
    found = {}
    for number, name in enumerate(names):
        rows = pd.DataFrame(each[number * len(origins) : (number + 1) * len(origins)])
        found[name] = LaterFigures(**{str(k): float(v) for k, v in rows.mean().items()})
    return found


def top_of(ceilings: dict[str, LaterFigures], figure: str) -> float:
    """The highest ceiling over the feature sets: the same measure for every candidate."""
    return max(1e-9, *(float(getattr(c, figure)) for c in ceilings.values()))


def judged(
    candidates: pd.DataFrame, spreads: Matrix, ceilings: dict[str, LaterFigures], params: Params
) -> tuple[pd.DataFrame, Choice]:
    """The candidates with shares of the ceiling, failed gates, the choice and the runner-up."""
    table = candidates.copy()
    for figure in FIGURES:
        table[f"{figure}_of_ceiling"] = table[figure] / top_of(ceilings, figure)
    floats = [c.name for c in CANDIDATES.columns if c.type == pa.float64()]
    table[floats] = table[floats].astype("float64").round(6)
    table["failed_gates"] = failed_gates(table, _gates(params))
    choice = choose(table, spreads, _gates(params))
    table["is_chosen"] = np.arange(len(table)) == choice.chosen
    table["is_runner_up"] = np.arange(len(table)) == choice.runner_up
    return table, choice


def kept_model(
    family: Family,
    customers: pd.DataFrame,
    now: Snapshot,
    past: Sequence[Snapshot],
    params: Params,
    *,
    horizon_days: int,
) -> SegmentModel:
    """The chosen candidate fitted on the last snapshot, its segments in the order of value."""
    effort = _effort(now, params)
    columns = feature_columns(params.feature_sets[family.features], list(customers.columns))
    with threadpool_limits(1):
        fitted = fit_family(family, now, past, effort, family.seed(effort.seed))[0]
        size = fitted.partition.size
        value = value_of_parts(fitted.parts(past[-1]), past[-1].outcomes, size + len(GROUPS))
        parts = fitted.parts(now)
    present = [g for g in GROUPS if g == KEPT_NOTHING or params.wholesale.is_apart]
    value = value[: size + len(present)]
    value[size + present.index(KEPT_NOTHING)] = -np.inf  # who kept nothing stands last
    order = np.empty(len(value), dtype=np.int64)
    order[np.argsort(-value, kind="stable")] = np.arange(len(value))
    rows = customers[customers["snapshot_date"].astype(str) == now.date]
    unit = money_unit(customers, horizon_days)
    return SegmentModel(
        candidate=f"{family.name}/{family.sizes[0]}",
        snapshot_date=now.date,
        columns=columns,
        money_unit=unit,
        transform=fitted.transform,
        partition=fitted.partition,
        groups={name: size + number for number, name in enumerate(present)},
        wholesale=_wholesale(params),
        order=order,
        levels=_levels(rows, order[parts], len(order)),
        training=_training(rows, columns, unit),
    )


def k_sweep(candidates: pd.DataFrame) -> str:
    """The figures that are plotted over k, as CSV."""
    columns = [
        "candidate", "algorithm", "features", "transform", "k", "silhouette", "gap", "jaccard",
        "prediction_strength", "eta_squared", "eta_squared_of_ceiling", "smallest_share",
    ]  # fmt: skip
    text: str = candidates[columns].round(4).to_csv(index=False, lineterminator="\n")
    return text


def figures(
    candidates: pd.DataFrame,
    choice: Choice,
    ceilings: dict[str, LaterFigures],
    origins: Sequence[Origin],
    structure: str,
) -> dict[str, Any]:
    """The figures worth comparing between two versions of the method."""
    words = {"is_chosen", "is_runner_up", "is_baseline"}
    names = [c.name for c in CANDIDATES.columns if c.name not in words]
    chosen, runner_up = candidates.loc[choice.chosen], candidates.loc[choice.runner_up]
    brief = ["segments", "jaccard", "eta_squared", "eta_squared_of_ceiling"]
    is_tried = ~candidates["is_baseline"]
    return {
        "passed_every_gate": choice.passed,
        "structure": structure,
        "chosen": {n: chosen[n] for n in names if not pd.isna(chosen[n])},
        "runner_up": {n: runner_up[n] for n in ("candidate", *brief)},
        "ceiling": {figure: top_of(ceilings, figure) for figure in FIGURES},
        "ceiling_by_feature_set": {name: vars(c) for name, c in ceilings.items()},
        "baselines": {
            str(row["candidate"]): {n: row[n] for n in brief}
            for _, row in candidates[~is_tried].iterrows()
        },
        "candidates": int(is_tried.sum()),
        "candidates_passed": int((is_tried & (candidates["failed_gates"] == "")).sum()),
        "cuts": len(origins),
        "first_cut": origins[0].cut.date,
        "last_cut": origins[-1].cut.date,
    }


def structure_among(now: Snapshot, params: Params) -> str:
    """Whether the customers fall into groups at all, by the first candidate's features, logged."""
    features = now.features[declared_families(params)[0].features][now.rows(None)]
    some = sample_rows(len(features), params.effort.quadratic_sample, params.seed)
    return structure_of(
        apply_transform(fit_transform("log", features), features[some]), params.seed
    )


def _family_of(families: Sequence[Family], candidate: str) -> Family:
    name, k = candidate.rsplit("/", 1)
    return at_one_size(next(f for f in families if f.name == name), int(k))


def _levels(rows: pd.DataFrame, segment: Any, size: int) -> dict[str, Any]:
    figures = rows[["recency_days", "frequency", "monetary"]].astype("float64")
    medians = figures.groupby(np.asarray(segment)).median().reindex(range(size))
    return {str(column): medians[column].to_numpy() for column in medians}


def _training(rows: pd.DataFrame, columns: Sequence[str], unit: float) -> dict[str, Any]:
    """Decile edges and shares of each feature, so that drift can be measured later."""
    found = {}
    matrix = feature_matrix(rows, columns, unit)
    for number, name in enumerate(columns):
        edges = np.unique(np.quantile(matrix[:, number], np.arange(1, 10) / 10))
        bins = np.searchsorted(edges, matrix[:, number], side="right")
        counts = np.bincount(bins, minlength=len(edges) + 1)
        found[name] = {"edges": edges, "shares": counts / max(len(rows), 1)}
    return found


def _wholesale(params: Params) -> Wholesale:
    rule = params.wholesale
    units = rule.minimum_units_per_line if rule.is_apart else 0.0
    return Wholesale(units, rule.minimum_orders)


def _gates(params: Params) -> Gates:
    return Gates(**params.gates.model_dump())


def _effort(now: Snapshot, params: Params) -> Effort:
    spent = params.effort
    return Effort(
        seed=params.seed,
        groups=len(GROUPS),
        minimum_share=params.gates.minimum_share,
        customers=int(now.customer.max()) + 1,
        resamples=spent.resamples,
        splits=spent.splits,
        gap_references=spent.gap_references,
        quadratic_sample=spent.quadratic_sample,
    )


def _in_parallel(jobs: Sequence[Any]) -> Iterator[Any]:
    """Results in the order of the jobs, over PIPELINE_THREADS processes (null: all cores)."""
    threads = int(os.environ.get("PIPELINE_THREADS", "0")) or joblib.cpu_count()
    # Workers whose stage was killed as it wrote to them would wait for the rest for ever.
    ends = {"initializer": end_with, "initargs": (os.getpid(),)}
    with joblib.parallel_config("loky", n_jobs=threads, inner_max_num_threads=1, **ends):
        yield from joblib.Parallel(return_as="generator")(jobs)


def _single_threaded(work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    # One thread each: the work is spread over families, and a sum's bits depend on threads.
    # The tables were checked as they were read: scikit-learn need not look for NaN in each fit.
    sure = config_context(assume_finite=True, skip_parameter_validation=True)
    with threadpool_limits(1), sure, warnings.catch_warnings():
        # Fewer parts than were asked for are no surprise where customers are alike.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return work(*arguments, **named)


if __name__ == "__main__":
    run_stage(main, __doc__)

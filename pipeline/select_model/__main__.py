"""Choose the segmentation: sound, stable, and the best at predicting later purchases.

Where select.definition names a kept definition, it stays in use and the choice is its challenger.

Reads   data/customers.parquet, data/later_purchases.parquet, pipeline/settings/definitions
Writes  data/definition.yaml, data/challenger.yaml, data/candidates.parquet,
        data/selection_reasons.parquet, metrics/select.json, metrics/plots/k_sweep.csv

Example: python -m pipeline.select_model
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field, model_validator
from threadpoolctl import threadpool_limits

from pipeline.core.model.clusterings import OWN
from pipeline.core.model.definition import Definition, load_definition, save_definition
from pipeline.core.model.grid import COLUMNS
from pipeline.core.model.groups import Wholesale, wholesale_of
from pipeline.core.model.money_unit import money_unit
from pipeline.core.model.transforms import feature_columns
from pipeline.core.run.metrics import METRICS, write_metrics
from pipeline.core.run.outputs import write_text
from pipeline.core.run.params import ShopParams, StageParams, load_params
from pipeline.core.run.stage import run_stage, stage
from pipeline.core.tables.contract import write_table
from pipeline.core.tables.select_model import CANDIDATES, SELECTION_REASONS
from pipeline.select_model.candidates import Effort, Family, Setting, fit_family
from pipeline.select_model.kept import KEPT, compared, definition_of
from pipeline.select_model.measuring import (
    measure_all,
    measure_finalists,
    measure_reference,
    structure_among,
)
from pipeline.select_model.own_rules import read_own_rules
from pipeline.select_model.prediction import LaterFigures
from pipeline.select_model.selection import (
    Choice,
    Gates,
    Rows,
    choose,
    failed_gates,
    finalists,
    reasons,
)
from pipeline.select_model.snapshots import Origin, Snapshot, in_time, read_sampled, snapshots_of

Matrix = NDArray[np.float64]

CHALLENGER = Path("data/challenger.yaml")
K_SWEEP = METRICS / "plots" / "k_sweep.csv"


class Stages(StageParams):
    """Where the stages of a grid end, in days; null = by the shop's usual gap between orders."""

    recent_days: int | None = Field(default=None, ge=1)
    lapsed_days: int | None = Field(default=None, ge=2)


class Params(StageParams):
    """Section `select` of params.yaml."""

    definition: Path | None
    own_rules: Path | None
    seed: int = Field(ge=0)
    k_from: int = Field(ge=2)
    k_to: int = Field(ge=2, le=50)
    origins: int = Field(ge=1)
    past_snapshots: int = Field(ge=1)
    stages: Stages
    feature_sets: dict[str, tuple[str, ...]]
    candidates: tuple[str, ...] = Field(min_length=1)
    baselines: tuple[str, ...]
    wholesale: Wholesale
    gates: Gates
    effort: Effort

    @model_validator(mode="after")
    def _names_are_declared(self) -> Params:
        families = declared_families(self)
        unknown = sorted({f.features for f in families} - set(self.feature_sets))
        if unknown:
            raise ValueError(
                f"feature set {unknown[0]!r} is not in feature_sets: {', '.join(self.feature_sets)}"
            )
        for family in families:
            if family.algorithm == "grid" and self.feature_sets[family.features] != COLUMNS:
                raise ValueError(f"a grid's features are {', '.join(COLUMNS)}, in this order")
        if self.k_from > self.k_to:
            raise ValueError(f"k_from {self.k_from} is above k_to {self.k_to}")
        return self


def main() -> None:
    """Read the snapshots, measure every candidate, choose, keep the definition."""
    params = load_params("select", Params)
    horizon_days = load_params("shop", ShopParams).horizon_days
    with stage("select_model") as log:
        kept = None if params.definition is None else load_definition(params.definition)
        customers, later = read_sampled(params.effort.customers, params.seed)
        unit = kept.money_unit if kept else money_unit(customers, horizon_days)
        newest = customers[customers["snapshot_date"] == customers["snapshot_date"].max()]
        wholesale, share = wholesale_of(newest, params.wholesale)
        if wholesale != params.wholesale:
            log.warning(
                "select.wholesale would take %.0f%% of the customers and is left out", 100 * share
            )
        params = params.model_copy(update={"wholesale": wholesale})
        setting = setting_of(params, customers, unit)
        families = declared_families(params)
        if setting.own:
            families.append(Family(OWN, OWN, "raw", (setting.own.clustering.size,)))
        in_order = partial(
            in_time,
            most_segments=max(k for family in families for k in family.sizes),
            horizon_days=horizon_days,
            past_snapshots=params.past_snapshots,
            origins=params.origins,
        )
        now, past, origins = in_order(
            snapshots_of(customers, later, setting.columns, params.wholesale, unit)
        )
        log.info(
            "%d candidates in %d families, judged at %d cuts",
            sum(len(f.sizes) for f in families),
            len(families),
            len(origins),
        )
        candidates, spreads = measure_all(families, now, past, origins, setting)
        among = finalists(candidates, params.gates, params.effort.finalists)
        candidates = measure_finalists(candidates, among, now, past, setting)
        reference = measure_reference(origins, params.seed)
        candidates, choice = judged(candidates, spreads.mean(axis=1), among, reference, params)
        why = reasons(candidates, spreads.mean(axis=1), choice, params.gates)
        found = figures(candidates, choice, reference, origins)
        found["structure"] = structure_among(now, setting)
        chosen = found["chosen"]
        is_found = chosen["eta_squared"] > 2 * chosen["eta_squared_se"]
        is_found &= reference.correlation_squared > 0 and found["structure"] != "none"
        found = {"predicts": bool(is_found), **found}
        if not is_found:
            log.warning("nothing predicts later spend here: segments only sort what was")
        found["wholesale"] = {"share": share, "is_apart": wholesale.is_apart}
        found["nested"] = nested_figures(candidates, spreads, among, params.gates)
        challenger = challenger_of(candidates.iloc[[choice.chosen]], now, past, setting)
        log.info(
            "chosen: %s; it explains %.3f of the variance of later spend (eta squared), and %.0f%% "
            "of the resamples of the customers choose it too",
            *(challenger.candidate, chosen["eta_squared"], 100 * choice.support),
        )
        if kept:
            columns = {KEPT: kept.columns}
            in_kept = in_order(snapshots_of(customers, later, columns, kept.wholesale, unit))
            last = customers[customers["snapshot_date"].astype(str) == now.date]
            spread = spreads[choice.chosen]
            found["kept"] = compared(
                kept, challenger, last, in_kept, spread=spread, gates=params.gates, setting=setting
            )
            log.info("kept: %s; %s", kept.candidate, advice(found["kept"]))
        save_definition(kept or challenger)
        save_definition(challenger, CHALLENGER)
        write_table(CANDIDATES, candidates)
        write_table(SELECTION_REASONS, why)
        write_text(K_SWEEP, k_sweep(candidates))
        write_metrics("select", found)


def declared_families(params: Params) -> list[Family]:
    """Every family of candidates and baselines that the parameters declare, in their order."""
    sweep = tuple(range(params.k_from, params.k_to + 1))
    return [
        *(Family.declared(text, sweep, is_baseline=False) for text in params.candidates),
        *(Family.declared(text, sweep, is_baseline=True) for text in params.baselines),
    ]


def setting_of(params: Params, customers: pd.DataFrame, unit: float) -> Setting:
    """What every candidate is fitted and measured under, with money in `unit`."""
    own = None if params.own_rules is None else read_own_rules(params.own_rules, unit)
    declared = params.feature_sets | ({OWN: own.columns} if own else {})
    there = list(customers.columns)
    return Setting(
        seed=params.seed,
        customers=customers["customer_id"].nunique(),
        minimum_share=params.gates.minimum_share,
        effort=params.effort,
        wholesale=params.wholesale,
        columns={name: feature_columns(columns, there) for name, columns in declared.items()},
        unit=unit,
        days=(params.stages.recent_days, params.stages.lapsed_days),
        own=own,
    )


def judged(
    candidates: pd.DataFrame, spreads: Matrix, among: Rows, reference: LaterFigures, params: Params
) -> tuple[pd.DataFrame, Choice]:
    """The candidates with shares of the reference, failed gates, the choice and the runner-up."""
    table = candidates.copy()
    most = reference.correlation_squared
    table["share_of_reference"] = table["correlation_squared"] / most if most > 0 else np.nan
    floats = [c.name for c in CANDIDATES.columns if c.type == pa.float64()]
    table[floats] = table[floats].astype("float64").round(6)
    table["failed_gates"] = failed_gates(table, params.gates)
    choice = choose(table, spreads, params.gates, among)
    table["is_chosen"] = np.arange(len(table)) == choice.chosen
    table["is_runner_up"] = np.arange(len(table)) == choice.runner_up
    return table, choice


def challenger_of(
    chosen: pd.DataFrame, now: Snapshot, past: Sequence[Snapshot], setting: Setting
) -> Definition:
    """The chosen candidate, a row, fitted on the last snapshot, as a definition."""
    with threadpool_limits(1):
        fitted = fit_family(Family.of(chosen), now, past, setting)[0]
        return definition_of(chosen["candidate"].iloc[0], fitted, now, past, setting)


def k_sweep(candidates: pd.DataFrame) -> str:
    """The figures that are plotted over k, as CSV."""
    columns = [
        "candidate", "algorithm", "features", "transform", "k", "silhouette", "gap", "jaccard",
        "prediction_strength", "eta_squared", "share_of_reference", "smallest_share",
    ]  # fmt: skip
    text: str = candidates[columns].round(4).to_csv(index=False, lineterminator="\n")
    return text


def figures(
    candidates: pd.DataFrame, choice: Choice, reference: LaterFigures, origins: Sequence[Origin]
) -> dict[str, Any]:
    """The figures worth comparing between two versions of the method."""
    names = [n for n in candidates.columns if not n.startswith("is_")]
    brief = ["segments", "jaccard", "eta_squared", "gini", "share_of_reference"]
    is_tried = ~candidates["is_baseline"]
    told = [
        {str(name): value for name, value in row.items() if not pd.isna(value)}
        for row in candidates[names].to_dict("records")
    ]
    return {
        "passed_every_gate": choice.passed,
        "chosen_in_resamples": choice.support,
        "chosen": told[choice.chosen],
        "runner_up": _brief(told[choice.runner_up], ["candidate", *brief]),
        "reference": vars(reference),
        "baselines": {
            told[n]["candidate"]: _brief(told[n], brief) for n in np.flatnonzero(~is_tried)
        },
        "candidates": int(is_tried.sum()),
        "candidates_passed": int((is_tried & (candidates["failed_gates"] == "")).sum()),
        "cuts": len(origins),
        "first_cut": origins[0].cut.date,
        "last_cut": origins[-1].cut.date,
    }


def _brief(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names if name in row}


def nested_figures(
    candidates: pd.DataFrame, spreads: Matrix, among: Rows, gates: Gates
) -> dict[str, Any]:
    """What the rule chooses by the cuts before the last one, and how it does at the last."""
    if spreads.shape[1] < 2:
        return {"is_known": False}
    earlier = spreads[:, :-1].mean(axis=1)
    by_earlier = candidates.assign(eta_squared=earlier.mean(axis=1))
    chosen = choose(by_earlier, earlier, gates, among).chosen
    return {
        "is_known": True,
        "candidate": candidates["candidate"].iloc[chosen],
        "eta_squared_at_earlier_cuts": float(earlier[chosen].mean()),
        "eta_squared_at_last_cut": float(spreads[chosen, -1].mean()),
    }


def advice(kept: dict[str, Any]) -> str:
    """Whether to switch from the kept definition, in words."""
    lead = (
        f"the challenger explains {kept['challenger_lead']:+.3f} of the variance of later spend "
        f"(standard error {kept['challenger_lead_se']:.3f}) and would move "
        f"{kept['challenger_would_move_share']:.0%} of the customers"
    )
    if kept["failed_gates"]:
        return f"it fails {kept['failed_gates']}; {lead}: `python -m pipeline keep` switches"
    if kept["switch_is_recommended"]:
        return f"{lead}: `python -m pipeline keep` switches"
    return f"{lead}: no reason to switch"


if __name__ == "__main__":
    run_stage(main, __doc__)

"""Do segments keep their meaning? A definition kept from one month end to the next, and for six.

Reads the tables of the last run in data/ (any shop): the candidate that it chose is fitted at each
month end as if it were the last, and kept.

Example: python -m bench segments
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from pipeline.core.model.definition import Definition, aged, assign, load_definition
from pipeline.core.model.grid import COLUMNS, Grid
from pipeline.core.model.money_unit import money_unit
from pipeline.core.model.transforms import feature_matrix
from pipeline.core.run.params import ShopParams, load_params
from pipeline.select_model.__main__ import CHALLENGER, Params, setting_of
from pipeline.select_model.candidates import Family, Setting, fit_family
from pipeline.select_model.kept import LEAST, definition_of
from pipeline.select_model.prediction import eta_squared
from pipeline.select_model.snapshots import Snapshot, read_sampled, snapshots_of

MONTHS = 6
GOALS = (
    "goals: every move has a cause; nobody rises who did nothing; of those who did nothing and "
    "passed no border in time 90% keep their name; after six months 95% of a fresh definition's "
    "prediction, or the advice to switch"
)


def main() -> None:
    """Print both tables and the goals."""
    params = load_params("select", Params)
    horizon = load_params("shop", ShopParams).horizon_days
    customers, later = read_sampled(params.effort.customers, params.seed)
    setting = setting_of(params, customers, money_unit(customers, horizon))
    snapshots = snapshots_of(customers, later, setting.columns, params.wholesale, setting.unit)
    by_day = {str(day): rows for day, rows in customers.groupby("snapshot_date")}
    definitions = dict(definitions_at(snapshots, setting, horizon))
    print(f"{load_definition(CHALLENGER).candidate}\n")
    pairs = [(a, b) for a, b in itertools.pairwise(by_day) if a in definitions]
    rows = [month(definitions[a], by_day[a], by_day[b], a, b) for a, b in pairs]
    print(pd.DataFrame(rows).to_string(index=False))
    print()
    old = [(a, b) for a, b in zip(by_day, list(by_day)[MONTHS:], strict=False) if a in definitions]
    known = [(a, b) for a, b in old if snapshots[b].spend is not None]
    rows = [prediction(definitions, by_day, snapshots, a, b) for a, b in known]
    print(pd.DataFrame(rows).to_string(index=False) if rows else "no six months with outcomes")
    print(f"\n{GOALS}")


def definitions_at(
    snapshots: Mapping[str, Snapshot], setting: Setting, horizon: int
) -> Iterator[tuple[str, Definition]]:
    """The chosen candidate's definition at each snapshot that it can be fitted at.

    Before anything has outcomes, what needs none to be fitted is ordered by the first that has.
    """
    candidate = load_definition(CHALLENGER).candidate
    family = Family.declared(candidate, (), is_baseline=False)
    with_outcomes = [s for s in snapshots.values() if s.spend is not None]
    for day, now in snapshots.items():
        start = pd.Timestamp(day) - pd.Timedelta(days=horizon)
        past = [s for s in with_outcomes if pd.Timestamp(s.date) <= start]
        if not past and not family.learns_from_later:
            past = with_outcomes[:1]
        if past:
            fitted = fit_family(family, now, past, setting)[0]
            yield day, definition_of(candidate, fitted, now, past, setting)


def month(
    definition: Definition, before: pd.DataFrame, after: pd.DataFrame, start: str, end: str
) -> dict[str, object]:
    """What moves under a definition made at `start` and kept to `end`, and why."""
    before, after = (rows.set_index("customer_id") for rows in (before, after))
    before, after = before.align(after, join="inner", axis=0)
    older = aged(before, (pd.Timestamp(end) - pd.Timestamp(start)).days)
    then, waited, now = (assign(definition, r)["segment_id"] for r in (before, older, after))
    figures = ["frequency", "monetary"]
    is_idle = (before[figures] == after[figures]).all(axis=1)
    has_moved = then != now
    is_time = has_moved & (waited == now)
    is_same_stage = _stage(definition, before) == _stage(definition, older)
    idle_same = is_idle & is_same_stage
    return {
        "from": start,
        "to": end,
        "customers": len(then),
        "moved": int(has_moved.sum()),
        "by time": int(is_time.sum()),
        "by behaviour": int((has_moved & ~is_time).sum()),
        "without a cause": int((has_moved & ~is_time & is_idle).sum()),
        "idle": int(is_idle.sum()),
        "idle and rose": int((is_idle & (now < then)).sum()),
        "idle, no border, same name": f"{(then == now)[idle_same].mean():.1%}",
    }


def _stage(
    definition: Definition, customers: pd.DataFrame
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    grid = definition.clustering if isinstance(definition.clustering, Grid) else definition.names
    return grid.life_stage(feature_matrix(customers, COLUMNS, definition.money_unit))


def prediction(
    definitions: Mapping[str, Definition],
    by_day: Mapping[str, pd.DataFrame],
    snapshots: Mapping[str, Snapshot],
    start: str,
    end: str,
) -> dict[str, object]:
    """Eta squared at `end` of the definition made at `start`, of one made then, and the advice."""
    outcomes = snapshots[end].outcomes
    kept, fresh = (
        float(
            eta_squared(assign(definitions[day], by_day[end])["segment_id"].to_numpy(), outcomes)[0]
        )
        for day in (start, end)
    )
    return {
        "made": start,
        "judged": end,
        "kept": round(kept, 4),
        "fresh": round(fresh, 4),
        "kept of fresh": f"{kept / fresh:.1%}",
        "advice": "switch" if kept / fresh < LEAST else "keep",
    }


if __name__ == "__main__":
    main()

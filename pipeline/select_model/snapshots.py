"""The customers of each snapshot as arrays, and which snapshots judge and which teach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.core.model.clusterings import sample_rows
from pipeline.core.model.definition import aged
from pipeline.core.model.grid import COLUMNS
from pipeline.core.model.groups import RETURNED_EVERYTHING, WHOLESALE, Wholesale, declared_group
from pipeline.core.model.transforms import feature_matrix
from pipeline.core.run.errors import InputError
from pipeline.core.tables.aggregate_rfm import CUSTOMERS, LATER_PURCHASES
from pipeline.core.tables.contract import Table, check
from pipeline.select_model.history import KEY, in_order_of_history

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]

GROUPS = (RETURNED_EVERYTHING, WHOLESALE)
# Stability is judged on halves and on resamples: fewer than these, and clusters of it are empty.
CUSTOMERS_PER_SEGMENT = 5
# The name of the feature set of every feature at once, for the reference model.
EVERY = "every"
AGES = (30, 60, 90, 180, 365)  # days without an order by which nobody may rise


@dataclass(frozen=True)
class Snapshot:
    """Customers of one snapshot: features per set (n, d), and outcomes where they are known.

    `rhythm` (n, 4) has the columns of a grid; `group` (n,) is the declared group's number or -1
    where a model decides; `customer` (n,) numbers the customers, alike in every snapshot; `older`
    are the same customers so many days later (AGES) if they do nothing.
    """

    date: str
    features: Mapping[str, Matrix]
    rhythm: Matrix
    group: Labels
    customer: Labels
    spend: Matrix | None = None
    older: tuple[Snapshot, ...] = ()

    @property
    def outcomes(self) -> Matrix:
        """log1p of later spend (n,)."""
        if self.spend is None:
            raise ValueError(f"the horizon after {self.date} is not over")
        return np.log1p(self.spend)

    def rows(self, counts: Labels | None) -> Labels:
        """Rows that a model decides; each as often as `counts` (customers,) of its customer."""
        free = np.flatnonzero(self.group < 0)
        return free if counts is None else np.repeat(free, counts[self.customer[free]])


@dataclass(frozen=True)
class Origin:
    """A rolling origin: `cut` is judged; the horizons of `past` were over at the cut."""

    cut: Snapshot
    past: tuple[Snapshot, ...]


def read_sampled(at_most: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
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
    if len(rows) > at_most:
        figures = [name for name in rows.column_names if name not in KEY]
        by = [(name, "ascending") for name in (*figures, "customer_id")]
        some = sample_rows(len(rows), at_most, seed)
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
    customers: pd.DataFrame,
    later: pd.DataFrame,
    columns: Mapping[str, Sequence[str]],
    wholesale: Wholesale,
    unit: float,
) -> dict[str, Snapshot]:
    """Every snapshot by its date, in the order of time; its rows in the order of `customers`.

    Money is in units of `unit`. The last one also knows its customers so many days older.
    """
    every = list(dict.fromkeys(c for declared in columns.values() for c in declared))
    columns = {**columns, EVERY: every}
    customers = customers.assign(number=pd.factorize(customers["customer_id"])[0])
    joined = customers.merge(later, on=["snapshot_date", "customer_id"], how="left")
    found = {
        str(date): _snapshot(str(date), rows, columns, wholesale, unit)
        for date, rows in joined.groupby("snapshot_date", sort=True)
    }
    newest = joined[joined["snapshot_date"] == joined["snapshot_date"].max()]
    last = list(found)[-1]
    older = [_snapshot(last, aged(newest, days), columns, wholesale, unit) for days in AGES]
    found[last] = replace(found[last], older=tuple(older))
    return found


def _snapshot(
    date: str,
    rows: pd.DataFrame,
    columns: Mapping[str, Sequence[str]],
    wholesale: Wholesale,
    unit: float,
) -> Snapshot:
    group = np.full(len(rows), -1)
    declared = declared_group(rows, wholesale)
    for number, name in enumerate(GROUPS):
        group[declared == name] = number
    spend = rows["later_spend"]
    return Snapshot(
        date=date,
        features={name: feature_matrix(rows, each, unit) for name, each in columns.items()},
        rhythm=feature_matrix(rows, COLUMNS, unit),
        group=group,
        customer=rows["number"].to_numpy(np.int64),
        spend=None if spend.isna().any() else spend.to_numpy(float) / unit,
    )


def in_time(
    snapshots: Mapping[str, Snapshot],
    most_segments: int,
    *,
    horizon_days: int,
    past_snapshots: int,
    origins: int,
) -> tuple[Snapshot, tuple[Snapshot, ...], list[Origin]]:
    """The last snapshot, the past ones with outcomes, and the rolling origins.

    What an origin learns from had its whole horizon over at the cut. Raises InputError where
    there are too few customers or too little time for a single cut.
    """
    now = list(snapshots.values())[-1]
    fewest = CUSTOMERS_PER_SEGMENT * most_segments
    if (there := len(now.rows(None))) < fewest:
        raise InputError(
            f"{CUSTOMERS.path}: {there} customer{'s'[: there != 1]} on {now.date}, those of "
            f"declared groups not counted; segments are drawn and judged from {fewest} on "
            f"({CUSTOMERS_PER_SEGMENT} for each of up to {most_segments} segments): give lines of "
            "more customers, or lower select.k_to and every k of select.candidates and "
            "select.baselines"
        )
    known = [s for s in snapshots.values() if s.spend is not None and len(s.rows(None)) >= fewest]
    horizon = pd.Timedelta(days=horizon_days)
    found = []
    for cut in known:
        past = [s for s in known if pd.Timestamp(s.date) + horizon <= pd.Timestamp(cut.date)]
        if past:
            found.append(Origin(cut, tuple(past[-past_snapshots:])))
    if not found:
        raise InputError(
            f"{LATER_PURCHASES.path} has {len(known)} snapshots with outcomes of at least "
            f"{fewest} customers, which do not span two horizons of {horizon_days} days: "
            "give a longer history or a shorter shop.horizon_days"
        )
    return now, tuple(known[-past_snapshots:]), found[-origins:]

"""Put every customer of every snapshot into exactly one segment, with the kept model.

Reads   data/model.skops, data/customers.parquet, pipeline/settings/playbook.yaml
Writes  data/segments.parquet, data/segment_names.parquet, metrics/assign.json,
        metrics/plots/segment_sizes.csv

Example: python -m pipeline.assign_segments
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from pipeline.core.model.naming import Playbook, name_segments, read_playbook
from pipeline.core.model.segment_model import SegmentModel, assign, load_model
from pipeline.core.run.metrics import METRICS, write_metrics
from pipeline.core.run.outputs import write_text
from pipeline.core.run.stage import run_stage, stage
from pipeline.core.tables.aggregate_rfm import CUSTOMERS
from pipeline.core.tables.assign_segments import SEGMENT_NAMES, SEGMENTS
from pipeline.core.tables.contract import check, write_table

SEGMENT_SIZES = METRICS / "plots" / "segment_sizes.csv"


def main() -> None:
    """Read the model and the customers, assign, name, write."""
    with stage("assign_segments") as log:
        model = load_model()
        check(CUSTOMERS)
        with threadpool_limits(1):
            names = segment_names(model, snapshot_of(model.snapshot_date), read_playbook())
            # One snapshot after the other: a large shop's customers of a year are many.
            segments = pd.concat(
                [assign_all(model, snapshot_of(date), names) for date in snapshot_dates()]
            )
        write_table(SEGMENT_NAMES, names)
        write_table(SEGMENTS, segments)
        write_text(SEGMENT_SIZES, segment_sizes(segments, names))
        write_metrics("assign", figures(segments, names))
        log.info("%d rows in %d segments", len(segments), len(names))


def snapshot_dates() -> list[str]:
    """The dates that there are customers of, in their order."""
    dates = pq.read_table(CUSTOMERS.path, columns=["snapshot_date"])["snapshot_date"].unique()
    return sorted(str(date) for date in dates.to_pylist())


def snapshot_of(date: str) -> pd.DataFrame:
    """The customers of one snapshot."""
    wanted = dt.date.fromisoformat(date)
    rows: pd.DataFrame = pq.read_table(
        CUSTOMERS.path, filters=[("snapshot_date", "==", wanted)]
    ).to_pandas()
    return rows


def segment_names(model: SegmentModel, rows: pd.DataFrame, playbook: Playbook) -> pd.DataFrame:
    """One row per segment: its name and the levels that it was named by.

    Segments are named once, by the customers `rows` of the snapshot that the model was fitted
    on, so that a name means the same in every snapshot.
    """
    size = len(model.order)
    group = np.full(size, "", dtype=object)
    for name, part in model.groups.items():
        group[model.order[part]] = name
    segments = pd.DataFrame({"segment_id": np.arange(size), "group": group, **model.levels})
    members = assign(model, rows)["segment_id"]
    named = name_segments(segments, rows, playbook, pd.Series(members))
    counts = np.bincount(members, minlength=size)
    return named.assign(customers=counts)


def assign_all(model: SegmentModel, customers: pd.DataFrame, names: pd.DataFrame) -> pd.DataFrame:
    """Every row of `customers` with its segment_id, segment and confidence."""
    given = assign(model, customers)
    keys = customers[["snapshot_date", "customer_id"]]
    named = names.set_index("segment_id")["segment"]
    return keys.assign(
        segment_id=given["segment_id"],
        segment=given["segment_id"].map(named),
        confidence=given["confidence"],
    )


def segment_sizes(segments: pd.DataFrame, names: pd.DataFrame) -> str:
    """Customers per snapshot and segment, as CSV."""
    counts = segments.groupby(["snapshot_date", "segment_id"]).size().rename("customers")
    table = counts.reset_index().merge(names[["segment_id", "segment"]], on="segment_id")
    text: str = table.sort_values(["snapshot_date", "segment_id"])[
        ["snapshot_date", "segment", "customers"]
    ].to_csv(index=False, lineterminator="\n")
    return text


def figures(segments: pd.DataFrame, names: pd.DataFrame) -> dict[str, Any]:
    """Counts at the last snapshot, and how sure the model was."""
    last = segments[segments["snapshot_date"] == segments["snapshot_date"].max()]
    counts = last.groupby("segment").size()
    return {
        "rows": len(segments),
        "snapshots": int(segments["snapshot_date"].nunique()),
        "customers": len(last),
        "segments": len(names),
        "mean_confidence": float(last["confidence"].mean()),
        "customers_by_segment": {s: int(counts.get(s, 0)) for s in names["segment"]},
    }


if __name__ == "__main__":
    run_stage(main, __doc__)

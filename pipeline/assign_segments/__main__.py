"""Put every customer of every snapshot into exactly one named segment, by the definition in use.

Reads   data/definition.yaml, data/customers.parquet, pipeline/settings/playbook.yaml
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

from pipeline.assign_segments.history import with_history
from pipeline.assign_segments.names import segment_names
from pipeline.core.model.definition import Definition, assign, load_definition
from pipeline.core.model.naming import Playbook, read_playbook
from pipeline.core.run.metrics import METRICS, write_metrics
from pipeline.core.run.outputs import write_text
from pipeline.core.run.stage import run_stage, stage
from pipeline.core.tables.aggregate_rfm import CUSTOMERS
from pipeline.core.tables.assign_segments import SEGMENT_NAMES, SEGMENTS
from pipeline.core.tables.contract import check, write_table

SEGMENT_SIZES = METRICS / "plots" / "segment_sizes.csv"


def main() -> None:
    """Read the definition and the customers, assign, name, write."""
    with stage("assign_segments") as log:
        definition = load_definition()
        check(CUSTOMERS)
        playbook = read_playbook()
        names = segment_names(definition, playbook)
        with threadpool_limits(1):
            # One snapshot after the other: a large shop's customers of a year are many.
            segments = pd.concat(
                with_history(definition, (snapshot_of(date) for date in snapshot_dates()))
            )
            last = snapshot_of(snapshot_dates()[-1])
            names = described(names, definition, last, playbook)
        segments = named(segments, names)
        write_table(SEGMENT_NAMES, names)
        write_table(SEGMENTS, segments)
        write_text(SEGMENT_SIZES, segment_sizes(segments, names))
        write_metrics("assign", figures(segments, names))
        log.info(
            "%d customers in %d segments, over %d snapshots",
            len(last),
            len(names),
            segments["snapshot_date"].nunique(),
        )


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


def described(
    names: pd.DataFrame, definition: Definition, customers: pd.DataFrame, playbook: Playbook
) -> pd.DataFrame:
    """The segments with the size and the medians of their members, and other systems' groups."""
    members = assign(definition, customers)["segment_id"].to_numpy()
    measures = customers[["recency_days", "frequency", "monetary"]].astype("float64")
    medians = measures.groupby(members).median().reindex(names["segment_id"]).reset_index(drop=True)
    found = names.join(medians)
    plays = playbook.plays.items()
    return found.assign(
        customers=np.bincount(members, minlength=len(names)),
        klaviyo_group=found["play"].map({k: r.elsewhere.get("klaviyo") for k, r in plays}),
        shopify_group=found["play"].map({k: r.elsewhere.get("shopify") for k, r in plays}),
    )


def named(segments: pd.DataFrame, names: pd.DataFrame) -> pd.DataFrame:
    """The rows with their segment and the one before by name."""
    name_of = names.set_index("segment_id")["segment"]
    return segments.assign(
        segment=segments["segment_id"].map(name_of),
        previous_segment=segments["previous_id"].map(name_of),
    ).drop(columns="previous_id")


def segment_sizes(segments: pd.DataFrame, names: pd.DataFrame) -> str:
    """Customers of each segment at the last snapshot, as CSV."""
    last = segments[segments["snapshot_date"] == segments["snapshot_date"].max()]
    counts = last.groupby("segment_id").size().reindex(names["segment_id"], fill_value=0)
    table = names[["segment"]].assign(customers=counts.to_numpy())
    text: str = table.to_csv(index=False, lineterminator="\n")
    return text


def figures(segments: pd.DataFrame, names: pd.DataFrame) -> dict[str, Any]:
    """Counts at the last snapshot, how sure the segments were, and why customers moved last."""
    last = segments[segments["snapshot_date"] == segments["snapshot_date"].max()]
    counts = last.groupby("segment").size()
    causes = last["moved_by"].value_counts()
    return {
        "rows": len(segments),
        "snapshots": int(segments["snapshot_date"].nunique()),
        "customers": len(last),
        "segments": len(names),
        "mean_confidence": float(last["confidence"].mean()),
        "moved_by_behaviour": int(causes.get("behaviour", 0)),
        "moved_by_time": int(causes.get("time", 0)),
        "customers_by_segment": {s: int(counts.get(s, 0)) for s in names["segment"]},
    }


if __name__ == "__main__":
    run_stage(main, __doc__)

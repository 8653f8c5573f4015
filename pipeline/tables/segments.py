"""Every customer of every snapshot in exactly one segment."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table

SEGMENTS = Table(
    name="segments",
    path=Path("data/segments.parquet"),
    row="one row of `customers`",
    columns=(
        Column("snapshot_date", pa.date32(), "the snapshot"),
        Column("customer_id", pa.string(), "the customer"),
        Column(
            "segment_id",
            pa.int32(),
            "0 = the most valuable; the same number means the same segment in every snapshot",
            rule="segment_id >= 0",
        ),
        Column("segment", pa.string(), "the segment's name"),
        Column(
            "confidence",
            pa.float64(),
            "how clearly the customer belongs here rather than in the next best segment",
            rule="confidence between 0 and 1",
        ),
    ),
    key=("snapshot_date", "customer_id"),
    order=("snapshot_date", "customer_id"),
)

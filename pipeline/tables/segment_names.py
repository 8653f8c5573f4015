"""The segments' names and the levels that they were named by."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table


def _level(dimension: str) -> Column:
    name = f"{dimension}_level"
    return Column(
        name,
        pa.string(),
        f"where the median {dimension} stands among all customers; high recency = bought lately",
        rule=f"{name} in ('low', 'mid', 'high')",
    )


SEGMENT_NAMES = Table(
    name="segment_names",
    path=Path("data/segment_names.parquet"),
    row="one segment of the kept model",
    columns=(
        Column("segment_id", pa.int32(), "0 = the most valuable", rule="segment_id >= 0"),
        Column("segment", pa.string(), "the segment's name"),
        Column("group", pa.string(), "the declared group, empty where the model decides"),
        Column("recency_days", pa.float64(), "median at the snapshot of the fit", nullable=True),
        Column("frequency", pa.float64(), "median at the snapshot of the fit", nullable=True),
        Column("monetary", pa.float64(), "median at the snapshot of the fit", nullable=True),
        _level("recency"),
        _level("frequency"),
        _level("monetary"),
        Column("play", pa.string(), "the rule or group of playbook.yaml that it is named by"),
        Column("customers", pa.int64(), "members at the snapshot of the fit"),
    ),
    key=("segment_id",),
    order=("segment_id",),
)

"""Expected against came true, on snapshots that the value model had not seen."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table

VALUE_CHECK = Table(
    name="value_check",
    path=Path("data/value_check.parquet"),
    row="one group of customers at one held-out snapshot",
    columns=(
        Column("snapshot_date", pa.date32(), "expected on this day, from earlier outcomes only"),
        Column(
            "grouping",
            pa.string(),
            "all = everybody, segment = each segment, tenth = tenths by expected spend",
            rule="grouping in ('all', 'segment', 'tenth')",
        ),
        Column("position", pa.int32(), "segment_id, or 1 (least expected) to 10, or 0 for all"),
        Column("label", pa.string(), "the segment's name, or such as: tenth 3, or: all"),
        Column("customers", pa.int64(), "in the group", rule="customers > 0"),
        Column("expected_spend", pa.float64(), "per customer", unit="currency"),
        Column("actual_spend", pa.float64(), "per customer: what came true", unit="currency"),
        Column(
            "actual_spend_low", pa.float64(), "95 % bootstrap interval of the mean", unit="currency"
        ),
        Column(
            "actual_spend_high",
            pa.float64(),
            "95 % bootstrap interval of the mean",
            unit="currency",
        ),
        Column("expected_orders", pa.float64(), "per customer"),
        Column("actual_orders", pa.float64(), "per customer: what came true"),
        Column("expected_buying_rate", pa.float64(), "mean probability of an order"),
        Column("actual_buying_rate", pa.float64(), "share that ordered"),
        Column("verdict", pa.string(), "in words: about right, too high, too low"),
    ),
    key=("snapshot_date", "grouping", "position"),
    order=("snapshot_date", "grouping", "position"),
)

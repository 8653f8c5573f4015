"""Who moved between segments since the last month end, with their money."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import MONEY, Column, Table

LATEST_MOVES = Table(
    name="latest_moves",
    path=Path("data/latest_moves.parquet"),
    row="one pair of segments between from_date and the last snapshot, where at least one customer "
    "went that way; empty where there is one snapshot",
    columns=(
        Column(
            "from_date",
            pa.date32(),
            "the newest snapshot at least a week before the last one (or the one before, where all "
            "are nearer)",
        ),
        Column("to_date", pa.date32(), "the last snapshot"),
        Column(
            "from_segment_id", pa.int32(), "-1 = not a customer yet", rule="from_segment_id >= -1"
        ),
        Column("from_segment", pa.string(), "the segment's name, or: not yet a customer"),
        Column("to_segment_id", pa.int32(), "where they are now", rule="to_segment_id >= 0"),
        Column("to_segment", pa.string(), "the segment's name"),
        Column(
            "direction",
            pa.string(),
            "rose = into a more valuable segment",
            rule="direction in ('new', 'stayed', 'rose', 'fell')",
        ),
        Column("customers", pa.int64(), "how many went that way", rule="customers > 0"),
        Column("share", pa.float64(), "of those in from_segment at from_date"),
        Column("spend", MONEY, "what they have spent in all, net of returns", unit="currency"),
        Column("spend_since", MONEY, "of it since from_date", unit="currency"),
    ),
    key=("from_segment_id", "to_segment_id"),
    order=("from_segment_id", "to_segment_id"),
)

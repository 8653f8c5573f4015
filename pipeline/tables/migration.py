"""Who moved from which segment to which."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table

MIGRATION = Table(
    name="migration",
    path=Path("data/migration.parquet"),
    row="one pair of segments between two snapshots, where at least one customer went that way",
    columns=(
        Column(
            "span",
            pa.string(),
            "month = from one snapshot to the next, whole = from a year back (or the first "
            "snapshot, if later) to the last",
            rule="span in ('month', 'whole')",
        ),
        Column("from_date", pa.date32(), "the earlier snapshot"),
        Column("to_date", pa.date32(), "the later snapshot"),
        Column(
            "from_segment_id", pa.int32(), "-1 = not a customer yet", rule="from_segment_id >= -1"
        ),
        Column("from_segment", pa.string(), "the segment's name, or: not yet a customer"),
        Column("to_segment_id", pa.int32(), "where they are later", rule="to_segment_id >= 0"),
        Column("to_segment", pa.string(), "the segment's name"),
        Column("customers", pa.int64(), "how many went that way", rule="customers > 0"),
        Column("share", pa.float64(), "of those in from_segment at from_date"),
    ),
    key=("span", "from_date", "from_segment_id", "to_segment_id"),
    order=("span", "from_date", "from_segment_id", "to_segment_id"),
)

"""How each feature is distributed in each segment, and how it sets it apart."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table

SEGMENT_FEATURES = Table(
    name="segment_features",
    path=Path("data/segment_features.parquet"),
    row="one feature of one segment at the last snapshot",
    columns=(
        Column("segment_id", pa.int32(), "0 = the most valuable", rule="segment_id >= 0"),
        Column("segment", pa.string(), "the segment's name"),
        Column("feature", pa.string(), "a column of `customers`"),
        Column("feature_title", pa.string(), "its name, as people read it"),
        Column("unit", pa.string(), "days, orders, currency, units, products or share"),
        Column("customers", pa.int64(), "members who have a value (two orders for a gap)"),
        Column("q05", pa.float64(), "5 % of the members lie at or below", nullable=True),
        Column(
            "q25",
            pa.float64(),
            "lower quartile; null, as its like, if nobody has a value",
            nullable=True,
        ),
        Column("median", pa.float64(), "half of the members lie at or below", nullable=True),
        Column("q75", pa.float64(), "upper quartile", nullable=True),
        Column("q95", pa.float64(), "95 % of the members lie at or below", nullable=True),
        Column("mean", pa.float64(), "arithmetic mean", nullable=True),
        Column("rest_median", pa.float64(), "median of all other customers", nullable=True),
        Column(
            "cliffs_delta",
            pa.float64(),
            "P(member > other) - P(member < other), from -1 to 1; null where one side is empty",
            nullable=True,
            rule="cliffs_delta between -1 and 1",
        ),
        Column(
            "effect",
            pa.string(),
            "in words: much higher, higher, slightly higher, like the rest, ...",
        ),
        Column("sentence", pa.string(), "the difference in a sentence with figures"),
        Column("rank", pa.int32(), "1 = sets the segment apart most", rule="rank >= 1"),
    ),
    key=("segment_id", "feature"),
    order=("segment_id", "rank"),
)

"""The segments in words: a few rules, most of them leaves of a shallow tree."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table

SEGMENT_RULES = Table(
    name="segment_rules",
    path=Path("data/segment_rules.parquet"),
    row="one rule; the first that holds counts, and together they cover every customer",
    columns=(
        Column("rule_id", pa.int32(), "number of the rule", rule="rule_id >= 1"),
        Column("segment_id", pa.int32(), "the segment that the rule says", rule="segment_id >= 0"),
        Column("segment", pa.string(), "the segment's name"),
        Column("rule", pa.string(), "in words, such as: last order at most 60 days ago and ..."),
        Column("customers", pa.int64(), "customers on whom it holds", rule="customers > 0"),
        Column("precision", pa.float64(), "share of them that are in the segment"),
        Column("recall", pa.float64(), "share of the segment on whom it holds"),
    ),
    key=("rule_id",),
    order=("segment_id", "rule_id"),
)

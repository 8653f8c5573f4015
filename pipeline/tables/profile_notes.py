"""What profiling could not do with this data, and why."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table

PROFILE_NOTES = Table(
    name="profile_notes",
    path=Path("data/profile_notes.parquet"),
    row="one thing that could not be done or needs care; empty where there is none",
    columns=(
        Column("position", pa.int32(), "order of reading", rule="position >= 1"),
        Column(
            "topic",
            pa.string(),
            "profiles, categories, countries, season, expected_spend, value or migration",
        ),
        Column("note", pa.string(), "what, why, and what would help"),
    ),
    key=("position",),
    order=("position",),
)

"""What values of recency, frequency and monetary each score spans, so that scores can be read."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import MONEY, Column, Table

RFM_THRESHOLDS = Table(
    name="rfm_thresholds",
    path=Path("data/rfm_thresholds.parquet"),
    row="one score of one measure at one snapshot, where any customer has it",
    columns=(
        Column("snapshot_date", pa.date32(), "the snapshot"),
        Column(
            "measure",
            pa.string(),
            "recency (days), frequency (orders) or monetary (currency)",
            rule="measure in ('recency', 'frequency', 'monetary')",
        ),
        Column("score", pa.int8(), "the score, 5 = best", rule="score between 1 and 5"),
        Column(
            "lowest",
            MONEY,
            "least value with this score; null where all of them kept nothing",
            nullable=True,
        ),
        Column("highest", MONEY, "greatest value with this score; null alike", nullable=True),
        Column("customers", pa.int64(), "customers with this score", rule="customers > 0"),
    ),
    key=("snapshot_date", "measure", "score"),
    order=("snapshot_date", "measure", "score"),
    rules=("lowest <= highest",),
)

"""Why each family of candidates was chosen or rejected, in words and numbers."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table

SELECTION_REASONS = Table(
    name="selection_reasons",
    path=Path("data/selection_reasons.parquet"),
    row="one family of candidates: algorithm x feature set x transform",
    columns=(
        Column("family", pa.string(), "algorithm/feature set/transform"),
        Column("best_candidate", pa.string(), "its best, or nearest to passing"),
        Column("is_baseline", pa.bool_(), "only for comparison"),
        Column("passed", pa.int32(), "candidates that pass every gate", rule="passed >= 0"),
        Column("tried", pa.int32(), "candidates in the family", rule="tried >= 1"),
        Column(
            "eta_squared_of_ceiling",
            pa.float64(),
            "of the best candidate: explained variance of later spend, as a share of the ceiling",
        ),
        Column(
            "verdict",
            pa.string(),
            "chosen, runner-up, rejected or baseline",
            rule="verdict in ('chosen', 'runner-up', 'rejected', 'baseline')",
        ),
        Column("reason", pa.string(), "why, in words and numbers"),
    ),
    key=("family",),
    order=("family",),
)

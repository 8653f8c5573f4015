"""How far the customers have drifted from those that the model was fitted on."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table

DRIFT = Table(
    name="drift",
    path=Path("data/drift.parquet"),
    row="one measure at one snapshot against one reference",
    columns=(
        Column("snapshot_date", pa.date32(), "the snapshot"),
        Column(
            "reference",
            pa.string(),
            "training = the last snapshot (the model was fitted on it), previous = the one before",
            rule="reference in ('training', 'previous')",
        ),
        Column("reference_date", pa.date32(), "its day"),
        Column("measure", pa.string(), "a feature of `customers`, or: segment_shares"),
        Column("measure_title", pa.string(), "its name, as people read it"),
        Column("psi", pa.float64(), "population stability index", rule="psi >= 0"),
        Column(
            "noise",
            pa.float64(),
            "the index that 95 % of samples of these sizes stay below with no drift at all",
        ),
        Column(
            "verdict",
            pa.string(),
            "stable (below 0.1 or the noise), some drift (below 0.25), drifted",
            rule="verdict in ('stable', 'some drift', 'drifted')",
        ),
        Column("sentence", pa.string(), "the verdict in a sentence"),
    ),
    key=("snapshot_date", "reference", "measure"),
    order=("reference", "snapshot_date", "measure"),
)

"""Lines of the source that could not be read, kept with the reason."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table

QUARANTINED_LINES = Table(
    name="quarantined_lines",
    path=Path("data/quarantined_lines.parquet"),
    row="one line of the source that could not be read (source.on_bad_rows: quarantine)",
    columns=(
        Column("file", pa.string(), "the file, with the archive's member or the sheet"),
        Column("row", pa.int64(), "row in that file, the header being row 1", rule="row >= 1"),
        Column(
            "line_id",
            pa.int64(),
            "position in the source; null where the line has not the header's number of cells",
            nullable=True,
        ),
        Column("problem", pa.string(), "what cannot be read, column by column"),
        Column("line", pa.string(), "the line as it stands there; cells as JSON where it has them"),
    ),
    key=("file", "row"),
    order=("file", "row"),
)

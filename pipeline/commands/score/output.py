"""Write scored customers piece by piece: Parquet, or CSV that a spreadsheet opens safely."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.commands.score.scoring import SCORED
from pipeline.core.run.outputs import whole_file
from pipeline.core.text.spreadsheet import safe_cell

ENDINGS = (".csv", ".parquet")


@contextmanager
def opened_output(out: Path | None) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Yield how to write a piece to `out` (whole or not at all), or to the standard output."""
    if out is None:
        with csv_writer(sys.stdout) as write:
            yield write
        return
    with whole_file(out) as unfinished:
        if out.suffix == ".parquet":
            with pq.ParquetWriter(unfinished, SCORED, compression="zstd") as writer:

                def append(rows: pd.DataFrame) -> None:
                    table = pa.Table.from_pandas(rows, SCORED, preserve_index=False)
                    writer.write_table(table.replace_schema_metadata(None))

                yield append
        else:
            with (
                unfinished.open("w", encoding="utf-8", newline="") as file,
                csv_writer(file) as write,
            ):
                yield write


@contextmanager
def csv_writer(file: IO[str]) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Yield how to write a piece as CSV that a spreadsheet opens without executing anything."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(SCORED.names)

    def append(rows: pd.DataFrame) -> None:
        shown = rows.assign(
            recency_days=["" if pd.isna(days) else str(int(days)) for days in rows["recency_days"]],
            monetary=[f"{value:.2f}" for value in rows["monetary"]],
        )
        writer.writerows(
            [safe_cell(value) for value in row] for row in shown.itertuples(index=False, name=None)
        )

    yield append
    file.flush()

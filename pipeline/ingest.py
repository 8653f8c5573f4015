"""Read the order lines of a file or folder into the one canonical schema.

Reads   source.path: CSV, TSV, XLSX, Parquet, ZIP or gzip of them
Writes  data/invoice_lines.parquet, data/quarantined_lines.parquet, metrics/ingest.json

Look at a file first (nothing is written): python -m pipeline.ingest --check orders.csv
"""
# ruff: noqa: S608 - the SQL is made of layouts and quoted names, never of what cells hold

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from pipeline.engines.duckdb import open_duckdb
from pipeline.methods.layouts import Layout, load_layouts, named_layout
from pipeline.methods.line_parsing import (
    REQUIRED,
    SHOWN,
    BadRow,
    Source,
    bad_rows,
    count_rows,
    lines_sql,
    mended,
    open_source,
    rejected_rows,
    structural_error,
)
from pipeline.shared.errors import InputError
from pipeline.shared.metrics import write_metrics
from pipeline.shared.outputs import whole_file
from pipeline.shared.params import StageParams, load_params
from pipeline.shared.stage import run_stage, stage
from pipeline.tables.contract import ROW_GROUP, check
from pipeline.tables.invoice_lines import INVOICE_LINES
from pipeline.tables.quarantined_lines import QUARANTINED_LINES


class Params(StageParams):
    """Section `source` of params.yaml."""

    path: Path
    layout: str
    columns: dict[str, str]
    files: str | None
    sheets: tuple[str, ...] | None
    encoding: str | None
    delimiter: str | None = Field(min_length=1, max_length=1)
    decimal: Literal[".", ","] | None
    thousands: Literal[",", ".", " ", "'"] | None
    date_format: str | None
    overlapping: bool | None
    on_bad_rows: Literal["fail", "quarantine"]


def main() -> None:
    """Read the source into invoice_lines; what cannot be read is an error or set apart."""
    params = load_params("source", Params)
    layout = layout_of(params)
    with stage("ingest") as log, open_duckdb() as engine, scratch_folder() as folder:
        scratch = Path(folder)
        log.info("reading %s as %s", params.path, layout.title)
        source = open_params_source(engine.database, params, layout, scratch)
        with whole_file(INVOICE_LINES.path) as lines, whole_file(QUARANTINED_LINES.path) as rest:
            quarantine = params.on_bad_rows == "quarantine"
            source, bad = write_lines(engine.database, source, lines, scratch, quarantine)
            write_quarantine(bad, rest)
            check(INVOICE_LINES, lines, full=False)  # a scan of the key would cost as much again
            check(QUARANTINED_LINES, rest)
            figures = measure(engine.database, source, lines, bad)
            if not figures["lines_kept"]:
                raise InputError(f"{params.path}: a header and no line that can be read")
        write_metrics("ingest", {"source": fingerprint(params, source), **figures})
        log.info("read %d lines, kept %d", figures["lines_read"], figures["lines_kept"])
        if figures["lines_delivered_twice"]:
            log.info("%d lines stand in more than one part: once", figures["lines_delivered_twice"])
        for row in bad[:SHOWN]:
            log.warning("set apart: %s", row)
        if bad:
            log.warning("%d lines set apart in %s", len(bad), QUARANTINED_LINES.path)


def layout_of(params: Params) -> Layout:
    """The named layout with the parameters' own columns, marks and formats over it."""
    layout = named_layout(params.layout, load_layouts()).with_own_columns(params.columns)
    own = {
        "delimiter": params.delimiter,
        "decimal": params.decimal,
        "thousands": params.thousands,
        "dates": (params.date_format,) if params.date_format else None,
        "overlapping": params.overlapping,
    }
    layout = layout.model_copy(update={k: v for k, v in own.items() if v is not None})
    if layout.decimal == layout.thousands:
        raise InputError(f"source.decimal and source.thousands are both {layout.decimal!r}")
    return layout


def open_params_source(
    database: duckdb.DuckDBPyConnection, params: Params, layout: Layout, scratch: Path
) -> Source:
    """The source that the parameters name, fit to the layout."""
    return open_source(
        database,
        params.path,
        layout,
        scratch,
        files=params.files,
        sheets=params.sheets,
        encoding=params.encoding,
    )


def write_lines(
    database: duckdb.DuckDBPyConnection,
    source: Source,
    target: Path,
    scratch: Path,
    quarantine: bool = False,
) -> tuple[Source, list[BadRow]]:
    """Write the canonical lines in one pass; look for bad rows only where a needed cell is null.

    Returns the source as it was read in the end, and the rows set apart.
    Raises InputError that shows the first bad rows, unless they are to be set apart.
    """
    try:
        _copy(database, lines_sql(source), target)
    except duckdb.Error as error:
        if quarantine and "Number of Columns" in str(error):
            source = replace(source, with_rejects=True)
        else:
            source = mended(source, error, scratch)
        try:
            _copy(database, lines_sql(source), target)
        except duckdb.Error as again:
            raise structural_error(source, again) from None
    bad = rejected_rows(database, source) if source.with_rejects else []
    if _needed_nulls(target):
        count, shown = bad_rows(database, source, None if quarantine else SHOWN)
        if not quarantine:
            raise InputError(_bad_rows_message(count, shown))
        bad += shown
        needed = " and ".join(f"{name} is not null" for name in REQUIRED)
        _copy(database, f"select * from ({lines_sql(source)}) where {needed}", target)
    return source, bad


def _bad_rows_message(count: int, shown: list[BadRow]) -> str:
    lines = [str(row) for row in shown]
    if count > len(shown):
        lines.append(f"… and {count - len(shown)} rows more")
    lines.append(
        f"{count} row{'s' if count > 1 else ''} cannot be read; correct the file, or set "
        f"source.on_bad_rows: quarantine to set such rows apart in {QUARANTINED_LINES.path}"
    )
    return "\n".join(lines)


def _copy(database: duckdb.DuckDBPyConnection, rows: str, target: Path) -> None:
    file = str(target).replace("'", "''")
    how = f"format parquet, compression zstd, row_group_size {ROW_GROUP}"
    database.execute(f"copy ({rows}) to '{file}' ({how})")


def _needed_nulls(file: Path) -> bool:
    """Whether a needed cell is null anywhere: the footer knows."""
    with pq.ParquetFile(file) as opened:
        footer, names = opened.metadata, opened.schema_arrow.names
        return any(
            footer.row_group(group).column(names.index(name)).statistics.null_count
            for group in range(footer.num_row_groups)
            for name in REQUIRED
        )


def write_quarantine(bad: list[BadRow], target: Path) -> None:
    """Write the rows set apart, none too, as quarantined_lines."""
    ordered = sorted(bad, key=lambda row: (row.file, row.row))
    rows = [
        {
            "file": row.file,
            "row": row.row,
            "line_id": row.line_id,
            "problem": f"{row.column}: {row.problem}",
            "line": row.line,
        }
        for row in ordered
    ]
    table = pa.Table.from_pylist(rows, schema=QUARANTINED_LINES.schema)
    pq.write_table(table, target, compression="zstd", row_group_size=ROW_GROUP)


def measure(
    database: duckdb.DuckDBPyConnection, source: Source, lines: Path, bad: list[BadRow]
) -> dict[str, Any]:
    """What was read, in figures worth comparing between two deliveries of data."""
    file = str(lines).replace("'", "''")
    found = database.execute(
        "select count(*), count(*) - count(customer_id), count(*) - count(description), "
        "count(*) filter (quantity < 0), count(*) filter (unit_price <= 0), "
        "count(distinct customer_id), count(distinct stock_code), count(distinct country), "
        "coalesce(cast(min(sold_at) as varchar), ''), coalesce(cast(max(sold_at) as varchar), '') "
        f"from read_parquet('{file}')"
    ).fetchall()[0]
    names = (
        "lines_kept",
        "lines_without_customer",
        "lines_without_description",
        "lines_of_negative_quantity",
        "lines_without_price",
        "customers",
        "products",
        "countries",
        "first_sold_at",
        "last_sold_at",
    )
    figures = dict(zip(names, found, strict=True))
    counts = count_rows(database, source, figures["lines_kept"], bad)
    return {**counts, **figures}


def fingerprint(params: Params, source: Source) -> dict[str, Any]:
    """What was read: the name, how many parts, and one sha256 over all its files' bytes."""
    digest = hashlib.sha256()
    path = params.path
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file())
    for file in files:
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest() if len(files) > 1 else b"")
            if len(files) == 1:
                digest = hashlib.file_digest(opened, "sha256")
    return {
        "name": path.name,
        "layout": params.layout,
        "parts": len(source.parts),
        "sha256": digest.hexdigest(),
    }


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder for what archives hold, removed at the end."""
    return tempfile.TemporaryDirectory(prefix="ingest-", dir=os.environ.get("PIPELINE_SPILL"))


if __name__ == "__main__":
    run_stage(main, __doc__)

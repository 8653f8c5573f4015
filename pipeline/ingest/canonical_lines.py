"""Read a source into the canonical order lines: one pass, and a second only for bad rows."""
# ruff: noqa: S608 - the SQL is made of layouts and quoted names, never of what cells hold

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.run.errors import InputError
from pipeline.core.tables.contract import ROW_GROUP, write_batches
from pipeline.core.tables.ingest import INVOICE_LINES, QUARANTINED_LINES
from pipeline.ingest.layouts import Reading
from pipeline.ingest.parsing import (
    REQUIRED,
    SHOWN,
    BadRow,
    Source,
    are_numbered_by_reader,
    bad_rows,
    lines_sql,
    mended,
    open_source,
    rejected_rows,
    settled,
    structural_error,
)

QUIET_MONTHS = 6
FEW_LINES = 0.01  # of all


def read_lines(
    database: duckdb.DuckDBPyConnection, params: Reading, target: Path, scratch: Path
) -> tuple[Source, list[BadRow]]:
    """Write the canonical lines in one pass; look for bad rows only where a needed cell is null.

    Returns the source as it was read in the end, and the rows set apart.
    Raises InputError that shows the first bad rows, unless they are to be set apart.
    """
    source = open_source(database, params, scratch)
    try:
        source = _write_all(database, source, target)
    except duckdb.Error as error:
        source = mended(source, error, scratch)
        try:
            source = _write_all(database, source, target)
        except duckdb.Error as again:
            raise structural_error(source, again) from None
    bad = rejected_rows(database, source) if source.with_rejects else []
    if _needed_nulls(target):
        count, shown = bad_rows(database, source, None if source.sets_apart else SHOWN)
        if not source.sets_apart:
            raise InputError(_bad_rows_message(count, shown))
        bad += shown
        needed = " and ".join(f"{name} is not null" for name in REQUIRED)
        _write(database, f"select * from ({_days_sql(source)}) where {needed}", target)
    if not params.days:
        _refuse_outlying_days(database, target, str(params.path))
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


def _write_all(database: duckdb.DuckDBPyConnection, source: Source, target: Path) -> Source:
    source = settled(database, source)
    number = are_numbered_by_reader(source)
    rows = lines_sql(source, numbered=False) if number else _days_sql(source)
    source = replace(source, rounded=_write(database, rows, target, number=number))
    if source.facts is None and _ids_differ_by_case(database, target):
        source = settled(database, source, may_be_plain=False)
        _write(database, _days_sql(source), target)
    return source


def _ids_differ_by_case(database: duckdb.DuckDBPyConnection, file: Path) -> bool:
    """Whether two customers' ids are one but for upper and lower case."""
    ids = database.read_parquet(str(file))
    counts = "count(distinct customer_id) > count(distinct lower(customer_id))"
    return bool(ids.aggregate(counts).fetchall()[0][0])


def _days_sql(source: Source) -> str:
    """The SQL of the lines of the days that count."""
    if not source.params.days:
        return lines_sql(source)
    first, last = source.params.days
    within = f"sold_at >= date '{first}' and sold_at < date '{last}' + 1"
    return f"select * from ({lines_sql(source)}) where sold_at is null or ({within})"


def _refuse_outlying_days(database: duckdb.DuckDBPyConnection, file: Path, name: str) -> None:
    """Raise InputError where a few lines are separated from all others by months without sales."""
    months = (
        database.read_parquet(str(file))
        .filter("sold_at is not null")
        .aggregate(
            "year(sold_at) * 12 + month(sold_at) as number, count(*) as lines, min(sold_at), "
            "max(sold_at)",
            "number",
        )
        .order("number")
        .fetchall()
    )
    runs: list[list[tuple[Any, ...]]] = []
    for month in months:
        if not runs or month[0] - runs[-1][-1][0] > QUIET_MONTHS:
            runs.append([])
        runs[-1].append(month)
    sizes = [sum(month[1] for month in run) for run in runs]
    most = max(3, FEW_LINES * sum(sizes))
    few = [n for n, size in enumerate(sizes) if size <= most and 10 * size <= max(sizes)]
    if not few or len(few) == len(runs):
        return
    spans = [(run[0][2].date(), run[-1][3].date()) for run in runs]
    main = [spans[n] for n in range(len(runs)) if n not in few]
    first, last = main[0][0], main[-1][1]
    shown = [
        f"  {sizes[n]:,} line{'s'[: sizes[n] > 1]} from {spans[n][0]} to {spans[n][1]}"
        for n in few[:SHOWN]
    ]
    raise InputError(
        "\n".join(
            [
                f"{name}: days separated from all others by more than {QUIET_MONTHS} months:",
                *shown,
                (
                    f"correct them, or leave them out by source.days: ['{first}', '{last}'], or "
                    f"count them by source.days: ['{spans[0][0]}', '{spans[-1][1]}']"
                ),
            ]
        )
    )


def _write(
    database: duckdb.DuckDBPyConnection, rows: str, target: Path, *, number: bool = False
) -> int:
    """Write the rows in their order; return how many had a price that was rounded.

    The bytes do not depend on how DuckDB shares the work.
    """
    rounded = 0

    def counted(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        nonlocal rounded
        for batch in batches:
            if "is_rounded" in batch.schema.names:
                rounded += batch["is_rounded"].true_count
                batch = batch.drop_columns(["is_rounded"])  # noqa: PLW2901
            yield batch

    try:
        batches = counted(database.sql(rows).to_arrow_reader(ROW_GROUP))
        write_batches(_numbered(batches) if number else batches, INVOICE_LINES.schema, target)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        # DuckDB's own errors come so through the batches, without a number.
        raise duckdb.InvalidInputException(str(error)) from None
    return rounded


def _numbered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches with `line_id`, from 1."""
    first = 1
    for batch in batches:
        line_id = pa.array(np.arange(first, first + batch.num_rows, dtype=np.int64))
        yield pa.record_batch([line_id, *batch.columns], ["line_id", *batch.schema.names])
        first += batch.num_rows


def _needed_nulls(file: Path) -> bool:
    """Whether a needed cell is null anywhere: the footer knows."""
    with pq.ParquetFile(file) as opened:
        footer, names = opened.metadata, opened.schema_arrow.names
        return any(
            footer.row_group(group).column(names.index(name)).statistics.null_count
            for group in range(footer.num_row_groups)
            for name in REQUIRED
        )

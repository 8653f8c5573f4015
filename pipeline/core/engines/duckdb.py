"""DuckDB: embedded, out of core, the default."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import duckdb
import narwhals as nw
import pandas as pd
import pyarrow as pa

from pipeline.core.run.outputs import whole_file
from pipeline.core.run.scratch import scratch_folder
from pipeline.core.tables.contract import ROW_GROUP, Table, check, parquet_glob, write_batches

Lines = nw.LazyFrame[Any]

SLICE = 1 << 20  # lines sorted at a time: a quarter of a gigabyte


class DuckDBEngine:
    """Lazy frames are DuckDB relations on one connection that spills to a folder of its own."""

    def __init__(self, database: duckdb.DuckDBPyConnection) -> None:
        self.database = database
        self._names = (f"kept_{number}" for number in itertools.count(1))

    def scan(self, table: Table) -> Lines:
        """The table as a lazy frame, its contract checked by the footer."""
        check(table)
        return nw.from_native(self.database.read_parquet(parquet_glob(table.path)))

    def keep(self, frame: Lines) -> Lines:
        """The same rows in a temporary table."""
        name = next(self._names)
        frame.to_native().create(name)
        return nw.from_native(self.database.table(name))

    def load(self, rows: pa.Table) -> Lines:
        """The rows of a small table, in a temporary table."""
        return self.keep(nw.from_native(self.database.from_arrow(rows)).lazy())

    def write(self, table: Table, frame: Lines) -> None:
        """Write the frame as the table: types, row order, contract, whole or not at all."""
        rows = frame.to_native()
        with whole_file(table.path) as unfinished:
            write_batches(_in_order(rows, table), table.schema_for(rows.columns), unfinished)
            check(table, unfinished)

    def collect(self, frame: Lines) -> pd.DataFrame:
        """A small frame (an aggregate) in pandas, Decimal and dates kept as they are."""
        rows: pd.DataFrame = frame.to_native().to_arrow_table().to_pandas()
        return rows


@contextmanager
def open_duckdb() -> Iterator[DuckDBEngine]:
    """Yield an engine; PIPELINE_THREADS and PIPELINE_MEMORY bound what it takes."""
    with scratch_folder() as spill:
        config: dict[str, Any] = {"temp_directory": str(spill)}
        if threads := os.environ.get("PIPELINE_THREADS"):
            config["threads"] = threads
        if memory := os.environ.get("PIPELINE_MEMORY"):
            config["memory_limit"] = memory
        with duckdb.connect(f"{spill}/lines.duckdb", config=config) as database:
            database.execute("set enable_progress_bar = false")
            database.execute("set streaming_buffer_size = '64MB'")  # so that all cores have work
            yield DuckDBEngine(database)


def _in_order(rows: duckdb.DuckDBPyRelation, table: Table) -> Iterator[pa.RecordBatch]:
    """The rows in the table's order; lines a slice after the other, so that no sort spills.

    While a slice is written, a thread sorts the next.
    """
    if table.order != ("line_id",):
        order = ", ".join(f'"{name}"' for name in table.order)
        yield from rows.order(order).to_arrow_reader(ROW_GROUP)
        return
    with ThreadPoolExecutor(1) as thread:
        slices = _slices(rows)
        coming = thread.submit(next, slices, None)
        while (some := coming.result()) is not None:
            coming = thread.submit(next, slices, None)
            yield from some.to_batches()


def _slices(rows: duckdb.DuckDBPyRelation) -> Iterator[pa.Table]:
    for first in itertools.count(1, SLICE):
        some = rows.filter(f"line_id between {first} and {first + SLICE - 1}").order("line_id")
        lines = some.to_arrow_table(ROW_GROUP)
        if not len(lines) and not rows.filter(f"line_id >= {first}").limit(1).fetchall():
            return
        yield lines

"""The small door to the engines: scan a table, keep a frame, write a table.

The engine changes the cost, never the result, so the environment chooses it and no parameter:
PIPELINE_ENGINE=duckdb|spark, PIPELINE_THREADS, PIPELINE_MEMORY (such as 8GB).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import narwhals as nw
import pandas as pd
import pyarrow as pa

from pipeline.core.run.errors import InputError
from pipeline.core.tables.contract import Table

Lines = nw.LazyFrame[Any]


class Engine(Protocol):
    """What every engine can do."""

    def scan(self, table: Table) -> Lines:
        """The table as a lazy frame, its contract checked by the footer."""

    def keep(self, frame: Lines) -> Lines:
        """The same rows, computed once, for a frame that is used more than once."""

    def load(self, rows: pa.Table) -> Lines:
        """The rows of a small table as a lazy frame of this engine."""

    def write(self, table: Table, frame: Lines) -> None:
        """Write the frame as the table: types, row order, contract, whole or not at all."""

    def collect(self, frame: Lines) -> pd.DataFrame:
        """A small frame (an aggregate) in pandas."""


@contextmanager
def open_engine() -> Iterator[Engine]:
    """Yield the engine that PIPELINE_ENGINE names; DuckDB where it is not set."""
    with _opened(os.environ.get("PIPELINE_ENGINE", "duckdb")) as engine:
        yield engine


def _opened(name: str) -> AbstractContextManager[Engine]:
    if name == "duckdb":
        from pipeline.core.engines.duckdb import open_duckdb

        return open_duckdb()
    if name == "spark":
        from pipeline.core.engines.spark import open_spark

        return open_spark()
    raise InputError(f"PIPELINE_ENGINE={name!r}: expected duckdb or spark")

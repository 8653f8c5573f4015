"""The small door to the engines: each can scan, keep, load, write and collect.

The engine changes the cost, never the result, so the environment chooses it and no parameter:
PIPELINE_ENGINE=duckdb|spark, PIPELINE_THREADS, PIPELINE_MEMORY (such as 8GB).
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeAlias

from pipeline.core.engines.duckdb import DuckDBEngine, open_duckdb
from pipeline.core.run.errors import InputError

if TYPE_CHECKING:
    from pipeline.core.engines.spark import SparkEngine

Engine: TypeAlias = "DuckDBEngine | SparkEngine"


def open_engine() -> AbstractContextManager[Engine]:
    """Return the engine that PIPELINE_ENGINE names, to be opened; DuckDB where it is not set."""
    name = os.environ.get("PIPELINE_ENGINE", "duckdb")
    if name == "duckdb":
        return open_duckdb()
    if name == "spark":
        from pipeline.core.engines.spark import open_spark

        return open_spark()
    raise InputError(f"PIPELINE_ENGINE={name!r}: expected duckdb or spark")

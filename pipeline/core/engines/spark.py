"""Apache Spark: the same functions on a cluster, for more lines than one machine holds.

SPARK_MASTER names the cluster (default local[2]). What a stage writes is one Parquet file with the
contract's types and order, as on every engine: the driver writes it batch by batch, never holding
the table.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.run.errors import InputError
from pipeline.core.run.outputs import whole_file
from pipeline.core.run.scratch import scratch_folder
from pipeline.core.tables.contract import ROW_GROUP, Table, check, write_batches

Lines = nw.LazyFrame[Any]

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",  # times are the shop's own, of no zone
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.ansi.enabled": "true",  # an overflow is an error, never a null
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.parquet.compression.codec": "zstd",
}


class SparkEngine:
    """Lazy frames are Spark data frames of one session; parts are written to a shared folder."""

    def __init__(self, session: Any, folder: Path) -> None:
        self.session = session
        self.folder = folder

    def scan(self, table: Table) -> Lines:
        """The table as a lazy frame, its contract checked by the footer."""
        check(table)
        rows: Lines = nw.from_native(self.session.read.parquet(_address(table.path)))
        return rows

    def keep(self, frame: Lines) -> Lines:
        """The same rows, in the workers' memory and on their disks; the plan begins anew."""
        kept: Lines = nw.from_native(frame.to_native().localCheckpoint(eager=True))
        return kept

    def load(self, rows: pa.Table) -> Lines:
        """The rows of a small table, sent to the workers."""
        sent: Lines = nw.from_native(self.session.createDataFrame(rows))
        return sent

    def write(self, table: Table, frame: Lines) -> None:
        """Write the frame as the table: types, row order, contract, whole or not at all."""
        rows = frame.to_native()
        parts = self.folder / f"{table.name}.parts"
        shutil.rmtree(parts, ignore_errors=True)
        # A sort before writing puts the rows in order across the parts: their names ascend.
        rows.sort(*table.order).write.parquet(_address(parts))
        with whole_file(table.path) as unfinished:
            write_batches(_batches(parts), table.schema_for(rows.columns), unfinished)
            check(table, unfinished)
        shutil.rmtree(parts)

    def collect(self, frame: Lines) -> pd.DataFrame:
        """A small frame (an aggregate) in pandas, Decimal and dates kept as they are."""
        rows: pd.DataFrame = frame.to_native().toArrow().to_pandas()
        return rows


@contextmanager
def open_spark() -> Iterator[SparkEngine]:
    """Yield an engine on the cluster that SPARK_MASTER names.

    PIPELINE_MEMORY (such as 8GB) is what each worker's process takes, PIPELINE_SPILL a folder
    that driver and workers share (default: beside the data).
    """
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise InputError(
            "PIPELINE_ENGINE=spark needs PySpark and Java 17: "
            "pip install -r requirements-spark.lock"
        ) from None
    master = os.environ.get("SPARK_MASTER", "local[2]")
    builder = SparkSession.builder.master(master).appName("customer segments")
    for key, value in SETTINGS.items():
        builder = builder.config(key, value)
    if memory := os.environ.get("PIPELINE_MEMORY"):
        size = memory.lower().removesuffix("b")
        builder = builder.config("spark.executor.memory", size).config("spark.driver.memory", size)
    shared = os.environ.get("PIPELINE_SPILL") or "data"
    Path(shared).mkdir(parents=True, exist_ok=True)
    with scratch_folder(shared) as folder:
        folder.chmod(0o777)  # workers may run as another user
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        try:
            yield SparkEngine(session, folder)
        finally:
            session.stop()


def _address(path: Path) -> str:
    return path.resolve().as_uri()


def _batches(parts: Path) -> Iterator[pa.RecordBatch]:
    """The rows of the parts in order."""
    for part in sorted(parts.glob("*.parquet")):
        yield from pq.ParquetFile(part).iter_batches(ROW_GROUP)

"""pandas: everything in memory, for unit tests and small files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import narwhals as nw
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.run.outputs import whole_file
from pipeline.core.tables.contract import ROW_GROUP, Table, check

Lines = nw.LazyFrame[Any]


class PandasEngine:
    """Frames whose columns are Arrow's, so that money stays decimal and a null is no float."""

    def scan(self, table: Table) -> Lines:
        """The table as a lazy frame, its contract checked by the footer."""
        check(table)
        rows: pd.DataFrame = pq.read_table(table.path).to_pandas(types_mapper=pd.ArrowDtype)
        return nw.from_native(rows).lazy()

    def keep(self, frame: Lines) -> Lines:
        """The same rows: pandas has computed them already."""
        return frame.collect().lazy()

    def load(self, rows: pa.Table) -> Lines:
        """The rows of a small table as a lazy frame."""
        frame: Lines = nw.from_native(rows.to_pandas(types_mapper=pd.ArrowDtype)).lazy()
        return frame

    def write(self, table: Table, frame: Lines) -> None:
        """Write the frame as the table: types, row order, contract, whole or not at all."""
        rows = _arrow(frame)
        schema = table.schema_for(rows.column_names)
        ordered = rows.select(schema.names).cast(schema)
        ordered = ordered.sort_by([(name, "ascending") for name in table.order])
        with whole_file(table.path) as unfinished:
            pq.write_table(ordered, unfinished, compression="zstd", row_group_size=ROW_GROUP)
            check(table, unfinished)

    def collect(self, frame: Lines) -> pd.DataFrame:
        """A small frame (an aggregate) in pandas, Decimal and dates kept as they are."""
        rows: pd.DataFrame = _arrow(frame).to_pandas()
        return rows


@contextmanager
def open_pandas() -> Iterator[PandasEngine]:
    """Yield an engine; it takes what memory the lines take."""
    yield PandasEngine()


def _arrow(frame: Lines) -> pa.Table:
    rows = pa.Table.from_pandas(frame.collect().to_pandas(), preserve_index=False)
    return rows.replace_schema_metadata(None)

"""What a contract is, and how a Parquet file is checked against it without loading the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.run.errors import InputError
from pipeline.core.run.outputs import whole_file

MONEY = pa.decimal128(18, 4)  # exact; 18 digits still fit a 64-bit integer, so sums stay fast
ROW_GROUP = 1 << 17


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type, meaning, unit and rule (an SQL condition on a non-null value).

    A name that ends in `*` stands for any number of columns of that prefix.
    """

    name: str
    type: pa.DataType
    doc: str
    nullable: bool = False
    unit: str = ""
    rule: str = ""


def text(name: str, doc: str, *, among: Sequence[str] = (), null: bool = False) -> Column:
    """A column of text, of these values where they are given."""
    values = ", ".join(f"'{value}'" for value in among)
    rule = f"{name} in ({values})" if among else ""
    return Column(name, pa.string(), doc, nullable=null, rule=rule)


def flag(name: str, doc: str) -> Column:
    """A column of true or false."""
    return Column(name, pa.bool_(), doc)


def day(name: str, doc: str, *, null: bool = False) -> Column:
    """A column of dates."""
    return Column(name, pa.date32(), doc, nullable=null)


def moment(name: str, doc: str) -> Column:
    """A column of dates with a time, in the shop's time zone."""
    return Column(name, pa.timestamp("us"), doc)


def _whole(
    of: pa.DataType, name: str, doc: str, *, least: int | None = None, unit: str = "",
    null: bool = False,
) -> Column:  # fmt: skip
    return Column(name, of, doc, nullable=null, unit=unit, rule=_least(name, least))


count = partial(_whole, pa.int64())  # whole numbers that sum up to any size
integer = partial(_whole, pa.int32())  # within 32 bits: ids, ranks, days, orders of a customer


def score(name: str, doc: str) -> Column:
    """A column of RFM scores, 1 to 5."""
    return Column(name, pa.int8(), doc, rule=f"{name} between 1 and 5")


def number(name: str, doc: str, *, unit: str = "", rule: str = "", null: bool = False) -> Column:
    """A column of floats."""
    return Column(name, pa.float64(), doc, nullable=null, unit=unit, rule=rule)


def share(name: str, doc: str, *, null: bool = False) -> Column:
    """A column of floats from 0 to 1."""
    return number(name, doc, rule=f"{name} between 0 and 1", null=null)


def amount(name: str, doc: str, *, null: bool = False) -> Column:
    """A column of money that is estimated or averaged: a float."""
    return number(name, doc, unit="currency", null=null)


def _exact(
    unit: str, name: str, doc: str, *, least: int | None = None, rule: str = "", null: bool = False
) -> Column:
    rule = rule or _least(name, least)
    return Column(name, MONEY, doc, nullable=null, unit=unit, rule=rule)


units = partial(_exact, "units")  # of a product, an exact decimal: 1.5 kg are 1.5
money = partial(_exact, "currency")  # that was paid: an exact decimal


def _least(name: str, least: int | None) -> str:
    return "" if least is None else f"{name} >= {least}"


@dataclass(frozen=True)
class Table:
    """A Parquet file: where it lies, what a row is, its columns, its key and its row order.

    `rules` are SQL conditions over several columns of a row; `key` columns identify a row;
    `order` is the row order in the file (bytes are stable only under a total order).
    `by_lines` marks tables at the scale of order lines, never loaded into pandas as a whole.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    order: tuple[str, ...] = ()  # where it is not that of the key
    rules: tuple[str, ...] = ()
    by_lines: bool = False
    path: Path = Path()  # where it is not data/<name>.parquet

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", self.order or self.key)
        if self.path == Path():
            object.__setattr__(self, "path", Path("data", f"{self.name}.parquet"))

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the fixed columns."""
        return pa.schema(
            [pa.field(c.name, c.type) for c in self.columns if not c.name.endswith("*")]
        )

    def column(self, name: str) -> Column | None:
        """The contract's column that covers `name`, or None."""
        for column in self.columns:
            if column.name == name or (
                column.name.endswith("*") and name.startswith(column.name[:-1])
            ):
                return column
        return None

    def schema_for(self, names: Sequence[str]) -> pa.Schema:
        """The Arrow schema for a file with these column names, in the contract's order."""
        fields = []
        for column in self.columns:
            matching = [n for n in names if self.column(n) is column]
            fields += [pa.field(name, column.type) for name in matching]
        unknown = [name for name in names if self.column(name) is None]
        missing = [n for n in self.schema.names if n not in names]
        if unknown or missing:
            raise ContractError(
                f"{self.name}: columns missing {missing}, columns unknown {unknown}"
            )
        return pa.schema(fields)


class ContractError(Exception):
    """A table breaks its contract: a defect of the stage that wrote it, never the user's."""


def read_table(table: Table, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Return a customer-scale table as a pandas frame, its contract checked.

    Raises InputError where the file is missing, ContractError where it breaks the contract.
    """
    check(table)
    rows: pd.DataFrame = pq.read_table(table.path, columns=list(columns or []) or None).to_pandas()
    return rows


def write_table(table: Table, frame: pd.DataFrame) -> None:
    """Write a customer-scale frame in the contract's column and row order, checked, whole."""
    schema = table.schema_for(list(frame.columns))
    ordered = frame.sort_values(list(table.order), kind="stable")[schema.names]
    rows = pa.Table.from_pandas(ordered, schema=schema, preserve_index=False)
    with whole_file(table.path) as unfinished:
        write_batches(rows.to_batches(), schema, unfinished)
        check(table, unfinished)


def write_batches(batches: Iterable[pa.RecordBatch], schema: pa.Schema, target: Path) -> None:
    """Write rows as they come, in row groups of one size however they are parted: equal bytes."""
    how = {
        "compression": "zstd",
        "store_decimal_as_integer": True,
        "use_dictionary": [name for name in schema.names if name != "line_id"],
        "column_encoding": {"line_id": "DELTA_BINARY_PACKED"},  # rises: a quarter of the bytes
    }
    with pq.ParquetWriter(target, schema, **how) as writer:
        waiting, count = [schema.empty_table()], 0
        for batch in batches:
            waiting.append(pa.Table.from_batches([batch]).select(schema.names).cast(schema))
            count += batch.num_rows
            while count >= ROW_GROUP:
                rows = pa.concat_tables(waiting)
                writer.write_table(rows.slice(0, ROW_GROUP).combine_chunks())
                waiting, count = [rows.slice(ROW_GROUP)], count - ROW_GROUP
        if count:
            writer.write_table(pa.concat_tables(waiting).combine_chunks())


def check(table: Table, path: Path | None = None, *, full: bool | None = None) -> None:
    """Check the Parquet file at `path` against the contract; the table is never loaded.

    Types, order of columns and nulls are read from the footer. Rules and keys take a scan in
    SQL: always on write, on read only where the table is not at the scale of lines (there the
    footer's nulls stand in, because a scan would cost as much as the stage).
    Raises InputError where the file is missing and ContractError with the first row that breaks
    a rule.
    """
    full = (path is not None or not table.by_lines) if full is None else full
    path = path or table.path
    files = _files(path)
    for file in files:
        _check_footer(table, pq.ParquetFile(file))
    if full:
        _check_rows(table, path)


def parquet_glob(path: Path) -> str:
    """The files to read for a table at `path`: itself, or the parts where it is a folder."""
    return str(path / "*.parquet") if path.is_dir() else str(path)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob("*.parquet"))
    if not path.exists():
        raise InputError(
            f"{path} is missing; `dvc repro` makes it, or `dvc checkout` brings back the last one"
        )
    return [path]


def _check_footer(table: Table, file: pq.ParquetFile) -> None:
    found = file.schema_arrow
    expected = table.schema_for(found.names)
    # Writers differ in whether they mark a column as never null; the nulls are counted below.
    if [(f.name, f.type) for f in found] != [(f.name, f.type) for f in expected]:
        raise ContractError(f"{table.name}: expected columns\n{expected}\nfound\n{found}")
    metadata = file.metadata
    for position, name in enumerate(found.names):
        column = table.column(name)
        if column is None or column.nullable:
            continue
        for group in range(metadata.num_row_groups):
            statistics = metadata.row_group(group).column(position).statistics
            if statistics is not None and statistics.has_null_count and statistics.null_count:
                raise ContractError(
                    f"{table.name}.{name}: {statistics.null_count} nulls, none allowed"
                )


def _check_rows(table: Table, path: Path) -> None:
    with duckdb.connect() as database:
        database.execute("set enable_progress_bar = false")
        rows = database.read_parquet(parquet_glob(path))
        conditions = _conditions(table, rows.columns)
        if conditions:
            counts = ", ".join(f"count(*) filter (not ({c}))" for c in conditions)
            (broken,) = rows.aggregate(counts).fetchall()
            for condition, count in zip(conditions, broken, strict=True):
                if count:
                    (row,) = rows.filter(f"not ({condition})").limit(1).fetchall()
                    example = dict(zip(rows.columns, row, strict=True))
                    raise ContractError(
                        f"{table.name}: {count} rows break `{condition}`, such as {example}"
                    )
        if table.by_lines and table.key == table.order and len(table.key) == 1:
            _check_ascending(table, path)
        elif table.key:
            key = ", ".join(f'"{k}"' for k in table.key)
            keys = rows.aggregate(f"{key}, count(*) as times", key)
            for *values, times in keys.filter("times > 1").limit(1).fetchall():
                raise ContractError(f"{table.name}: {times} rows for ({key}) = {tuple(values)}")


def _check_ascending(table: Table, path: Path) -> None:
    """Check that a key of one number rises from row to row, so that no row appears twice."""
    (key,) = table.key
    last = None
    for file in _files(path):
        for batch in pq.ParquetFile(file).iter_batches(ROW_GROUP, columns=[key]):
            values = batch.column(0).to_numpy()
            if last is not None:
                values = np.concatenate([[last], values])
            falls = np.flatnonzero(values[1:] <= values[:-1])
            if len(falls):
                before, after = values[falls[0] : falls[0] + 2]
                raise ContractError(f"{table.name}: {key} {after} follows {before}; it must rise")
            last = values[-1] if len(values) else last


def _conditions(table: Table, names: Sequence[str]) -> list[str]:
    """The contract's rules as SQL conditions that are true on every row that keeps them."""
    conditions = list(table.rules)
    for name in names:
        column = table.column(name)
        if column is None:
            continue
        if not column.nullable and not table.by_lines:  # there the footer counts them
            conditions.append(f'"{name}" is not null')
        if column.rule:
            # Nulls pass; they are checked separately.
            is_prefix = column.name.endswith("*")
            rule = column.rule.replace(column.name, f'"{name}"') if is_prefix else column.rule
            conditions.append(f"coalesce({rule}, true)")
        if pa.types.is_floating(column.type):
            conditions.append(f'coalesce(isfinite("{name}"), true)')
    return conditions

"""Fetch the real shop, UCI data set 352 (Online Retail, CC BY 4.0), and check that it is whole.

A file whose sha256 is not the known one is never left in place. Without a network, give a file that
you have: the CSV's ZIP will do as well.

With --query, take order lines from a database into one Parquet file: PostgreSQL (through ADBC, the
address in an environment variable, so that no password is in a file or log), DuckDB or SQLite.

Example: python -m pipeline download
         python -m pipeline download --from ~/Downloads/online+retail.zip
         python -m pipeline download --from env:SHOP_DATABASE --query 'select * from order_lines'
         python -m pipeline download --from shop.sqlite --query 'select * from order_lines'
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import importlib
import os
import shutil
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import wrap_file

from pipeline.core.run.errors import InputError
from pipeline.core.run.outputs import whole_file
from pipeline.core.run.stage import command_parser, console, run_command

URL = "https://archive.ics.uci.edu/static/public/352/online+retail.zip"
# The ZIP as UCI gives it out and its workbook; a ZIP of the same rows as CSV, and that CSV.
KNOWN = {
    "f5385cbb54bbebf7196389109c6b0621faab0c304e3702548165e71c84aede8b": "UCI's ZIP",
    "43465a06f2ccf7c8b5bd2892bc7defb52f97487934fe93b16ae4c3936424676d": "UCI's workbook",
    "395c977a0c30d1594634f9f37cb99cf0a274dd208dc49ce4a3f0b06db61dfe20": "a ZIP of the CSV",
    "d07aec9960083af2339975a3f9d3b26313b342dcd9f86cce0b919b1cde639a44": "the CSV",
}
TARGET = Path("data/raw/online_retail.zip")
QUERIED = Path("data/raw/lines.parquet")
ROWS_AT_ONCE = 1 << 16
TIMEOUT_SECONDS = 60


def main() -> None:
    """Fetch or copy the file, check it, and say how to use it."""
    parser = command_parser(__doc__)
    parser.add_argument("--from", dest="origin", default=URL, help=f"address or file ({URL})")
    parser.add_argument("--to", type=Path, help=f"where to ({TARGET}, of a query {QUERIED})")
    parser.add_argument("--query", help="SQL; --from is env:NAME, a DuckDB or a SQLite file")
    arguments = parser.parse_args()
    run_command(lambda: fetch_to(arguments), debug=arguments.debug)


def fetch_to(arguments: argparse.Namespace) -> None:
    """Bring the file that the arguments name to its place, and print the params to use it."""
    if arguments.query:
        target = arguments.to or QUERIED
        lines = take_query(arguments.origin, arguments.query, target)
        print(f"{target} holds {lines:,} lines, sha256 {sha256(target)}. To look at it:")
        print(f"\npython -m pipeline check {target.as_posix()}")
        return
    arguments.to = arguments.to or TARGET
    what = bring(arguments.origin, arguments.to)
    print(f"{arguments.to} holds {what}, its sha256 is as known. To use it, in params.yaml:")
    print(f"\nsource:\n  path: {arguments.to.as_posix()}\n  layout: online_retail\n")
    print(f"or: dvc exp run -S source.path={arguments.to.as_posix()}")


def bring(origin: str, target: Path, known: Mapping[str, str] = KNOWN) -> str:
    """Fetch an address or copy a file to `target`; return what it is.

    Raises InputError where it cannot be had, or where its sha256 is none of the known ones; then
    `target` is as it was.
    """
    if target.is_file() and (what := known.get(sha256(target))):
        return what
    with whole_file(target) as unfinished:
        if urllib.parse.urlsplit(origin).scheme in {"http", "https"}:
            _fetch(origin, unfinished)
        elif (file := Path(origin).expanduser()).is_file():
            shutil.copyfile(file, unfinished)
        else:
            raise InputError(f"--from: {origin} is neither an address (https://…) nor a file")
        found = sha256(unfinished)
        if found not in known:
            expected = "\n".join(f"  {digest} ({what})" for digest, what in known.items())
            raise InputError(
                f"{origin}: sha256 {found} is not a known one; the file was not kept; expected\n"
                f"{expected}\nTry again; if it stays so, the file has changed: get it by hand and "
                "give it with --from"
            )
    return known[found]


def _fetch(address: str, target: Path) -> None:
    try:
        with (
            urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer,  # noqa: S310 # nosec B310
            target.open("wb") as out,
        ):
            size = int(answer.headers.get("Content-Length") or 0)
            quiet = not console.is_terminal
            with wrap_file(answer, size, console=console, disable=quiet) as shown:
                shutil.copyfileobj(shown, out)
            if out.tell() < size:
                raise http.client.IncompleteRead(b"", size - out.tell())
    except (OSError, http.client.HTTPException) as error:
        raise InputError(
            f"{address}: {error}; try again, or get the file by hand and give it with --from FILE"
        ) from None


def take_query(origin: str, query: str, target: Path) -> int:
    """Write what a query gives as Parquet, whole or not at all; return its number of rows.

    Decimals, dates and time zones stay as the database has them. Raises InputError, without the
    address, where the database or the query refuses.
    """
    rows = 0
    with (
        whole_file(target) as unfinished,
        _batches(origin, query) as batches,
        pq.ParquetWriter(unfinished, batches.schema, compression="zstd") as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return rows


@contextmanager
def _batches(origin: str, query: str) -> Iterator[pa.RecordBatchReader]:
    if origin.startswith("env:"):
        name = origin.removeprefix("env:")
        if not (address := os.environ.get(name)):
            raise InputError(f"--from: the environment has no {name}; set it to the address")
        try:
            dbapi = importlib.import_module("adbc_driver_postgresql.dbapi")
        except ImportError:
            raise InputError("PostgreSQL needs adbc-driver-postgresql: make sources") from None
        try:
            with dbapi.connect(address) as connection, connection.cursor() as cursor:
                cursor.execute(query)
                yield cursor.fetch_record_batch()
        except dbapi.Error as error:
            raise InputError(f"{name}: {str(error).replace(address, '…')}") from None
        return
    file = Path(origin).expanduser()
    if not file.is_file():
        raise InputError(f"--from: {origin} is neither env:NAME nor a database file")
    try:
        if file.open("rb").read(15) == b"SQLite format 3":
            with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as lite:
                yield _of_cursor(lite.execute(query))
        else:
            with duckdb.connect(str(file), read_only=True) as database:
                yield database.sql(query).to_arrow_reader(ROWS_AT_ONCE)
    except (sqlite3.Error, duckdb.Error) as error:
        raise InputError(f"{file}: {str(error).splitlines()[0]}") from None


def _of_cursor(cursor: sqlite3.Cursor) -> pa.RecordBatchReader:
    """SQLite's rows as text: its columns have no types of their own."""
    schema = pa.schema([(column[0], pa.string()) for column in cursor.description])

    def batches() -> Iterator[pa.RecordBatch]:
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            columns = [[None if v is None else str(v) for v in c] for c in zip(*rows, strict=True)]
            yield pa.record_batch(columns, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def sha256(file: Path) -> str:
    """The file's sha256 in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


if __name__ == "__main__":
    main()

"""Fetch the real shop, UCI data set 352 (Online Retail, CC BY 4.0), and check that it is whole.

A transfer that breaks is taken up where it stopped. A file whose sha256 is not the known one is
never left in place. Without a network, give a file that you have: the CSV's ZIP will do as well.

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
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

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
CHUNK = 1 << 16
ROWS_AT_ONCE = 1 << 16
TIMEOUT_SECONDS = 60
ATTEMPTS = 5


class BrokenError(Exception):
    """The transfer stopped early; what has come stays, to be taken up again."""


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


def bring(
    origin: str, target: Path, known: Mapping[str, str] = KNOWN, *, wait_seconds: float = 1.0
) -> str:
    """Fetch an address or copy a file to `target`; return what it is.

    Raises InputError where it cannot be had, or where its sha256 is none of the known ones; then
    `target` is as it was.
    """
    if target.is_file() and (what := known.get(sha256(target))):
        return what
    if urllib.parse.urlsplit(origin).scheme in {"http", "https"}:
        coming = target.with_name(f".{target.name}.coming")
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch(origin, coming, wait_seconds)
        found = sha256(coming)
        if found not in known:
            coming.unlink()
            raise InputError(_unknown(origin, found, known))
        coming.replace(target)
        return known[found]
    file = Path(origin).expanduser()
    if not file.is_file():
        raise InputError(f"--from: {origin} is neither an address (https://…) nor a file")
    with whole_file(target) as unfinished:
        shutil.copyfile(file, unfinished)
        found = sha256(unfinished)
        if found not in known:
            raise InputError(_unknown(origin, found, known))
    return known[found]


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
            raise InputError(
                "PostgreSQL needs adbc-driver-postgresql: pip install '.[sources]'"
            ) from None
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


def _unknown(origin: str, found: str, known: Mapping[str, str]) -> str:
    expected = "\n".join(f"  {digest} ({what})" for digest, what in known.items())
    return (
        f"{origin}: sha256 {found} is not a known one; the file was not kept; expected\n"
        f"{expected}\n"
        "Try again; if it stays so, the file has changed: get it by hand and give it with --from"
    )


def _fetch(address: str, coming: Path, wait_seconds: float) -> None:
    """Fetch into `coming`, from where an earlier transfer stopped, in several attempts."""
    problem: Exception | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(wait_seconds * 2 ** (attempt - 1))
        try:
            _transfer(address, coming)
        except urllib.error.HTTPError as error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                coming.unlink(missing_ok=True)  # longer than the file: another file's beginning
            elif error.code < http.client.INTERNAL_SERVER_ERROR:
                raise InputError(f"{address}: {error.code} {error.reason}; {_by_hand()}") from None
            problem = error
        except (BrokenError, OSError, http.client.HTTPException) as error:
            problem = error
        else:
            return
    kept = coming.stat().st_size if coming.exists() else 0
    raise InputError(
        f"{address}: {problem} ({ATTEMPTS} attempts); {kept:,} bytes have come: run the command "
        f"again to go on from there; {_by_hand()}"
    )


def _by_hand() -> str:
    return "without a network, get the file by hand and give it with --from FILE"


def _transfer(address: str, coming: Path) -> None:
    have = coming.stat().st_size if coming.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    request = urllib.request.Request(address, headers=headers)  # noqa: S310 - http(s), asked above
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 # nosec B310
        goes_on = answer.status == http.client.PARTIAL_CONTENT
        if not goes_on:  # a server without Range begins at the beginning, and so do we
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length and length.isdigit() else None
        columns = ("{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn())
        with (
            coming.open("ab" if goes_on else "wb") as out,
            Progress(*columns, console=console, disable=not console.is_terminal) as bar,
        ):
            task = bar.add_task(coming.name.strip("."), total=total, completed=have)
            while chunk := answer.read(CHUNK):
                out.write(chunk)
                have += len(chunk)
                bar.update(task, completed=have)
    if total is not None and have < total:
        raise BrokenError(f"the transfer broke off at {have:,} of {total:,} bytes")


if __name__ == "__main__":
    main()

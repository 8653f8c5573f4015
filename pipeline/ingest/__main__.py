"""Read the order lines of a file or folder into the one canonical schema.

Reads   source.path: CSV, TSV, XLSX, Parquet, ZIP or gzip of them
Writes  data/invoice_lines.parquet, data/quarantined_lines.parquet, metrics/ingest.json

Example: python -m pipeline.ingest
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipeline.core.engines.duckdb import open_duckdb
from pipeline.core.run.errors import InputError
from pipeline.core.run.metrics import write_metrics
from pipeline.core.run.outputs import whole_file
from pipeline.core.run.params import load_params
from pipeline.core.run.scratch import scratch_folder
from pipeline.core.run.stage import run_stage, stage
from pipeline.core.tables.contract import check, write_batches
from pipeline.core.tables.ingest import INVOICE_LINES, QUARANTINED_LINES
from pipeline.ingest.canonical_lines import read_lines
from pipeline.ingest.layouts import Reading
from pipeline.ingest.parsing import SHOWN, BadRow, Source, count_rows


class Params(Reading):
    """Section `source` of params.yaml."""


def main() -> None:
    """Read the source into invoice_lines; what cannot be read is an error or set apart."""
    params = load_params("source", Params)
    with stage("ingest") as log, open_duckdb() as engine, scratch_folder() as scratch:
        log.info("reading %s as %s", params.path, params.layout)
        with whole_file(INVOICE_LINES.path) as lines, whole_file(QUARANTINED_LINES.path) as rest:
            source, bad = read_lines(engine.database, params, lines, scratch)
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
        for note in source.facts.notes if source.facts else ():
            log.info("%s", note)
        for row in bad[:SHOWN]:
            log.warning("set apart: %s", row)
        if bad:
            log.warning("%d lines set apart in %s", len(bad), QUARANTINED_LINES.path)


def write_quarantine(bad: list[BadRow], target: Path) -> None:
    """Write the rows set apart, none too, as quarantined_lines."""
    rows = [
        {**vars(row), "problem": f"{row.column}: {row.problem}"}
        for row in sorted(bad, key=lambda row: (row.file, row.row))
    ]
    table = pa.Table.from_pylist(rows, schema=QUARANTINED_LINES.schema)
    write_batches(table.to_batches(), table.schema, target)


def measure(
    database: duckdb.DuckDBPyConnection, source: Source, lines: Path, bad: list[BadRow]
) -> dict[str, Any]:
    """What was read, in figures worth comparing between two deliveries of data."""
    found = (
        database.read_parquet(str(lines))
        .aggregate(
            "count(*) as lines_kept, "
            "count(*) - count(customer_id) as lines_without_customer, "
            "count(*) - count(description) as lines_without_description, "
            "count(*) filter (quantity < 0) as lines_of_negative_quantity, "
            "count(*) filter (unit_price <= 0) as lines_without_price, "
            "count(distinct customer_id) as customers, "
            "count(distinct stock_code) as products, "
            "count(distinct country) as countries, "
            "coalesce(cast(min(sold_at) as varchar), '') as first_sold_at, "
            "coalesce(cast(max(sold_at) as varchar), '') as last_sold_at"
        )
        .to_arrow_table()
    )
    figures: dict[str, Any] = found.to_pylist()[0]
    counts = count_rows(database, source, figures["lines_kept"], bad)
    plain = dict.fromkeys(("customer_ids", "persons"), figures["customers"])
    return {**counts, **{k: counts.get(k, v) for k, v in plain.items()}, **figures}


def fingerprint(params: Params, source: Source) -> dict[str, Any]:
    """What was read: the name, how many parts, and one sha256 over all its files' bytes."""
    path, digests = params.path, []
    for file in [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.is_file()):
        with file.open("rb") as opened:
            digests.append(hashlib.file_digest(opened, "sha256"))
    every = hashlib.sha256(b"".join(digest.digest() for digest in digests))
    return {
        "name": path.name,
        "layout": params.layout,
        "parts": len(source.parts),
        "sha256": (digests[0] if len(digests) == 1 else every).hexdigest(),
    }


if __name__ == "__main__":
    run_stage(main, __doc__)

"""Put the customers of new order lines into the segments of the definition in use.

Each customer gets a segment, how sure it is, the next best category and what to do. The lines are
read, cleaned and netted as the pipeline does it, by params.yaml as it stands.

Reads   FILE (order lines of new or known customers: CSV, TSV, XLSX, Parquet, ZIP, a folder), and
        of the last run data/definition.yaml, data/segment_names.parquet, data/customers.parquet,
        data/product_categories.parquet, data/category_words.parquet (for products that no run has
        seen), and with --with-history data/invoice_lines.parquet
Writes  the scored customers to --out, or as CSV to the standard output

Examples:
  python -m pipeline score november.csv
  python -m pipeline score november.csv --with-history --out scored.csv
  python -m pipeline score orders.xlsx --layout online_retail_ii --as-of 2011-11-30

Exit codes: 0 done, 1 a mistake that the message explains, 2 a wrong option, 3 the customers have
drifted from those that the model was fitted on (only with --fail-on-drift).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from pipeline.clean.ledger import NotGoods
from pipeline.commands.score.customers import (
    check_date,
    customers_in,
    describe,
    net_lines,
    with_new_products,
)
from pipeline.commands.score.output import ENDINGS, opened_output
from pipeline.commands.score.scoring import (
    DriftCounts,
    Trained,
    score,
    those_who_bought_within,
    trained_run,
)
from pipeline.core.engines.duckdb import DuckDBEngine, open_duckdb
from pipeline.core.model.definition import DEFINITION, load_definition
from pipeline.core.model.naming import read_playbook
from pipeline.core.run.errors import InputError
from pipeline.core.run.params import ShopParams, load_params, parse_params
from pipeline.core.run.scratch import scratch_folder
from pipeline.core.run.stage import command_parser, progress, run_command, stage
from pipeline.core.run.yaml_text import load_yaml
from pipeline.core.tables.aggregate_rfm import CUSTOMERS
from pipeline.core.tables.assign_segments import SEGMENT_NAMES
from pipeline.core.tables.categorize_products import CATEGORY_MONTHS, PRODUCT_CATEGORIES
from pipeline.core.tables.contract import check, read_table
from pipeline.core.tables.ingest import INVOICE_LINES
from pipeline.ingest.canonical_lines import (
    Reading,
    layout_of,
    open_params_source,
    setting,
    write_lines,
)
from pipeline.ingest.parsing import SHOWN
from pipeline.profile_segments.facts import out_of_season
from pipeline.render_report.inputs import params_text
from pipeline.render_report.sentences import read_writer

Lines = nw.LazyFrame[Any]
CUSTOMERS_AT_ONCE = 50_000
DRIFT_EXIT = 3
STABLE = ("stable", "too few to tell")


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    reading: Reading
    not_goods: NotGoods
    as_of: date | None
    with_history: bool
    out: Path | None


def main() -> None:
    """Parse the command line, score, say what was found."""
    arguments = parsed_arguments()

    def command() -> None:
        drifted = score_file(request_of(arguments))
        if drifted and arguments.fail_on_drift:
            sys.exit(DRIFT_EXIT)

    run_command(command, debug=arguments.debug)


def parsed_arguments() -> argparse.Namespace:
    """The command line."""
    parser = command_parser(__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="order lines: a file or a folder")
    parser.add_argument(
        "--layout",
        help="a layout of pipeline/settings/layouts.yaml; without it, section `source` "
        "of params.yaml says how the file is read",
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="any other key of section source for this file, such as --set decimal=.",
    )
    parser.add_argument(
        "--as-of",
        type=_day,
        metavar="DATE",
        help="score as of the end of this day and look at nothing after it "
        "(default: the day after the file's last sale)",
    )
    parser.add_argument(
        "--with-history",
        action="store_true",
        help="add what the last run knows of the file's customers (data/invoice_lines.parquet); "
        "a line that stands in both counts once. Without it, the file is all that is known",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="scored.csv or scored.parquet (default: CSV here)"
    )
    parser.add_argument(
        "--fail-on-drift", action="store_true", help=f"exit with {DRIFT_EXIT} where there is drift"
    )
    return parser.parse_args()


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day written as 2011-11-30") from None


def request_of(arguments: argparse.Namespace) -> Request:
    """The command line and params.yaml as a request."""
    out = arguments.out
    if out is not None and out.suffix not in ENDINGS:
        raise InputError(f"--out {out}: expected a name that ends in .csv or .parquet")
    reading = load_params("source", Reading)
    own: dict[str, Any] = {"path": arguments.file, "files": None}
    if arguments.layout is not None:
        kept = {"path", "layout", "on_bad_rows"}
        fields = {n: f for n, f in Reading.model_fields.items() if n not in kept}
        unset = {
            n: None if f.is_required() else f.get_default(call_default_factory=True)
            for n, f in fields.items()
        }
        own = unset | own
        own |= {"layout": arguments.layout, "columns": {}}
    own |= dict(setting(text) for text in arguments.set)
    return Request(
        reading=parse_params("source", Reading, reading.model_dump() | own, Path("--set")),
        not_goods=load_params("clean", NotGoods),
        as_of=arguments.as_of,
        with_history=arguments.with_history,
        out=out,
    )


def score_file(request: Request) -> bool:
    """Score the customers of the request's file; return whether they have drifted."""
    with (
        stage("score_lines") as log,
        open_duckdb() as engine,
        scratch_folder() as scratch,
        threadpool_limits(1),
    ):
        trained, categories = read_trained()
        lines = read_lines(engine, request.reading, scratch, log)
        net = net_lines(engine, lines, request.not_goods, with_history=request.with_history)
        as_of = request.as_of or net.last_sale + timedelta(days=1)
        check_date(engine, net.sales, as_of)
        known = with_new_products(engine, net.sales, categories)
        if new := len(known) - len(categories):
            log.info("%d products are new: categorised by their texts", new)
        described = describe(engine, net, known, as_of, scratch)
        drift = DriftCounts(trained.definition)
        counts = dict.fromkeys(trained.name_of, 0)
        with opened_output(request.out) as write:
            for customers in in_pieces(described):
                scored = score(trained, customers)
                drift.add(customers, scored["segment_id"].to_numpy())
                for segment_id, number in scored["segment_id"].value_counts().items():
                    counts[int(str(segment_id))] += int(number)
                write(scored)
        asked = customers_in(engine, lines)
        later = (as_of - trained.day).days
        others = those_who_bought_within((as_of - net.first_sale).days, trained, later)
        found = drift.against(others)
        report(log, trained, found, counts=counts, asked=asked, request=request, as_of=as_of)
        return bool((~found["verdict"].isin(STABLE)).any())


def read_trained() -> tuple[Trained, pd.DataFrame]:
    """The last run as scoring needs it, and the products that it knows."""
    definition = load_definition()
    names = read_table(SEGMENT_NAMES)
    check(CUSTOMERS, full=False)
    days = pq.read_table(CUSTOMERS.path, columns=["snapshot_date"])["snapshot_date"]
    day = pa.compute.max(days).as_py()
    customers = pq.read_table(CUSTOMERS.path, filters=[("snapshot_date", "=", day)]).to_pandas()
    if len(names) != definition.size or names["customers"].sum() != len(customers):
        raise InputError(
            f"{DEFINITION}, {SEGMENT_NAMES.path} and {CUSTOMERS.path} are not of one run; "
            "`dvc repro profile_segments` makes them anew"
        )
    categories = read_table(PRODUCT_CATEGORIES)
    writer = read_writer(load_yaml(params_text()))
    playbook = read_playbook()
    horizon_days = load_params("shop", ShopParams).horizon_days
    trained = trained_run(
        definition, names, customers, categories, playbook=playbook, writer=writer,
        out_of_season=out_of_season(
            read_table(CATEGORY_MONTHS), customers["snapshot_date"].iloc[0], horizon_days
        ),
    )  # fmt: skip
    return trained, categories


def read_lines(engine: DuckDBEngine, reading: Reading, scratch: Path, log: logging.Logger) -> Lines:
    """The file's canonical lines, as ingest would read them."""
    layout = layout_of(reading)
    log.info("reading %s as %s", reading.path, layout.title)
    source = open_params_source(engine.database, reading, layout, scratch)
    table = replace(INVOICE_LINES, path=scratch / INVOICE_LINES.path.name)
    _, bad = write_lines(engine.database, source, table.path, scratch, reading)
    for row in bad[:SHOWN]:
        log.warning("left out: %s", row)
    if bad:
        log.warning("%d lines cannot be read and are left out (source.on_bad_rows)", len(bad))
    if not pq.ParquetFile(table.path).metadata.num_rows:
        raise InputError(f"{reading.path}: a header and no line that can be read")
    return engine.scan(table)


def in_pieces(described: Path) -> Iterator[pd.DataFrame]:
    """The described customers, so many at once that memory stays bounded."""
    with pq.ParquetFile(described) as file:
        pieces = -(-file.metadata.num_rows // CUSTOMERS_AT_ONCE)
        batches = file.iter_batches(batch_size=CUSTOMERS_AT_ONCE)
        for batch in progress(batches, "scoring", total=pieces):
            yield batch.to_pandas()


def report(
    log: logging.Logger,
    trained: Trained,
    found: pd.DataFrame,
    *,
    counts: dict[int, int],
    asked: int,
    request: Request,
    as_of: date,
) -> None:
    """Say who was scored, who could not be, and whether they look like the training customers."""
    where = f", in {request.out}" if request.out else ""
    scored = sum(counts.values())
    log.info("%d customers scored as of %s%s", scored, as_of, where)
    for segment_id, number in counts.items():
        if number:
            log.info("  %-22s %8d", trained.name_of[segment_id], number)
    if left := asked - scored:
        who = "1 customer of the file is" if left == 1 else f"{left} customers of the file are"
        log.warning("%s not scored: no goods bought by %s", who, as_of)
    for row in found.itertuples(index=False):
        if row.verdict not in STABLE:
            log.warning("drift: %s: %s (index %.2f)", row.measure, row.verdict, row.psi)
    if (~found["verdict"].isin(STABLE)).any():
        past = "" if request.with_history else "give their past by --with-history; "
        log.warning(
            "these customers differ from those of the run (%s) who ordered as lately: read their "
            "segments with care; %sif the shop has changed, make a new run",
            trained.day,
            past,
        )
    elif (found["verdict"] != "stable").any():
        log.info("too few customers to tell whether they look like those of the trained run")
    else:
        log.info("they look like the customers that the model was fitted on")


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

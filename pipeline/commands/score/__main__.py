"""Put the customers of new order lines into the segments of the definition in use.

Each customer gets a segment, how sure it is, the next best category and what to do. The lines are
read, cleaned and netted as the pipeline does it, by params.yaml as it stands.

Reads   FILE (order lines of new or known customers: CSV, TSV, XLSX, Parquet, ZIP, a folder), and
        of the last run data/definition.yaml, data/segment_names.parquet, data/customers.parquet,
        data/product_categories.parquet, data/category_words.parquet (for products that no run has
        seen), and with --with-history data/invoice_lines.parquet
Writes  the scored customers as CSV to --out, or to the standard output

Examples:
  python -m pipeline score november.csv
  python -m pipeline score november.csv --with-history --out scored.csv
  python -m pipeline score orders.xlsx --set layout=online_retail_ii --as-of 2011-11-30

Exit codes: 0 done, 1 a mistake that the message explains, 2 a wrong option, 3 the customers have
drifted from those that the model was fitted on (only with --fail-on-drift).
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd
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
from pipeline.commands.score.scoring import (
    COLUMNS,
    Trained,
    drift_from,
    score,
    those_who_bought_within,
)
from pipeline.core.engines.duckdb import DuckDBEngine, open_duckdb
from pipeline.core.model.definition import DEFINITION, assign, load_definition
from pipeline.core.run.errors import InputError
from pipeline.core.run.outputs import write_text
from pipeline.core.run.params import ShopParams, load_params, parse_params
from pipeline.core.run.scratch import scratch_folder
from pipeline.core.run.stage import command_parser, run_command, stage
from pipeline.core.run.yaml_text import load_yaml
from pipeline.core.tables.aggregate_rfm import CUSTOMERS
from pipeline.core.tables.assign_segments import SEGMENT_NAMES
from pipeline.core.tables.categorize_products import CATEGORY_MONTHS, PRODUCT_CATEGORIES
from pipeline.core.tables.contract import read_table
from pipeline.core.tables.ingest import INVOICE_LINES
from pipeline.core.text.spreadsheet import safe_csv
from pipeline.ingest.canonical_lines import (
    Reading,
    layout_of,
    open_params_source,
    setting,
    write_lines,
)
from pipeline.ingest.parsing import SHOWN
from pipeline.profile_segments.facts import category_titles, out_of_season
from pipeline.render_report.inputs import params_text
from pipeline.render_report.sentences import read_writer

Lines = nw.LazyFrame[Any]
DRIFT_EXIT = 3


def main() -> None:
    """Parse the command line, score, say what was found."""
    parser = command_parser(__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="order lines: a file or a folder")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[],
                        help="a key of section source of params.yaml that is other for this file, "
                        "such as --set decimal=.")  # fmt: skip
    parser.add_argument("--as-of", type=date.fromisoformat, metavar="2011-11-30",
                        help="score as of the end of this day and look at nothing after it "
                        "(default: the day after the file's last sale)")  # fmt: skip
    parser.add_argument("--with-history", action="store_true",
                        help="add what the last run knows of the file's customers; a line that "
                        "stands in both counts once")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="a CSV (default: shown here)")
    parser.add_argument("--fail-on-drift", action="store_true",
                        help=f"exit with {DRIFT_EXIT} where there is drift")  # fmt: skip
    arguments = parser.parse_args()
    run_command(lambda: score_file(arguments), debug=arguments.debug)


def score_file(arguments: argparse.Namespace) -> None:
    """Score the customers of the file; exit with DRIFT_EXIT where that is asked for."""
    own = {"path": arguments.file, "files": None, **dict(map(setting, arguments.set))}
    source = load_params("source", Reading).model_dump() | own
    reading = parse_params("source", Reading, source, Path("--set"))
    with (
        stage("score_lines") as log,
        open_duckdb() as engine,
        scratch_folder() as scratch,
        threadpool_limits(1),
    ):
        trained, categories = read_trained()
        lines = read_lines(engine, reading, scratch, log)
        not_goods = load_params("clean", NotGoods)
        net = net_lines(engine, lines, not_goods, with_history=arguments.with_history)
        as_of = arguments.as_of or net.last_sale + timedelta(days=1)
        check_date(engine, net.sales, as_of)
        known = with_new_products(engine, net.sales, categories)
        if new := len(known) - len(categories):
            log.info("%d products are new: categorised by their texts", new)
        customers = describe(engine, net, known, as_of)
        scored = score(trained, customers)
        text = safe_csv(COLUMNS, scored[list(COLUMNS)].itertuples(index=False, name=None))
        if arguments.out:
            write_text(arguments.out, text)
        else:
            print(text, end="", flush=True)
        others = those_who_bought_within(
            (as_of - net.first_sale).days, trained.customers, (as_of - trained.day).days
        )
        drift = drift_from(trained.definition, scored, others)
        tell(
            log, scored.sort_values("segment_id"), customers_in(engine, lines) - len(scored), as_of
        )
        tell_drift(log, drift, trained.day)
        if arguments.fail_on_drift and not drift["is_stable"].all():
            sys.exit(DRIFT_EXIT)


def read_trained() -> tuple[Trained, pd.DataFrame]:
    """The last run as scoring needs it, and the products that it knows."""
    definition, names = load_definition(), read_table(SEGMENT_NAMES)
    customers = read_table(CUSTOMERS)
    customers = customers[customers["snapshot_date"] == customers["snapshot_date"].max()]
    if len(names) != definition.size or names["customers"].sum() != len(customers):
        raise InputError(
            f"{DEFINITION}, {SEGMENT_NAMES.path} and {CUSTOMERS.path} are not of one run; "
            "`dvc repro profile_segments` makes them anew"
        )
    categories = read_table(PRODUCT_CATEGORIES)
    trained = Trained(
        definition=definition,
        name_of=dict(zip(names["segment_id"].astype(int), names["segment"], strict=True)),
        customers=customers.assign(segment_id=assign(definition, customers)["segment_id"]),
        titles=category_titles(categories),
        out_of_season=out_of_season(
            read_table(CATEGORY_MONTHS),
            customers["snapshot_date"].iloc[0],
            load_params("shop", ShopParams).horizon_days,
        ),
        writer=read_writer(load_yaml(params_text())),
    )
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


def tell(log: logging.Logger, scored: pd.DataFrame, left: int, as_of: date) -> None:
    """Say who was scored and who could not be."""
    log.info("%d customers scored as of %s", len(scored), as_of)
    for segment, number in scored.groupby("segment", sort=False).size().items():
        log.info("  %-22s %8d", segment, number)
    if left:
        who = "1 customer of the file is" if left == 1 else f"{left} customers of the file are"
        log.warning("%s not scored: no goods bought by %s", who, as_of)


def tell_drift(log: logging.Logger, drift: pd.DataFrame, run: date) -> None:
    """Say whether they look like the customers of the run."""
    for row in drift[~drift["is_stable"]].itertuples(index=False):
        log.warning("drift: %s: %s (index %.2f)", row.measure, row.verdict, row.psi)
    if not drift["is_stable"].all():
        log.warning(
            "these customers differ from those of the run (%s) who ordered as lately: read their "
            "segments with care; give their past by --with-history; if the shop has changed, make "
            "a new run",
            run,
        )
    elif (drift["verdict"] != "stable").any():
        log.info("too few customers to tell whether they look like those of the trained run")
    else:
        log.info("they look like the customers that the model was fitted on")


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

"""Put the customers of new order lines into the segments of the kept model.

Each customer gets a segment, how sure it is, the next best category and what to do. The lines are
read, cleaned and netted as the pipeline does it, by params.yaml as it stands.

Reads   FILE (order lines of new or known customers: CSV, TSV, XLSX, Parquet, ZIP, a folder), and
        of the last run data/model.skops, data/segment_names.parquet, data/customers.parquet,
        data/product_categories.parquet, data/category_words.parquet (for products that no run has
        seen), and with --with-history data/invoice_lines.parquet
Writes  the scored customers to --out, or as CSV to the standard output

Examples:
  python -m pipeline.score_lines november.csv
  python -m pipeline.score_lines november.csv --with-history --out scored.csv
  python -m pipeline.score_lines orders.xlsx --layout online_retail_ii --as-of 2011-11-30

Exit codes: 0 done, 1 a mistake that the message explains, 2 a wrong option, 3 the customers have
drifted from those that the model was fitted on (only with --fail-on-drift).
"""

from __future__ import annotations

import argparse
import csv
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import IO, Any

import narwhals as nw
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ConfigDict
from threadpoolctl import threadpool_limits

from pipeline.engines.duckdb import DuckDBEngine, open_duckdb
from pipeline.methods.canonical_lines import (
    Reading,
    layout_of,
    open_params_source,
    scratch_folder,
    write_lines,
)
from pipeline.methods.customer_features import customer_features
from pipeline.methods.line_parsing import SHOWN
from pipeline.methods.naming import read_playbook
from pipeline.methods.returns import held_units, units_taken_back
from pipeline.methods.rfm_scores import with_scores
from pipeline.methods.sales_ledger import NotGoods, net_sales, place_lines, place_returns, priced
from pipeline.methods.scoring import (
    SCORED,
    DriftCounts,
    Trained,
    categorize_new,
    score,
    trained_run,
)
from pipeline.methods.segment_model import MODEL, load_model
from pipeline.methods.spreadsheet import safe_cell
from pipeline.shared.errors import InputError
from pipeline.shared.outputs import whole_file
from pipeline.shared.params import StageParams, load_params
from pipeline.shared.stage import command_parser, progress, run_command, stage
from pipeline.tables.category_words import CATEGORY_WORDS
from pipeline.tables.contract import check, read_table
from pipeline.tables.customers import CUSTOMERS
from pipeline.tables.invoice_lines import INVOICE_LINES
from pipeline.tables.product_categories import PRODUCT_CATEGORIES
from pipeline.tables.segment_names import SEGMENT_NAMES

Lines = nw.LazyFrame[Any]
A_YEAR = timedelta(days=366)
CUSTOMERS_AT_ONCE = 50_000
DRIFT_EXIT = 3
STABLE = ("stable", "too few to tell")


class Money(StageParams):
    """What is read of section `profile`: the currency of the suggested actions."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    currency: str


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    reading: Reading
    not_goods: NotGoods
    as_of: date | None
    with_history: bool
    out: Path | None


@dataclass(frozen=True)
class NetSales:
    """Sales of goods with what was returned of them, and which lines of the file they are of."""

    sales: Lines
    returned_units: Lines
    last_sale: date  # of the file itself, to anyone


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
        help="a layout of pipeline/layouts.yaml as it stands there; without it, section `source` "
        "of params.yaml says how the file is read",
    )
    parser.add_argument(
        "--as-of",
        type=date.fromisoformat,
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


def request_of(arguments: argparse.Namespace) -> Request:
    """The command line and params.yaml as a request."""
    out = arguments.out
    if out is not None and out.suffix not in (".csv", ".parquet"):
        raise InputError(f"--out {out}: expected a name that ends in .csv or .parquet")
    reading = load_params("source", Reading)
    own: dict[str, Any] = {"path": arguments.file, "files": None}
    if arguments.layout is not None:
        kept = {"path", "layout", "on_bad_rows"}
        own = {name: None for name in Reading.model_fields if name not in kept} | own
        own |= {"layout": arguments.layout, "columns": {}}
    return Request(
        reading=reading.model_copy(update=own),
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
        scratch_folder() as folder,
        threadpool_limits(1),
    ):
        trained, categories = read_trained()
        scratch = Path(folder)
        lines = read_lines(engine, request.reading, scratch, log)
        net = net_lines(engine, lines, request)
        as_of = request.as_of or net.last_sale + timedelta(days=1)
        check_date(engine, net.sales, as_of)
        known = with_new_products(engine, net.sales, categories, log)
        described = describe(engine, net, known, as_of, scratch)
        drift = DriftCounts(trained.model)
        counts = dict.fromkeys(trained.name_of, 0)
        with opened_output(request.out) as write:
            for customers in in_pieces(described):
                scored = score(trained, customers)
                drift.add(customers, scored["segment_id"].to_numpy())
                for segment_id, number in scored["segment_id"].value_counts().items():
                    counts[int(str(segment_id))] += int(number)
                write(scored)
        asked = customers_in(engine, lines)
        report(log, trained, drift, counts=counts, asked=asked, as_of=as_of, out=request.out)
        found = drift.against(trained)
        return bool((~found["verdict"].isin(STABLE)).any())


def read_trained() -> tuple[Trained, pd.DataFrame]:
    """The last run as scoring needs it, and the products that it knows."""
    model = load_model()
    names = read_table(SEGMENT_NAMES)
    check(CUSTOMERS, full=False)
    day = date.fromisoformat(model.snapshot_date)
    customers = pq.read_table(CUSTOMERS.path, filters=[("snapshot_date", "=", day)]).to_pandas()
    if len(names) != model.size or not len(customers):
        raise InputError(
            f"{MODEL}, {SEGMENT_NAMES.path} and {CUSTOMERS.path} are not of one run; "
            "`dvc repro profile_segments` makes them anew"
        )
    categories = read_table(PRODUCT_CATEGORIES)
    currency = load_params("profile", Money).currency
    playbook = read_playbook()
    trained = trained_run(model, names, customers, categories, playbook=playbook, currency=currency)
    return trained, categories


def read_lines(engine: DuckDBEngine, reading: Reading, scratch: Path, log: logging.Logger) -> Lines:
    """The file's canonical lines, as ingest would read them."""
    layout = layout_of(reading)
    log.info("reading %s as %s", reading.path, layout.title)
    source = open_params_source(engine.database, reading, layout, scratch)
    table = replace(INVOICE_LINES, path=scratch / INVOICE_LINES.path.name)
    quarantine = reading.on_bad_rows == "quarantine"
    _, bad = write_lines(engine.database, source, table.path, scratch, quarantine)
    for row in bad[:SHOWN]:
        log.warning("left out: %s", row)
    if bad:
        log.warning("%d lines cannot be read and are left out (source.on_bad_rows)", len(bad))
    if not pq.ParquetFile(table.path).metadata.num_rows:
        raise InputError(f"{reading.path}: a header and no line that can be read")
    return engine.scan(table)


def net_lines(engine: DuckDBEngine, lines: Lines, request: Request) -> NetSales:
    """The genuine sales and their returns, as clean would keep them.

    With history, the earlier lines of the file's customers come before the file's own.
    """
    placed = engine.keep(place_lines(lines, request.not_goods))
    is_sale = (nw.col("place") == "goods") & (nw.col("quantity") > 0)
    last = one_value(engine, placed.filter(is_sale).select(nw.col("sold_at").max()))
    if pd.isna(last):
        raise InputError(
            f"{request.reading.path}: none of its lines is a sale of goods; see section clean of "
            "params.yaml for what is none"
        )
    if request.with_history:
        past = engine.scan(INVOICE_LINES)
        placed = engine.keep(place_lines(after_history(engine, past, lines), request.not_goods))
    held = engine.keep(held_units(placed.filter(nw.col("place") == "goods")))
    taken_back = engine.keep(units_taken_back(held))
    sales = engine.keep(net_sales(place_returns(placed, held), taken_back))
    returned_units = engine.keep(priced(taken_back, placed))
    return NetSales(sales, returned_units, pd.Timestamp(last).date())


def after_history(engine: DuckDBEngine, past: Lines, lines: Lines) -> Lines:
    """The lines after the past ones of their customers, with positions of their own."""
    columns = [column.name for column in INVOICE_LINES.columns]
    buyers = lines.filter(~nw.col("customer_id").is_null()).select("customer_id").unique()
    first = int(one_value(engine, past.select(nw.col("line_id").max()))) + 1
    return nw.concat(
        [
            past.join(buyers, on="customer_id", how="semi").select(columns),
            lines.with_columns(line_id=nw.col("line_id") + first).select(columns),
        ]
    )


def check_date(engine: DuckDBEngine, sales: Lines, as_of: date) -> None:
    """Raise InputError where no known customer has bought by that day, or it is long after."""
    known = sales.filter(~nw.col("customer_id").is_null())
    span = known.select(
        nw.col("sold_at").min().alias("first"), nw.col("sold_at").max().alias("last")
    )
    moments = engine.collect(span)
    first, last = pd.Timestamp(moments["first"].iloc[0]), pd.Timestamp(moments["last"].iloc[0])
    if pd.isna(first):
        raise InputError(
            "no sale of the file has a customer, so there is nobody to score; "
            "check source.columns: customer_id in params.yaml"
        )
    if not first.date() <= as_of <= last.date() + A_YEAR:
        raise InputError(
            f"--as-of {as_of} is outside the data: sales to known customers run from "
            f"{first.date()} to {last.date()}; choose a day of them, or leave --as-of out for the "
            "day after the file's last sale"
        )


def with_new_products(
    engine: DuckDBEngine, sales: Lines, categories: pd.DataFrame, log: logging.Logger
) -> pd.DataFrame:
    """`stock_code` and `category` of every product of the sales, seen by the last run or not."""
    codes = pa.table({"stock_code": categories["stock_code"].to_numpy(dtype=object)})
    known = engine.keep(nw.from_native(engine.database.from_arrow(codes)).lazy())
    unseen = sales.join(known, on="stock_code", how="anti")
    texts = (
        unseen.with_columns(description=nw.col("description").fill_null("").str.strip_chars())
        .group_by("stock_code", "description")
        .agg(nw.len().alias("lines"))
    )
    counted = engine.collect(texts)
    found = categories[["stock_code", "category"]]
    if not len(counted):
        return found
    # The most frequent text of each, as categorize_products takes it.
    counted["is_empty"] = counted["description"] == ""
    counted = counted.sort_values(
        ["stock_code", "is_empty", "lines", "description"], ascending=[True, True, False, True]
    ).drop_duplicates("stock_code")
    log.info("%d products are new: categorised by their texts", len(counted))
    new = categorize_new(counted, categories, read_table(CATEGORY_WORDS))
    return pd.concat([found, new], ignore_index=True)


def describe(
    engine: DuckDBEngine, net: NetSales, categories: pd.DataFrame, as_of: date, scratch: Path
) -> Path:
    """Write the customers as of that day, as aggregate_rfm describes them; return the file."""
    table = pa.Table.from_pandas(categories, preserve_index=False)
    category_of = engine.keep(nw.from_native(engine.database.from_arrow(table)).lazy())
    customers = customer_features(
        net.sales,
        net.returned_units,
        category_of,
        categories=sorted(set(categories["category"])),
        snapshots=(as_of,),
        keep=engine.keep,
    ).drop("uncategorized")
    described = replace(CUSTOMERS, path=scratch / CUSTOMERS.path.name)
    engine.write(described, with_scores(customers).drop("amount", "last_kept_day"))
    return described.path


def customers_in(engine: DuckDBEngine, lines: Lines) -> int:
    """How many customers the lines name."""
    named = lines.filter(~nw.col("customer_id").is_null())
    return int(one_value(engine, named.select(nw.col("customer_id").n_unique())))


def one_value(engine: DuckDBEngine, frame: Lines) -> Any:
    """The one value of a frame of one row and one column."""
    return engine.collect(frame).iloc[0, 0]


def in_pieces(described: Path) -> Iterator[pd.DataFrame]:
    """The described customers, so many at once that memory stays bounded."""
    with pq.ParquetFile(described) as file:
        pieces = -(-file.metadata.num_rows // CUSTOMERS_AT_ONCE)
        batches = file.iter_batches(batch_size=CUSTOMERS_AT_ONCE)
        for batch in progress(batches, "scoring", total=pieces):
            yield batch.to_pandas()


@contextmanager
def opened_output(out: Path | None) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Yield how to write a piece to `out` (whole or not at all), or to the standard output."""
    if out is None:
        with csv_writer(sys.stdout) as write:
            yield write
        return
    with whole_file(out) as unfinished:
        if out.suffix == ".parquet":
            with pq.ParquetWriter(unfinished, SCORED, compression="zstd") as writer:

                def append(rows: pd.DataFrame) -> None:
                    table = pa.Table.from_pandas(rows, SCORED, preserve_index=False)
                    writer.write_table(table.replace_schema_metadata(None))

                yield append
        else:
            with (
                unfinished.open("w", encoding="utf-8", newline="") as file,
                csv_writer(file) as write,
            ):
                yield write


@contextmanager
def csv_writer(file: IO[str]) -> Iterator[Callable[[pd.DataFrame], None]]:
    """Yield how to write a piece as CSV that a spreadsheet opens without executing anything."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(SCORED.names)

    def append(rows: pd.DataFrame) -> None:
        shown = rows.assign(
            recency_days=["" if pd.isna(days) else str(int(days)) for days in rows["recency_days"]],
            monetary=[f"{value:.2f}" for value in rows["monetary"]],
        )
        writer.writerows(
            [safe_cell(value) for value in row] for row in shown.itertuples(index=False, name=None)
        )

    yield append
    file.flush()


def report(
    log: logging.Logger,
    trained: Trained,
    drift: DriftCounts,
    *,
    counts: dict[int, int],
    asked: int,
    as_of: date,
    out: Path | None,
) -> None:
    """Say who was scored, who could not be, and whether they look like the training customers."""
    where = f", in {out}" if out else ""
    log.info("%d customers scored as of %s%s", drift.customers, as_of, where)
    for segment_id, number in counts.items():
        if number:
            log.info("  %-22s %8d", trained.name_of[segment_id], number)
    if asked > drift.customers:
        log.warning(
            "%d customers of the file are not scored: they bought no goods by %s",
            asked - drift.customers,
            as_of,
        )
    found = drift.against(trained)
    for row in found.itertuples(index=False):
        if row.verdict not in STABLE:
            log.warning("drift: %s: %s (index %.2f)", row.measure, row.verdict, row.psi)
    if (~found["verdict"].isin(STABLE)).any():
        log.warning(
            "the customers do not look like those that the model was fitted on (%s): read their "
            "segments with care; a file that holds less of their past than the trained run did "
            "needs --with-history, a changed shop a new run",
            trained.model.snapshot_date,
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

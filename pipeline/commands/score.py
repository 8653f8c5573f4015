"""Put the customers of new order lines into the segments of the definition in use.

Each customer gets a segment, how sure it is, the next best category and what to do. The lines are
read, cleaned and netted as the pipeline does it, by the current params.yaml.

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
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from pipeline.aggregate_rfm.features import customer_features, order_changes
from pipeline.aggregate_rfm.movements import movements
from pipeline.aggregate_rfm.rfm_scores import with_scores
from pipeline.categorize_products.model import INTERCEPT, categorize_texts
from pipeline.categorize_products.product_text import mended_spellings, product_counts, words_of
from pipeline.clean.ledger import NotGoods, net_sales, place_lines, returned_units
from pipeline.core.engines.duckdb import DuckDBEngine, open_duckdb
from pipeline.core.model.definition import DEFINITION, Definition, assign, load_definition
from pipeline.core.model.transforms import feature_matrix
from pipeline.core.run.errors import InputError
from pipeline.core.run.outputs import write_text
from pipeline.core.run.params import ShopParams, load_params, parse_params
from pipeline.core.run.scratch import scratch_folder
from pipeline.core.run.stage import command_parser, run_command, stage
from pipeline.core.tables.aggregate_rfm import CUSTOMERS
from pipeline.core.tables.assign_segments import SEGMENT_NAMES
from pipeline.core.tables.categorize_products import (
    CATEGORY_MONTHS,
    CATEGORY_WORDS,
    PRODUCT_CATEGORIES,
)
from pipeline.core.tables.contract import read_table
from pipeline.core.tables.ingest import INVOICE_LINES
from pipeline.core.text.spreadsheet import safe_csv
from pipeline.core.text.words import SPACE
from pipeline.ingest.canonical_lines import read_lines
from pipeline.ingest.layouts import Reading, setting
from pipeline.ingest.parsing import SHOWN
from pipeline.profile_segments.drift import DRIFTED, SEGMENT_SHARES, group_drift, value_drift
from pipeline.profile_segments.facts import REST, category_titles, next_categories, out_of_season
from pipeline.profile_segments.profiles import top_category
from pipeline.render_report.rows import rows_of
from pipeline.render_report.sentences import Writer, read_writer

Lines = nw.LazyFrame[Any]
DRIFT_EXIT = 3
A_YEAR = timedelta(days=366)
COLUMNS = (
    "customer_id", "as_of", "segment_id", "segment", "confidence", "segment_before",
    "recency_days", "frequency", "monetary", "top_category", "next_best_category",
    "suggested_action",
)  # fmt: skip


@dataclass(frozen=True)
class NetSales:
    """Sales of goods with what was returned of them, and which lines of the file they are of."""

    sales: Lines
    returned_units: Lines
    first_sale: date  # of the file itself, to anyone
    last_sale: date


@dataclass(frozen=True)
class Trained:
    """What the trained run left.

    `customers` are those of its last snapshot with their segment_id, `titles` the names of the
    categories.
    """

    definition: Definition
    name_of: Mapping[int, str]
    customers: pd.DataFrame
    titles: Mapping[str, str]
    out_of_season: Collection[str]
    writer: Writer

    @property
    def day(self) -> date:
        """The last snapshot."""
        day: date = self.customers["snapshot_date"].iloc[0]
        return day


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
                        "is in both counts once")  # fmt: skip
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
        lines = canonical(engine, reading, scratch, log)
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
        writer=read_writer(),
    )
    return trained, categories


def canonical(engine: DuckDBEngine, reading: Reading, scratch: Path, log: logging.Logger) -> Lines:
    """The file's canonical lines, as ingest would read them."""
    log.info("reading %s as %s", reading.path, reading.layout)
    table = replace(INVOICE_LINES, path=scratch / INVOICE_LINES.path.name)
    _, bad = read_lines(engine.database, reading, table.path, scratch)
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


def net_lines(
    engine: DuckDBEngine, lines: Lines, not_goods: NotGoods, *, with_history: bool
) -> NetSales:
    """The genuine sales and their returns, as clean would keep them.

    With history, the earlier lines of the file's customers come before the file's own.
    """
    placed = place_lines(lines, not_goods, engine.keep)
    is_sale = (nw.col("place") == "goods") & (nw.col("quantity") > 0)
    days = placed.filter(is_sale).select(
        nw.col("sold_at").min().alias("first"), nw.col("sold_at").max().alias("last")
    )
    first, last = (pd.Timestamp(moment) for moment in engine.collect(days).iloc[0])
    if pd.isna(last):
        raise InputError(
            "none of the file's lines is a sale of goods; see section clean of params.yaml for "
            "what is none"
        )
    if with_history:
        past = engine.scan(INVOICE_LINES)
        both = engine.keep(after_history(engine, past, lines))
        placed = place_lines(both, not_goods, engine.keep)
    returned = returned_units(engine, placed)
    sales = engine.keep(net_sales(placed, returned))
    return NetSales(sales, returned, first.date(), last.date())


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
    known = engine.collect(
        sales.filter(~nw.col("customer_id").is_null()).select(
            nw.col("sold_at").min().alias("first"), nw.col("sold_at").max().alias("last")
        )
    )
    first, last = (pd.Timestamp(moment) for moment in known.iloc[0])
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


def with_new_products(engine: DuckDBEngine, sales: Lines, categories: pd.DataFrame) -> pd.DataFrame:
    """`stock_code` and `category` of every product of the sales, seen by the last run or not."""
    known = engine.load(pa.table({"stock_code": categories["stock_code"].to_numpy(dtype=object)}))
    counted = engine.collect(
        sales.join(known, on="stock_code", how="anti")
        .with_columns(description=nw.col("description").fill_null("").str.strip_chars())
        .group_by("stock_code", "description")
        .agg(nw.len().alias("lines"))
    )
    found = categories[["stock_code", "category"]]
    if counted.empty:
        return found
    # The most frequent text of each, as categorize_products takes it.
    counted["is_empty"] = counted["description"] == ""
    counted = counted.sort_values(
        ["stock_code", "is_empty", "lines", "description"], ascending=[True, True, False, True]
    ).drop_duplicates("stock_code")
    new = categorize_new(counted, categories, read_table(CATEGORY_WORDS))
    return pd.concat([found, new], ignore_index=True)


def describe(
    engine: DuckDBEngine, net: NetSales, categories: pd.DataFrame, as_of: date
) -> pd.DataFrame:
    """The customers as of that day, as aggregate_rfm describes them."""
    moved = movements(net.sales, net.returned_units, (as_of,), engine.keep)
    customers = customer_features(
        moved,
        engine.keep(order_changes(moved)),
        engine.load(pa.Table.from_pandas(categories, preserve_index=False)),
        categories=sorted(set(categories["category"])),
        snapshots=(as_of,),
        keep=engine.keep,
    )
    found = engine.collect(with_scores(customers).drop("amount", "last_kept_day"))
    found["snapshot_date"] = as_of
    return found.sort_values("customer_id", ignore_index=True)


def customers_in(engine: DuckDBEngine, lines: Lines) -> int:
    """How many customers the lines name."""
    named = lines.filter(~nw.col("customer_id").is_null())
    return int(one_value(engine, named.select(nw.col("customer_id").n_unique())))


def one_value(engine: DuckDBEngine, frame: Lines) -> Any:
    """The one value of a frame of one row and one column."""
    return engine.collect(frame).iloc[0, 0]


def score(trained: Trained, customers: pd.DataFrame) -> pd.DataFrame:
    """Return the customers with COLUMNS, in their order; each row depends on that one alone."""
    keys = [key for key in sorted(trained.titles) if key != REST]
    offered = [key for key in keys if key not in trained.out_of_season]

    def named(found: Sequence[str | None]) -> pd.Series:
        return pd.Series([key and trained.titles[key] for key in found], customers.index, object)

    before = trained.customers.set_index("customer_id")["segment_id"].map(trained.name_of)
    given = customers.assign(**assign(trained.definition, customers))
    rows = given.assign(
        as_of=given["snapshot_date"],
        segment=given["segment_id"].map(trained.name_of),
        segment_before=given["customer_id"].map(before),
        top_category_title=named(top_category(given, keys)),
        offer_category_title=named(top_category(given, offered)),
        next_category_title=named(next_categories(given, offered, trained.customers)),
        expected_spend=None,  # no model that predicts it is kept
    )
    actions = [trained.writer.customer_action(row).replace(SPACE, " ") for row in rows_of(rows)]
    return rows.assign(
        recency_days=rows["recency_days"].astype("Int64").astype(object).replace({pd.NA: None}),
        monetary=[f"{value:.2f}" for value in rows["monetary"]],
        top_category=rows["top_category_title"],
        next_best_category=rows["next_category_title"],
        suggested_action=actions,
    )


def drift_from(
    definition: Definition, customers: pd.DataFrame, others: pd.DataFrame
) -> pd.DataFrame:
    """Return measure, psi, noise, verdict and is_stable of each feature and the segments' shares.

    By the population stability index. Where chance alone could look like a clear drift, or
    there is nobody to compare with, the verdict is `too few to tell`.
    """
    here, there = (
        feature_matrix(rows, definition.columns, definition.money_unit)
        for rows in (customers, others)
    )
    found = pd.DataFrame(
        [value_drift(here[:, n], there[:, n]) for n in range(len(definition.columns))]
        + [group_drift(customers["segment_id"], others["segment_id"])]
    ).assign(measure=[*definition.columns, SEGMENT_SHARES])
    few = (found["psi"] < found["noise"]) & (found["noise"] >= DRIFTED) | others.empty
    found["verdict"] = found["verdict"].mask(few, "too few to tell")
    return found.assign(is_stable=few | (found["verdict"] == "stable"))


def those_who_bought_within(days: int, customers: pd.DataFrame, later: int = 0) -> pd.DataFrame:
    """Return the run's customers whose last order is at most `days` old.

    A file of one month holds nobody who last bought before it, so the others say nothing of it.
    On a day before the run's (`later` < 0) they were younger, or not there yet. On a day after it
    they would be older, but others come, who are new.
    """
    last = customers["recency_days"].astype(float).fillna(customers["tenure_days"].astype(float))
    tenure = customers["tenure_days"] + min(later, 0)
    return customers.assign(tenure_days=tenure)[(last <= days) & (tenure >= 0)]


def categorize_new(
    products: pd.DataFrame, categories: pd.DataFrame, category_words: pd.DataFrame
) -> pd.DataFrame:
    """Return `stock_code` and `category` of products that no run has seen, by their texts alone.

    Spelling is mended by the words of the products that are known (`categories`).
    """
    features = category_words.loc[category_words["feature"] != INTERCEPT, "feature"]
    known = frozenset(f for f in features.unique() if " " not in f)
    plain = [words_of(text) for text in [*categories["description"], *products["description"]]]
    spellings = mended_spellings(product_counts(plain), known)
    texts = [words_of(text, spellings) for text in products["description"]]
    found = categorize_texts(texts, category_words)["category"].to_numpy()
    return products[["stock_code"]].assign(category=found)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

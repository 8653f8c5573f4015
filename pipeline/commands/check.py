"""Look at a file of order lines before it is used: what would be read, in money.

Recognises the layout by names and values, finds header rows, encodings, decimal commas and dates,
and shows the reading so that it can be held against the shop's own figures: in all, by month and
state, the largest orders, what is doubtful, and the lines for params.yaml. Exits 1 where nothing
can be read.

Example: python -m pipeline check orders.csv
         python -m pipeline check orders.csv --layout order_log --set date_format=%d/%m/%Y
         python -m pipeline check orders.csv --set 'columns={customer_id: Client}' --write
"""
# ruff: noqa: S608 - the SQL is made of constants

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow.parquet as pq
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid
from ruamel.yaml import YAML

from pipeline.clean.ledger import NotGoods, net_sales, place_lines, place_returns, returned_units
from pipeline.core.engines.duckdb import DuckDBEngine, open_duckdb
from pipeline.core.run.errors import AmbiguousError, InputError, MisfitError
from pipeline.core.run.outputs import whole_file
from pipeline.core.run.params import PARAMS_FILE, load_params, parse_params, read_params
from pipeline.core.run.scratch import scratch_folder
from pipeline.core.run.stage import command_parser, run_command
from pipeline.core.run.yaml_text import dump_yaml
from pipeline.core.text.words import SPACE, day, plural
from pipeline.ingest.canonical_lines import read_lines
from pipeline.ingest.layouts import (
    CANONICAL,
    FIELDS,
    GENERIC,
    USUAL,
    Layout,
    Reading,
    load_layouts,
    setting,
)
from pipeline.ingest.parsing import SHOWN, BadRow, Source, count_rows

UNSET: Mapping[str, Any] = {
    **{k: v.get_default(call_default_factory=True) for k, v in Reading.model_fields.items()},
    "on_bad_rows": "quarantine",
}
NO_GOODS = re.compile(
    r"(?<![^\W_])(postage|shipping|carriage|freight|delivery|discount|coupon|voucher|gift ?card"
    r"|bank charge|fee|tip|gratuity|commission|adjustment|versand\w*|porto|rabatte?|gutscheine?"
    r"|gebühr\w*|pfand|frais|livraison|remise|envío|gasto|descuento|spedizione|sconto|verzend\w*"
    r"|korting)s?(?![^\W_])",
    re.IGNORECASE,
)
HOW_TO_SET = (
    "to try other settings for this check, add --set KEY=VALUE, such as --set encoding=cp1252, "
    "--set decimal=, or --set 'columns={customer_id: Client}'"
)
LARGE_SHARE = 0.1  # of all orders: hardly one customer's
LONG_ORDER_DAYS = 40
HALF_OF_LAST_DECIMAL = 0.00005


@dataclass(frozen=True)
class Looked:
    """One reading of the file: how, what source, which rows cannot be read."""

    params: Reading
    layout: Layout
    source: Source
    bad: list[BadRow]
    lines: Path
    tried: Mapping[str, Any]  # what nobody said and the file wants


@dataclass
class Findings:
    """What a reading comes to, for people and for programs."""

    file: str
    layout: str
    title: str
    counts: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    money: dict[str, Any] = field(default_factory=dict)
    ledger: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    bad_rows: list[str] = field(default_factory=list)
    source: dict[str, Any] = field(default_factory=dict)


def main(argv: Sequence[str] | None = None) -> None:
    """Look at the file that the arguments name."""
    parser = command_parser(__doc__)
    parser.add_argument("file", metavar="FILE", help="a file or a folder")
    parser.add_argument(
        "--layout", help="a layout of pipeline/settings/layouts.yaml; none = try all"
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="any other key of section source, such as --set 'decimal=\",\"'",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--write", action="store_true", help="write section source of params.yaml; comments stay"
    )
    arguments = parser.parse_args(argv)
    run_command(lambda: check_source(arguments), debug=arguments.debug)


def check_source(arguments: argparse.Namespace) -> None:
    """Read the file into a scratch folder and print what came of it."""
    own = dict(setting(text) for text in arguments.set)
    names = [arguments.layout] if arguments.layout else list(load_layouts())
    with open_duckdb() as engine, scratch_folder() as scratch:
        try:
            looked = best_reading(engine, arguments.file, names, own, scratch)
        except InputError as error:
            if "source." in str(error) and Path(arguments.file).exists():
                error.add_note(HOW_TO_SET)
            raise
        found = findings(engine, looked, own)
    if not found.counts["lines_kept"]:
        rows = "\n".join(found.bad_rows)
        raise InputError(f"{arguments.file}: no line can be read as {found.layout}\n{rows}")
    if arguments.json:
        print(json.dumps(vars(found), indent=1, ensure_ascii=False, default=str))
    else:
        show(found)
    if arguments.write:
        write_section(found.source)


def best_reading(
    engine: DuckDBEngine, file: str, names: Sequence[str], own: Mapping[str, Any], scratch: Path
) -> Looked:
    """Read the file with each layout; return the reading that uses most of the file's columns.

    Where a tenth of the rows cannot be read so, the one with the fewest such rows. Among equals,
    one of a known kind of file, then the one whose layout's first-named columns the file has.
    Raises InputError with what stands in the way of the layout that comes closest, where none fits,
    or where one that reads more of the file cannot tell.
    """
    found: list[tuple[tuple[int, ...], Looked]] = []
    refused: dict[str, InputError] = {}
    tables = {key: name for key, name in _tables().items() if Path(name).exists()}
    for number, name in enumerate(names):
        values = {**UNSET, **tables, "path": file, "layout": name, **own}
        folder = scratch / name
        folder.mkdir()
        try:
            looked = _read_as_found(engine, values, own, folder)
        except InputError as error:
            if not Path(file).exists() or len(names) == 1:
                raise
            refused[name] = error
            continue
        if looked.layout.header and looked.bad and len(names) > 1:
            continue  # a file without a header fits by its values or not at all
        headers = [part.header for part in looked.source.parts]
        used = sum(len(looked.layout.positions(header)) for header in headers)
        missed = sum(
            names_of[0] not in {h.strip() for h in header}
            for header in headers
            for names_of in looked.layout.columns.values()
        )
        bad = len(looked.bad)
        fails = bad if 10 * bad > bad + pq.read_metadata(looked.lines).num_rows else 0
        found.append(((fails, -used, bad, int(name in GENERIC), missed, number), looked))
    best = min(found, key=lambda f: f[0])[1] if found else None
    told = [e for n, e in refused.items() if not isinstance(e, MisfitError)]
    if best is None:
        raise refused[min(refused, key=lambda name: _distance(name, refused[name]))]
    for name, why in refused.items():
        if why in told and _explains_more(load_layouts()[name], own, best, why):
            raise why
    return best


def _tables() -> dict[str, str]:
    """The tables that section source must name, as dvc.yaml lists them as inputs."""
    section = (read_params().get("source") if PARAMS_FILE.exists() else None) or {}
    keys = ("currency_rates", "customer_aliases")
    return {key: section.get(key) or f"pipeline/settings/{key}.csv" for key in keys}


def _distance(name: str, error: InputError) -> tuple[int, int]:
    """How far the file is from a layout that refused it; least where another thing is wrong."""
    if not isinstance(error, MisfitError):
        return -len(FIELDS), 0
    return -error.has, error.lacks if error.has else int(name != USUAL)


def _explains_more(layout: Layout, own: Mapping[str, Any], best: Looked, why: InputError) -> bool:
    """Whether a layout that refused the file uses more of its columns than the best reading.

    Where they use as many, the best is taken only if the file writes its names as it does: then
    the file is likely of its kind, and its dates are too.
    """
    header = best.source.parts[0].header
    layout = layout.with_own_columns(own.get("columns", {}))
    if layout.missing(header):
        return False
    positions = best.layout.positions(header)
    as_named = all(header[p].strip() in best.layout.columns[f] for f, p in positions.items())
    more = len(layout.positions(header)) - len(positions)
    return more > 0 or (more == 0 and not as_named and isinstance(why, AmbiguousError))


def _read_as_found(
    engine: DuckDBEngine, values: Mapping[str, Any], own: Mapping[str, Any], folder: Path
) -> Looked:
    """Read the file; once more, where it shows an encoding or marks that nobody said."""
    tried: dict[str, Any] = {}
    for _ in range(3):
        try:
            looked = _read(engine, values, folder, tried)
        except MisfitError as error:
            more = {k: v for k, v in error.remedy.items() if k not in {*own, *tried}}
            if not more:
                raise
        except InputError as error:
            if "source.encoding" not in str(error) or {"encoding"} & {*own, *tried}:
                raise
            more = {"encoding": "cp1252"}
        else:
            more = {k: v for k, v in shown_by_rows(looked).items() if k not in {*own, *tried}}
            if not more:
                return looked
        tried |= more
    return _read(engine, values, folder, tried)


def shown_by_rows(looked: Looked) -> dict[str, Any]:
    """Decimal commas of rows that cannot be read."""
    rows = looked.bad[:5_000]
    if not any("source.decimal: " in row.problem for row in rows):
        return {}
    grouped = any(re.search(r'[" ]-?[\d.]*\d\.\d{3},\d+', row.line) for row in rows)
    return {"decimal": ",", "thousands": "."} if grouped else {"decimal": ","}


def _read(
    engine: DuckDBEngine, values: Mapping[str, Any], folder: Path, tried: Mapping[str, Any]
) -> Looked:
    params = parse_params("source", Reading, {**values, **tried})
    lines = folder / "lines.parquet"
    source, bad = read_lines(engine.database, params, lines, folder)
    return Looked(params, source.layout, source, bad, lines, tried)


def findings(engine: DuckDBEngine, looked: Looked, own: Mapping[str, Any]) -> Findings:
    """What the reading comes to: columns, money, the ledger, and what is doubtful."""
    found = Findings(str(looked.params.path), looked.layout.name, looked.layout.title)
    database = engine.database
    lines = database.read_parquet(str(looked.lines))
    rows = lines.aggregate("count(*)").fetchall()[0][0]
    found.counts = {
        **count_rows(database, looked.source, rows, looked.bad),
        "lines_kept": rows,
        "files": len(looked.source.parts),
    }
    found.bad_rows = [str(row) for row in looked.bad[:SHOWN]]
    found.notes = list(looked.source.facts.notes) if looked.source.facts else []
    found.columns, found.unused = _columns(looked)
    mode = {"on_bad_rows": "quarantine"} if looked.bad else {}
    found.source = {
        "path": str(looked.params.path),
        "layout": looked.layout.name,
        **_tables(),
        **own,
        **looked.tried,
        **mode,
    }
    if not rows:
        return found
    codes: dict[str, Any] = {"not_goods_codes": {}, "not_goods_patterns": {}}
    params = (
        load_params("clean", NotGoods)
        if PARAMS_FILE.exists()
        else parse_params("clean", NotGoods, codes)
    )
    placed = place_lines(nw.from_native(lines), params, engine.keep)
    placed = engine.keep(placed)
    back = returned_units(engine, placed)
    database.register("placed", place_returns(placed, back).to_native())
    database.register("sales", net_sales(placed, back).to_native())
    found.ledger = {
        str(place): {"lines": count, "money": money}
        for place, count, money in database.execute(
            "select place, count(*), sum(amount) from placed group by 1 order by 2 desc, 1"
        ).fetchall()
    }
    found.money = _money(engine)
    found.doubts = [*_doubts(engine, found), *_needs(engine)]
    return found


def _columns(looked: Looked) -> tuple[dict[str, str], list[str]]:
    """Which column of the file, constant or other column each canonical one comes from."""
    part, layout = looked.source.parts[0], looked.layout
    used = looked.source.facts.used | {"line_key", "sold_time"} if looked.source.facts else FIELDS
    positions = {f: p for f, p in layout.positions(part.header).items() if f in used}
    headers = {f: part.header[p].strip() for f, p in positions.items()}
    stand_ins = {"description": "stock_code", **layout.fallbacks}
    others = {f: headers[o] for f, o in stand_ins.items() if o in headers}
    if "amount" in headers and "quantity" in headers:
        others["unit_price"] = f"{headers['amount']} / {headers['quantity']}"
    origins = {**others, **layout.constants, **headers}
    unused = [h for h in part.header if h.strip() and h.strip() not in headers.values()]
    order = [f for f in FIELDS if f in origins or f in CANONICAL]
    return {f: origins.get(f, "–") for f in order}, unused


def _money(engine: DuckDBEngine) -> dict[str, Any]:
    """The sales in money, net of returns and refunds: in all, by month, the largest orders."""

    def rows(sql: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = engine.database.execute(sql).fetchall()
        return found

    (total,) = rows(
        "select sum(amount), sum(net_amount), count(distinct invoice_id) filter (net_amount > 0), "
        "count(distinct customer_id), min(sold_at), max(sold_at), "
        "coalesce(sum(net_amount) filter (customer_id is null), 0) from sales"
    )
    names = ("sold", "net", "orders", "customers", "first", "last", "without_customer")
    return {
        **dict(zip(names, total, strict=True)),
        "by_month": rows(
            "select strftime(sold_at, '%Y-%m'), sum(net_amount), "
            "count(distinct invoice_id) from sales group by 1 order by 1"
        ),
        "largest_orders": rows(
            "select invoice_id, any_value(customer_id), min(sold_at), sum(net_amount) as m "
            "from sales group by 1 order by m desc, 1 limit 5"
        ),
        "by_state": rows(
            "select coalesce(status, '–'), any_value(is_sale), count(*), sum(amount) from placed "
            "group by 1 order by 4 desc nulls last, 1 limit 12"
        ),
    }


def _doubts(engine: DuckDBEngine, found: Findings) -> list[str]:
    """What a shopkeeper should look at before the figures are believed."""

    def one(sql: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] = engine.database.execute(sql).fetchall()[0]
        return row

    doubts = []
    lines = found.counts["lines_kept"]
    if odd := found.counts.get("lines_where_price_and_amount_differ", 0):
        doubts.append(
            f"{odd:,} of {lines:,} lines: price × quantity (less discount) is not the amount; the "
            "amount counts"
        )
    as_each, as_line, several = one(
        "with x as (select stock_code, quantity, unit_price from sales), m as (select stock_code "
        "from x group by 1 having count(distinct quantity) > 1 and count(*) > 4) "
        "select count(*) filter (isnan(r) or abs(r) < 0.5), count(*) filter (not isnan(r) and "
        "r > 0.9), count(*) from (select "  # a price that never changes has no correlation
        "corr(cast(unit_price as double), cast(quantity as double)) as r from x "
        "join m using (stock_code) group by stock_code)"
    )
    if several and as_line > max(as_each, several / 2):
        doubts.append(
            "the price of one unit grows with the quantity for most products: is it the line's? "
            "Then name its column as the amount: source.columns: {amount: …}"
        )
    shared, orders = one(
        "select count(*) filter (c > 1), count(*) from (select count(distinct customer_id) as c "
        "from sales group by invoice_id)"
    )
    if shared:
        doubts.append(f"{shared:,} of {orders:,} orders have several customers")
    long, name = one(
        "select count(*), min(invoice_id) from (select invoice_id from sales group by 1 having "
        f"max(sold_at) > min(sold_at) + interval {LONG_ORDER_DAYS} day)"
    )
    if long:
        doubts.append(
            f"{long:,} order numbers span more than {LONG_ORDER_DAYS} days, such as {name}: are "
            "they orders? Several stores may number alike (source.columns: {store: …})"
        )
    who, share = one(
        "select arg_max(customer_id, n), max(n) / sum(n) from (select customer_id, "
        "count(distinct invoice_id) as n from sales where customer_id is not null group by 1)"
    )
    if share and share > LARGE_SHARE and found.money["orders"] > 50:
        doubts.append(f"customer {who} has {share:.0%} of all orders: a placeholder or a till?")
    repeats, money = one(
        "select count(*), coalesce(sum(amount), 0) from (select amount, line_id > min(line_id) "
        "over (partition by invoice_id, stock_code, quantity, sold_at, amount, customer_id, "
        "source_key) as again, repeats from placed where place like 'kept%') where again"
    )
    if repeats:
        doubts.append(
            f"{repeats:,} lines ({money:,.2f}) repeat another in every column and count; if they "
            "are the same line twice, set clean.repeats: drop"
        )
    doubts += [*_rounded(found.counts["lines_of_rounded_prices"]), *_fees(engine)]
    if not found.money["customers"]:
        doubts.append("no customer is known: there is nobody to segment")
    if found.columns.get("stock_code") == "ORDER":
        doubts.append("no products in this layout: no categories")
    return doubts


def _rounded(prices: int) -> list[str]:
    """How many prices are rounded, and what that can come to."""
    most = math.ceil(prices * HALF_OF_LAST_DECIMAL * 100) / 100
    text = (
        f"{_n(prices, 'price has', 'prices have')} more than four decimals: what was paid is "
        f"rounded to the fourth, which makes at most {most:,.2f} in all"
    )
    return [text] if prices else []


def _fees(engine: DuckDBEngine) -> list[str]:
    """What is called like postage, a discount or a fee among the goods."""
    products = engine.database.execute(
        "select stock_code, any_value(description), count(*) from sales "
        "group by 1 order by 3 desc, 1"
    ).fetchall()
    fees = [
        f"{code} ({count:,})"
        for code, text, count in products
        if NO_GOODS.search(f"{code} {text or ''}")
    ]
    if not fees:
        return []
    more = f" and {len(fees) - SHOWN:,} more" if len(fees) > SHOWN else ""
    return [
        (
            f"possibly not products (lines): {', '.join(fees[:SHOWN])}{more}; add such codes to "
            "clean.not_goods_codes"
        )
    ]


def _needs(engine: DuckDBEngine) -> list[str]:
    """What the whole run needs and the file has not: a history of two horizons, and customers."""
    horizon = 90
    if PARAMS_FILE.exists():
        rfm = read_params().get("rfm") or {}
        horizon = int(rfm.get("horizon_days", horizon))
    days, customers, repeaters = engine.database.execute(
        "select date_diff('day', min(sold_at), max(sold_at)), count(distinct customer_id), "
        "(select count(*) from (select customer_id from sales where customer_id is not null "
        "group by 1 having count(distinct invoice_id) > 1)) from sales"
    ).fetchall()[0]
    needs = []
    if days is not None and days < 3 * horizon:
        needs.append(
            f"{_n(days, 'day', 'days')} of sales; the run needs about {3 * horizon}: two horizons "
            f"(rfm.horizon_days: {horizon}) and months to learn from; a longer export, or a "
            "shorter horizon"
        )
    if 0 < customers < 200:
        needs.append(
            f"{_n(customers, 'customer', 'customers')}: too few to choose a segmentation by "
            "(about 200)"
        )
    elif customers and repeaters < 0.05 * customers:
        needs.append(
            f"{repeaters:,} of {customers:,} customers ordered more than once: little about later "
            "purchases can be predicted"
        )
    return needs


def show(found: Findings) -> None:
    """Print the findings for a shopkeeper."""
    console = Console(highlight=False, soft_wrap=True)
    counts, money = found.counts, found.money
    out = console.print
    out(f"[bold]{escape(found.file)}[/bold] as {found.layout} ({escape(found.title)})")
    parts = _n(counts["files"], "part", "parts")
    out(f"{_n(counts['lines_read'], 'line', 'lines')} in {parts}")
    if "customer_ids" in counts:
        ids = _n(counts["customer_ids"], "customer id is", "customer ids are")
        out(f"{ids} {_n(counts['persons'], 'person', 'persons')}")
    for note in found.notes:
        out(escape(note))
    out("")
    _grid(out, ("field", "source column"), list(found.columns.items()))
    if found.unused:
        out(f"not used: {escape(', '.join(found.unused[:20]))}")
    out("")
    if found.bad_rows:
        out(f"[bold]{_n(counts['lines_quarantined'], 'row', 'rows')} cannot be read[/bold]")
        for row in found.bad_rows:
            out(escape(row))
    else:
        out("all rows are readable")
    out("")
    out(
        f"[bold]{money['net'] or 0:,.2f}[/bold] paid for goods, net of returns and refunds "
        f"({money['sold'] or 0:,.2f} before them), in {_n(money['orders'], 'order', 'orders')} of "
        f"{_n(money['customers'], 'customer', 'customers')}, {day(money['first'])} to "
        f"{day(money['last'])}; "
        f"{money['without_customer']:,.2f} without a customer"
    )
    _grid(
        out,
        ("month", "net", "orders"),
        [(m, f"{net:,.2f}", f"{n:,}") for m, net, n in money["by_month"]],
    )
    _grid(
        out,
        ("largest orders", "customer", "on", "net"),
        [(i, c or "–", day(at), f"{net:,.2f}") for i, c, at, net in money["largest_orders"]],
    )
    if any(state != "–" for state, *_ in money["by_state"]):
        _grid(
            out,
            ("state", "is a sale", "lines", "money"),
            [
                (s, "yes" if sale else "no", f"{n:,}", f"{m or 0:,.2f}")
                for s, sale, n, m in money["by_state"]
            ],
        )
    total = sum(place["lines"] for place in found.ledger.values())
    _grid(
        out,
        ("in the cleaning ledger", "lines", "share", "money"),
        [
            (place.replace("_", " "), f"{p['lines']:,}", f"{p['lines'] / total:.1%}",
             f"{p['money'] or 0:,.2f}")
            for place, p in found.ledger.items()
        ],
    )  # fmt: skip
    if found.doubts:
        out("[bold]look at[/bold]")
        for doubt in found.doubts:
            out(f"- {escape(doubt)}")
        out("")
    correct = " (or correct the rows first)" if found.bad_rows else ""
    out(f"for params.yaml, section source{correct}; --write puts it there:")
    out("source:")
    for line in dump_yaml(found.source).splitlines():
        out(f"  {escape(line)}")


def _n(value: int, one: str, many: str) -> str:
    return plural(value, one, many).replace(SPACE, " ")


def _grid(out: Any, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    grid = Grid(box=None, pad_edge=False)
    for place, title in enumerate(titles):
        is_number = title in {"net", "orders", "lines", "share", "money"}
        width = max([len(title), *(len(str(row[place])) for row in rows)])
        grid.add_column(
            title, justify="right" if is_number else "left", no_wrap=True, min_width=width
        )
    for row in rows:
        grid.add_row(*(escape(str(cell)) for cell in row))
    out(grid)
    out("")


def write_section(source: Mapping[str, Any]) -> None:
    """Put these keys into section source of params.yaml; its comments and other keys stay."""
    if not PARAMS_FILE.exists():
        raise InputError(f"{PARAMS_FILE} is missing here; run the command in the project's folder")
    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 4096
    params = editor.load(PARAMS_FILE.read_text(encoding="utf-8"))
    section = params.setdefault("source", {})
    for key, default in UNSET.items():
        if key in source:
            is_plain = not isinstance(value := source[key], dict | list | tuple)
            # in one line, so that the comment below an empty one is not lost
            section[key] = value if is_plain else YAML().load(json.dumps(value, default=str))
        elif key in section and key != "on_bad_rows":
            section[key] = [] if default == () else default
    section.setdefault("on_bad_rows", "fail")
    with whole_file(PARAMS_FILE) as unfinished, unfinished.open("w", encoding="utf-8") as out:
        editor.dump(params, out)
    print(f"section source of {PARAMS_FILE} is written")


if __name__ == "__main__":
    main()

"""Look at a file of order lines before it is used: what would be read, and what would become of it.

Prints the columns as they are mapped, types, date span, customers, the rows with problems, each
line's place in the cleaning ledger, and the lines for params.yaml. Writes nothing. Without --layout
every layout is tried, and the one that fits best is taken; where encoding, decimal commas or dates
differ from the layout's, the usual other ones are tried too, and what was found so is said.

Example: python -m pipeline check orders.csv
         python -m pipeline check orders.csv --layout order_log --set date_format=%d/%m/%Y
         python -m pipeline check orders.csv --set 'columns={customer_id: Client}'
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import narwhals as nw
import pandas as pd
import pyarrow.parquet as pq
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from pipeline.clean.ledger import NotGoods, place_lines, place_returns
from pipeline.clean.returns import match_returns
from pipeline.core.engines.duckdb import DuckDBEngine, open_duckdb
from pipeline.core.run.errors import AmbiguousError, InputError, MisfitError
from pipeline.core.run.params import PARAMS_FILE, load_params, parse_params
from pipeline.core.run.scratch import scratch_folder
from pipeline.core.run.stage import command_parser, run_command
from pipeline.core.run.yaml_text import dump_yaml
from pipeline.core.tables.ingest import INVOICE_LINES
from pipeline.ingest.canonical_lines import (
    Reading,
    layout_of,
    open_params_source,
    setting,
    write_lines,
)
from pipeline.ingest.layouts import CANONICAL, FIELDS, USUAL, Layout, load_layouts
from pipeline.ingest.parsing import SHOWN, BadRow, Source, count_rows

UNSET: Mapping[str, Any] = {
    **dict.fromkeys(Reading.model_fields),
    "columns": {},
    "on_bad_rows": "quarantine",
}
ROWS_TRIED = 5_000
MORE_DATES = (
    "%d.%m.%Y %H:%M:%S", "%d-%m-%Y %H:%M", "%m-%d-%Y %H:%M", "%d-%m-%Y", "%m-%d-%Y",
    "%Y/%m/%d %H:%M", "%Y/%m/%d",
)  # fmt: skip
NO_GOODS = re.compile(
    r"(?<![^\W_])(postage|shipping|carriage|freight|delivery|discount|coupon|voucher|gift ?card"
    r"|bank charge|fee|commission|adjustment|versand\w*|porto|rabatte?|gutscheine?|gebühr\w*|pfand"
    r"|frais|livraison|remise|envío|gasto|descuento|spedizione|sconto|verzend\w*|korting)s?(?![^\W_])",
    re.IGNORECASE,
)
HOW_TO_SET = (
    "for this look, say it by --set KEY=VALUE, such as --set encoding=cp1252, --set decimal=, or "
    "--set 'columns={customer_id: Client}'"
)


@dataclass(frozen=True)
class Looked:
    """One reading of the file: how, what source, which rows cannot be read."""

    params: Reading
    layout: Layout
    source: Source
    bad: list[BadRow]
    lines: Path
    tried: Mapping[str, Any]  # what nobody said and the file wants


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
            if "source." in str(error):
                error.add_note(HOW_TO_SET)
            raise
        console = Console(highlight=False, soft_wrap=True)
        for part in (
            summary(engine, looked),
            mapped_columns(engine, looked),
            problems(looked.bad),
            ledger(engine, looked.lines),
            limits(looked.layout),
            pasteable(looked, own),
        ):
            for line in part:
                console.print(line)


def best_reading(
    engine: DuckDBEngine, file: str, names: Sequence[str], own: Mapping[str, Any], scratch: Path
) -> Looked:
    """Read the file with each layout; return the reading that uses most of the file's columns.

    Where a tenth of the rows cannot be read so, the one with the fewest such rows. Among equals,
    the one with the fewest rows set apart, then the one whose layout's first-named columns the
    file has. Raises InputError with what stands in the way of the layout that comes closest, where
    none fits, or where one that reads more of the file cannot tell.
    """
    found: list[tuple[tuple[int, ...], Looked]] = []
    refused: dict[str, InputError] = {}
    for number, name in enumerate(names):
        values = {**UNSET, "path": file, "layout": name, **own}
        folder = scratch / name
        folder.mkdir()
        try:
            looked = _read_as_it_is(engine, values, own, folder)
        except InputError as error:
            if not Path(file).exists() or len(names) == 1:
                raise
            refused[name] = error
            continue
        headers = [part.header for part in looked.source.parts]
        used = sum(len(looked.layout.positions(header)) for header in headers)
        missed = sum(
            names_of[0] not in {h.strip() for h in header}
            for header in headers
            for names_of in looked.layout.columns.values()
        )
        bad = len(looked.bad)
        fails = bad if 10 * bad > bad + pq.read_metadata(looked.lines).num_rows else 0
        found.append(((fails, -used, bad, missed, number), looked))
    if not found:
        raise refused[min(refused, key=lambda name: _far(name, refused[name]))]
    best = min(found, key=lambda f: f[0])[1]
    for name, why in refused.items():
        if isinstance(why, AmbiguousError):
            layout = load_layouts()[name].with_own_columns(own.get("columns", {}))
            if _tells_more(layout, best):
                raise why
    return best


def _far(name: str, error: InputError) -> tuple[int, int]:
    """How far the file is from a layout that refused it; least where another thing is wrong."""
    if not isinstance(error, MisfitError):
        return -len(FIELDS), 0
    return -error.has, error.lacks if error.has else int(name != USUAL)


def _tells_more(layout: Layout, best: Looked) -> bool:
    """Whether a layout uses more of the file's columns than the best reading does.

    Where they use as many, the best stands only if the file writes their names as it does: then
    the file is likely of its kind, and its dates are too.
    """
    header = best.source.parts[0].header
    positions = best.layout.positions(header)
    as_named = all(header[p].strip() in best.layout.columns[f] for f, p in positions.items())
    more = len(layout.positions(header)) - len(positions)
    return more > 0 or (more == 0 and not as_named)


def _read_as_it_is(
    engine: DuckDBEngine, values: Mapping[str, Any], own: Mapping[str, Any], folder: Path
) -> Looked:
    """Read the file; once more, where it shows an encoding, marks or dates that nobody said."""
    try:
        looked = _read(engine, values, folder)
    except InputError as error:
        if "source.encoding" not in str(error) or "encoding" in own:
            raise
        looked = _read(engine, values, folder, {"encoding": "cp1252"})
    shown = shown_by_rows(looked, own)
    return _read(engine, values, folder, {**looked.tried, **shown}) if shown else looked


def shown_by_rows(looked: Looked, own: Mapping[str, Any]) -> dict[str, Any]:
    """Decimal commas and the date format of rows that cannot be read, where only one will do.

    What `own` says is not asked again.
    """
    rows = looked.bad[:ROWS_TRIED]
    shown: dict[str, Any] = {}
    if "decimal" not in own and any("source.decimal: " in row.problem for row in rows):
        shown["decimal"] = ","
        if any(re.search(r'"-?[\d.]*\d\.\d{3},\d+"', row.line) for row in rows):
            shown["thousands"] = "."
    header = looked.source.parts[0].header
    column = header[looked.layout.positions(header)["sold_at"]].strip()
    wrong = [row for row in rows if "source.date_format" in row.problem]
    dates = {str(json.loads(row.line).get(column)).strip() for row in wrong}
    known = (d for layout in load_layouts().values() for d in layout.dates if d != "iso")
    formats = dict.fromkeys([*known, *MORE_DATES])
    fitting = [f for f in formats if all(_is_date(text, f) for text in dates)]
    if dates and len(fitting) == 1 and "date_format" not in own:
        shown["date_format"] = fitting[0]
    return shown


def _is_date(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)  # noqa: DTZ007 - the shop's own time
    except ValueError:
        return False
    return True


def _read(
    engine: DuckDBEngine,
    values: Mapping[str, Any],
    folder: Path,
    tried: Mapping[str, Any] = MappingProxyType({}),
) -> Looked:
    params = parse_params("source", Reading, {**values, **tried})
    layout = layout_of(params)
    source = open_params_source(engine.database, params, layout, folder)
    lines = folder / "lines.parquet"
    source, bad = write_lines(engine.database, source, lines, folder, quarantine=True)
    return Looked(params, layout, source, bad, lines, tried)


def summary(engine: DuckDBEngine, looked: Looked) -> list[Any]:
    """Rows, span and who bought, in a few lines."""
    lines = engine.database.read_parquet(str(looked.lines))
    (row,) = lines.aggregate(
        "count(*), min(sold_at), max(sold_at), count(distinct customer_id), "
        "count(distinct invoice_id), count(distinct stock_code), count(distinct country)"
    ).fetchall()
    rows, first, last, customers, invoices, products, countries = row
    counts = count_rows(engine.database, looked.source, rows, looked.bad)
    name = f"[bold]{escape(str(looked.params.path))}[/bold]"
    parts = len(looked.source.parts)
    texts = [
        f"{name} as {looked.layout.name} ({escape(looked.layout.title)})",
        f"{counts['lines_read']:,} lines in {parts} part{'s'[: parts > 1]}, {rows:,} to keep",
        f"{first} to {last}" if rows else "no line that can be read",
        f"{customers:,} customers, {invoices:,} invoices, {products:,} products",
        f"{countries:,} {'country' if countries == 1 else 'countries'}",
    ]
    if counts["lines_delivered_twice"]:
        texts.append(f"{counts['lines_delivered_twice']:,} lines stand in several parts: once")
    if looked.tried:
        found = ", ".join(f'{key} "{value}"' for key, value in looked.tried.items())
        texts.append(f"found by trying: {escape(found)}; see below whether it is right")
    if counts["lines_of_told_returns"]:
        texts.append(f"{counts['lines_of_told_returns']:,} lines the file says were taken back")
    return [*texts, ""]


def mapped_columns(engine: DuckDBEngine, looked: Looked) -> list[Any]:
    """Each canonical column with where it comes from, its type, its gaps and an example."""
    part = looked.source.parts[0]
    lines = engine.database.read_parquet(str(looked.lines))
    gaps = ", ".join(
        f"count(*) - count({n}), cast(min_by({n}, line_id) filter ({n} is not null) as varchar)"
        for n in CANONICAL
    )
    (found,) = lines.aggregate(gaps).fetchall()
    headers = {f: part.header[p].strip() for f, p in looked.layout.positions(part.header).items()}
    origins = _origins(headers, looked.layout)
    rows = []
    for place, name in enumerate(CANONICAL):
        column = INVOICE_LINES.column(name)
        how = f", {part.date_format}" if name == "sold_at" else ""
        kind = {"string": "text", "int64": "whole number", "timestamp[us]": f"date{how}"}
        text = kind.get(str(column.type) if column else "", "decimal, 4 places")
        example = str(found[2 * place + 1] or "")
        origin = origins.get(name, "–")
        rows.append((name, origin, text, f"{found[2 * place]:,}", example[:40]))
    grid = Grid(box=None, pad_edge=False)
    for title in ("column", "from", "type", "empty", "such as"):
        widths = [len(title), *(len(row[len(grid.columns)]) for row in rows)]
        grid.add_column(title, no_wrap=True, min_width=max(widths) if title != "such as" else None)
    grid.columns[3].justify = "right"
    for row in rows:
        grid.add_row(*map(escape, row))
    unused = [h for h in part.header if h.strip() and h.strip() not in headers.values()]
    rest = [f"not used: {escape(', '.join(unused[:20]))}"] if unused else []
    return [grid, *rest, ""]


def _origins(headers: Mapping[str, str], layout: Layout) -> dict[str, str]:
    """Which column of the file, which constant or which other column a canonical one comes from."""
    others = {"description": "stock_code", **layout.fallbacks}
    stand_ins = {field: headers[other] for field, other in others.items() if other in headers}
    if amount := headers.get("amount"):
        each = f"{amount} / {headers['quantity']}" if "quantity" in headers else amount
        price = headers.get("unit_price")
        headers = {**headers, "unit_price": f"{price}, else {each}" if price else each}
    return {**stand_ins, **layout.constants, **headers}


def problems(bad: Sequence[BadRow]) -> list[Any]:
    """The first rows that cannot be read."""
    if not bad:
        return ["no row that cannot be read", ""]
    first = sorted(bad, key=lambda row: (row.file, row.row))[:SHOWN]
    more = [f"… and {len(bad) - SHOWN:,} more"] if len(bad) > SHOWN else []
    return [
        f"[bold]{len(bad):,} row{'s'[: len(bad) > 1]} cannot be read[/bold]",
        *(escape(str(row)) for row in first),
        *more,
        "",
    ]


def ledger(engine: DuckDBEngine, lines: Path) -> list[Any]:
    """The share of lines that each place of the cleaning ledger would take."""
    if not PARAMS_FILE.exists():
        return [f"no {PARAMS_FILE} here, so no cleaning ledger", ""]
    params = load_params("clean", NotGoods)
    rows = nw.from_native(engine.database.read_parquet(str(lines)))
    placed = place_lines(rows, params, engine.keep)
    matches = engine.load(match_returns(placed.filter(nw.col("place") == "goods")))
    shares = engine.collect(
        place_returns(placed, matches).group_by("place").agg(nw.len().alias("lines"))
    )
    products = engine.collect(
        placed.filter(nw.col("place") == "goods")
        .group_by("stock_code", "description")
        .agg(nw.len().alias("lines"))
    )
    return [
        _ledger_grid(shares.sort_values(["lines", "place"], ascending=[False, True])),
        *perhaps_no_goods(products),
        "",
    ]


def perhaps_no_goods(products: pd.DataFrame) -> list[Any]:
    """What stands among the goods and is called like postage, a discount or a fee."""
    text = products["stock_code"] + " " + products["description"].fillna("")
    found = products[text.str.normalize("NFKC").map(NO_GOODS.search).notna()]
    found = found.sort_values(["lines", "stock_code"], ascending=[False, True]).fillna("")
    if found.empty:
        return []
    named = [
        f"{code} {'' if name == code else name[:40]}".strip() + f" ({lines:,})"
        for code, name, lines in found[["stock_code", "description", "lines"]].to_numpy()[:SHOWN]
    ]
    more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    told = f"perhaps no goods (lines): {escape(', '.join(named))}{more}"
    return [f"{told}; name the codes of what is none in clean.not_goods_codes"]


def _ledger_grid(shares: pd.DataFrame) -> Grid:
    grid = Grid(box=None, pad_edge=False)
    grid.add_column("in the cleaning ledger")
    grid.add_column("lines", justify="right")
    grid.add_column("share", justify="right")
    total = int(shares["lines"].sum())
    for place, count in zip(shares["place"], shares["lines"], strict=True):
        grid.add_row(str(place).replace("_", " "), f"{count:,}", f"{count / total:.1%}")
    return grid


def limits(layout: Layout) -> list[Any]:
    """What cannot be said from a file of this layout."""
    if "stock_code" in layout.constants:
        return [
            "no products in this layout: every order is one line of ORDER, so no categories",
            "",
        ]
    if layout.partly_returned_statuses:
        return ["refunds of a part of an order do not say of which line: counted, not netted", ""]
    return []


def pasteable(looked: Looked, own: Mapping[str, Any]) -> list[Any]:
    """The lines for section `source` of params.yaml."""
    mode = "quarantine" if looked.bad else "fail"
    values = {
        "path": str(looked.params.path),
        "layout": looked.layout.name,
        **own,
        **looked.tried,
    }
    text = dump_yaml({**values, "on_bad_rows": mode})
    return [
        f"for params.yaml, section source{' (or correct the rows first)' if looked.bad else ''}:",
        "source:",
        *(f"  {escape(line)}" for line in text.splitlines()),
    ]


if __name__ == "__main__":
    main()

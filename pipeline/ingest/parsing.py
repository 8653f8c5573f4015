"""One set of parse rules: from the text of a source's cells to canonical order lines, in SQL.

Every cell is read as text and converted by casts that give null where they fail, so that the happy
path is one pass, and the rows that cannot be read are looked for only where there are any.
"""
# ruff: noqa: S608 - the SQL is made of layouts and quoted names, never of what cells hold

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from pipeline.core.run.errors import AmbiguousError, InputError
from pipeline.ingest.layouts import FIELDS, Layout, fit
from pipeline.ingest.sources import Part, dialect, rows_of, unpack, with_one_line_end

SHOWN = 5
NUMBERS = ("quantity", "unit_price", "amount", "refunded_quantity")
DATES = ("sold_at", "cancelled_at")
REQUIRED = ("invoice_id", "stock_code", "quantity", "sold_at", "unit_price")
FIRST_DAY, LAST_DAY = "1980-01-01", "2100-01-01"
LONGEST_LINE = 16 << 20
BUFFER = 2 * LONGEST_LINE  # DuckDB's own size; by itself it would take 16 longest lines
SAMPLED_ROWS = 2000
# The defects of single lines; after others (an open quote) nobody knows where the next line begins.
WRONG_NUMBER = "Expected Number of Columns"  # so DuckDB says it
SIGN = r"[A-Z]{3}|kr|zł|[$¢£¤¥\u20a0-\u20cf]"  # EUR, €
MIXED_ENDS = "reached an invalid state"
WRONG_CELLS = ("MISSING COLUMNS", "TOO MANY COLUMNS")


@dataclass(frozen=True)
class Readable:
    """A part as DuckDB reads it: the SQL of its rows as text, and how its dates are written."""

    part: Part
    file: Path
    how: tuple[Any, ...]  # equal for parts that one scan can read
    fields: Mapping[str, str]  # field: column of the scan
    header: tuple[str, ...]
    date_format: str = ""
    row_lookup: tuple[str, str, int] | None = None  # encoding, delimiter, skip


@dataclass(frozen=True)
class Source:
    """All parts of a source, in order, with the layout that they fit."""

    layout: Layout
    parts: tuple[Readable, ...]
    with_rejects: bool = False


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be read: where it stands, and what is wrong with which value."""

    file: str
    row: int
    line_id: int | None
    column: str
    value: str | None
    problem: str
    line: str

    def __str__(self) -> str:
        return f"{self.file}, row {self.row}, column {self.column}: {self.problem}"


def open_source(
    database: duckdb.DuckDBPyConnection,
    path: Path,
    layout: Layout,
    scratch: Path,
    *,
    files: str | None = None,
    sheets: Sequence[str] | None = None,
    encoding: str | None = None,
    set_apart: bool = False,
) -> Source:
    """Find the source's parts, fit each to the layout and find out how its dates are written.

    With `set_apart`, lines without the header's number of cells are left for `rejected_rows`.
    Raises InputError where a part cannot be read, does not fit, or where dates could mean two days.
    """
    parts = tuple(
        _readable(part, layout, scratch, encoding) for part in unpack(path, files, sheets, scratch)
    )
    source = Source(layout, parts)
    try:
        return _with_dates(database, source)
    except duckdb.Error as error:
        source = mended(source, error, scratch, set_apart=set_apart)
    try:
        return _with_dates(database, source)
    except duckdb.Error as error:
        raise structural_error(source, error) from None


def mended(source: Source, error: duckdb.Error, scratch: Path, *, set_apart: bool) -> Source:
    """The source as DuckDB can read it after all: with equal line ends, or without odd lines.

    Raises InputError, with file and row, for every other defect.
    """
    if set_apart and WRONG_NUMBER in str(error):
        return replace(source, with_rejects=True)
    if MIXED_ENDS not in str(error):
        raise structural_error(source, error) from None
    parts = tuple(
        replace(p, file=with_one_line_end(p.file, scratch), how=(*p.how, "one line end"))
        if p.part.kind == "text"
        else p
        for p in source.parts
    )
    # Line ends were mixed, so lines may be odd besides, and would be told only one at a time.
    return replace(source, parts=parts, with_rejects=set_apart)


def structural_error(source: Source, error: duckdb.Error) -> InputError:
    """What DuckDB says about a file that it cannot split into cells, as a user's message."""
    # What the line itself holds must not be taken for what is said of it.
    text = re.sub(r"^Original Line: .*$", "Original Line", str(error), flags=re.MULTILINE)
    named = re.search(r"^\s*file = (.*)$", text, re.MULTILINE)
    part = next((p for p in source.parts if named and str(p.file) == named[1].strip()), None)
    if part is None and len(source.parts) == 1:
        part = source.parts[0]
    name = part.part.name if part else "the source"
    row = re.search(r"CSV Error on Line: (\d+)", text)
    where = f"{name}, row {int(row[1]) + _skipped(part)}" if row else name
    cells = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text)
    remedy = "correct the row or export the file again"
    if cells:
        # It counts no further than one more than the header has.
        few_or_many = "fewer" if int(cells[2]) < int(cells[1]) else "more"
        return InputError(
            f"{where}: {few_or_many} cells than the header's {cells[1]}; {remedy} (cut off? a "
            "delimiter within a cell that is not quoted?), or set source.on_bad_rows: quarantine"
        )
    if "Maximum line size" in text or "exceeds" in text:
        return InputError(
            f"{where}: a line longer than {LONGEST_LINE >> 20} MB (a quote that never closes?); "
            f"{remedy}"
        )
    if "unicode" in text:
        return InputError(f"{where}: not text in the declared encoding; set source.encoding")
    if "unterminated quote" in text or ("quote" in text and "Original Line" in text):
        return InputError(f"{where}: a quote opens and does not close as it should; {remedy}")
    return InputError(f"{where}: cannot be read: {text.strip().splitlines()[0]}; {remedy}")


def _skipped(part: Readable | None) -> int:
    return part.row_lookup[2] if part and part.row_lookup else 0


# Scans


def _readable(part: Part, layout: Layout, scratch: Path, encoding: str | None) -> Readable:
    if part.kind == "text":
        found = dialect(part, layout, scratch, encoding)
        fields = {f: f"c{p}" for f, p in fit(part.name, found.header, layout).items()}
        how = ("text", found.encoding, found.delimiter, found.header)
        lookup = (found.encoding, found.delimiter, found.skip)
        return Readable(part, found.file, how, fields, found.header, row_lookup=lookup)
    header = _parquet_header(part)
    positions = fit(part.name, header, layout)
    if part.kind == "sheet":
        fields = {f: f"c{p}" for f, p in positions.items()}
    else:
        fields = {f: header[p] for f, p in positions.items()}
    return Readable(part, part.file, (part.kind, header), fields, header)


def _parquet_header(part: Part) -> tuple[str, ...]:
    try:
        with pq.ParquetFile(part.file) as file:
            if part.kind == "parquet":
                return tuple(file.schema_arrow.names)
            first = next(file.iter_batches(batch_size=1), None)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{part.name} is not a sound Parquet file ({error}): cut off or damaged; copy it again"
        ) from None
    if first is None:
        raise InputError(f"{part.name} is empty: not even a header; export it again")
    return tuple(value or "" for value in list(first.to_pylist()[0].values())[1:])


def _scan(parts: Sequence[Readable], *, with_rejects: bool = False) -> str:
    """The SQL of the rows of parts read alike: `part` for the file, every field as text."""
    first = parts[0]
    files = "[" + ", ".join(_text(str(p.file)) for p in parts) + "]"
    kind = first.how[0]
    if kind == "text":
        _, encoding, delimiter, header = first.how[:4]
        columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(header)))
        rejects = ", store_rejects = true, rejects_limit = 0" if with_rejects else ""
        rows = (
            f"read_csv({files}, auto_detect = false, header = true, delim = {_text(delimiter)}, "
            f"quote = '\"', escape = '\"', columns = {{{columns}}}, "
            f"encoding = '{encoding}', strict_mode = true, max_line_size = {LONGEST_LINE}, "
            f"buffer_size = {BUFFER}{rejects})"
        )
        cells = {f: _name(column) for f, column in first.fields.items()}
        where = ""
    elif kind == "sheet":
        rows = f"read_parquet({files}, file_row_number = true)"
        cells = {f: _name(column) for f, column in first.fields.items()}
        where = " where file_row_number > 0"  # the header
    else:
        rows = f"read_parquet({files}, binary_as_string = true)"
        cells = {f: f"cast({_name(column)} as varchar)" for f, column in first.fields.items()}
        where = ""
    chosen = ", ".join(f"{cells.get(f, 'null::varchar')} as {f}" for f in _used(parts))
    return f"select file_index as part, {chosen} from {rows}{where}"


def _used(parts: Sequence[Readable]) -> list[str]:
    return [f for f in FIELDS if any(f in part.fields for part in parts)]


def _rows(source: Source, *, numbered: bool = True) -> str:
    """The SQL of all rows in order, as text; parts that are alike are one scan."""
    used = _used(source.parts)
    scans, offset = [], 0
    for _, run in itertools.groupby(source.parts, key=lambda p: p.how):
        alike = list(run)
        cells = ", ".join(
            f"{_trimmed(f)} as {f}" if f in _used(alike) else f"null::varchar as {f}" for f in used
        )
        rows = _scan(alike, with_rejects=source.with_rejects)
        scans.append(f"select cast(part + {offset} as integer) as part, {cells} from ({rows})")
        offset += len(alike)
    union = " union all ".join(scans)
    return f"select row_number() over () as line_id, * from ({union})" if numbered else union


def _trimmed(name: str) -> str:
    """Numbers and dates are left as they are: casts pass over outer spaces."""
    return name if name in (*NUMBERS, *DATES) else f"nullif(trim({name}), '')"


# Dates


def _with_dates(database: duckdb.DuckDBPyConnection, source: Source) -> Source:
    parts = source.parts
    formats = [_date_format(database, source, part) for part in parts]
    return replace(
        source,
        parts=tuple(replace(p, date_format=f) for p, f in zip(parts, formats, strict=True)),
    )


def _date_format(database: duckdb.DuckDBPyConnection, source: Source, part: Readable) -> str:
    """The one date format that all rows of a part fit, or most where none fits all."""
    scan = _scan([part], with_rejects=source.with_rejects)
    rows = f"select sold_at from ({scan}) where trim(sold_at) <> ''"
    fitting = _fits(database, f"{rows} limit {SAMPLED_ROWS}", source.layout.dates)
    total = fitting.pop("rows")
    best = [f for f, count in fitting.items() if count == total]
    if len(best) > 1 and total:
        fitting = _fits(database, rows, best)
        total = fitting.pop("rows")
        most = max(fitting.values())
        best = [f for f in best if fitting[f] == most]
        if len(best) > 1:
            _refuse_ambiguous(database, part, rows, best)
    return best[0] if best else max(fitting, key=lambda f: fitting[f])


def _fits(database: duckdb.DuckDBPyConnection, rows: str, formats: Sequence[str]) -> dict[str, int]:
    counts = ", ".join(f"count({_plausible(_date('sold_at', f))})" for f in formats)
    found = database.execute(f"select count(*), {counts} from ({rows})").fetchall()[0]
    return dict(zip(("rows", *formats), found, strict=True))


def _refuse_ambiguous(
    database: duckdb.DuckDBPyConnection, part: Readable, rows: str, formats: Sequence[str]
) -> None:
    for one, other in itertools.combinations(formats, 2):
        differ = f"{_date('sold_at', one)} <> {_date('sold_at', other)}"
        found = database.execute(f"select sold_at from ({rows}) where {differ} limit 1").fetchall()
        if found:
            raise AmbiguousError(
                f"{part.part.name}, column {_shown(part, 'sold_at')}: {found[0][0]!r} fits {one} "
                f"and {other}, as do all rows, and they mean two days; set source.date_format: "
                f"'{one}' or '{other}'"
            )


def _date(cell: str, date_format: str) -> str:
    """SQL for the cell as a timestamp of this format, null where it is none."""
    if date_format != "iso":
        return f"try_strptime({cell}, {_text(date_format)})"
    # The offset is dropped where there is one: what counts is the shop's own time.
    local = f"regexp_replace(trim({cell}), ' ?([+-]\\d\\d:?\\d\\d|Z|UTC)$', '')"
    return f"try_cast(case when length({cell}) > 19 then {local} else {cell} end as timestamp)"


def _plausible(date: str) -> str:
    """SQL for the date where it is one of a shop's time; %Y reads 10 as the year 10."""
    return (
        f"case when {date} between timestamp '{FIRST_DAY}' and timestamp '{LAST_DAY}' "
        f"then {date} end"
    )


# Cells


def _number(cell: str, layout: Layout) -> str:
    """SQL for the cell's number as text with a decimal point, null where the marks are not so."""
    text = f"trim({cell})" if layout.thousands or layout.decimal != "." else cell
    if layout.thousands:
        mark, point = re.escape(layout.thousands), re.escape(layout.decimal)
        grouped = f"^[+-]?\\d{{1,3}}({mark}\\d{{3}})+({point}\\d+)?$"
        text = (
            f"case when not contains({text}, {_text(layout.thousands)}) then {text} "
            f"when regexp_matches({text}, {_text(grouped)}) "
            f"then replace({text}, {_text(layout.thousands)}, '') end"
        )
    if layout.decimal != ".":
        text = (
            f"case when contains({text}, '.') then null "
            f"else replace({text}, {_text(layout.decimal)}, '.') end"
        )
    return f"case when contains({cell}, '_') then null else try_cast({text} as decimal(18, 4)) end"


def _identifier(cell: str) -> str:
    """SQL for an id: 17850.0, as a table with gaps is exported, is 17850 again."""
    is_float = f"suffix({cell}, '.0') and regexp_full_match({cell}, '\\d+\\.0')"
    return f"case when {is_float} then left({cell}, -2) else {cell} end"


def _converted(source: Source, *, numbered: bool = True) -> str:
    """The SQL of all rows as text, with each number (as n_…) and date (as d_…) converted once."""
    used = _used(source.parts)
    columns = [f"{_number(f, source.layout)} as n_{f}" for f in NUMBERS if f in used]
    columns += [f"{_dates(source, f)} as d_{f}" for f in DATES if f in used]
    cells = _cells(source) if numbered else _rows(source, numbered=False)
    return f"select *, {', '.join(columns)} from ({cells})"


def _parsed(source: Source, used: Sequence[str]) -> dict[str, str]:
    """SQL of each canonical column from the columns of `_converted`."""
    layout = source.layout
    cells: dict[str, str] = {f: f for f in used}
    for f, value in layout.constants.items():
        # Not a bare constant: DuckDB would write it as a column that cannot be null.
        cells.setdefault(f, f"case when part >= 0 then {_text(value)} end")
    for f, other in layout.fallbacks.items():
        if other in cells:
            cells[f] = f"coalesce({cells[f]}, {cells[other]})" if f in cells else cells[other]
    null = "nullif('', '')"
    invoice = _identifier(cells["invoice_id"]) if "invoice_id" in cells else null
    stock_code = f"upper({_identifier(cells['stock_code'])})"
    if layout.adjustment_prefix and layout.adjustment_code:
        adjusts = f"starts_with(invoice_id, {_text(layout.adjustment_prefix)})"
        stock_code = (
            f"case when {adjusts} then {_text(layout.adjustment_code)} else {stock_code} end"
        )
    if layout.invoice_per_row:
        invoice = f"coalesce({invoice}, cast(line_id as varchar))"
    quantity = (
        "n_quantity" if "quantity" in used else f"cast({cells['quantity']} as decimal(18, 4))"
    )
    quantity = f"case when {quantity} % 1 = 0 then {quantity} end"
    price = "n_unit_price" if "unit_price" in used else "cast(null as decimal(18, 4))"
    if "amount" in used:
        each = f"cast(abs(n_amount) / nullif(abs({quantity}), 0) as decimal(18, 4))"
        price = f"coalesce({price}, {each})"
        quantity = f"case when n_amount < 0 then -abs({quantity}) else {quantity} end"
    amount = f"cast({quantity} * {price} as decimal(18, 4))"
    if "amount" in used:
        sign = f"case when {quantity} < 0 then -1 else 1 end"
        amount = f"coalesce(cast(abs(n_amount) * {sign} as decimal(18, 4)), {amount})"
    text, money = "cast(null as varchar)", "cast(null as decimal(18, 4))"
    return {
        "invoice_id": invoice,
        "stock_code": stock_code,
        "description": cells.get("description", cells["stock_code"]),
        "quantity": quantity,
        "sold_at": _plausible("d_sold_at"),
        "unit_price": price,
        "amount": amount,
        "customer_id": _identifier(cells["customer_id"]) if "customer_id" in cells else null,
        "country": cells.get("country", null),
        "discount": money,
        "unit_cost": money,
        "shop_category": text,
        "channel": text,
        "store": text,
        "email": text,
        "consent": text,
        "status": text,
        "is_sale": "part >= 0",
        "source_key": "cast(null as bigint)",
        "repeats": _text(layout.repeats),
    }


def _dates(source: Source, cell: str) -> str:
    formats = [p.date_format for p in source.parts]
    if len(set(formats)) == 1:
        return _date(cell, formats[0])
    by_format = {
        f: [str(i) for i, g in enumerate(formats) if g == f] for f in dict.fromkeys(formats)
    }
    cases = (f"when part in ({', '.join(i)}) then {_date(cell, f)}" for f, i in by_format.items())
    return f"case {' '.join(cases)} end"


def are_numbered_by_reader(source: Source) -> bool:
    """Whether a line's number is its place in the stream, so that the scan need not number it.

    Numbering in SQL takes the rows one after the other; without it all cores parse.
    """
    asks_for_it = source.layout.invoice_per_row or _is_reordered(source) or _tells_returns(source)
    return not asks_for_it


def unnumbered_sql(source: Source) -> str:
    """The SQL of the canonical lines, without `line_id`, where `are_numbered_by_reader`."""
    expressions = _parsed(source, _used(source.parts))
    parsed = ", ".join(f"{sql} as {name}" for name, sql in expressions.items())
    return f"select {parsed} from ({_converted(source, numbered=False)})"


def lines_sql(source: Source) -> str:
    """The SQL of the canonical lines; a needed cell that cannot be read is null.

    Rows keep the source's order. Returns that a layout tells of follow after all of them.
    """
    expressions = _parsed(source, _used(source.parts))
    parsed = ", ".join(f"{sql} as {name}" for name, sql in expressions.items())
    rows = _converted(source)
    if not _tells_returns(source):
        order = " order by line_id" if _is_reordered(source) else ""
        return f"select line_id, {parsed} from ({rows}){order}"
    same = ("invoice_id", "stock_code", "description")
    also = [n for n in expressions if n not in (*same, "quantity", "sold_at", "amount")]
    return (
        f"with sold as (select line_id, {parsed}, {_taken_back(source)} as taken_back, "
        f"{_back_at(source)} as back_at from ({rows})) "
        f"select line_id, {', '.join(expressions)} from sold union all "
        "select (select max(line_id) from sold) + row_number() over (order by line_id) as line_id, "
        f"{', '.join(same)}, -taken_back as quantity, back_at as sold_at, unit_price, "
        "cast(-amount * taken_back / quantity as decimal(18, 4)) as amount, "
        f"{', '.join(n for n in also if n != 'unit_price')} from sold "
        "where taken_back > 0 order by line_id"
    )


def _cells(source: Source) -> str:
    """The SQL of all rows as text, lines delivered twice left out, orders' fields on every line."""
    rows, used = _rows(source), _used(source.parts)
    if _overlaps(source):
        # A line that stands n times in one part and m times in another is max(n, m) lines.
        line = ", ".join(used)
        times = f"row_number() over (partition by part, {line} order by line_id)"
        first = f"row_number() over (partition by time, {line} order by line_id) = 1"
        counted = f"select *, {times} as time from ({rows})"
        rows = f"select * exclude (time) from ({counted}) qualify {first}"
    order_level = [f for f in source.layout.order_level if f in used]
    if order_level:
        others = ", ".join(f for f in ("line_id", "part", *used) if f not in order_level)
        filled = ", ".join(
            f"coalesce({f}, first_value({f} ignore nulls) over "
            f"(partition by invoice_id order by line_id "
            f"rows between unbounded preceding and unbounded following)) as {f}"
            for f in order_level
        )
        rows = f"select {others}, {filled} from ({rows})"
    return rows


def _overlaps(source: Source) -> bool:
    return source.layout.overlapping and len(source.parts) > 1


def _is_reordered(source: Source) -> bool:
    return _overlaps(source) or bool(source.layout.order_level)


def _tells_returns(source: Source) -> bool:
    used = _used(source.parts)
    by_status = "status" in used and bool(source.layout.returned_statuses)
    return by_status or "refunded_quantity" in used


def _taken_back(source: Source) -> str:
    """SQL for the units of a line that the file says were taken back."""
    layout, used = source.layout, _used(source.parts)
    quantity = _parsed(source, used)["quantity"]
    cases = ""
    if "status" in used and layout.returned_statuses:
        statuses = ", ".join(_text(s) for s in layout.returned_statuses)
        cases = f"when lower(status) in ({statuses}) then {quantity} "
    units = "0"
    if "refunded_quantity" in used:
        # Some shops count what came back as negative units.
        units = "coalesce(cast(abs(n_refunded_quantity) as bigint), 0)"
    return (
        f"case {cases}else least({units}, {quantity}) end"
        if cases
        else f"least({units}, {quantity})"
    )


def _back_at(source: Source) -> str:
    """SQL for when they were: at the cancellation, or, where the file does not say, at the sale."""
    sold_at = _plausible("d_sold_at")
    if "cancelled_at" not in _used(source.parts):
        return sold_at
    return f"coalesce({_plausible('d_cancelled_at')}, {sold_at})"


# What cannot be read


def bad_rows(
    database: duckdb.DuckDBPyConnection, source: Source, limit: int | None = SHOWN
) -> tuple[int, list[BadRow]]:
    """Return how many rows cannot be read, and the first of them with file, row, column, value."""
    used = _used(source.parts)
    parsed = _parsed(source, used)
    failing = [f"({parsed[name]}) is null" for name in REQUIRED]
    flags = ", ".join(f"{sql} as bad_{name}" for name, sql in zip(REQUIRED, failing, strict=True))
    any_bad = " or ".join(f"bad_{name}" for name in REQUIRED)
    # `position` counts within the part, so it is taken before lines delivered twice are left out.
    first = f"select part as p, min(line_id) as first_id from ({_rows(source)}) group by part"
    rows = f"select *, {flags} from ({_converted(source)})"
    bad = f"select * from ({rows}) where {any_bad}"
    count = database.execute(f"select count(*) from ({bad})").fetchall()[0][0]
    columns = ["line_id", "part", *used, *(f"bad_{name}" for name in REQUIRED)]
    if "amount" in used:
        columns.append("n_amount")
    chosen = ", ".join(columns)
    cut = f" limit {limit}" if limit else ""
    found = database.execute(f"select {chosen} from ({bad}) order by line_id{cut}").fetchall()
    starts = dict(database.execute(first).fetchall())
    cells = [dict(zip(columns, row, strict=True)) for row in found]
    positions: dict[int, list[int]] = {}
    for row in cells:
        row["position"] = row["line_id"] - starts[row["part"]] + 1
        positions.setdefault(row["part"], []).append(row["position"])
    numbers = {part: _row_numbers(source.parts[part], of) for part, of in positions.items()}
    return count, [_bad_row(source, row, numbers[row["part"]][row["position"]]) for row in cells]


def _bad_row(source: Source, row: Mapping[str, Any], number: int) -> BadRow:
    part = source.parts[row["part"]]
    cells = {f: row[f] for f in part.fields}
    bad = [name for name in REQUIRED if row[f"bad_{name}"]]
    has_amount = row.get("n_amount") is not None
    if has_amount and row["bad_quantity"]:  # no price follows, but for want of units alone
        bad = [name for name in bad if name != "unit_price"]
    problems = [
        (f"{cells['amount']!r} for {cells.get('quantity')!r} units gives no price", "amount")
        if has_amount and name == "unit_price"
        else _problem(source, part, name, cells)
        for name in bad
    ]
    problem, cell_field = problems[0]
    also = "".join(f"; {_shown(part, f)}: {p}" for p, f in problems[1:])
    return BadRow(
        file=part.part.name,
        row=number,
        line_id=row["line_id"],
        column=_shown(part, cell_field),
        value=cells.get(cell_field),
        problem=problem + also,
        line=json.dumps({_shown(part, f): v for f, v in cells.items()}, ensure_ascii=False),
    )


def _row_numbers(part: Readable, positions: Collection[int]) -> dict[int, int]:
    """The row of the file for each position within the part, in one pass over the file."""
    if part.row_lookup:
        return rows_of(part.file, *part.row_lookup, positions)
    if part.part.kind == "parquet":
        return {position: position for position in positions}
    rows = pq.read_table(part.file, columns=["row"])["row"]
    return {position: int(rows[position].as_py()) for position in positions}  # 0 is the header


def _problem(
    source: Source, part: Readable, name: str, cells: Mapping[str, str | None]
) -> tuple[str, str]:
    """What is wrong with a cell, with the remedy, and the field that it stands in."""
    layout = source.layout
    if name not in cells and name in {"quantity", "unit_price"} and "amount" in cells:
        name = "amount"
    if name not in cells:
        return "no value and no column to take it from", name
    value = cells[name]
    if value is None or not value.strip():
        if name == "unit_price" and "amount" in cells:
            name, value = "amount", cells["amount"]
        if value is None or not value.strip():
            return "it is empty", name
    shown = repr(value if len(value) <= 60 else f"{value[:59]}…")
    if name == "sold_at":
        formats = f"not a date like {part.date_format}"
        return (
            f"{shown} is {formats}, as most are, from {FIRST_DAY[:4]} to 2099{_date_hint(layout)}",
            name,
        )
    # Ids are never wrong but where they are empty: what is left is a number.
    return f"{shown} is not a {_kind(name)}{_number_hint(value, layout)}", name


def _kind(name: str) -> str:
    return "whole number" if name == "quantity" else "number below 10^14"


def _date_hint(layout: Layout) -> str:
    others = f" (the layout knows {', '.join(layout.dates)})" if len(layout.dates) > 1 else ""
    return f"{others}; if all dates are written otherwise, set source.date_format"


def _number_hint(value: str, layout: Layout) -> str:
    text = value.strip()
    if (
        layout.decimal == "."
        and re.fullmatch(r"[+-]?\d+,\d+", text)
        and not re.fullmatch(r"[+-]?\d{1,3},\d{3}", text)
    ):
        return '; if the file uses decimal commas, set source.decimal: ","'
    if layout.decimal == "." and re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", text):
        return '; if commas part thousands, set source.thousands: ","; if decimals, source.decimal'
    if layout.decimal == "," and re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?", text):
        hint = '; if points part thousands, set source.thousands: "."'
        return hint if "," in text else f"{hint}; if decimals, source.decimal"
    if layout.decimal == "," and re.fullmatch(r"[+-]?\d+\.\d+", text):
        return '; if the file uses decimal points, set source.decimal: "."'
    if minus := re.fullmatch(r"\((\d[\d.,]*)\)", text):
        return f"; if the brackets mean a minus, write -{minus[1]}"
    sign = re.fullmatch(rf"({SIGN})?\s*-?\d[\d.,]*\s*({SIGN})?", text)
    found = sign and (sign[1] or sign[2])
    return f"; delete {found!r} from the column" if found else ""


def count_rows(
    database: duckdb.DuckDBPyConnection, source: Source, kept: int, bad: Sequence[BadRow]
) -> dict[str, int]:
    """The account of rows: read = kept - told returns + set apart + delivered twice."""
    twice, told, partly = 0, 0, 0
    if _overlaps(source):
        rows = database.execute(f"select count(*) from ({_rows(source)})").fetchall()[0][0]
        left = database.execute(f"select count(*) from ({_cells(source)})").fetchall()[0][0]
        twice = rows - left
    if _tells_returns(source):
        status = "status" if "status" in _used(source.parts) else "null"
        taken_back = _taken_back(source)
        back = (
            f"select {taken_back} as taken_back, {status} as status, invoice_id "
            f"from ({_converted(source)})"
        )
        statuses = ", ".join(_text(s) for s in ("", *source.layout.partly_returned_statuses))
        told, partly = database.execute(
            "select count(*) filter (taken_back > 0), "
            f"count(distinct invoice_id) filter (lower(status) in ({statuses})) from ({back})"
        ).fetchall()[0]
    return {
        "lines_read": kept - told + len(bad) + twice,
        "lines_quarantined": len(bad),
        "lines_delivered_twice": twice,
        "lines_of_told_returns": told,
        "orders_partly_returned_not_netted": partly,
    }


def rejected_rows(database: duckdb.DuckDBPyConnection, source: Source) -> list[BadRow]:
    """Return the lines that the scan just made left out for their number of cells.

    Raises InputError for defects after which the rest of the file cannot be trusted.
    """
    parts = {str(p.file): p for p in source.parts}
    found = database.execute(
        "select distinct s.file_path, e.line, e.error_type, e.csv_line, e.error_message "
        "from reject_errors e join reject_scans s using (scan_id, file_id) order by 1, 2"
    ).fetchall()
    rows: dict[tuple[str, int], BadRow] = {}
    for file, line, kind, text, message in found:
        if file not in parts:
            continue  # another reading of this connection
        part = parts[file]
        name, row = part.part.name, line + _skipped(part)
        if kind not in WRONG_CELLS:
            raise InputError(
                f"{name}, row {row}: {message.splitlines()[0]}: such a row cannot be set apart; "
                "correct it or export the file again"
            )
        few_or_many = "fewer" if kind == "MISSING COLUMNS" else "more"
        problem = f"{few_or_many} cells than the header's {len(part.header)}"
        rows[name, row] = BadRow(name, row, None, "(row)", None, problem, text)
    return list(rows.values())


def _shown(part: Readable, name: str) -> str:
    """The header's own name of a field."""
    column = part.fields.get(name)
    if column is None:
        return name
    if part.part.kind == "parquet":
        return column
    return part.header[int(column.removeprefix("c"))].strip()


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'

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

from pipeline.core.run.errors import AmbiguousError, InputError, MisfitError
from pipeline.core.tables.contract import Column
from pipeline.core.tables.ingest import INVOICE_LINES
from pipeline.ingest.dates import (
    FIRST_DAY,
    ISO,
    USUAL_DATES,
    date_sql,
    english_month,
    month_problem,
)
from pipeline.ingest.layouts import FIELDS, MONEY, Layout, Reading, fit, layout_of, quoted
from pipeline.ingest.orders import Facts, Orders, clean_id, lines_of, small_table
from pipeline.ingest.sources import (
    LONGEST_LINE,
    Part,
    dialect,
    rows_of,
    unpack,
    with_one_line_end,
    without_title,
)

SHOWN = 5
NUMBERS = ("quantity", "unit_price", "refunded_quantity", *MONEY)
NO_FIGURE = ("", "-", "--", "–", "n/a", "na", "nan", "none", "null")  # a cell without one
REQUIRED = ("invoice_id", "stock_code", "quantity", "sold_at", "unit_price", "amount")
PLACES = "decimal(28, 10)"
BUFFER = 2 * LONGEST_LINE  # DuckDB's own size; by itself it would take 16 longest lines
SAMPLED_ROWS = 2000
# The defects of single lines; after others (an open quote) nobody knows where the next line begins.
WRONG_NUMBER = "Expected Number of Columns"  # so DuckDB says it
SIGN = r"(?:[A-Za-z]{0,3}[$¢£¤¥\x{20a0}-\x{20cf}]|[A-Z]{3}|[Kk]r\.?|zł|Fr\.?)"  # €, EUR, US$
GAP = r"['’ \x{a0}\x{202f}]"
# Sign, currency and brackets round the digits: $5.00, 10,90 €, (1.00), -$8.00, 1'000.00, 5.00-.
FIGURE = (
    rf"^\s*(\(?)\s*([-+−]?)\s*{SIGN}?\s*([-+−]?)\s*((?:[\d.,]|{GAP})*\d[.,]?)"
    rf"\s*{SIGN}?\s*([-−]?)\s*{SIGN}?\s*(\)?)\s*$"
)
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
    store: str | None = None
    zone: str | None = None  # in which a Parquet file's moments are told


@dataclass(frozen=True)
class Source:
    """All parts of a source, in order, with the layout that they fit."""

    params: Reading
    layout: Layout
    parts: tuple[Readable, ...]
    with_rejects: bool = False
    facts: Facts | None = None
    rounded: int = 0  # lines whose price has more decimals than are kept

    @property
    def sets_apart(self) -> bool:
        """Whether rows that cannot be read are set apart, and are no error."""
        return self.params.on_bad_rows == "quarantine"


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


def open_source(database: duckdb.DuckDBPyConnection, params: Reading, scratch: Path) -> Source:
    """Find the source's parts, fit each to the layout and find out how its dates are written.

    Where rows are set apart, lines without the header's number of cells are left for
    `rejected_rows`. Raises InputError where a part cannot be read, does not fit, or where dates
    could mean two days.
    """
    database.execute("set TimeZone = 'UTC'")
    layout, zone = layout_of(params), params.time_zone
    zones = "select count(*) from pg_timezone_names() where name = ?"
    if zone and not database.execute(zones, [zone]).fetchall()[0][0]:
        raise InputError(f"source.time_zone: {zone!r} is no zone; such as Europe/Berlin")
    found, misfits = [], []
    for part in unpack(params.path, params.files, params.sheets, scratch):
        pattern = params.store_pattern
        store = _store_of(part.name, pattern) if pattern else None
        try:
            found.append(replace(_readable(part, layout, params, scratch), store=store))
        except MisfitError as error:
            misfits.append((part, error))
    if misfits:
        raise _misfit_of(misfits, found, layout)
    source = Source(params, layout, tuple(found))
    try:
        return _with_dates(database, source)
    except duckdb.Error as error:
        source = mended(source, error, scratch)
    try:
        return _with_dates(database, source)
    except duckdb.Error as error:
        raise structural_error(source, error) from None


def _misfit_of(
    misfits: Sequence[tuple[Part, MisfitError]], found: Sequence[Readable], layout: Layout
) -> MisfitError:
    """What to do where not every part of a source holds order lines."""
    part, error = misfits[0]
    if found:
        names = [p.part.name.rsplit("/", 1)[-1] for p in found]
        key = "sheets" if part.kind == "sheet" else "files"
        value: Any = names if key == "sheets" else names[0]
        if key == "files" and len(names) > 1:
            return error
        error.args = (f"{error}\n  or read what fits: source.{key}: {value}",)
        error.remedy = {key: value}
    elif len(misfits) > 1:
        headers = {p.name.rsplit("/", 1)[-1]: e.header for p, e in misfits}
        whole = tuple(dict.fromkeys(name for header in headers.values() for name in header))
        if not layout.missing(whole):
            error.has, error.lacks = len(layout.positions(whole)), 0
            error.args = (f"{error}\n  no file has all columns: {join_of(headers)}",)
    return error


def join_of(headers: Mapping[str, Sequence[str]]) -> str:
    """How tables are joined into one, by the columns of keys that they share."""
    rest = dict(sorted(headers.items(), key=lambda item: -len(item[1])))
    first = next((n for n in rest if "item" in n.lower() or "line" in n.lower()), next(iter(rest)))
    known = list(rest.pop(first))
    sql = f"select * from '{first}'"
    while rest:
        shared = {
            n: [c for c in h if c in known and c.lower().endswith("id")] for n, h in rest.items()
        }
        name = next((n for n in rest if shared[n]), None)
        if name is None:
            break
        sql += f" join '{name}' using ({', '.join(shared[name])})"
        known += rest.pop(name)
    return (
        'the tables must be joined. In the folder, with DuckDB (`python -c "import duckdb; '
        f"duckdb.sql(…)\"`):\n    copy ({sql}) to 'lines.parquet'\n"
        "  then give lines.parquet as source.path"
    )


def _store_of(name: str, pattern: str) -> str:
    try:
        found = re.search(pattern, Path(name).name)
    except re.error as error:
        raise InputError(
            f"source.store_pattern: {pattern!r} is no regular expression: {error}"
        ) from None
    if not found:
        raise InputError(f"source.store_pattern: {pattern!r} does not match {Path(name).name!r}")
    return found[1] if found.groups() else found[0]


def mended(source: Source, error: duckdb.Error, scratch: Path) -> Source:
    """The source as DuckDB can read it after all: with equal line ends, or without odd lines.

    Raises InputError, with file and row, for every other defect.
    """
    if source.sets_apart and WRONG_NUMBER in str(error):
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
    return replace(source, parts=parts, with_rejects=source.sets_apart)


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


def _readable(part: Part, layout: Layout, params: Reading, scratch: Path) -> Readable:
    if part.kind == "text":
        found = dialect(part, layout, scratch, params.encoding)
        fields = {f: f"c{p}" for f, p in fit(part.name, found.header, layout).items()}
        how = ("text", found.encoding, found.delimiter, found.header)
        lookup = (found.encoding, found.delimiter, found.skip)
        return Readable(part, found.file, how, fields, found.header, row_lookup=lookup)
    if part.kind == "sheet":
        part = without_title(part, layout)
    header = _parquet_header(part)
    zone = None
    positions = fit(part.name, header, layout)
    if part.kind == "sheet":
        fields = {f: f"c{p}" for f, p in positions.items()}
    else:
        fields = {f: header[p] for f, p in positions.items()}
        if "sold_at" in fields:
            kind = pq.read_schema(part.file).field(fields["sold_at"]).type
            zone = getattr(kind, "tz", None) and (params.time_zone or kind.tz)
    return Readable(part, part.file, (part.kind, header, zone), fields, header, zone=zone)


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
    files = "[" + ", ".join(quoted(str(p.file)) for p in parts) + "]"
    kind = first.how[0]
    if kind == "text":
        _, encoding, delimiter, header = first.how[:4]
        columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(len(header)))
        rejects = ", store_rejects = true, rejects_limit = 0" if with_rejects else ""
        rows = (
            f"read_csv({files}, auto_detect = false, header = true, delim = {quoted(delimiter)}, "
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
    if first.zone:  # the shop's, else that of the schema; the machine's makes no difference
        moment = f"timezone({quoted(first.zone)}, {_name(first.fields['sold_at'])})"
        cells["sold_at"] = f"cast({moment} as varchar)"
    if "sold_time" in cells:  # a day and a time in two columns
        at, time = cells["sold_at"], cells["sold_time"]
        cells["sold_at"] = f"case when contains({at}, ':') then {at} else {at} || ' ' || {time} end"
    chosen = [f"{cells.get(f, 'null::varchar')} as {f}" for f in _used(parts)]
    chosen.append(f"{_source_key(first)} as source_key")
    return f"select file_index as part, {', '.join(chosen)} from {rows}{where}"


def _source_key(part: Readable) -> str:
    """SQL of what tells lines apart that are alike in all columns that are used."""
    if "line_key" in part.fields:
        names = [part.fields["line_key"]]
    else:
        used = set(part.fields.values())
        columns = part.header
        if part.part.kind != "parquet":
            columns = tuple(f"c{place}" for place in range(len(part.header)))
        names = [column for column in columns if column not in used and column]
    rest = ", ".join(f"cast({_name(name)} as varchar)" for name in names)
    return f"cast(hash({rest}) >> 1 as bigint)" if rest else "cast(null as bigint)"


def _used(parts: Sequence[Readable]) -> list[str]:
    beside = {"line_key", "sold_time"}  # of which others are made
    return [f for f in FIELDS if f not in beside and any(f in part.fields for part in parts)]


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
        scans.append(
            f"select cast(part + {offset} as integer) as part, source_key, {cells} from ({rows})"
        )
        offset += len(alike)
    union = " union all ".join(scans)
    return f"select row_number() over () as line_id, * from ({union})" if numbered else union


def _trimmed(name: str) -> str:
    """Numbers and dates are left as they are: casts pass over outer spaces."""
    return name if name in (*NUMBERS, "sold_at") else f"nullif(trim({name}), '')"


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
    is_open = not source.layout.is_plain and len(source.layout.dates) > 1
    if total and not best and is_open and max(fitting.values()) < 0.9 * total:
        more = _fits(database, f"{rows} limit {SAMPLED_ROWS}", USUAL_DATES)
        more.pop("rows")
        most = max(more.values())
        if most > max(fitting.values()):
            fitting = more
            best = [f for f, count in more.items() if count == most]
    if len(best) > 1 and total:
        fitting = _fits(database, rows, best)
        total = fitting.pop("rows")
        most = max(fitting.values())
        best = [f for f in best if fitting[f] == most]
        if len(best) > 1:
            _refuse_ambiguous(database, part, rows, best)
    return best[0] if best else max(fitting, key=lambda f: fitting[f])


def _fits(database: duckdb.DuckDBPyConnection, rows: str, formats: Sequence[str]) -> dict[str, int]:
    counts = ", ".join(f"count({date_sql('sold_at', f, english='english')})" for f in formats)
    rows = f"select sold_at, {english_month('sold_at')} as english from ({rows})"
    found = database.execute(f"select count(*), {counts} from ({rows})").fetchall()[0]
    return dict(zip(("rows", *formats), found, strict=True))


def _refuse_ambiguous(
    database: duckdb.DuckDBPyConnection, part: Readable, rows: str, formats: Sequence[str]
) -> None:
    for one, other in itertools.combinations(formats, 2):
        differ = f"{date_sql('sold_at', one)} <> {date_sql('sold_at', other)}"
        found = database.execute(f"select sold_at from ({rows}) where {differ} limit 1").fetchall()
        if found:
            raise AmbiguousError(
                f"{part.part.name}, column {_shown(part, 'sold_at')}: {found[0][0]!r} fits {one} "
                f"and {other}, as do all rows, and they mean two days; set source.date_format: "
                f"'{one}' or '{other}'"
            )


# Cells


def _number(cell: str, layout: Layout) -> str:
    """SQL for the cell's number, null where it is none or its marks are not as declared."""
    point, thousands = layout.decimal, layout.thousands
    other = "," if point == "." else "."

    def found(group: int) -> str:
        return f"regexp_extract({cell}, {quoted(FIGURE)}, {group})"

    # Gaps and the other mark part thousands only where they stand before three digits each.
    shapes = [
        rf"\d+({re.escape(point)}\d*)?",
        rf"{re.escape(point)}\d+",
        rf"\d{{1,3}}({GAP}\d{{3}})+({re.escape(point)}\d*)?",
    ]
    if thousands == other:
        shapes.append(rf"\d{{1,3}}({re.escape(other)}\d{{3}})+({re.escape(point)}\d*)?")
    elif thousands is None:  # 1,106.00 can be read in one way only
        shapes.append(rf"\d{{1,3}}({re.escape(other)}\d{{3}})+{re.escape(point)}\d+")
    digits = f"trim({found(4)})"
    bare = f"regexp_replace({digits}, {quoted(f'{GAP}|{re.escape(other)}')}, '', 'g')"
    bare = f"replace({bare}, ',', '.')" if point == "," else bare
    minus = " or ".join(f"{found(n)} in ('-', '−', '(')" for n in (1, 2, 3, 5))
    value = (
        f"case when regexp_full_match({digits}, {quoted('|'.join(shapes))}) "
        f"and ({found(1)} = '(') = ({found(6)} = ')') "
        f"then try_cast(case when {minus} then '-' else '' end || {bare} as {PLACES}) end"
    )
    if point == ",":
        return value
    plain = f"try_cast({cell} as {PLACES})"  # of most cells; it would read 1_000 too
    return f"case when contains({cell}, '_') then null else coalesce({plain}, {value}) end"


def _converted(source: Source, *, numbered: bool = True) -> str:
    """The SQL of all rows as text, with each number (as n_…) and date (as d_…) converted once."""
    used = _used(source.parts)
    if source.facts:
        return f"select * from {source.facts.cells}"
    cells = {f: "replace(discount, '%', '')" if f == "discount" else f for f in NUMBERS}
    columns = [f"{_number(cells[f], source.layout)} as n_{f}" for f in NUMBERS if f in used]
    columns.append(f"{_dates(source)} as d_sold_at")
    rows = _cells(source) if numbered else _rows(source, numbered=False)
    return f"select *, {', '.join(columns)} from ({rows})"


def _parsed(source: Source, used: Sequence[str]) -> dict[str, str]:
    """SQL of what a line says by itself, from the columns of `_converted`."""
    layout = source.layout
    cells: dict[str, str] = {f: f for f in used}
    for f, value in layout.constants.items():
        # Not a bare constant: DuckDB would write it as a column that cannot be null.
        cells.setdefault(f, f"case when part >= 0 then {quoted(value)} end")
    for f, other in layout.fallbacks.items():
        if other in cells:
            cells[f] = f"coalesce({cells[f]}, {cells[other]})" if f in cells else cells[other]
    null = "nullif('', '')"
    stock_code = f"upper({_identifier(cells['stock_code'])})"
    if layout.adjustment_prefix and layout.adjustment_code:
        adjusts = f"starts_with(invoice_id, {quoted(layout.adjustment_prefix)})"
        stock_code = (
            f"case when {adjusts} then {quoted(layout.adjustment_code)} else {stock_code} end"
        )
    return {
        "invoice_id": _identifier(cells["invoice_id"]) if "invoice_id" in used else null,
        "stock_code": stock_code,
        "description": cells.get("description", cells["stock_code"]),
        "sold_at": "d_sold_at",
        "country": cells.get("country", null),
    }


def _plain_lines(source: Source, *, numbered: bool) -> str:
    """SQL of the canonical lines of a file whose lines say all by themselves."""
    parsed = _parsed(source, _used(source.parts))
    wide, small = _money("n_quantity", "n_unit_price"), _money("s_quantity", "s_unit_price")
    is_small = "s_quantity is not null and s_unit_price is not null"
    columns = {
        **{c.name: f"cast(null as {_sql_type(c)})" for c in INVOICE_LINES.columns},
        **parsed,
        **{name: f"case when {is_small} then {small[name]} else {wide[name]} end" for name in wide},
        "customer_id": clean_id("customer_id"),
        "is_sale": "part >= 0",
        "repeats": quoted(source.layout.repeats),
    }
    columns["line_id"] = "line_id"
    if not numbered:
        del columns["line_id"]
    chosen = ", ".join(f"{sql} as {name}" for name, sql in columns.items())
    numbers = ", ".join(f"{_small(f'n_{name}')} as s_{name}" for name in ("quantity", "unit_price"))
    rows = _converted(source, numbered=numbered)
    return f"select {chosen} from (select *, {numbers} from ({rows}))"


def _money(quantity: str, price: str) -> dict[str, str]:
    """SQL of a plain line's units and money, null where they are out of range."""
    units = f"case when {price} < 0 then -abs({quantity}) else {quantity} end"
    is_short = f"{quantity} = round({quantity}, 4)"
    return {
        "quantity": f"case when {is_short} then cast({units} as decimal(18, 4)) end",
        "unit_price": _in_range(f"abs({price})"),
        "amount": _in_range(f"try({units} * abs({price}))"),
        "is_rounded": f"coalesce({price} <> round({price}, 4), false)",  # to be counted
    }


def _in_range(value: str) -> str:
    """SQL for money in the range that sums up exactly, null beyond it."""
    return f"case when abs({value}) < 1e10 then cast({value} as decimal(18, 4)) end"


def _small(number: str) -> str:
    """SQL for the number where it has five digits and four decimals at most, as nearly all have.

    Two such numbers multiply in 64 bits: ten times as fast as in 128.
    """
    wide = f"try_cast({number} as decimal(15, 10))"
    small = f"try_cast({wide} as decimal(9, 4))"
    return f"case when cast({small} as decimal(15, 10)) = {wide} then {small} end"


def _sql_type(column: Column) -> str:
    return {"string": "varchar", "int64": "bigint", "bool": "boolean"}.get(
        str(column.type), "decimal(18, 4)"
    )


def _identifier(cell: str) -> str:
    """SQL for an id: 17850.0, as a table with gaps is exported, is 17850 again."""
    is_float = f"suffix({cell}, '.0') and regexp_full_match({cell}, '\\d+\\.0')"
    return f"case when {is_float} then left({cell}, -2) else {cell} end"


def _dates(source: Source) -> str:
    formats = [p.date_format for p in source.parts]
    if len(set(formats)) == 1:
        return date_sql("sold_at", formats[0], source.params.time_zone)
    by_format = {
        f: [str(i) for i, g in enumerate(formats) if g == f] for f in dict.fromkeys(formats)
    }
    cases = (
        f"when part in ({', '.join(i)}) then {date_sql('sold_at', f, source.params.time_zone)}"
        for f, i in by_format.items()
    )
    return f"case {' '.join(cases)} end"


def settled(
    database: duckdb.DuckDBPyConnection, source: Source, *, may_be_plain: bool = True
) -> Source:
    """The source with what was found out about its orders, where its lines do not say all.

    A plain source stays as it is where it may: its customers are the ids as they are written.
    """
    used = _used(source.parts)
    knows = all(
        set(part.fields) >= {"invoice_id", "quantity", "unit_price"} for part in source.parts
    )
    columns = {name for part in source.parts for name in part.header if name.strip()}
    is_plain = source.layout.is_plain and knows and len(columns) == len(used)
    aliases = source.params.customer_aliases
    has_aliases = bool(small_table(database, aliases, "source.customer_aliases"))
    if may_be_plain and is_plain and not has_aliases and source.params.time_zone is None:
        return source
    _refuse_mixed_offsets(database, source)
    shown = {f: _shown(source.parts[0], f) for f in used}
    orders = Orders(database, source.layout, used, source.params, shown)
    facts = orders.settle(_converted(source), _ranks(database, source))
    if _overlaps(source):
        rows = database.execute(f"select count(*) from ({_rows(source)})").fetchall()[0][0]
        facts.figures["lines_delivered_twice"] = rows - facts.figures["lines_read"]
        facts.figures["lines_read"] = rows
    return replace(source, facts=facts)


def _ranks(database: duckdb.DuckDBPyConnection, source: Source) -> list[int]:
    """For each part its place in time: by its last day, then by its name."""
    if len(source.parts) < 2:
        return [0]
    last = f"select part, max({_dates(source)}) from ({_rows(source)}) group by 1"
    days = dict(database.execute(last).fetchall())
    names = [re.sub(r"\d+", lambda n: f"{int(n[0]):012}", p.part.name) for p in source.parts]
    in_time = sorted(range(len(names)), key=lambda n: (str(days.get(n)), names[n]))
    return [in_time.index(n) for n in range(len(names))]


def _refuse_mixed_offsets(database: duckdb.DuckDBPyConnection, source: Source) -> None:
    """Raise InputError where times of several zones stand in one file, and none is declared."""
    if source.params.time_zone or "sold_at" not in _used(source.parts):
        return
    offset = f"nullif(regexp_extract(sold_at, {quoted(ISO)}, 2), '')"
    found = database.execute(
        f"select distinct {offset} as o from ({_rows(source)}) where {offset} is not null limit 9"
    ).fetchall()
    hours = {0 if o[0] in "ZUG" else int(o[:3]) for (o,) in found}
    if hours and max(hours) - min(hours) > 1:  # summer time makes one hour
        raise InputError(
            f"{source.parts[0].part.name}: times with the offsets "
            f"{', '.join(sorted(o for (o,) in found))}; set source.time_zone to the shop's own, "
            "such as Europe/London, and they are converted"
        )


def are_numbered_by_reader(source: Source) -> bool:
    """Whether a line's number is its place in the stream, so that the scan need not number it.

    Numbering in SQL takes the rows one after the other; without it all cores parse. The stream of
    several files is not always in their order.
    """
    return source.facts is None and len(source.parts) == 1 and source.params.days is None


def lines_sql(source: Source, *, numbered: bool = True) -> str:
    """The SQL of the canonical lines; a needed cell that cannot be read is null.

    Rows keep the source's order. Refunds that a layout tells of follow after all of them. Where
    `are_numbered_by_reader`, they may come without `line_id`.
    """
    if source.facts is None:
        lines = _plain_lines(source, numbered=numbered)
        return f"{lines} order by line_id" if numbered else lines
    used = _used(source.parts)
    nothing = ", ".join(quoted(word) for word in NO_FIGURE)
    broken = [
        f"n_{f} is null and lower(trim({f})) not in ({nothing})" for f in NUMBERS if f in used
    ]
    parsed = {**_parsed(source, used), "is_broken": " or ".join(broken) or "false"}
    return lines_of(source.facts, source.layout, parsed)


def _cells(source: Source) -> str:
    """The SQL of all rows as text, lines delivered twice left out, orders' fields on every line."""
    rows, used = _rows(source), _used(source.parts)
    if any(part.part.kind == "sheet" for part in source.parts) and "invoice_id" in used:
        rows = _filled_down(source, rows, used)
    if _overlaps(source):
        # A line that stands n times in one part and m times in another is max(n, m) lines.
        line = ", ".join(used)
        times = f"row_number() over (partition by part, {line} order by line_id)"
        first = f"row_number() over (partition by time, {line} order by line_id) = 1"
        counted = f"select *, {times} as time from ({rows})"
        rows = f"select * exclude (time) from ({counted}) qualify {first}"
    order_level = [f for f in source.layout.order_level if f in used]
    if order_level and "invoice_id" in used:
        first = (
            "first_value({f} ignore nulls) over (partition by part, invoice_id order by line_id "
        )
        first += "rows between unbounded preceding and unbounded following)"
        filled = ", ".join(
            f"case when invoice_id is null then {f} else coalesce({f}, {first.format(f=f)}) end "
            f"as {f}"
            for f in order_level
        )
        rows = f"select * replace ({filled}) from ({rows})"
    stores = [f"when {n} then {quoted(p.store)}" for n, p in enumerate(source.parts) if p.store]
    if stores:
        others = "* exclude (store)" if "store" in used else "*"
        rows = f"select {others}, case part {' '.join(stores)} end as store from ({rows})"
    return rows


def _filled_down(source: Source, rows: str, used: Sequence[str]) -> str:
    """In a sheet, a blank order number means that the row goes on with the order above."""
    level = ["invoice_id", "sold_at", "customer_id", "email", "country", "status"]
    level = [f for f in level if f in used]
    sheets = ", ".join(str(n) for n, p in enumerate(source.parts) if p.part.kind == "sheet")
    group = "count(invoice_id) over (partition by part order by line_id)"
    goes_on = f"invoice_id is null and part in ({sheets})"
    goes_on += " and sold_at is null" if "sold_at" in used else ""
    first = "first_value({f}) over (partition by part, above order by line_id)"
    filled = ", ".join(
        f"case when {goes_on} then {first.format(f=f)} else {f} end as {f}" for f in level
    )
    grouped = f"select *, {group} as above from ({rows})"
    return f"select * exclude (above) replace ({filled}) from ({grouped})"


def _overlaps(source: Source) -> bool:
    return source.layout.overlapping is True and len(source.parts) > 1


# What cannot be read


def bad_rows(
    database: duckdb.DuckDBPyConnection, source: Source, limit: int | None = SHOWN
) -> tuple[int, list[BadRow]]:
    """Return how many rows cannot be read, and the first of them with file, row, column, value."""
    used = _used(source.parts)
    flags = ", ".join(f"l.{name} is null as bad_{name}" for name in REQUIRED)
    any_bad = " or ".join(f"{name} is null" for name in REQUIRED)
    # `position` counts within the part, so it is taken before lines delivered twice are left out.
    first = f"select part as p, min(line_id) as first_id from ({_rows(source)}) group by part"
    bad = (
        f"select c.*, {flags} from (select * from ({lines_sql(source)}) where {any_bad}) l "
        f"join ({_converted(source)}) c using (line_id)"
    )
    count = database.execute(f"select count(*) from ({bad})").fetchall()[0][0]
    columns = ["line_id", "part", *used, *(f"bad_{name}" for name in REQUIRED)]
    columns += [f"n_{name}" for name in NUMBERS if name in used]
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
    cells = {f: row[f] for f in part.fields if f in row}
    problems = _problems(source, part, row, cells)
    cell_field, problem = problems[0]
    also = "".join(f"; {_shown(part, f)}: {p}" for f, p in problems[1:])
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


def _problems(
    source: Source, part: Readable, row: Mapping[str, Any], cells: Mapping[str, str | None]
) -> list[tuple[str, str]]:
    """What is wrong with which field's cell, with the remedy."""
    layout = source.layout
    texts = {name: (cells.get(name) or "").strip() for name in NUMBERS}
    found = [
        (name, f"{_cut(value)} is not a number below 10^10{_number_hint(value, layout)}")
        for name, value in texts.items()
        if value.lower() not in NO_FIGURE and row[f"n_{name}"] is None
    ]
    if row["bad_sold_at"]:
        value = (cells.get("sold_at") or "").strip()
        span = f"from {FIRST_DAY[:4]} to 2099"
        formats = f"is not a date like {part.date_format}, as most are, {span}"
        hint = f"{_cut(value)} {formats}{_date_hint(value, layout)}"
        found.append(("sold_at", hint if value else "it is empty"))
    found += [(f, "it is empty") for f in ("invoice_id", "stock_code") if row[f"bad_{f}"]]
    return found or [_money_problem(row, cells)]


def _money_problem(row: Mapping[str, Any], cells: Mapping[str, str | None]) -> tuple[str, str]:
    """Why sound numbers make no line: no units, no price, or too much of them."""
    if row["bad_quantity"] and (cells.get("quantity") or "").strip():
        return ("quantity", f"{_cut(cells['quantity'])} has more than four decimals")
    if row["bad_quantity"]:
        return ("quantity", "it is empty")
    prices = [f for f in ("amount", "unit_price", "line_price", "total") if f in cells]
    given = [f for f in prices if (cells[f] or "").strip().lower() not in NO_FIGURE]
    if not given:
        return (prices[0] if prices else "unit_price", "it is empty")
    units = _cut(cells.get("quantity") or "no")
    if row["bad_amount"]:
        return (given[0], f"{_cut(cells[given[0]])}: the line comes to 10^10 or more")
    return (given[0], f"{_cut(cells[given[0]])} for {units} units gives no price")


def _cut(value: str | None) -> str:
    text = value or ""
    return repr(text if len(text) <= 60 else f"{text[:59]}…")


def _date_hint(value: str, layout: Layout) -> str:
    if problem := month_problem(value):
        return problem
    others = f" (the layout knows {', '.join(layout.dates)})" if len(layout.dates) > 1 else ""
    return f"{others}; if all dates are written otherwise, set source.date_format"


def _number_hint(value: str, layout: Layout) -> str:
    text = re.sub(r"^[^\d.,+-]+|[^\d.,]+$", "", value)  # without a currency: 10,90 €
    if (
        layout.decimal == "."
        and re.fullmatch(r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+", text)
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
    return ""


def count_rows(
    database: duckdb.DuckDBPyConnection, source: Source, kept: int, bad: Sequence[BadRow]
) -> dict[str, int]:
    """The account of rows: read = kept - refunds added + quarantined + left out."""
    counts = {
        "lines_read": kept + len(bad),
        "lines_quarantined": len(bad),
        "lines_delivered_twice": 0,
        "lines_of_totals": 0,
        "lines_of_rounded_prices": source.rounded,
        "lines_of_refunds": 0,
        "lines_not_sold": 0,
    }
    if source.facts:
        counts |= source.facts.figures
        counts["lines_read"] += sum(row.line_id is None for row in bad)  # odd numbers of cells
        left_out = counts["lines_delivered_twice"] + counts["lines_of_totals"]
        more = kept + len(bad) + left_out - counts["lines_read"]
        counts["lines_of_refunds"] = max(0, more)
    elif _overlaps(source):
        rows = database.execute(f"select count(*) from ({_rows(source)})").fetchall()[0][0]
        left = database.execute(f"select count(*) from ({_cells(source)})").fetchall()[0][0]
        counts["lines_delivered_twice"] = rows - left
        counts["lines_read"] += rows - left
    return counts


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


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'

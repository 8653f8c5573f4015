"""Find and unpack what a source holds: text files, sheets and Parquet files, each with a header.

What a file is, its first bytes decide and not its name. Archives are unpacked into a scratch
folder under names of our own, so that none writes elsewhere, and only as far as there is room.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import errno
import fnmatch
import gzip
import io
import itertools
import logging
import lzma
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, load_workbook

from pipeline.core.run.errors import InputError
from pipeline.core.run.stage import progress
from pipeline.ingest.layouts import Layout

ENDINGS = {".csv", ".tsv", ".txt", ".tab", ".xlsx", ".xlsm", ".xls", ".parquet", ".zip", ".gz"}
DELIMITERS = (",", ";", "\t", "|")
CHUNK = 1 << 20
BLOCK = 1 << 16  # few hold a letter beyond ASCII, so few are read by line
LONGEST_LINE = 16 << 20
SPARE = 256 << 20  # bytes of the disk that unpacking leaves free
LONGEST_HEADER = 1 << 20
TITLE_LINES = 20  # so far down a header is looked for
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like the mark of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
LATIN = "iso8859-1"
NATIVE = {"utf-8": "utf-8", LATIN: "latin-1"}  # what DuckDB decodes itself
WINDOWS = re.compile(rb"[\x80-\x9f]")  # letters and marks in cp1252, nothing in ISO 8859-1
ROWS_AT_ONCE = 20_000
DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, ValueError,
    RuntimeError, NotImplementedError,  # locked by a password, or packed in a way of its own
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One text file, sheet or Parquet file: the name to show and the file to read."""

    name: str
    file: Path
    kind: str  # text, sheet (text columns in Parquet, `row` first) or parquet


@dataclass(frozen=True)
class Dialect:
    """How a text file is to be read: its encoding, delimiter, and lines before the header."""

    file: Path
    encoding: str
    delimiter: str
    skip: int
    header: tuple[str, ...]


@dataclass(frozen=True)
class TextFacts:
    """What the bytes say: a byte order mark, and where UTF-8 or text as such ends."""

    mark: str | None
    not_utf8_row: int | None
    zero_row: int | None
    utf8_row: int | None = None  # where the file is not UTF-8: a row that is, beyond ASCII
    is_windows: bool = False


def unpack(
    path: Path, files: str | None, sheets: Sequence[str] | None, scratch: Path
) -> list[Part]:
    """Return the parts of a file or folder, in the order of their names, sheets as they stand.

    `files` is a pattern (such as *.csv) that selects within a folder or archive, `sheets` the names
    of the sheets to read. Raises InputError where nothing is found or an archive is not sound.
    """
    try:
        found = _files(path, files)
    except (OSError, ValueError) as error:  # a name too long, a folder that may not be listed
        raise InputError(f"source.path: {str(path)!r} cannot be read: {error}") from None
    parts: list[Part] = []
    for file in progress(found, "unpacking"):
        name = str(path) if file == path else f"{path}/{file.relative_to(path).as_posix()}"
        parts += _parts(name, _linked(file, scratch), _Wanted(files, sheets, scratch))
    if not parts:
        raise InputError(f"{path}: nothing in it can be read; expected {_expected()}")
    return parts


def _files(path: Path, files: str | None) -> list[Path]:
    if path.is_file():
        return [path]
    if address := re.match(r"([A-Za-z][\w+.-]+):/+(.*)", str(path)):
        raise InputError(_brought_first(*address.groups()))
    if not path.is_dir():
        if any(mark in str(path) for mark in "*?["):
            raise InputError(
                f"source.path: {path} is a pattern; give the folder ({path.parent}) as source.path "
                f"and the pattern ({path.name}) as source.files"
            )
        what = "is neither a file nor a folder" if path.exists() else "is missing"
        raise InputError(f"source.path: {path} {what}; give a file or a folder of files")
    visible = (f for f in path.rglob("*") if not _hidden(f.relative_to(path).as_posix()))
    inside = sorted(
        (f for f in visible if f.is_symlink() or not f.is_dir()),
        key=lambda f: f.relative_to(path).as_posix(),
    )
    found = [f for f in inside if f.is_dir() or _selected(f.relative_to(path).as_posix(), files)]
    for file in found:
        if not file.is_file():
            raise InputError(
                f"{file} is a link to a folder or to nothing, or no file of data: not read; "
                f"put the files themselves into {path}, or take it away"
            )
    if files is None:
        _tell_left_out(str(path), [f.name for f in inside if f not in found])
    if not found:
        names = ", ".join(f.name for f in inside[:5]) or "nothing"
        pattern = files or _expected()
        raise InputError(f"{path}: no file matches {pattern}; the folder holds {names}")
    return found


def _brought_first(scheme: str, rest: str) -> str:
    """How what an address names is brought; it may hold a password, so it is not repeated whole."""
    if scheme.startswith(("postgres", "mysql", "mariadb", "sqlite", "duckdb", "mssql", "oracle")):
        origin = {"sq": rest, "du": rest, "po": "env:SHOP_DATABASE"}.get(scheme[:2])
        query = f"`python -m pipeline download --from {origin} --query 'select …'`, or "
        return (
            f"source.path: {scheme}://… is a database; take its lines into a file: "
            f"{query if origin else ''}`dvc import-db --conn shop --sql 'select …' --out "
            "data/raw/lines.csv`, the address in the environment or in DVC's local config "
            "(docs/sources.md); then give that file"
        )
    shown = f"{scheme}://{rest.rsplit('@', 1)[-1].split('?', maxsplit=1)[0]}"
    store = "" if scheme.startswith("http") else " (object stores need `make sources`)"
    return (
        f"source.path: {shown} is an address; bring it first: `dvc import-url {shown} "
        f"data/raw/{Path(shown).name}`{store}, then give that file"
    )


def _tell_left_out(name: str, left: Sequence[str]) -> None:
    if left:
        shown = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
        logging.getLogger("ingest").warning(
            "%s: left out, for their names end like no known kind of file: %s", name, shown
        )


def _linked(file: Path, scratch: Path) -> Path:
    """A link of a name of our own: DuckDB takes * ? [ in a name as a pattern, .gz as packed."""
    target = _scratch_file(scratch)
    target.unlink()
    target.symlink_to(file.absolute())
    return target


def _expected() -> str:
    return " ".join(f"*{ending}" for ending in sorted(ENDINGS))


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def _selected(name: str, files: str | None) -> bool:
    if files is None:
        return Path(name).suffix.lower() in ENDINGS
    return fnmatch.fnmatchcase(name, files) or fnmatch.fnmatchcase(name.rsplit("/", 1)[-1], files)


@dataclass(frozen=True)
class _Wanted:
    """What of an archive or workbook is wanted, and the folder to unpack it in."""

    files: str | None
    sheets: Sequence[str] | None
    scratch: Path


def _parts(name: str, file: Path, wanted: _Wanted) -> Iterator[Part]:
    try:
        with file.open("rb") as opened:
            start = opened.read(8)
    except OSError as error:
        raise InputError(
            f"{name} cannot be opened: {error.strerror}; give this user the right to read it"
        ) from None
    if not start:
        raise InputError(f"{name} is empty: not even a header; export it again")
    if start.startswith(b"PAR1"):
        yield Part(name, file, "parquet")
    elif start.startswith(b"\x1f\x8b"):
        with _sound(name, "gzip"), gzip.open(file) as packed:
            unpacked = _unpacked(name, packed, wanted.scratch)
        yield from _parts(name, unpacked, wanted)
    elif start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        with _sound(name, "ZIP"), zipfile.ZipFile(file) as archive:
            yield from _zip_parts(name, file, archive, wanted)
    elif start.startswith(b"\xd0\xcf\x11\xe0"):
        yield from _sheet_parts(name, file, wanted)
    else:
        yield Part(name, file, "text")


@contextmanager
def _sound(name: str, kind: str) -> Iterator[None]:
    try:
        yield
    except (*DAMAGE, OSError) as error:
        # A damaged archive makes seeks that cannot be; other errors of the system are no damage.
        if isinstance(error, OSError) and error.errno not in {None, errno.EINVAL}:
            raise
        raise InputError(
            f"{name} is not a sound {kind} file ({error}): cut off, damaged or locked; copy it "
            "again, or unpack it and give the file"
        ) from None


def _zip_parts(name: str, file: Path, archive: zipfile.ZipFile, wanted: _Wanted) -> Iterator[Part]:
    members = sorted(archive.infolist(), key=lambda m: m.filename)
    if any(m.filename == "[Content_Types].xml" for m in members):
        yield from _sheet_parts(name, file, wanted)
        return
    # zipfile's own is_dir() stumbles over a member without a name.
    visible = [m for m in members if not m.filename.endswith("/") and not _hidden(m.filename)]
    chosen = [m for m in visible if _selected(m.filename, wanted.files)]
    if wanted.files is None:
        _tell_left_out(name, [m.filename for m in visible if m not in chosen])
    for member in chosen:
        inner = f"{name}/{member.filename}"
        with archive.open(member) as packed:
            unpacked = _unpacked(inner, packed, wanted.scratch)
        # An archive in an archive is found by its ending, not by the pattern.
        yield from _parts(inner, unpacked, replace(wanted, files=None))


def _unpacked(name: str, packed: IO[bytes] | gzip.GzipFile, scratch: Path) -> Path:
    target = _scratch_file(scratch)
    with target.open("wb") as out:
        while chunk := packed.read(CHUNK):
            if shutil.disk_usage(scratch).free < SPARE:
                raise InputError(
                    f"{name} unpacks to more than {out.tell() / 1e9:.1f} GB and {scratch} has no "
                    "more room; set PIPELINE_SPILL to a folder on a larger disk"
                )
            out.write(chunk)
    return target


def _scratch_file(scratch: Path, ending: str = "") -> Path:
    names = (scratch / f"part_{number}{ending}" for number in itertools.count(1))
    file = next(name for name in names if not name.exists())
    file.touch()
    return file


# Sheets


def _sheet_parts(name: str, file: Path, wanted: _Wanted) -> Iterator[Part]:
    try:
        book = load_workbook(file)
    except CalamineError as error:
        raise InputError(
            f"{name} is not a sound workbook ({error}): damaged or locked by a password; "
            "save it again as .xlsx or .csv"
        ) from None
    with book:
        yield from _sheets(name, book, wanted.sheets, wanted.scratch)


def _sheets(
    name: str, book: CalamineWorkbook, sheets: Sequence[str] | None, scratch: Path
) -> Iterator[Part]:
    unknown = [s for s in sheets or () if s not in book.sheet_names]
    if unknown:
        raise InputError(
            f"{name}: no sheet {unknown[0]!r} (source.sheets); it has {', '.join(book.sheet_names)}"
        )
    empty = True
    for title in book.sheet_names:
        if sheets and title not in sheets:
            continue
        try:
            sheet = book.get_sheet_by_name(title)
        except CalamineError as error:
            raise InputError(
                f"{name}/{title} cannot be read: {error}; save the workbook again, or name the "
                "sheets to read in source.sheets"
            ) from None
        if sheet.height == 0:  # Excel makes empty sheets by default; a chart's has no cell either
            continue
        empty = False
        target = _scratch_file(scratch, ".parquet")
        _sheet_to_parquet(sheet, target)
        yield Part(f"{name}/{title}", target, "sheet")
    if empty:
        raise InputError(f"{name} is empty: no sheet has a cell; export it again")


def _sheet_to_parquet(sheet: CalamineSheet, target: Path) -> None:
    """Write a sheet's cells as text, the row numbers first; never all rows at once as text."""
    # iter_rows begins in the sheet's first row, but in the first column that has a cell.
    width = sheet.width
    names = [f"c{place}" for place in range(width)]
    schema = pa.schema([("row", pa.int64()), *((name, pa.string()) for name in names)])
    numbered = enumerate(sheet.iter_rows(), start=1)
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        while rows := list(itertools.islice(numbered, ROWS_AT_ONCE)):
            texts = [(number, [_cell(value) or None for value in cells]) for number, cells in rows]
            texts = [(number, cells) for number, cells in texts if any(cells)]
            columns = [
                pa.array([cells[place] for _, cells in texts], pa.string())
                for place in range(width)
            ]
            numbers = pa.array([number for number, _ in texts], pa.int64())
            writer.write_batch(pa.record_batch([numbers, *columns], schema=schema))


def _cell(value: Any) -> str:
    """A cell's text as a CSV export would write it: whole numbers without .0, dates as ISO."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return "" if value is None else str(value)


# Text files


def read_facts(file: Path) -> TextFacts:
    """Read a text file once for what decides how it is decoded."""
    not_utf8, zero, utf8, is_windows, rows = None, None, None, False, 1
    with file.open("rb") as opened:
        start = opened.read(4)
        mark = next((encoding for sign, encoding in MARKS if start.startswith(sign)), None)
        opened.seek(0)
        if mark in {"utf-16", "utf-32"}:
            return TextFacts(mark, None, None)
        while block := opened.read(BLOCK) + opened.readline(LONGEST_LINE):
            if zero is None and b"\0" in block:
                zero = rows + block[: block.index(b"\0")].count(b"\n")
            lines = [] if block.isascii() else block.split(b"\n")
            for row, line in enumerate(lines, rows):
                if line.isascii():
                    continue
                try:
                    line.decode()
                    utf8 = utf8 or row
                except UnicodeDecodeError:
                    not_utf8 = not_utf8 or row
                    is_windows = is_windows or bool(WINDOWS.search(line))
            rows += block.count(b"\n")
    return TextFacts(mark, not_utf8, zero, utf8 if not_utf8 else None, is_windows)


def dialect(part: Part, layout: Layout, scratch: Path, encoding: str | None = None) -> Dialect:
    """Return how to read a text file; where DuckDB cannot decode it, a copy in UTF-8 is made.

    Raises InputError, with the row, where no declared encoding fits or the file is not text.
    """
    facts = read_facts(part.file)
    encoding = _encoding(part.name, facts, layout, encoding)
    file = part.file
    if facts.zero_row is not None and not encoding.startswith(("utf-16", "utf-32")):
        raise InputError(
            f"{part.name}, row {facts.zero_row}: a zero byte: no text file, or cut off while "
            "copying, or UTF-16 (then set source.encoding: utf-16); export it again"
        )
    if encoding not in NATIVE:
        file = _to_utf8(part.name, file, encoding, scratch)
        encoding = "utf-8"
    with file.open("rb") as opened:
        head = opened.read(LONGEST_HEADER).decode(encoding, errors="ignore").removeprefix("\ufeff")
    delimiter, skip = layout.delimiter, 0
    lines = list(io.StringIO(head, newline=""))  # splitlines would end a line at a form feed too
    while lines and not lines[0].strip():
        skip += 1
        lines.pop(0)
    if lines and (declared := re.fullmatch(r"sep=(.)\s*", lines[0])):  # Excel's own first line
        delimiter = delimiter or declared[1]
        skip += 1
        lines.pop(0)
    if not lines:
        raise InputError(f"{part.name} is empty: not even a header; export it again")
    if delimiter == " ":
        file, delimiter = _with_one_blank(file, encoding, scratch), " "
    if layout.header:
        file = _with_header(file, encoding, delimiter or ",", layout.header, scratch)
        return Dialect(file, NATIVE[encoding], delimiter or ",", -1, tuple(layout.header))
    candidates = [delimiter] if delimiter else list(DELIMITERS)
    headers = {d: _header(part.name, lines, d) for d in candidates}
    best = min(candidates, key=lambda d: (len(layout.missing(headers[d])), -len(headers[d])))
    if layout.missing(headers[best]):
        above, best, header = _below_title(part.name, lines, layout, best, headers)
        headers[best] = header
        skip += above
    if skip:  # DuckDB would count lines that it skips in another way
        file = _without_lines(file, skip, scratch)
    return Dialect(file, NATIVE[encoding], best, skip, headers[best])


def _below_title(
    name: str,
    lines: Sequence[str],
    layout: Layout,
    best: str,
    headers: Mapping[str, tuple[str, ...]],
) -> tuple[int, str, tuple[str, ...]]:
    """Where the header is, if a title and notes stand above it: lines, delimiter and header."""
    for above, delimiter in itertools.product(range(1, min(TITLE_LINES, len(lines))), headers):
        header = _header(name, lines[above:], delimiter)
        if not layout.missing(header):
            return above, delimiter, header
    return 0, best, headers[best]


def _with_one_blank(file: Path, encoding: str, scratch: Path) -> Path:
    """A copy in which runs of blanks are one: what is laid out in columns of a fixed width."""
    target = _scratch_file(scratch)
    with file.open(encoding=encoding) as source, target.open("w", encoding=encoding) as out:
        out.writelines(" ".join(line.split()) + "\n" for line in source if line.strip())
    return target


def _with_header(
    file: Path, encoding: str, delimiter: str, header: Sequence[str], scratch: Path
) -> Path:
    target = _scratch_file(scratch)
    with file.open("rb") as source, target.open("wb") as out:
        out.write((delimiter.join(header) + "\n").encode(encoding))
        shutil.copyfileobj(source, out, CHUNK)
    return target


def without_title(part: Part, layout: Layout) -> Part:
    """The sheet from its header on: a title and notes may stand above it."""
    table = pq.read_table(part.file)
    rows = table.slice(0, TITLE_LINES).drop_columns("row").to_pylist()
    for above, row in enumerate(rows):
        if not layout.missing([value or "" for value in row.values()]):
            if above:
                pq.write_table(table.slice(above), part.file, compression="zstd")
            break
    return part


def _header(name: str, lines: Sequence[str], delimiter: str) -> tuple[str, ...]:
    try:
        return tuple(next(csv.reader(lines, delimiter=delimiter)))
    except csv.Error as error:
        raise InputError(f"{name}, row 1: the header cannot be read: {error}") from None


def _encoding(name: str, facts: TextFacts, layout: Layout, own: str | None) -> str:
    if own is not None:
        try:
            own = codecs.lookup(own).name
        except (LookupError, ValueError):
            raise InputError(
                f"source.encoding: {own!r} is unknown; try utf-8, iso-8859-1, cp1252 or utf-16"
            ) from None
    asked = [own] if own else [codecs.lookup(e).name for e in layout.encodings]
    if facts.mark and own is None:
        asked = [facts.mark]
    for encoding in asked:
        if encoding in {"utf-8", "utf-8-sig"}:
            if facts.not_utf8_row is None:
                return "utf-8"
        elif encoding == LATIN and own is None:
            if facts.utf8_row is not None:
                raise InputError(
                    f"{name}: row {facts.utf8_row} is UTF-8 text and row {facts.not_utf8_row} is "
                    "not: files of two encodings in one? Give them apart, as a folder, or set "
                    "source.encoding to read all rows in that one"
                )
            return "cp1252" if facts.is_windows else LATIN
        else:
            return encoding
    raise InputError(
        f"{name}, row {facts.not_utf8_row}: not {asked[-1]} text; set source.encoding to what the "
        "file is in, such as iso-8859-1 or cp1252 (Windows)"
    )


def _to_utf8(name: str, file: Path, encoding: str, scratch: Path) -> Path:
    target = _scratch_file(scratch)
    rows = 1
    try:
        with (
            file.open(encoding=encoding, newline="") as source,
            target.open("w", encoding="utf-8", newline="") as out,
        ):
            while text := source.read(CHUNK):
                if "\0" in text:
                    zero = rows + text[: text.index("\0")].count("\n")
                    raise InputError(
                        f"{name}, row {zero}: a zero character: no text, or not {encoding}; "
                        "export it again"
                    )
                rows += text.count("\n")
                out.write(text)
    except (UnicodeError, LookupError):
        raise InputError(
            f"{name}, about row {rows}: not {encoding} text; set source.encoding to what it is in"
        ) from None
    return target


def _without_lines(file: Path, skip: int, scratch: Path) -> Path:
    target = _scratch_file(scratch)
    with file.open("rb") as source, target.open("wb") as out:
        head = source.read(LONGEST_HEADER)
        out.write(b"".join(head.splitlines(keepends=True)[skip:]))
        shutil.copyfileobj(source, out, CHUNK)
    return target


def with_one_line_end(file: Path, scratch: Path) -> Path:
    """A copy in which every line ends with a line feed, for files that mix line ends."""
    target = _scratch_file(scratch)
    with file.open("rb") as source, target.open("wb") as out:
        held = b""
        while chunk := source.read(CHUNK):
            text = held + chunk
            held = text[-1:] if text.endswith(b"\r") else b""
            text = text[: len(text) - len(held)]
            out.write(text.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
        out.write(b"\n" if held else b"")
    return target


def rows_of(
    file: Path, encoding: str, delimiter: str, skipped: int, lines: Collection[int]
) -> dict[int, int]:
    """The row, as an editor shows it, on which each n-th line after the file's header begins.

    It differs from n + 1 where cells hold line ends, where lines are empty or have not the header's
    number of cells (they do not count), and by the lines `skipped` above the header, which the file
    no longer has.
    """
    csv.field_size_limit(1 << 30)
    found = {line: line + 1 + skipped for line in lines}
    with file.open(encoding=encoding, newline="") as opened:
        reader = csv.reader(opened, delimiter=delimiter)
        width = len(next(reader))
        begins, seen, last = reader.line_num, 0, max(lines)
        for cells in reader:
            if len(cells) == width:
                seen += 1
                if seen in found:
                    found[seen] = begins + 1 + skipped
                if seen == last:
                    break
            begins = reader.line_num
    return found

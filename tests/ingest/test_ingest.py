"""Ingest: a right result or one clear message, whatever the file."""

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import errno
import gzip
import io
import json
import os
import subprocess
import sys
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shops import DEFAULTS, FIRST, Shop

from pipeline.core.run.errors import InputError
from pipeline.core.tables.ingest import INVOICE_LINES
from pipeline.ingest import sources

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
LINE = "536365,85123A,WHITE HEART,6,12/1/2010 8:26,2.55,17850,United Kingdom"
RETURN = "C536379,D,Discount,-1,12/1/2010 9:41,27.50,14527,United Kingdom"
SECOND = "536366,71053,,6,12/13/2010 8:28,3.39,,France"
GOOD = f"{HEADER}\n{LINE}\n{RETURN}\n{SECOND}\n"
moment = dt.datetime  # as Parquet has them: the shop's time, without a zone
READ = [
    dict(zip(FIRST, row, strict=True))
    for row in [
        (1, "536365", "85123A", "WHITE HEART", 6, moment(2010, 12, 1, 8, 26), Decimal("2.55"),
         "17850", "United Kingdom"),
        (2, "C536379", "D", "Discount", -1, moment(2010, 12, 1, 9, 41), Decimal("27.5"), "14527",
         "United Kingdom"),
        (3, "536366", "71053", None, 6, moment(2010, 12, 13, 8, 28), Decimal("3.39"), None,
         "France"),
    ]
]  # fmt: skip


class Free(NamedTuple):
    """What shutil.disk_usage says, as far as it is asked."""

    free: int


def fill(_: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def refused(shop: Shop, content: str | bytes | None, *parts: str, name="x.csv", **source) -> str:
    """The message; it holds the parts, and nothing was written."""
    if content is not None:
        shop.write(content, name)
    before = written(shop)
    with pytest.raises(InputError) as error:
        shop.read(name, **source)
    for part in parts:
        assert part in str(error.value)
    assert written(shop) == before
    return str(error.value)


def written(shop: Shop) -> dict[Path, bytes]:
    return {
        f: f.read_bytes() for room in ("data", "metrics") for f in shop.folder.glob(f"{room}/*")
    }


# Files that are read


@pytest.mark.parametrize(
    "content",
    [
        GOOD.encode(),
        GOOD.encode("utf-8-sig"),
        GOOD.encode("utf-16"),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("\n", "\r").encode(),
        GOOD.replace("\n", "\r\n", 2).encode(),
        GOOD.replace(",", "\t").encode(),
        GOOD.replace(",", ";").encode(),
        GOOD.replace(",", "|").encode(),
        f"sep=;\r\n{GOOD.replace(',', ';')}".encode(),
        ("\n\n" + GOOD).encode(),
        GOOD.replace(LINE, f"{LINE}\n").encode(),
        GOOD.rstrip("\n").encode(),
        GOOD.replace("WHITE HEART", '"WHITE HEART"').encode(),
        GOOD.replace("17850", "17850.0").replace("71053", "71053.0").encode(),
        GOOD.replace("17850", " 17850 ").replace("85123A", " 85123a ").encode(),
        GOOD.replace(",6,", ",6.0,").replace("2.55", "2.550000").encode(),
        GOOD.replace(HEADER, HEADER.replace("CustomerID", " customer  id ")).encode(),
        GOOD.replace("\n", ",\n").encode(),
        GOOD.encode("utf-32"),
    ],
    ids=[
        "plain", "mark", "utf16", "crlf", "cr", "mixed", "tab", "semicolon", "bar", "sep",
        "blank-top", "blank-between", "no-last-end", "quoted", "float-ids", "spaces",
        "float-numbers", "header-case", "empty-last-column", "utf32",
    ],
)  # fmt: skip
def test_the_same_lines_however_the_text_is_written(shop, content):
    shop.write(content)
    assert shop.read() == READ


def test_a_zip_a_gzip_and_a_folder_are_read_like_their_files(shop):
    with zipfile.ZipFile(shop.folder / "x.zip", "w") as archive:
        archive.writestr("in/online.csv", GOOD)
        archive.writestr("__MACOSX/in/._online.csv", "rubbish")
    assert shop.read("x.zip") == READ
    shop.write(gzip.compress(GOOD.encode()), "x.csv.gz")
    assert shop.read("x.csv.gz") == READ
    shop.write(f"{HEADER}\n{LINE}\n", "many/1.csv")
    shop.write(f"{HEADER}\n{RETURN}\n{SECOND}\n".replace(",", ";"), "many/2.csv")
    assert shop.read("many") == READ


def test_parquet_is_read_with_its_types(shop):
    table = pa.table(
        {
            "Invoice": ["536365", "C536379", "536366"],
            "StockCode": ["85123A", "D", "71053"],
            "Description": ["WHITE HEART", "Discount", None],
            "Quantity": pa.array([6, -1, 6], pa.int32()),
            "InvoiceDate": pa.array([row["sold_at"] for row in READ], pa.timestamp("us")),
            "Price": [2.55, 27.5, 3.39],
            "Customer ID": [17850.0, 14527.0, None],
            "Country": ["United Kingdom", "United Kingdom", "France"],
        }
    )
    pq.write_table(table, shop.folder / "x.parquet")
    assert shop.read("x.parquet") == READ


@pytest.mark.parametrize(
    ("text", "encoding", "own"),
    [
        ("£", "utf-8", None),
        ("£", "iso-8859-1", None),
        ("5 € “", "cp1252", None),  # letters and marks that are nothing in ISO 8859-1
        ("5 € “", "cp1252", "cp1252"),
    ],
)
def test_the_encoding_is_seen_in_the_bytes_or_declared(shop, text, encoding, own):
    shop.write(GOOD.replace("WHITE", text).encode(encoding))
    assert shop.read(encoding=own)[0]["description"] == f"{text} HEART"


def test_decimal_commas_and_thousands_are_read_where_they_are_declared(shop):
    line = LINE.replace(",", ";").replace("2.55", "1.002,55").replace(";6;", ";1.200;")
    shop.write(f"{HEADER.replace(',', ';')}\n{line}\n")
    row = shop.read(decimal=",", thousands=".")[0]
    assert (row["unit_price"], row["quantity"]) == (Decimal("1002.55"), 1200)


def test_cells_with_line_ends_delimiters_quotes_and_a_megabyte_are_kept(shop):
    texts = ["two\nlines", 'a "word", quoted', "x" * (1 << 20), "🎁 هدية", "=1+1", "<script>"]
    rows = [LINE.replace("WHITE HEART", '"' + t.replace('"', '""') + '"') for t in texts]
    shop.write("\n".join([HEADER, *rows]) + "\n")
    assert [row["description"] for row in shop.read()] == texts


@pytest.mark.parametrize("name", ["a*.csv", "a[1].csv", "x.csv.gz", "x.csv.zst", "it's.csv"])
def test_the_name_of_a_file_is_no_pattern_and_does_not_say_that_it_is_packed(shop, name):
    shop.write(GOOD, "ab.csv")
    shop.write(GOOD, "a1.csv")
    shop.write(GOOD, name)
    assert shop.read(name) == READ


def test_binary_columns_of_parquet_are_text(shop):
    names = HEADER.split(",")
    cells = [line.replace("WHITE", "£").split(",") for line in (LINE, RETURN, SECOND)]
    table = pa.table({n: pa.array(c, pa.binary()) for n, *c in zip(names, *cells, strict=True)})
    pq.write_table(table, shop.folder / "x.parquet")
    assert shop.read("x.parquet")[0]["description"] == "£ HEART"


def test_files_of_no_known_kind_are_left_out_and_told_and_a_pattern_names_others(shop, caplog):
    shop.write(GOOD, "many/1.csv")
    shop.write(GOOD, "many/2.dat")
    assert shop.read("many") == READ
    assert "many: left out, for their names end like no known kind of file: 2.dat" in caplog.text
    assert shop.read("many", files="2.*") == READ
    message = refused(shop, None, name="many", files="*.tsv")
    assert message == "many: no file matches *.tsv; the folder holds 1.csv, 2.dat"


@pytest.mark.parametrize("layout", ["folder", "one"])
def test_positions_and_bytes_are_the_same_with_one_thread_and_two(shop, monkeypatch, layout):
    for name in ("LONGEST_LINE", "BUFFER"):  # a file of many blocks, as a large one is
        monkeypatch.setattr(f"pipeline.ingest.parsing.{name}", 1 << 20)
    numbers = range(200_000)
    lines = [LINE.replace("536365", f"{500000 + n}").replace("WHITE", f"W {n}") for n in numbers]
    if layout == "one":
        shop.write("\n".join([HEADER, *lines]) + "\n", "x/a.csv")
    else:
        for part in range(3):
            shop.write("\n".join([HEADER, *lines[part::3]]) + "\n", f"x/{part}.csv")
        lines = [line for part in range(3) for line in lines[part::3]]
    files = []
    for threads in ("2", "1", "2"):
        monkeypatch.setenv("PIPELINE_THREADS", threads)
        rows = shop.read("x")
        assert [row["line_id"] for row in rows] == list(range(1, 200_001))
        assert [row["invoice_id"] for row in rows] == [line.split(",")[0] for line in lines]
        files.append(INVOICE_LINES.path.read_bytes())
    assert files[0] == files[1] == files[2]


# Files that are refused


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("none.csv", {}, "source.path: none.csv is missing; give a file or a folder"),
        ("raw/*.csv", {}, "give the folder (raw) as source.path and the pattern (*.csv)"),
        ("s3://me:pw@shop/2024/x.csv", {}, "`dvc import-url s3://shop/2024/x.csv data/raw/x.csv`"),
        (
            "postgresql://me:pw@db/shop",
            {},
            "download --from env:SHOP_DATABASE --query 'select …'`, or",
        ),
        (
            "mysql://me:pw@db/shop",
            {},
            "into a file: `dvc import-db --conn shop --sql 'select …' --out",
        ),
        (
            "sqlite:///raw/shop.db",
            {},
            "download --from raw/shop.db --query 'select …'`, or `dvc impo",
        ),
        ("x" * 300, {}, "cannot be read: [Errno 36] File name too long"),
        ("none", {}, "none: no file matches *.csv *.gz"),
        ("x.csv", {"layout": "online_retial"}, "did you mean online_retail?"),
        ("x.csv", {"columns": {"kunde": "CustomerID"}}, "source.columns: 'kunde' is no column"),
        ("x.csv", {"encoding": "klingon"}, "source.encoding: 'klingon' is unknown"),
        ("x.csv", {"encoding": "utf\0"}, "source.encoding: 'utf\\x00' is unknown"),
        ("x.csv", {"decimal": ",", "thousands": ","}, "and source.thousands are both ','"),
        ("x.csv", {"time_zone": "Mars"}, "source.time_zone: 'Mars' is no zone; such as Europe/"),
    ],
)
def test_what_is_named_wrongly_is_told_with_what_there_is(shop, name, source, message):
    shop.write(GOOD)
    (shop.folder / "none").mkdir()
    assert "pw" not in refused(shop, None, message, name=name, **source)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x.csv is empty: not even a header"),
        (b"\n \n\n", "x.csv is empty: not even a header"),
        (HEADER.encode(), "x.csv: a header and no line that can be read"),
        (f"{HEADER}\n".encode(), "x.csv: a header and no line that can be read"),
        (GOOD.replace(RETURN, RETURN + ",x").encode(), "row 3: more cells than the header's 8"),
        (GOOD.replace(RETURN, "C536379,D").encode(), "row 3: fewer cells than the header's 8"),
        (GOOD.encode()[:-8] + b"\0\0\0\n", "x.csv, row 4: a zero byte"),
        (GOOD.replace("WHITE", '"WHITE').encode(), "a quote opens and does not close"),
        (b"\x89PNG\r\n\x1a\n\0\0", "a zero byte: no text file"),
        (GOOD.replace("Disc", "D\0sc").encode("utf-16"), "x.csv, row 3: a zero character"),
        (GOOD.replace("WHITE", "x" * (17 << 20)).encode(), "row 2: a line longer than 16 MB"),
        (b"PAR1 no parquet", "x.csv is not a sound Parquet file"),
        (b"PK\x03\x04 no zip", "x.csv is not a sound ZIP file"),
        (b"\x1f\x8b no gzip", "x.csv is not a sound gzip file"),
        (gzip.compress(GOOD.encode())[:-20], "x.csv is not a sound gzip file"),
        (b"\xd0\xcf\x11\xe0 no workbook", "x.csv is not a sound workbook"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_row(shop, content, message):
    refused(shop, content, message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",6,12/13", ",six,12/13", "row 4, column Quantity: 'six' is not a number below 10^10"),
        (",6,12/13", ",6.00001,12/13", "Quantity: '6.00001' has more than four decimals"),
        (",6,12/13", ",,12/13", "x.csv, row 4, column Quantity: it is empty"),
        (",6,12/13", ",1e30,12/13", "column Quantity: '1e30' is not a number below 10^10"),
        (",6,12/13", ',"1,200",12/13', 'set source.thousands: ","'),
        ("3.39", '"3,39"', 'if the file uses decimal commas, set source.decimal: ","'),
        ("3.39", "inf", "column UnitPrice: 'inf' is not a number"),
        ("3.39", "nan", "column UnitPrice: it is empty"),
        ("3.39", "£3.39.1", "column UnitPrice: '£3.39.1' is not a number"),
        ("3.39", "9999999999", "UnitPrice: '9999999999': the line comes to 10^10 or more"),
        ("3.39", "3_39", "column UnitPrice: '3_39' is not a number"),
        ("3.39", "", "x.csv, row 4, column UnitPrice: it is empty"),
        ("12/13/2010 8:28", "13.12.2010", "row 4, column InvoiceDate: '13.12.2010' is not a date"),
        ("12/13/2010 8:28", "2010-12-13 08:28", "'2010-12-13 08:28' is not a date like %m/%d/%Y"),
        ("12/13/2010 8:28", "13/12/2010 8:28", "'13/12/2010 8:28' is not a date like"),
        ("12/13/2010 8:28", "2/30/2010 8:28", "'2/30/2010 8:28' is not a date like"),
        ("12/13/2010 8:28", "12/13/10 8:28", "'12/13/10 8:28' is not a date like"),
        ("12/13/2010 8:28", "", "column InvoiceDate: it is empty"),
        ("536366", "", "x.csv, row 4, column InvoiceNo: it is empty"),
        ("71053", " ", "x.csv, row 4, column StockCode: it is empty"),
    ],
)  # fmt: skip
def test_a_cell_that_cannot_be_read_is_named_with_its_remedy(shop, old, new, message):
    text = refused(shop, GOOD.replace(old, new), message)
    assert "1 row cannot be read; correct the file, or set source.on_bad_rows: quarantine" in text


def test_five_rows_are_shown_and_the_rest_counted(shop):
    bad = "\n".join(LINE.replace(",6,", f",x{n},") for n in range(12))
    message = refused(shop, f"{GOOD}{bad}\n", "row 5", "'x4'", "… and 7 rows more", "12 rows")
    assert "'x5'" not in message


def test_rows_are_counted_as_an_editor_shows_them(shop):
    text = GOOD.replace("WHITE HEART", '"WHITE\nHEART"').replace(RETURN, f"\n{RETURN}")
    refused(shop, "\n" + text.replace("3.39", "x"), "x.csv, row 7, column UnitPrice")


def test_the_file_of_a_folder_or_archive_is_named(shop):
    shop.write(GOOD, "many/1.csv")
    with zipfile.ZipFile(shop.folder / "many/2.zip", "w") as archive:
        archive.writestr("b.csv", GOOD.replace("3.39", "x"))
    refused(shop, None, "many/2.zip/b.csv, row 4, column UnitPrice: 'x'", name="many")


def test_a_layout_that_does_not_fit_says_what_is_found_expected_and_closest(shop):
    content = GOOD.replace("CustomerID", "Custmer").replace("Country", "Land")
    content = content.replace("Quantity", "Wieviel")
    message = refused(shop, content, "x.csv does not fit the layout online_retail")
    assert "no column Quantity, CustomerID or Customer ID, Country" in message
    assert "found:    InvoiceNo, StockCode, " in message
    assert "closest layout: " in message
    assert "source.columns: {quantity: …, customer_id: Custmer, country: Land}" in message
    content = "customer,date,amount\nann,2011-01-01,10\n"
    refused(shop, content, "closest layout: order_log (it fits); set source.layout: order_log")


def test_a_doubled_column_that_nobody_needs_does_no_harm(shop):
    content = "\n".join(f"{line},1,2" for line in GOOD.splitlines())
    shop.write(content.replace(",1,2", ",Note,Note", 1))
    assert shop.read() == READ


def test_a_date_that_could_mean_two_days_is_never_guessed(shop):
    log = "customer,date,amount\nann,01/02/2011,10\nbob,03/04/2011,5\n"
    message = refused(shop, log, "'01/02/2011' fits %d/%m/%Y and %m/%d/%Y", layout="order_log")
    assert "set source.date_format" in message
    rows = shop.read(layout="order_log", date_format="%d/%m/%Y")
    assert rows[0]["sold_at"] == moment(2011, 2, 1)


def test_one_row_may_settle_how_dates_are_written(shop):
    late = "".join(f"c{n},01/02/2011,10\n" for n in range(3000)) + "ann,25/03/2011,10\n"
    shop.write("customer,date,amount\n" + late)
    assert shop.read(layout="order_log")[0]["sold_at"] == moment(2011, 2, 1)


def test_a_date_that_means_one_day_either_way_needs_no_setting(shop):
    shop.write("customer,date,amount\nann,01/01/2011,10\nbob,02/02/2011,5\n")
    rows = shop.read(layout="order_log")
    assert [row["sold_at"] for row in rows] == [moment(2011, 1, 1), moment(2011, 2, 2)]


def test_each_file_of_a_folder_may_write_its_dates_in_its_own_way(shop):
    shop.write("customer,date,amount\nann,2011-01-25,10\n", "many/1.csv")
    shop.write("customer,date,amount\nbob,26.01.2011,5\n", "many/2.csv")
    rows = shop.read("many", layout="order_log")
    assert [row["sold_at"] for row in rows] == [moment(2011, 1, 25), moment(2011, 1, 26)]


@pytest.mark.parametrize(
    ("price", "source", "hint"),
    [
        ("2.55", {"decimal": ","}, '; if the file uses decimal points, set source.decimal: "."'),
        ("1.255", {"decimal": ","}, 'set source.thousands: "."; if decimals, source.decimal'),
        ("50%", {}, "below 10^10"),
        ("1e400", {}, "below 10^10"),
        ("2.5.5", {}, "below 10^10"),
    ],
)
def test_what_may_be_meant_by_a_price_is_said(shop, price, source, hint):
    lines = [HEADER, f'1,A,CUP,1,12/1/2010 8:26,"{price}",17850,France']
    message = refused(shop, "\n".join(lines), f"{price!r} is not a number", **source)
    assert message.splitlines()[0].endswith(hint)


def test_a_bad_cell_of_parquet_is_named_with_its_row(shop):
    names = HEADER.split(",")
    cells = [line.split(",") for line in (LINE, RETURN, SECOND.replace(",6,", ",six,"))]
    table = pa.table({name: list(column) for name, *column in zip(names, *cells, strict=True)})
    pq.write_table(table, shop.folder / "x.parquet")
    refused(
        shop, None, "x.parquet, row 3, column Quantity: 'six' is not a number below 10^10\n",
        name="x.parquet",
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["link to nothing", "link to a folder", "pipe"])
def test_what_is_no_file_in_a_folder_is_named_and_not_passed_over(shop, kind):
    shop.write(GOOD, "many/1.csv")
    (shop.folder / "elsewhere").mkdir()
    odd = shop.folder / "many/2.csv"
    if kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.symlink_to(shop.folder / ("elsewhere" if "folder" in kind else "nowhere"))
    refused(shop, None, "many/2.csv is a link to a folder or to nothing, or no file", name="many")


def test_a_file_that_may_not_be_read_is_named(shop, monkeypatch):
    def open_(file, *arguments, **named):
        if file.name == "part_1":
            raise PermissionError(13, "Permission denied")
        return real(file, *arguments, **named)

    real = Path.open
    monkeypatch.setattr(Path, "open", open_)
    refused(shop, GOOD, "x.csv cannot be opened: Permission denied; give this user the right")


def test_text_in_no_declared_encoding_is_refused_with_the_row(shop):
    content = GOOD.replace("Discount", "Rabatt für Öl").encode("iso-8859-1")
    refused(shop, content, "x.csv, row 3: not utf-8 text; set source.encoding", encoding="utf-8")


def test_a_disk_that_is_full_or_fills_is_no_bad_archive(shop, monkeypatch):
    monkeypatch.setenv("PIPELINE_SPILL", str(shop.folder))
    with zipfile.ZipFile(shop.folder / "x.zip", "w") as archive:
        archive.writestr("x.csv", GOOD)
    shop.write(gzip.compress(GOOD.encode()), "x.gz")
    for name in ("x.zip", "x.gz"):
        with monkeypatch.context() as full:
            full.setattr(sources.shutil, "disk_usage", lambda _: Free(free=0))
            refused(shop, None, "no more room; set PIPELINE_SPILL to a folder", name=name)
        with monkeypatch.context() as fills:
            fills.setattr(sources.shutil, "disk_usage", fill)
            with pytest.raises(OSError, match="No space left"):
                shop.read(name)


def test_two_encodings_in_one_file_are_never_guessed(shop):
    content = GOOD.encode().replace(b"WHITE", b"\xc2\xa35").replace(b"Discount", b"\xa35")
    refused(shop, content, "x.csv: row 2 is UTF-8 text and row 3 is not")
    assert shop.read(encoding="iso-8859-1")[0]["description"] == "Â£5 HEART"


def test_a_day_far_from_all_others_is_shown_or_left_out_where_it_is_declared(shop):
    days = "".join(LINE.replace("12/1/", f"12/{n + 1}/") + "\n" for n in range(28)) * 2
    content = f"{HEADER}\n{days}{LINE.replace('12/1/2010', '5/6/2042')}\n"
    refused(
        shop, content, "days separated from all others by more than 6 months:",
        "1 line from 2042-05-06 to 2042-05-06",
        "leave them out by source.days: ['2010-12-01', '2010-12-28']",
    )  # fmt: skip
    assert len(shop.read(days=["2010-12-01", "2010-12-28"])) == 56
    assert len(shop.read(days=["2010-12-01", "2042-05-06"])) == 57
    shop.write(content + LINE.replace("2.55", "x"))
    kept = shop.read(days=["2010-12-01", "2010-12-28"], on_bad_rows="quarantine")
    assert len(kept) == 56


@pytest.mark.parametrize(("zone", "hour"), [(None, 15), ("Asia/Tokyo", 5)])
@pytest.mark.parametrize("machine", ["UTC", "Asia/Kolkata"])
def test_times_are_the_shops_whatever_the_machines_zone(shop, zone, hour, machine):
    cells: list[object] = [[cell] for cell in LINE.split(",")]
    at = [dt.datetime(2010, 12, 1, 20, 30, tzinfo=dt.UTC)]
    cells[4] = pa.array(at, pa.timestamp("us", tz="America/New_York"))
    table = pa.table(dict(zip(HEADER.split(","), cells, strict=True)))
    pq.write_table(table, shop.folder / "x.parquet")
    shop.write(f"{HEADER}\n{LINE.replace('12/1/2010 8:26', '2010-12-01 15:30:00 -0500')}\n")
    for name in ("x.parquet", "x.csv"):
        params = {"source": {**DEFAULTS, "path": name, "time_zone": zone}}
        (shop.folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        subprocess.run(  # the machine's zone is read once, when a process begins
            [sys.executable, "-m", "pipeline.ingest"],
            cwd=shop.folder,
            env={"PYTHONPATH": str(ROOT), "TZ": machine},
            capture_output=True,
            check=True,
        )
        assert pq.read_table(INVOICE_LINES.path)["sold_at"].to_pylist()[0].hour == hour


@pytest.mark.parametrize("source", [{}, {"layout": "order_lines"}])
def test_prices_of_more_than_four_decimals_are_rounded_and_counted(shop, source):
    shop.write(GOOD.replace("2.55", "2.55555").replace("3.39", "3.390000"))
    price = shop.read(**source)[0]["unit_price"]
    assert price in {Decimal("2.5555"), Decimal("2.5556")}
    assert shop.figures()["lines_of_rounded_prices"] == 1


# Quarantine


def test_rows_that_cannot_be_read_are_set_apart_and_counted(shop):
    shop.write(GOOD.replace("27.50", "x"))
    rows = shop.read(on_bad_rows="quarantine")
    assert [row["line_id"] for row in rows] == [1, 3]
    (apart,) = shop.quarantined()
    assert (apart["file"], apart["row"], apart["line_id"]) == ("x.csv", 3, 2)
    assert apart["problem"].startswith("UnitPrice: 'x' is not a number")
    assert json.loads(apart["line"])["StockCode"] == "D"
    assert shop.figures()["lines_read"] == 3
    assert shop.figures()["lines_quarantined"] == 1
    shop.write(GOOD)
    shop.read()
    assert shop.quarantined() == []
    content = f"{HEADER}\n{LINE.replace('2.55', 'x')}\n"
    refused(shop, content, "a header and no line that can be read", on_bad_rows="quarantine")


def test_lines_without_the_headers_number_of_cells_are_set_apart_too(shop):
    shop.write(GOOD.replace(RETURN, f"{RETURN},x").replace("3.39", "y"))
    rows = shop.read(on_bad_rows="quarantine")
    assert [row["invoice_id"] for row in rows] == ["536365"]
    assert [(q["row"], q["line_id"]) for q in shop.quarantined()] == [(3, None), (4, 2)]
    assert shop.figures()["lines_read"] == 3


def test_an_open_quote_cannot_be_set_apart_with_the_lines_of_odd_length(shop):
    content = GOOD.replace(RETURN, f"{RETURN},x").replace("71053,,", '71053,"WHITE,')
    message = refused(shop, content, on_bad_rows="quarantine")
    assert message == (
        "x.csv, row 4: Value with unterminated quote found.: such a row cannot be set apart; "
        "correct it or export the file again"
    )


# Whatever the bytes


PIECES = [
    b'"', b",", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xa3", b";", b"\t", b"\xef\xbb\xbf",
    b"'", b"\\", b" ", b"1e400", b"#", b"inf", b"\xf0\x9f\x8e\x81", b"x" * 3000,
]  # fmt: skip
CHANGES = st.lists(
    st.tuples(st.integers(0, 600), st.integers(0, 40), st.sampled_from([b"", *PIECES])),
    min_size=1,
    max_size=4,
)


FUZZED = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def changed(content: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """The content with pieces cut out and put in."""
    for place, length, piece in changes:
        at = place % (len(content) + 1)
        content = content[:at] + piece + content[at + length :]
    return content


@FUZZED
@given(changes=CHANGES, on_bad_rows=st.sampled_from(["fail", "quarantine"]))
def test_any_damage_ends_in_lines_that_are_all_accounted_for_or_in_one_message(
    shop, changes, on_bad_rows
):
    content = changed("\n".join([HEADER, *[LINE, RETURN, SECOND] * 3]).encode(), changes)
    shop.write(content)
    try:
        kept = shop.read(on_bad_rows=on_bad_rows)
    except InputError:
        return
    figures = shop.figures()
    assert figures["lines_read"] == len(kept) + len(shop.quarantined())
    encoding = "utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    text = content.decode(encoding, errors="replace")
    records = sum(bool(cells) for cells in csv.reader(io.StringIO(text, newline="")))
    assert figures["lines_read"] == records - 1


@FUZZED
@given(changes=CHANGES)
def test_a_damaged_archive_is_read_or_is_one_message(shop, changes):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.csv", GOOD)
    for content in (packed.getvalue(), gzip.compress(GOOD.encode())):
        shop.write(changed(content, changes))
        with contextlib.suppress(InputError):
            shop.read()

"""What a file of order lines may look like, and what must come of it: a table of mutations.

Each mutation is a file made from one shop's lines, with what is declared to come of it before it is
read: the very lines that are kept and how many rows are set apart, or a refusal with the words that
its message must hold. `outcome_of` reads it with the real stage and says what came.
"""
# ruff: noqa: E501 - a table, of which each entry is best read in one line

from __future__ import annotations

import contextlib
import csv
import datetime as dt
import gzip
import io
import json
import logging
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from bench.inputs.workbooks import write_workbook
from pipeline.core.run.errors import InputError
from pipeline.core.tables.contract import check
from pipeline.core.tables.ingest import INVOICE_LINES, QUARANTINED_LINES
from pipeline.ingest import __main__ as ingest
from pipeline.make_sample.__main__ import write_sample

ROOT = Path(__file__).resolve().parents[2]
SOURCE = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["source"]
LINES, EVERY = 3000, 61  # lines of the made-up shop, and which of them: all its quirks in few lines
HEADER = (
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID",
    "Country",
)  # fmt: skip
FIELDS = (
    "invoice_id", "stock_code", "description", "quantity", "sold_at", "unit_price", "customer_id",
    "country",
)  # fmt: skip
REMEDY = "set source.on_bad_rows: quarantine"

Line = Mapping[str, Any]
Write = Callable[[Path], str]


@dataclass(frozen=True)
class Shop:
    """A file as cells, with what each row of it says."""

    layout: str
    header: tuple[str, ...]
    fields: tuple[str, ...]  # of each column, "" where it is nobody's
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[Line, ...]
    picked: int = 0  # the row that is changed: a sale to a known customer

    def with_cell(self, name: str, text: str, **says: Any) -> Shop:
        """Another text in the picked row, which then says this instead."""
        place = self.fields.index(name)
        cells = tuple(text if p == place else c for p, c in enumerate(self.rows[self.picked]))
        return self.with_row(cells, **says)

    def with_row(self, cells: Sequence[str], **says: Any) -> Shop:
        """Other cells in the picked row."""
        rows, lines = list(self.rows), list(self.lines)
        rows[self.picked] = tuple(cells)
        lines[self.picked] = {**lines[self.picked], **says}
        return replace(self, rows=tuple(rows), lines=tuple(lines))

    def with_cells(self, change: Callable[[str], str], *names: str) -> Shop:
        """Every cell of these fields changed, all of them where none is named; the same lines."""
        rows = (
            tuple(
                change(c) if not names or f in names else c
                for f, c in zip(self.fields, row, strict=True)
            )
            for row in self.rows
        )
        return replace(self, rows=tuple(rows))

    def without_picked(self) -> tuple[Line, ...]:
        """The lines but for that of the picked row."""
        return self.lines[: self.picked] + self.lines[self.picked + 1 :]

    def column(self, name: str) -> str:
        """The header's name of a field."""
        return self.header[self.fields.index(name)]

    def text(self, delimiter: str = ",", end: str = "\n", quoting: Any = csv.QUOTE_MINIMAL) -> str:
        """The file as CSV."""
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=quoting)
        writer.writerows([self.header, *self.rows])
        return out.getvalue()


@dataclass(frozen=True)
class Mutation:
    """A file, how it is to be read, and what is declared to come of it."""

    name: str
    write: Write  # below this folder; returns the source's path
    kept: tuple[Line, ...] = ()
    apart: int = 0
    refused: tuple[str, ...] = ()
    source: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What came, in words, and what of it was not as declared."""

    text: str
    wrong: str = ""


def mutations(shop: Shop) -> Iterator[Mutation]:
    """Every mutation of the shop, in all layouts and formats."""
    for group in (encodings, dialects, headers, numbers, dates, ids, texts, sizes, shapes):
        yield from group(shop)
    for group in (packed, gzipped, in_folders, in_workbooks, in_parquet):
        yield from group(shop)
    for as_other in (as_shopify, as_woocommerce, as_order_log, as_order_lines):
        other = as_other(shop)
        for group in (plain, headers, numbers, dates):
            for mutation in group(other):
                if mutation.apart:
                    continue
                source = {"layout": other.layout, **mutation.source}
                yield replace(mutation, name=f"{other.layout}: {mutation.name}", source=source)


# Shops


def made_up_shop(folder: Path) -> Shop:
    """Some lines of the embedded sample."""
    file = folder / "sample.csv"
    write_sample(file, LINES, 352)
    with file.open(encoding="iso-8859-1", newline="") as opened:
        rows = list(csv.reader(opened))[1::EVERY]
    return shop_of(rows)


def real_shop(archive: Path) -> Shop:
    """The first lines of the real shop, and some of each month."""
    with zipfile.ZipFile(archive) as opened, opened.open("online_retail.csv") as file:
        rows = list(csv.reader(io.TextIOWrapper(file, "iso-8859-1", newline="")))[1:]
    return shop_of(rows[:20] + rows[20::17_000])


def shop_of(rows: Sequence[Sequence[str]]) -> Shop:
    """The rows of a file of online_retail, read in the plainest way."""
    lines: tuple[Line, ...] = tuple(
        {
            "invoice_id": invoice,
            "stock_code": "B" if invoice.startswith("A") else code.upper(),
            "description": text.strip() or None,
            "quantity": int(quantity),
            "sold_at": dt.datetime.strptime(moment, "%m/%d/%Y %H:%M"),  # noqa: DTZ007, of no zone
            "unit_price": Decimal(price),
            "customer_id": customer or None,
            "country": country,
        }
        for invoice, code, text, quantity, moment, price, customer, country in rows
    )
    picked = next(
        n
        for n, line in enumerate(lines)
        if n > 3 and line["quantity"] > 0 and line["customer_id"] and line["description"]
    )
    shop = Shop("online_retail", HEADER, FIELDS, tuple(map(tuple, rows)), lines, picked)
    # What every mutation can rely on in the picked row.
    for name, text, says in (
        ("quantity", "6", 6),
        ("unit_price", "2.55", Decimal("2.55")),
        ("sold_at", "11/29/2011 8:26", dt.datetime(2011, 11, 29, 8, 26)),  # noqa: DTZ001
        ("customer_id", "17850", "17850"),
        ("stock_code", "85123A", "85123A"),
    ):
        shop = shop.with_cell(name, text, **{name: says})
    return shop


def as_retail_ii(shop: Shop) -> Shop:
    """The same lines as the later edition of the data set names and dates them."""
    header = ("Invoice", *HEADER[1:5], "Price", "Customer ID", "Country")
    rows = [(*r[:4], str(n["sold_at"]), *r[5:]) for r, n in zip(shop.rows, shop.lines, strict=True)]
    return replace(shop, layout="online_retail_ii", header=header, rows=tuple(rows))


def _sold(shop: Shop) -> tuple[list[Line], int]:
    lines = [n for n in shop.lines if n["quantity"] > 0 and n["customer_id"] and n["description"]]
    return lines, lines.index(shop.lines[shop.picked])


def as_shopify(shop: Shop) -> Shop:
    """What was sold, as Shopify exports it."""
    lines, picked = _sold(shop)
    columns = {
        "Name": "invoice_id", "Lineitem sku": "stock_code", "Lineitem name": "description",
        "Lineitem quantity": "quantity", "Created at": "sold_at", "Lineitem price": "unit_price",
        "Email": "customer_id", "Shipping Country": "country", "Financial Status": "",
    }  # fmt: skip
    rows = [
        (f"#{n['invoice_id']}", n["stock_code"], n["description"], str(n["quantity"]),
         f"{n['sold_at']} -0400", str(n["unit_price"]), n["customer_id"], n["country"], "paid")
        for n in lines
    ]  # fmt: skip
    told = tuple({**n, "invoice_id": f"#{n['invoice_id']}"} for n in lines)
    header, fields = tuple(columns), tuple(columns.values())
    return Shop("shopify_orders", header, fields, tuple(rows), told, picked)


def as_woocommerce(shop: Shop) -> Shop:
    """What was sold, as plug-ins of WooCommerce export it: totals, no prices."""
    lines, picked = _sold(shop)
    columns = {
        "order_id": "invoice_id", "item_sku": "stock_code", "item_name": "description",
        "item_quantity": "quantity", "order_date": "sold_at", "item_total": "amount",
        "customer_email": "customer_id", "billing_country": "country", "status": "",
    }  # fmt: skip
    rows = [
        (n["invoice_id"], n["stock_code"], n["description"], str(n["quantity"]),
         str(n["sold_at"]), str(n["unit_price"] * n["quantity"]), n["customer_id"], n["country"],
         "completed")
        for n in lines
    ]  # fmt: skip
    header, fields = tuple(columns), tuple(columns.values())
    return Shop("woocommerce_order_items", header, fields, tuple(rows), tuple(lines), picked)


def as_order_log(shop: Shop) -> Shop:
    """Each line as an order of a log: who, when, how much."""
    lines = [n for n in shop.lines if n["customer_id"] and n["unit_price"]]
    amounts = [n["quantity"] * n["unit_price"] for n in lines]
    told = tuple(
        {**n, "stock_code": "ORDER", "description": "Order", "quantity": 1 if a > 0 else -1,
         "unit_price": abs(a), "country": None}
        for n, a in zip(lines, amounts, strict=True)
    )  # fmt: skip
    rows = [
        (n["customer_id"], str(n["sold_at"]), str(a), n["invoice_id"])
        for n, a in zip(lines, amounts, strict=True)
    ]
    header, fields = ("customer", "date", "amount", "order_id"), (
        "customer_id", "sold_at", "amount", "invoice_id",
    )  # fmt: skip
    picked = lines.index(shop.lines[shop.picked])
    return Shop("order_log", header, fields, tuple(rows), told, picked)


def as_order_lines(shop: Shop) -> Shop:
    """What was sold, by names that nobody agreed on."""
    lines, picked = _sold(shop)
    columns = {
        "Order No.": "invoice_id", "sku": "stock_code", "ProductName": "description",
        "QTY": "quantity", "order_date": "sold_at", "Unit-Price": "unit_price",
        "customer no": "customer_id", "ship country": "country", "Discount": "",
    }  # fmt: skip
    rows = [(*(str(n[field]) if field else "0" for field in columns.values()),) for n in lines]
    header, fields = tuple(columns), tuple(columns.values())
    return Shop("order_lines", header, fields, tuple(rows), tuple(lines), picked)


# Mutations


def _file(content: str | bytes, name: str = "x.csv") -> Write:
    def write(folder: Path) -> str:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    return write


def _same(name: str, content: str | bytes, shop: Shop, **source: Any) -> Mutation:
    return Mutation(name, _file(content), shop.lines, source=source)


def _none(name: str, content: str | bytes, *parts: str, **source: Any) -> Mutation:
    return Mutation(name, _file(content), refused=parts, source=source)


def _bad_cell(
    name: str, shop: Shop, column: str, text: str, problem: str, **source: Any
) -> Iterator[Mutation]:
    """A refusal that names file, row, column, value and remedy; and the same row set apart."""
    broken = shop.with_cell(column, text)
    where = f"x.csv, row {shop.picked + 2}, column {shop.column(column)}: "
    yield _none(name, broken.text(), where + problem, REMEDY, **source)
    apart = {"on_bad_rows": "quarantine", **source}
    yield Mutation(
        f"{name}, set apart", _file(broken.text()), shop.without_picked(), 1, source=apart
    )


def _bad_rows(name: str, shop: Shop, row: str, problem: str) -> Iterator[Mutation]:
    """The same for a row that is no row: put in before the picked one."""
    lines = shop.text().splitlines(keepends=True)
    text = "".join([*lines[: shop.picked + 1], row + "\n", *lines[shop.picked + 1 :]])
    yield _none(name, text, f"x.csv, row {shop.picked + 2}", problem, REMEDY)
    apart = {"on_bad_rows": "quarantine"}
    yield Mutation(f"{name}, set apart", _file(text), shop.lines, 1, source=apart)


def plain(shop: Shop) -> Iterator[Mutation]:
    """The file as its layout has it."""
    yield _same("as it is", shop.text(), shop)


def encodings(shop: Shop) -> Iterator[Mutation]:
    """Bytes."""
    text = shop.text()
    pound = shop.with_cell("description", "5 £ CAFÉ", description="5 £ CAFÉ")
    euro = shop.with_cell("description", "5 € “CAFÉ”", description="5 € “CAFÉ”")
    greek = shop.with_cell("description", "ΚΑΦΕΣ", description="ΚΑΦΕΣ")
    for encoding in ("utf-8", "utf-8-sig", "iso-8859-1", "utf-16", "utf-32"):
        yield _same(f"encoding {encoding}", pound.text().encode(encoding), pound)
    big_endian = b"\xfe\xff" + pound.text().encode("utf-16-be")
    yield _same("encoding utf-16, big-endian", big_endian, pound)
    yield _same("encoding cp1252, undeclared", euro.text().encode("cp1252"), euro)
    for encoding in ("cp1252", "utf-16-le", "mac-roman", "cp850"):
        own = pound if encoding == "cp850" else euro
        content = own.text().encode(encoding)
        yield _same(f"encoding {encoding}, declared", content, own, encoding=encoding)
    content = greek.text().encode("iso-8859-7")
    yield _same("encoding iso-8859-7, declared", content, greek, encoding="iso-8859-7")
    yield _none(
        "encoding utf-16, no mark", text.encode("utf-16-le"), "row 1: a zero byte", "utf-16"
    )
    yield _none(
        "encoding declared wrongly", pound.text().encode("iso-8859-1"),
        f"x.csv, row {shop.picked + 2}: not utf-8 text", "set source.encoding", encoding="utf-8",
    )  # fmt: skip
    yield _none(
        "encoding unknown", text, "source.encoding: 'klingon' is unknown", encoding="klingon"
    )
    yield _none("encoding of no text", text, "not zlib text", encoding="zlib")
    mixed = text.encode().replace(b"85123A", "85123A£".encode(), 1) + "£".encode("iso-8859-1")
    yield _none("encodings mixed in a file", mixed, "is UTF-8 text and row", "source.encoding")
    yield _none("utf-16, half a character", text.encode("utf-16")[:-1], "not utf-16 text")
    for name, zero in (("utf-8", "row"), ("utf-16", "a zero character")):
        content = shop.with_cell("description", "A\0B").text().encode(name)
        yield _none(f"zero in a cell, {name}", content, f"row {shop.picked + 2}", zero)


def dialects(shop: Shop) -> Iterator[Mutation]:
    """Line ends, delimiters, quotes."""
    text = shop.text()
    for name, end in (("crlf", "\r\n"), ("cr", "\r")):
        yield _same(f"line ends {name}", shop.text(end=end), shop)
    yield _same("line ends mixed", text.replace("\n", "\r\n", 4), shop)
    yield _same("line ends mixed, three kinds", text.replace("\n", "\r", 2), shop)
    for name, delimiter in (("tab", "\t"), ("semicolon", ";"), ("bar", "|")):
        yield _same(f"delimiter {name}", shop.text(delimiter), shop)
        yield _same(
            f"delimiter {name}, Excel's first line",
            f"sep={delimiter}\n{shop.text(delimiter)}",
            shop,
        )
    yield _same("delimiter of own, declared", shop.text("~"), shop, delimiter="~")
    yield _none(
        "delimiter of own, undeclared", shop.text("~"), "x.csv does not fit", "source.columns"
    )
    rows = text.splitlines(keepends=True)
    half = "".join(rows[: shop.picked]) + "".join(r.replace(",", ";") for r in rows[shop.picked :])
    yield _none("delimiters mixed", half, f"row {shop.picked + 1}: ", "cells than the header's 8")
    yield _same("every cell quoted", shop.text(quoting=csv.QUOTE_ALL), shop)
    inches = shop.with_cell("description", '12" RULER', description='12" RULER')
    yield _same("quote in a quoted cell", inches.text(), inches)
    yield _same("quote in a bare cell", inches.text().replace('"12"" RULER"', '12" RULER'), inches)
    named = shop.with_cell("description", "X")
    yield _none(
        "quote that never closes",
        named.text().replace(",X,", ',"X,'),
        "a quote opens and does not close",
        "correct the row",
    )
    yield _none(
        "text after a closing quote",
        named.text().replace(",X,", ',"X" Y,'),
        f"row {shop.picked + 2}: a quote opens",
    )
    yield _same("spaces around cells", shop.with_cells(lambda c: f"  {c} ").text(), shop)
    yield _same("empty lines above", "\n \n" + text, shop)
    yield _same("a form feed above", "\x0c\n" + text, shop)
    yield _same("empty lines between", text.replace("\n", "\n\n"), shop)
    yield _same("no last line end", text.rstrip("\n"), shop)
    yield _none(
        "a title above the header",
        "Orders of 2011\n" + text,
        "does not fit the layout",
        "Orders of 2011",
    )


def headers(shop: Shop) -> Iterator[Mutation]:
    """Columns."""
    lost = shop.column("customer_id")
    renamed = tuple("Wer" if h == lost else h for h in shop.header)
    yield _none(
        "column renamed",
        replace(shop, header=renamed).text(),
        "does not fit the layout",
        lost,
        "source.columns",
    )
    yield _same(
        "column renamed, declared",
        replace(shop, header=renamed).text(),
        shop,
        columns={"customer_id": "Wer"},
    )
    place = shop.header.index(lost)
    short = replace(
        shop,
        header=shop.header[:place] + shop.header[place + 1 :],
        rows=tuple(r[:place] + r[place + 1 :] for r in shop.rows),
    )
    yield _none("column missing", short.text(), "does not fit the layout", lost)
    noted = replace(
        shop, header=(*shop.header, "Note"), rows=tuple((*r, "=1+1") for r in shop.rows)
    )
    yield _same("column more", noted.text(), shop)
    twice = replace(noted, header=(*shop.header, lost))
    yield _none(
        "column twice",
        twice.text(),
        f"the column {lost!r}",
        "stands there 2 times",
        "rename or delete",
    )
    backwards = replace(shop, header=shop.header[::-1], rows=tuple(r[::-1] for r in shop.rows))
    yield _same("columns in another order", backwards.text(), shop)
    yield _same(
        "header in capitals and spaces",
        replace(shop, header=tuple(f" {h.upper()} " for h in shop.header)).text(),
        shop,
    )
    empty = replace(
        shop, header=(*shop.header, "", ""), rows=tuple((*r, "", "") for r in shop.rows)
    )
    yield _same("empty columns at the end", empty.text(), shop)
    odd = replace(shop, header=(*shop.header, "a\u2028b"), rows=tuple((*r, "") for r in shop.rows))
    yield _same("a line separator in the header", odd.text(), shop)


def numbers(shop: Shop) -> Iterator[Mutation]:
    """Quantities and prices."""
    money = "amount" if "amount" in shop.fields else "unit_price"
    if "quantity" in shop.fields:
        for text in (
            "six",
            "6.5",
            "1e30",
            "inf",
            "-inf",
            "NaN",
            "#DIV/0!",
            "−6",
            "６",
            "0x6",
            "6-",
        ):
            yield from _bad_cell(
                f"quantity {text}", shop, "quantity", text, f"{text!r} is not a whole number"
            )
        yield from _bad_cell("quantity empty", shop, "quantity", "", "it is empty")
        for text in ("+6", "06", "6.0", "6.0000"):
            yield _same(f"quantity {text}", shop.with_cell("quantity", text).text(), shop)
    for text in (
        "much",
        "inf",
        "-Infinity",
        "nan",
        "£2.55",
        "2.55 GBP",
        "2_55",
        "1e400",
        "=2.55",
        "2.5.5",
    ):
        yield from _bad_cell(f"price {text}", shop, money, text, f"{text!r} is not a number")
    yield from _bad_cell("price empty", shop, money, " ", "it is empty")
    yield from _bad_cell(
        "price of decimal comma",
        shop,
        money,
        "2,55",
        "'2,55' is not a number below 10^14; if the file uses decimal commas, set source.decimal",
    )
    grouped = (
        "'1,002.55' is not a number below 10^14; if commas part thousands, set source.thousands"
    )
    yield from _bad_cell("price with thousands", shop, money, "1,002.55", grouped)
    if shop.layout != "online_retail":
        return
    thousand = shop.with_cell("unit_price", "1,002.55", unit_price=Decimal("1002.55"))
    yield _same("price with thousands, declared", thousand.text(), thousand, thousands=",")
    german = replace(
        shop.with_cells(lambda c: c.replace(".", ","), "unit_price").with_cell("unit_price", "1.002,55"),
        lines=thousand.lines,
    )  # fmt: skip
    yield _same(
        "prices of decimal comma, declared", german.text(), german, decimal=",", thousands="."
    )
    many = shop.with_cell("quantity", "1,200", quantity=1200)
    yield _same("quantity with thousands, declared", many.text(), many, thousands=",")
    for text in ("-2.55", "0", "2.5555", "99999999999999", "1e2", "-0.0001"):
        changed = shop.with_cell("unit_price", text, unit_price=Decimal(text))
        yield _same(f"price {text}", changed.text(), changed)
    for quantity in (0, -6, 80995, 9_000_000_000):
        changed = shop.with_cell("quantity", str(quantity), quantity=quantity)
        yield _same(f"quantity {quantity}", changed.text(), changed)


def dates(shop: Shop) -> Iterator[Mutation]:
    """Moments."""
    for text in (
        "1899-12-30",
        "2200-01-01 10:00",
        "30/02/2011 10:00",
        "40876",
        "yesterday",
        "11/29/11 8:26",
        "2011-02-30 10:00",
        "2011-11-29 25:00",
    ):
        yield from _bad_cell(f"date {text}", shop, "sold_at", text, f"{text!r} is not a date like")
    alone = shop.with_cell("invoice_id", "ALONE", invoice_id="ALONE")  # no other line dates it
    yield from _bad_cell("date empty", alone, "sold_at", "", "it is empty")
    if shop.layout == "online_retail":
        other = shop.with_cell("sold_at", "2011-11-29 08:26:00")
        yield from _bad_cell(
            "dates in two formats",
            shop,
            "sold_at",
            other.rows[shop.picked][4],
            "'2011-11-29 08:26:00' is not a date like %m/%d/%Y %H:%M, as most are",
        )
        yield _same("dates as ISO", as_retail_ii(shop).with_cells(str).text(), shop)
        moved = [n["sold_at"].strftime("%d.%m.%y %H:%M") for n in shop.lines]
        own = replace(
            shop, rows=tuple((*r[:4], m, *r[5:]) for r, m in zip(shop.rows, moved, strict=True))
        )
        yield _same("dates of own format, declared", own.text(), own, date_format="%d.%m.%y %H:%M")
        yield _none("date format of no format", shop.text(), "%Q", date_format="%Q")
    if shop.layout == "order_log":
        few = replace(shop, rows=tuple((r[0], "01/02/2011", *r[2:]) for r in shop.rows))
        yield _none(
            "days that could be months",
            few.text(),
            "'01/02/2011' fits %m/%d/%Y and %d/%m/%Y",
            "set source.date_format",
        )


def ids(shop: Shop) -> Iterator[Mutation]:
    """Names of customers, products, invoices."""
    for text, says in (
        ("17850.0", "17850"),
        (" 17850 ", "17850"),
        ("00178", "00178"),
        ("00178.0", "00178"),
        ("1.785E+04", "1.785E+04"),
        ("=1+1", "=1+1"),
        ("🎁", "🎁"),
        ("17850.00", "17850.00"),
    ):
        changed = shop.with_cell("customer_id", text, customer_id=says)
        yield _same(f"customer {text!r}", changed.text(), changed)
    if shop.layout not in {"shopify_orders", "woocommerce_order_items"}:
        nobody = shop.with_cell("customer_id", " ", customer_id=None)
        yield _same("customer of spaces", nobody.text(), nobody)
    if shop.layout == "online_retail":
        for text, says in (("85123a", "85123A"), ("10002.0", "10002"), ("0012", "0012")):
            changed = shop.with_cell("stock_code", text, stock_code=says)
            yield _same(f"product {text!r}", changed.text(), changed)
        yield from _bad_cell("product empty", shop, "stock_code", " ", "it is empty")
    yield from _bad_cell("invoice empty", shop, "invoice_id", "", "it is empty")


HOSTILE = {
    "script": "<script>window.hacked=1</script>",
    "end of script": "</script><img src=x onerror=window.hacked=1>",
    "template": "{{ 7 * 7 }} {% raw %} ${7*7} %(x)s {0}",
    "formula": "=cmd|' /C calc'!A0",
    "formula after a tab": "A\t=1+1",
    "SQL": "'; drop table lines; --",
    "emoji": "🎁🏽 👩‍👩‍👧 gift",
    "right to left": "هدية \u202eevil\u202c שי",
    "combining": "Z̸͑ALGO e\u0301",
    "line ends within": "two\nlines\r\nand\rthree",
    "delimiters and quotes": 'a "word", quoted; and | more',
    "markup of a terminal": "[bold]x[/bold] \x1b[31mred\x1b[0m",
    "path": "../../etc/passwd",
    "long": "x" * (1 << 20),
    "of nothing visible": "\u200b\ufeff\u00ad",
}


def texts(shop: Shop) -> Iterator[Mutation]:
    """Hostile and odd descriptions: kept as they are."""
    for name, text in HOSTILE.items():
        changed = shop.with_cell("description", text, description=text)
        yield _same(f"description: {name}", changed.text(), changed)
    nothing = shop.with_cell("description", "   ", description=None)
    yield _same("description of spaces", nothing.text(), nothing)
    longest = shop.with_cell("description", "x" * (17 << 20)).text()
    yield _none("description of 17 MB", longest, "a line longer than 16 MB", "correct the row")
    country = shop.with_cell("country", HOSTILE["script"], country=HOSTILE["script"])
    yield _same("country: script", country.text(), country)


def sizes(shop: Shop) -> Iterator[Mutation]:
    """Small and cut files."""
    text, head = shop.text(), shop.text().splitlines(keepends=True)[0]
    for name, content in (
        ("empty", ""),
        ("spaces only", " \n\n"),
        ("byte order mark only", b"\xef\xbb\xbf"),
    ):
        yield _none(name, content, "x.csv is empty: not even a header", "export it again")
    for name, content in (("header only", head), ("header only, no line end", head.strip())):
        yield _none(name, content, "x.csv: a header and no line that can be read")
    one = replace(shop, rows=shop.rows[:1], lines=shop.lines[:1])
    yield _same("one line", one.text(), one)
    for name, column, text_ in (
        ("customer", "customer_id", "12"),
        ("product", "stock_code", "12A"),
    ):
        is_own = [column == "stock_code" and n["stock_code"] == "B" for n in shop.lines]
        told = tuple(
            n if own else {**n, column: text_} for n, own in zip(shop.lines, is_own, strict=True)
        )
        alike = replace(shop.with_cells(lambda _, t=text_: t, column), lines=told)  # type: ignore[misc]
        yield _same(f"one {name}", alike.text(), alike)
    again = replace(shop, rows=shop.rows * 2, lines=shop.lines * 2)
    yield _same("every line twice", again.text(), again)
    lines = text.splitlines(keepends=True)
    for cells in (1, 3, 7):
        part = ",".join(lines[-1].split(",")[:cells])
        yield _none(
            f"cut after {cells} cells",
            "".join(lines[:-1]) + part,
            f"row {len(lines)}: fewer cells than the header's 8",
            "cut off?",
            REMEDY,
        )
    yield _none(
        "cut within a quoted cell",
        "".join(lines[:-1]) + '1,2,"AB',
        "a quote opens and does not close",
    )


def shapes(shop: Shop) -> Iterator[Mutation]:
    """Rows that are none."""
    yield from _bad_rows(
        "row of a cell more", shop, ",".join(["1"] * 9), "more cells than the header's 8"
    )
    yield from _bad_rows(
        "row of a cell less", shop, ",".join(["1"] * 7), "fewer cells than the header's 8"
    )
    yield from _bad_rows("row of empty cells", shop, "," * 7, "column InvoiceNo: it is empty")
    yield from _bad_rows(
        "header again", shop, ",".join(HEADER), "column Quantity: 'Quantity' is not a whole number"
    )
    yield from _bad_rows(
        "row of totals", shop, "Total,,,120,,99.50,,", "column StockCode: it is empty"
    )
    yield from _bad_rows("comment", shop, "# exported by hand", "fewer cells than the header's 8")


def _archive(
    members: Mapping[str, bytes], name: str = "x.zip", how: int = zipfile.ZIP_DEFLATED
) -> Write:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", how) as opened:
        for member, inside in members.items():
            opened.writestr(member, inside)
    return _file(content.getvalue(), name)


def packed(shop: Shop) -> Iterator[Mutation]:
    """ZIP archives."""
    text = shop.text().encode()

    def kept(name: str, write: Write, **source: Any) -> Mutation:
        return Mutation(name, write, shop.lines, source=source)

    def none(name: str, write: Write, *parts: str) -> Mutation:
        return Mutation(name, write, refused=parts)

    methods = {"stored": 0, "deflated": 8, "bzip2": 12, "lzma": 14}
    for name, how in methods.items():
        yield kept(f"ZIP, {name}", _archive({"in/x.csv": text}, how=how))
    yield kept("ZIP, named .csv", _archive({"x.csv": text}, "x.csv"))
    rest = {"__MACOSX/._x.csv": b"\0", ".hidden.csv": b"\0", "read me.md": b"# text"}
    yield kept("ZIP, with other files", _archive({"x.csv": text, **rest}))
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as opened:
        opened.writestr("x.csv", text)
    yield kept("ZIP in a ZIP", _archive({"x.zip": inner.getvalue()}))
    yield kept("gzip in a ZIP", _archive({"x.csv.gz": gzip.compress(text)}))
    for member in ("../x.csv", "/etc/x.csv", "..\\x.csv", "C:\\x.csv", "a/../../x.csv"):
        yield none(
            f"ZIP that climbs out: {member}",
            _archive({member: text}),
            "a path that leads out of the archive",
            "pack it again",
        )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        opened.writestr("x.csv", text)
        opened.writestr(nameless := zipfile.ZipInfo("x"), b"lost")
        nameless.filename = ""
    yield kept("ZIP, a member without a name", _file(content.getvalue(), "x.zip"))
    yield none("ZIP of nothing", _archive({}), "nothing in it can be read", "*.csv")
    yield none("ZIP of other files", _archive({"x.exe": text}), "nothing in it can be read")
    link = zipfile.ZipInfo("x.csv")
    link.external_attr = 0o120777 << 16
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as opened:
        opened.writestr(link, "/etc/passwd")
    yield none(
        "ZIP with a link",
        _file(content.getvalue(), "x.zip"),
        "x.zip/x.csv does not fit",
        "/etc/passwd",
    )
    whole = inner.getvalue()
    locked = bytearray(whole)
    locked[6] |= 1
    locked[whole.index(b"PK\x01\x02") + 8] |= 1
    yield none(
        "ZIP, locked", _file(bytes(locked), "x.zip"), "encrypted", "unpack it and give the file"
    )
    broken = bytearray(whole)
    broken[60] ^= 0xFF
    yield none(
        "ZIP, a byte changed",
        _file(bytes(broken), "x.zip"),
        "is not a sound ZIP file",
        "copy it again",
    )
    yield none("ZIP, cut", _file(whole[:-30], "x.zip"), "is not a sound ZIP file", "copy it again")
    bomb = b"0" * (150 << 20)
    yield none("ZIP bomb", _archive({"x.csv": bomb}), "unpacks to more than 200 times its size")


def gzipped(shop: Shop) -> Iterator[Mutation]:
    """What is packed with gzip, and what is no table at all."""
    text = shop.text().encode()

    def kept(name: str, write: Write) -> Mutation:
        return Mutation(name, write, shop.lines)

    def none(name: str, write: Write, *parts: str) -> Mutation:
        return Mutation(name, write, refused=parts)

    nested = gzip.compress(text)
    for _ in range(4):
        nested = gzip.compress(nested)
    yield none(
        "gzip five times", _file(nested, "x.gz"), "archives within archives", "unpack it yourself"
    )
    yield none(
        "gzip bomb",
        _file(gzip.compress(b"0" * (150 << 20), 1), "x.gz"),
        "unpacks to more than 200 times its size",
        "unpack it yourself",
    )
    yield kept("gzip", _file(gzip.compress(text), "x.csv.gz"))
    yield kept(
        "gzip of two members", _file(gzip.compress(text[:99]) + gzip.compress(text[99:]), "x.gz")
    )
    yield kept("named .gz and plain", _file(text, "x.csv.gz"))
    yield none(
        "gzip, cut",
        _file(gzip.compress(text)[:-9], "x.gz"),
        "is not a sound gzip file",
        "copy it again",
    )
    yield none(
        "gzip and rubbish",
        _file(gzip.compress(text) + b"rubbish", "x.gz"),
        "is not a sound gzip file",
    )
    yield none("gzip of nothing", _file(gzip.compress(b""), "x.gz"), "x.gz is empty")
    for name, start in (
        ("picture", b"\x89PNG\r\n\x1a\n\0\0"),
        ("PDF", b"%PDF-1.7\n%\xe2\xe3\n\0"),
        ("program", b"\x7fELF\0\0"),
    ):
        yield none(f"a {name}", _file(start, "x.csv"), "a zero byte: no text file")
    yield none("JSON", _file(b'[{"InvoiceNo": 1}]', "x.csv"), "x.csv does not fit the layout")
    yield none(
        "a page named .xls",
        _file(b"<html><table><tr><td>1</td></tr></table></html>", "x.xls"),
        "x.xls does not fit",
    )


def in_folders(shop: Shop) -> Iterator[Mutation]:
    """Folders, names and what is no file."""

    def half(rows: slice) -> Shop:
        return replace(shop, rows=shop.rows[rows], lines=shop.lines[rows])

    cut = len(shop.rows) // 2
    head = half(slice(0)).text()
    parts = {"1.csv": half(slice(cut)).text(), "2.csv": half(slice(cut, None)).text()}

    def folder(files: Mapping[str, str], odd: Callable[[Path], None] | None = None) -> Write:
        def write(below: Path) -> str:
            for name, content in files.items():
                _file(content, f"many/{name}")(below)
            if odd:
                odd(below / "many")
            return "many"

        return write

    def kept(name: str, write: Write, **source: Any) -> Mutation:
        return Mutation(name, write, shop.lines, source=source)

    yield kept("folder of two files", folder(parts))
    yield kept("folder, a file without lines", folder({**parts, "3.csv": head}))
    yield kept(
        "folder, other delimiter in one",
        folder({"1.csv": half(slice(cut)).text(), "2.csv": half(slice(cut, None)).text(";")}),
    )
    yield kept("folder, hidden and other files", folder({**parts, ".3.csv": "x", "read.me": "x"}))
    yield kept("folder in a folder", folder({"a/1.csv": parts["1.csv"], "b/1.csv": parts["2.csv"]}))
    yield kept("folder, a pattern", folder({**parts, "notes.csv": "x"}), files="[12].csv")
    yield Mutation(
        "folder, an empty file", folder({**parts, "3.csv": ""}), refused=("many/3.csv is empty",)
    )
    yield Mutation(
        "folder, a foreign file",
        folder({**parts, "3.csv": "a,b\n1,2\n"}),
        refused=("many/3.csv does not fit",),
    )
    yield Mutation("folder of nothing", folder({".x": ""}), refused=("no file matches",))
    yield Mutation(
        "folder, a pattern of nothing",
        folder(parts),
        refused=("no file matches x*", "1.csv"),
        source={"files": "x*"},
    )
    yield Mutation(
        "folder, a link to nothing",
        folder(parts, lambda f: (f / "3.csv").symlink_to("nowhere")),
        refused=("many/3.csv is a link", "take it away"),
    )
    yield Mutation(
        "folder, a link to itself",
        folder(parts, lambda f: (f / "3.csv").symlink_to("3.csv")),
        refused=("many/3.csv is a link",),
    )
    yield Mutation(
        "folder, a pipe",
        folder(parts, lambda f: os.mkfifo(f / "3.csv")),
        refused=("many/3.csv is a link to a folder or to nothing, or no file",),
    )
    yield kept(
        "folder, a link to a file",
        folder(
            {"1.csv": parts["1.csv"], ".2": parts["2.csv"]},
            lambda f: (f / "2.csv").symlink_to(".2"),
        ),
    )
    for name in ("a*.csv", "a[b].csv", 'it\'s "x".csv', "é 🎁.csv", "x.csv.zst", "http:x.csv"):
        yield kept(f"named {name}", _file(shop.text(), name))
    yield Mutation(
        "no such file",
        lambda _: "nowhere.csv",
        refused=("nowhere.csv is missing", "give a file or a folder"),
    )
    yield Mutation("a pattern as path", lambda _: "raw/*.csv", refused=("source.files", "*.csv"))
    yield Mutation("a name too long", lambda _: "x" * 300, refused=("File name too long",))
    yield Mutation(
        "a device", lambda _: "/dev/null", refused=("/dev/null is neither a file nor a folder",)
    )


def in_workbooks(shop: Shop) -> Iterator[Mutation]:
    """Excel."""
    ii = {"layout": "online_retail_ii"}
    retail = as_retail_ii(shop)
    rows: list[list[Any]] = [
        [n["invoice_id"], r[1], n["description"], n["quantity"], n["sold_at"],
         float(n["unit_price"]), float(n["customer_id"]) if n["customer_id"] else None,
         n["country"]]
        for r, n in zip(retail.rows, shop.lines, strict=True)
    ]  # fmt: skip
    picked = shop.picked

    def book(rows: Sequence[Sequence[Any]], **how: Any) -> Write:
        def write(folder: Path) -> str:
            sheets = how.pop("sheets", {"Orders": [retail.header, *rows]})
            write_workbook(folder / "x.xlsx", sheets, **how)
            return "x.xlsx"

        return write

    def kept(name: str, write: Write, lines: tuple[Line, ...] = shop.lines) -> Mutation:
        return Mutation(f"workbook, {name}", write, lines, source=ii)

    def changed(place: int, value: Any) -> list[list[Any]]:
        row = [value if p == place else cell for p, cell in enumerate(rows[picked])]
        return [*rows[:picked], row, *rows[picked + 1 :]]

    def none(name: str, write: Write, *parts: str) -> Mutation:
        return Mutation(f"workbook, {name}", write, refused=parts, source=ii)

    where = f"x.xlsx/Orders, row {picked + 2}, column"
    yield kept("as it is", book(rows))
    yield kept("a table further down", book(rows, first_row=4))
    yield kept("all cells as text", book(retail.rows))
    yield kept(
        "a hidden sheet without cells",
        book(rows, sheets={"Orders": [retail.header, *rows], "Old": []}, hidden=["Old"]),
    )
    yield kept("a formula with its value", book(changed(3, "<c><f>2*3</f><v>6</v></c>")))
    yield kept(
        "a formula of text",
        book(changed(7, '<c t="str"><f>A1</f><v>Norway</v></c>')),
        shop.with_cell("country", "", country="Norway").lines,
    )
    yield none(
        "a formula without value",
        book(changed(3, "<c><f>2*3</f></c>")),
        f"{where} Quantity: it is empty",
        REMEDY,
    )
    yield none(
        "a formula that failed",
        book(changed(3, '<c t="e"><f>1/0</f><v>#DIV/0!</v></c>')),
        f"{where} Quantity: it is empty",
        REMEDY,
    )
    yield none(
        "a date as text",
        book(changed(4, "29/11/2011 08:26")),
        f"{where} InvoiceDate: '29/11/2011 08:26' is not a date",
        "source.date_format",
    )
    yield none(
        "a date as a number",
        book(changed(4, 40876.35)),
        f"{where} InvoiceDate: '40876.35' is not a date",
        REMEDY,
    )
    yield none(
        "a truth as quantity",
        book(changed(3, '<c t="b"><v>1</v></c>')),
        f"{where} Quantity: 'TRUE' is not a whole number",
        REMEDY,
    )
    merged = f'<mergeCells count="1"><mergeCell ref="C{picked + 2}:C{picked + 3}"/></mergeCells>'
    alone = [*changed(2, "BOX")]
    alone[picked + 1] = [None if p == 2 else cell for p, cell in enumerate(alone[picked + 1])]
    lines = list(shop.with_cell("description", "", description="BOX").lines)
    lines[picked + 1] = {**lines[picked + 1], "description": None}
    yield kept("merged descriptions", book(alone, after_rows=merged), tuple(lines))
    far = '<c r="XFD1048576"><v>1</v></c>'
    yield none(
        "a stray cell far out", _far(rows, retail.header, far), "reach to row 1,048,576", "stray"
    )
    yield none(
        "of nothing", book([], sheets={"Orders": []}), "x.xlsx is empty: no sheet has a cell"
    )
    yield none(
        "a sheet of notes",
        book(rows, sheets={"Notes": [["about"]], "Orders": [retail.header, *rows]}),
        "x.xlsx/Notes does not fit",
    )
    yield none("cut", _cut(book(rows)), "x.xlsx is not a sound ZIP file", "copy it again")
    yield none(
        "locked or old",
        _file(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "x.xlsx"),
        "is not a sound workbook",
        "locked by a password",
        "save it again",
    )


def _far(rows: Sequence[Sequence[Any]], header: Sequence[str], cell: str) -> Write:
    def write(folder: Path) -> str:
        write_workbook(folder / "y.xlsx", {"Orders": [header, *rows]})
        with (
            zipfile.ZipFile(folder / "y.xlsx") as old,
            zipfile.ZipFile(folder / "x.xlsx", "w") as new,
        ):
            for name in old.namelist():
                row = f'<row r="1048576">{cell}</row></sheetData>'.encode()
                new.writestr(name, old.read(name).replace(b"</sheetData>", row))
        return "x.xlsx"

    return write


def _cut(write: Write) -> Write:
    def cut(folder: Path) -> str:
        name = write(folder)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
        return name

    return cut


def in_parquet(shop: Shop) -> Iterator[Mutation]:
    """Parquet."""
    retail = as_retail_ii(shop)
    columns: dict[str, Any] = {
        h: [n[f] for n in shop.lines] for h, f in zip(retail.header, FIELDS, strict=True)
    }
    typed = pa.table(columns)
    as_text = {h: [None if v is None else str(v) for v in column] for h, column in columns.items()}

    def file(table: pa.Table) -> Write:
        def write(folder: Path) -> str:
            pq.write_table(table, folder / "x.parquet")
            return "x.parquet"

        return write

    def with_column(name: str, column: Any) -> pa.Table:
        return typed.set_column(typed.schema.get_field_index(name), name, column)

    def kept(name: str, table: pa.Table, lines: tuple[Line, ...] = shop.lines) -> Mutation:
        return Mutation(f"Parquet, {name}", file(table), lines)

    def none(name: str, table: pa.Table, *parts: str) -> Mutation:
        return Mutation(f"Parquet, {name}", file(table), refused=parts)

    prices = [float(p) for p in columns["Price"]]
    yield kept("decimals", typed)
    yield kept("all text", pa.table(as_text))
    yield kept("binary text", pa.table({h: pa.array(c, pa.binary()) for h, c in as_text.items()}))
    yield kept("floats", with_column("Price", pa.array(prices)))
    ids_ = [float(c) if c else None for c in columns["Customer ID"]]
    yield kept("customers as floats", with_column("Customer ID", pa.array(ids_, pa.float64())))
    yield kept(
        "dictionaries", with_column("Country", pa.array(columns["Country"]).dictionary_encode())
    )
    zone = pa.array(columns["InvoiceDate"], pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    yield kept("dates with a zone", with_column("InvoiceDate", zone))
    yield kept("a nested column more", typed.append_column("tags", pa.array([[1]] * len(typed))))
    row = shop.picked + 1
    for text, number in (("nan", float("nan")), ("inf", float("inf"))):
        odd = [number if n == shop.picked else p for n, p in enumerate(prices)]
        yield none(
            f"a price {text}",
            with_column("Price", pa.array(odd)),
            f"x.parquet, row {row}, column Price: '{text}' is not a number",
            REMEDY,
        )
    yield none(
        "dates as numbers",
        with_column("InvoiceDate", pa.array(range(len(typed)))),
        "x.parquet, row 1, column InvoiceDate: '0' is not a date",
        REMEDY,
    )
    yield none(
        "truths as quantity",
        with_column("Quantity", pa.array([True] * len(typed))),
        "column Quantity: 'true' is not a whole number",
    )
    yield none("without rows", typed.slice(0, 0), "a header and no line that can be read")
    yield none("a column missing", typed.drop_columns(["Customer ID"]), "x.parquet does not fit")
    twice = typed.append_column("Quantity", typed["Quantity"])
    yield none("a column twice", twice, "the column 'Quantity'", "stands there 2 times")
    yield Mutation(
        "Parquet, cut",
        _cut(file(typed)),
        refused=("x.parquet is not a sound Parquet file", "copy it again"),
    )


# Outcomes


def outcomes(shop: Shop, folder: Path) -> Iterator[tuple[Mutation, Outcome]]:
    """Each mutation of the shop with what came of it, all read in one folder after another."""
    (folder / "good").mkdir()
    good = next(plain(shop))
    outcome_of(good, folder, "good")
    for number, mutation in enumerate(mutations(shop)):
        below = f"in_{number}"
        (folder / below).mkdir()
        yield mutation, outcome_of(mutation, folder, below)
        shutil.rmtree(folder / below)


def outcome_of(mutation: Mutation, folder: Path, below: str) -> Outcome:
    """Read the mutation, written to a folder `below`, with the real stage."""
    path = str(below / Path(mutation.write(folder / below)))
    before = _outputs(folder)
    with contextlib.chdir(folder):
        params = {"source": {**SOURCE, "path": path, **mutation.source}}
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        try:
            ingest.main()
        except InputError as error:
            return _refusal(mutation, str(error), is_kept=before == _outputs(Path()))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what must not be
            return Outcome("crash", f"{type(error).__name__}: {error}")
        return _reading(mutation)


def _outputs(folder: Path) -> dict[str, bytes]:
    found = [f for f in (*folder.glob("data/*"), *folder.glob("metrics/*")) if f.is_file()]
    return {f.name: f.read_bytes() for f in found}


def _refusal(mutation: Mutation, message: str, *, is_kept: bool) -> Outcome:
    first, *more = message.splitlines()
    text = f"refused: {first}" + (f" (+ {len(more)} lines)" if more else "")
    if not mutation.refused:
        return Outcome(text, "declared: read")
    lacking = [part for part in mutation.refused if part not in message]
    if lacking:
        return Outcome(text, f"the message lacks {lacking}")
    return Outcome(text, "" if is_kept else "the earlier outputs changed")


def _reading(mutation: Mutation) -> Outcome:
    check(INVOICE_LINES, full=True)
    check(QUARANTINED_LINES, full=True)
    rows = pq.read_table(INVOICE_LINES.path).to_pylist()
    apart = pq.read_table(QUARANTINED_LINES.path).num_rows
    figures = json.loads(Path("metrics/ingest.json").read_text(encoding="utf-8"))
    units = sum(row["quantity"] for row in rows)
    money = sum(row["quantity"] * row["unit_price"] for row in rows)
    text = f"read: {len(rows)} lines, {units} units, {money:.2f} in money, {apart} set apart"
    if mutation.refused:
        return Outcome(text, "declared: refused")
    found = [{name: row[name] for name in FIELDS} for row in rows]
    declared = [dict(line) for line in mutation.kept]
    if found != declared:
        pairs = zip(found, declared, strict=False)
        first = next((p for p in pairs if p[0] != p[1]), (len(found), len(declared)))
        return Outcome(text, f"found {first[0]}, declared {first[1]}"[:600])
    if apart != mutation.apart:
        return Outcome(text, f"declared: {mutation.apart} set apart")
    if figures["lines_read"] != len(rows) + apart:
        return Outcome(text, f"lines_read is {figures['lines_read']}")
    return Outcome(text)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the stage's log."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)

"""What cannot be split into cells or read, told to a user with its row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from bench.fuzz import read_bytes

from pipeline.ingest import parsing as line_parsing
from pipeline.ingest.layouts import load_layouts
from pipeline.ingest.parsing import Readable, Source, structural_error
from pipeline.ingest.sources import Part, rows_of

ROW = "correct the row or export the file again"

CAUSES = "(cut off? a delimiter within a cell that is not quoted?)"
SET_APART = "or set source.on_bad_rows: quarantine"


def readable(name: str, skip: int = 0) -> Readable:
    file = Path(f"/scratch/{name}")
    return Readable(Part(name, file, "text"), file, (), {}, (), row_lookup=("utf-8", ",", skip))


ONE = Source(load_layouts()["online_retail"], (readable("a.csv", skip=2),))
TWO = replace(ONE, parts=(*ONE.parts, readable("b.csv")))


@pytest.mark.parametrize(
    ("source", "said", "told"),
    [
        (
            ONE,
            "CSV Error on Line: 7\nExpected Number of Columns: 8 Found: 9\n  file = /scratch/a.csv",
            f"a.csv, row 9: more cells than the header's 8; {ROW} {CAUSES}, {SET_APART}",
        ),
        (
            TWO,
            "CSV Error on Line: 7\nMaximum line size of 1 bytes exceeded.\n  file = /scratch/b.csv",
            f"b.csv, row 7: a line longer than 16 MB (a quote that never closes?); {ROW}",
        ),
        (
            ONE,
            "Invalid unicode (byte sequence mismatch) detected.",
            "a.csv: not text in the declared encoding; set source.encoding",
        ),
        (
            ONE,
            "CSV Error on Line: 7\nOriginal Line: Maximum line size\nunterminated quote found.",
            f"a.csv, row 9: a quote opens and does not close as it should; {ROW}",
        ),
        (TWO, "IO Error: broken\nmore", f"the source: cannot be read: IO Error: broken; {ROW}"),
    ],
)
def test_a_defect_is_told_with_the_row_of_its_file_and_a_remedy(source, said, told):
    assert str(structural_error(source, duckdb.Error(said))) == told


def test_a_line_that_the_file_does_not_have_is_told_by_its_number(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text('a,b\n1,"two\nlines"\n3,4\n', encoding="utf-8")
    assert rows_of(file, "utf-8", ",", 1, [9, 1, 2]) == {1: 3, 2: 5, 9: 11}


def test_however_many_rows_are_bad_their_file_is_gone_through_once(tmp_path, monkeypatch):
    passes = []

    def counted(*arguments):
        passes.append(arguments[0])
        return rows_of(*arguments)

    monkeypatch.setattr(line_parsing, "rows_of", counted)
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
    rows = ["1,a,Mug,many,1/2/2011 09:00,2.5,7,UK"] * 3000
    said = read_bytes(b"\x80" + "\n".join([header, *rows]).encode(), tmp_path)
    assert said == "read: 0 lines, 3000 set apart"
    assert len(passes) == 1

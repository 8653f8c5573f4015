"""Contracts: what a table must be, found in the file by its footer or by a scan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT

from pipeline.core.tables import contract
from pipeline.core.tables.__main__ import data_dictionary
from pipeline.core.tables.contract import (
    Column,
    ContractError,
    Table,
    check,
    parquet_glob,
    read_table,
    write_table,
)

SHOPS = Table(
    name="shops",
    path=Path("shops.parquet"),
    row="a shop",
    columns=(
        Column("town", pa.string(), "where it stands"),
        Column("floor", pa.int32(), "which floor", rule="floor between -2 and 90"),
        Column("rent", pa.float64(), "by month", nullable=True, unit="currency", rule="rent >= 0"),
        Column("share_*", pa.float64(), "of its sales", rule="share_* between 0 and 1"),
    ),
    key=("town", "floor"),
    order=("town", "floor"),
    rules=("floor >= 0 or rent is not null",),
)
GOOD = {"town": ["Ab", "Bo"], "floor": [1, 2], "rent": [1.5, None], "share_tea": [0.5, 1.0]}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shops(**change) -> pd.DataFrame:
    return pd.DataFrame({**GOOD, **change})


def test_a_table_is_read_back_in_the_contracts_order():
    write_table(SHOPS, shops(town=["Bo", "Ab"])[["share_tea", "rent", "floor", "town"]])
    rows = read_table(SHOPS)
    assert list(rows.columns) == ["town", "floor", "rent", "share_tea"]
    assert list(rows["town"]) == ["Ab", "Bo"]
    assert rows["floor"].dtype == "int32"


def test_the_order_of_rows_does_not_change_the_file():
    write_table(SHOPS, shops())
    first = SHOPS.path.read_bytes()
    write_table(SHOPS, shops().iloc[::-1])
    assert SHOPS.path.read_bytes() == first


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"floor": [1, 91]}, r"1 rows break `.*floor between -2 and 90.*'town': 'Bo'"),
        ({"rent": [1.5, -1.0]}, r"1 rows break `.*rent >= 0"),
        ({"rent": [1.5, float("inf")]}, r"1 rows break `.*isfinite\(\"rent\"\)"),
        ({"share_tea": [0.5, 1.5]}, r"1 rows break `.*\"share_tea\" between 0 and 1"),
        ({"share_tea": [0.5, None]}, r"share_tea: 1 nulls, none allowed"),
        ({"town": [None, "Bo"]}, r"shops.town: 1 nulls, none allowed"),
        ({"floor": [-1, -1]}, r"1 rows break `floor >= 0 or rent is not null`"),
        ({"town": ["Ab", "Ab"], "floor": [1, 1]}, r"2 rows for \(\"town\", \"floor\"\) = "),
    ],
)
def test_a_row_that_breaks_a_rule_is_named_and_nothing_is_written(change, message):
    write_table(SHOPS, shops())
    before = SHOPS.path.read_bytes()
    with pytest.raises(ContractError, match=message):
        write_table(SHOPS, shops(**change))
    assert SHOPS.path.read_bytes() == before
    assert list(Path().iterdir()) == [SHOPS.path]


def test_missing_and_unknown_columns_are_named():
    with pytest.raises(
        ContractError, match=r"columns missing \['floor'\], columns unknown \['flor'\]"
    ):
        write_table(SHOPS, shops().rename(columns={"floor": "flor"}))


def test_a_prefix_covers_any_number_of_columns_even_none():
    write_table(SHOPS, shops(share_jam=[0.0, 0.0]))
    assert [c for c in read_table(SHOPS).columns if c.startswith("share_")] == [
        "share_tea",
        "share_jam",
    ]
    write_table(SHOPS, shops().drop(columns="share_tea"))
    assert list(read_table(SHOPS).columns) == ["town", "floor", "rent"]


def put(**columns: pa.Array) -> None:
    good = pa.Table.from_pydict(GOOD).set_column(1, "floor", pa.array([1, 2], pa.int32()))
    for name, values in columns.items():
        good = good.set_column(good.column_names.index(name), name, values)
    pq.write_table(good, SHOPS.path)


def test_a_file_with_another_type_is_found_by_its_footer():
    put(floor=pa.array([1, 2], pa.int64()))
    with pytest.raises(ContractError, match=r"(?s)floor: int32.*found.*floor: int64"):
        read_table(SHOPS)


def test_a_file_with_its_columns_in_another_order_is_refused():
    rows = shops()[["floor", "town", "rent", "share_tea"]].astype({"floor": "int32"})
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), SHOPS.path)
    with pytest.raises(ContractError, match="expected columns"):
        read_table(SHOPS)


def test_line_tables_are_scanned_on_write_and_checked_by_footer_on_read():
    lines = Table(**{**vars(SHOPS), "by_lines": True})
    put(floor=pa.array([1, 99], pa.int32()))
    check(lines)
    with pytest.raises(ContractError, match="floor between"):
        check(lines, lines.path)
    put(town=pa.array([None, "Bo"]))
    with pytest.raises(ContractError, match=r"town: 1 nulls"):
        check(lines)


def test_a_folder_of_parts_is_one_table():
    parts = Table(**{**vars(SHOPS), "path": Path("parts")})
    parts.path.mkdir()
    for name, towns in (("b", ["Ca", "Di"]), ("a", ["Ab", "Bo"])):
        put(town=pa.array(towns))
        SHOPS.path.rename(parts.path / f"{name}.parquet")
    assert parquet_glob(parts.path) == "parts/*.parquet"
    assert len(read_table(parts)) == 4
    put()
    SHOPS.path.rename(parts.path / "c.parquet")
    with pytest.raises(ContractError, match="2 rows for"):
        check(parts)


LINES = Table(
    name="lines",
    path=Path("lines.parquet"),
    row="a line",
    columns=(Column("line_id", pa.int64(), "its number"), Column("note", pa.string(), "a note")),
    key=("line_id",),
    order=("line_id",),
    by_lines=True,
)


def of_lines(*numbers: int, group: int = 2) -> Path:
    notes = pa.array(["x"] * len(numbers), pa.string())
    rows = pa.table({"line_id": pa.array(numbers, pa.int64()), "note": notes})
    pq.write_table(rows, LINES.path, row_group_size=group)
    return LINES.path


@pytest.mark.parametrize(
    ("numbers", "told"), [((1, 3, 2), "2 follows 3"), ((1, 2, 2), "2 follows 2")]
)
def test_a_key_of_lines_must_rise_even_across_batches(monkeypatch, numbers, told):
    monkeypatch.setattr(contract, "ROW_GROUP", 2)
    check(LINES, of_lines(1, 2, 3, 7))
    check(LINES, of_lines())
    with pytest.raises(ContractError) as error:
        check(LINES, of_lines(*numbers))
    assert str(error.value) == f"lines: line_id {told}; it must rise"


def test_a_table_needs_neither_rule_nor_key():
    column = Column("remark", pa.string(), "a remark", nullable=True)
    remarks = replace(SHOPS, name="remarks", columns=(column,), key=(), order=(), rules=())
    pq.write_table(pa.table({"remark": pa.array([None, "a", "a"], pa.string())}), SHOPS.path)
    check(remarks)


def test_the_data_dictionary_is_current():
    committed = (ROOT / "docs" / "data_dictionary.md").read_text(encoding="utf-8")
    assert committed == data_dictionary(), "stale: run `make docs`"

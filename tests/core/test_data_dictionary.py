"""The data dictionary is made from the contracts, and current."""

from dataclasses import replace

from conftest import ROOT

from pipeline.core.tables.__main__ import _page, data_dictionary, tables


def test_the_committed_dictionary_is_what_the_contracts_say():
    committed = (ROOT / "docs" / "data_dictionary.md").read_text(encoding="utf-8")
    assert committed == data_dictionary(), "stale: run `make docs`"


def test_every_column_of_every_table_has_a_meaning():
    for table in tables():
        for column in table.columns:
            assert column.doc, f"{table.name}.{column.name}"


def test_a_table_without_a_key_has_a_page_without_one():
    bare = replace(next(iter(tables())), key=(), rules=())
    page = "\n".join(_page(bare))
    assert page.startswith(f"## {bare.name}\n\n`{bare.path}`: one row is {bare.row}.\nOrder: ")
    assert "Key:" not in page
    assert "Every row:" not in page

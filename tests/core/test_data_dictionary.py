"""The data dictionary is made from the contracts, and current."""

from conftest import ROOT

from pipeline.core.tables.__main__ import data_dictionary


def test_the_committed_dictionary_is_what_the_contracts_say():
    committed = (ROOT / "docs" / "data_dictionary.md").read_text(encoding="utf-8")
    assert committed == data_dictionary(), "stale: run `make docs`"

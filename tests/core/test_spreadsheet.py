"""No cell of the mailing list executes, and nothing else is changed."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.text.spreadsheet import FORMULA_STARTS, safe_cell, safe_csv


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =cmd|' /C calc'!A0", "＝1", "\0=1"],
)
def test_what_a_spreadsheet_would_execute_is_guarded(text):
    assert safe_cell(text).startswith("'")


@given(st.text())
def test_no_text_begins_like_a_formula(text):
    cell = safe_cell(text)
    assert not cell.lstrip().startswith(FORMULA_STARTS)


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"]))), max_size=5))
def test_every_cell_comes_back_as_it_was_or_guarded(rows):
    text = safe_csv(("name",), rows)
    back = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert [cells or [""] for cells in back] == [[safe_cell(value)] for (value,) in rows]


def test_numbers_stay_numbers_and_missing_values_are_empty():
    assert safe_cell(-3) == -3
    assert safe_cell(float("nan")) == ""
    assert safe_cell(None) == ""
    assert safe_csv(("a", "b"), [(1, None)]) == "a,b\n1,\n"

"""Whatever the bytes of an archive, a workbook or a table: lines that add up, or one message."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from bench.fuzz import LAYOUTS, read_bytes
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.inputs.mutations import as_retail_ii, made_up_shop
from bench.inputs.workbooks import write_workbook

KINDS = ("csv", "zip", "gzip", "workbook", "parquet")
# Part of the file (of 2 ** 16), and what happens there.
DAMAGE = st.lists(
    st.tuples(
        st.integers(0, 2**16 - 1),
        st.one_of(
            st.integers(1, 255).map(lambda bits: ("flip", bits)),
            st.integers(1, 64).map(lambda length: ("drop", length)),
            st.binary(min_size=1, max_size=16).map(lambda some: ("insert", some)),
            st.just(("cut", 0)),
        ),
    ),
    min_size=1,
    max_size=4,
)


def damaged(content: bytes, damage) -> bytes:
    """The content with each of the damages in it."""
    found = bytearray(content)
    for place, (kind, what) in damage:
        at = place * len(found) >> 16
        if kind == "flip" and found:
            found[at] ^= what
        elif kind == "drop":
            del found[at : at + what]
        elif kind == "insert":
            found[at:at] = what
        elif kind == "cut":
            del found[at:]
    return bytes(found)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> dict[str, bytes]:
    """A few order lines in every kind of file, behind the byte that names their layout."""
    folder = tmp_path_factory.mktemp("shop")
    shop = as_retail_ii(made_up_shop(folder))
    text = shop.text().encode()
    table = pd.DataFrame([list(row) for row in shop.rows], columns=list(shop.header))
    archive, parquet = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("lines.csv", text)
    workbook = folder / "lines.xlsx"
    write_workbook(workbook, {"Orders": [shop.header, *shop.rows]})
    table.to_parquet(parquet, index=False)
    contents = (text, archive.getvalue(), gzip.compress(text), workbook.read_bytes())
    first = bytes([LAYOUTS.index("online_retail_ii")])
    return {
        kind: first + content
        for kind, content in zip(KINDS, (*contents, parquet.getvalue()), strict=True)
    }


@pytest.mark.parametrize("kind", KINDS)
def test_an_undamaged_file_of_each_kind_is_read_whole(kind, sound, tmp_path):
    said = {read_bytes(sound[k], tmp_path) for k in ("csv", kind)}
    assert len(said) == 1
    assert said.pop().startswith("read: ")


@pytest.mark.parametrize("kind", KINDS)
@given(damage=DAMAGE, is_set_apart=st.booleans())
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_damaged_file_is_read_or_refused_with_one_message(
    kind, damage, is_set_apart, sound, tmp_path: Path
):
    first, content = sound[kind][:1], sound[kind][1:]
    if is_set_apart:
        first = bytes([first[0] | 0x80])
    said = read_bytes(first + damaged(content, damage), tmp_path)
    assert said.startswith(("read: ", "refused: "))
    assert len(said) > len("refused: ")

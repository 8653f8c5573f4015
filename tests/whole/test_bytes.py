"""The line stages write the same bytes, whoever shares the work and in any order of lines."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from line_stages import copy_inputs, prepare, run_stage

pytestmark = pytest.mark.slow

STAGES = ("ingest", "clean", "explore", "aggregate_rfm")
LINES = ("invoice_lines", "sales", "returned_units")
ABOUT_CUSTOMERS = ("exploration", "customers", "later_purchases")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bytes")
    prepare(folder)
    for stage in STAGES[1:]:
        run_stage(folder, stage, "duckdb")
    return folder


@settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32))
def test_the_order_of_lines_within_an_invoice_changes_no_figure(shop, tmp_path_factory, seed):
    folder = copy_inputs(shop, tmp_path_factory.mktemp("shuffled") / "shop")
    reorder(shop / "sample.csv", folder / "sample.csv", random.Random(seed))
    params = (folder / "params.yaml").read_text(encoding="utf-8")
    at = params.replace(str(shop / "sample.csv"), str(folder / "sample.csv"))
    (folder / "params.yaml").write_text(at, encoding="utf-8")
    for stage in STAGES:
        run_stage(folder, stage, "duckdb")
    for name in ABOUT_CUSTOMERS:
        assert read(folder, name) == read(shop, name), name
    for figures in ("clean", "explore", "aggregate_rfm"):
        name = f"metrics/{figures}.json"
        assert (folder / name).read_bytes() == (shop / name).read_bytes()
    # The lines have other numbers, and nothing else is new about them.
    assert without_numbers(folder) == without_numbers(shop)


def reorder(source: Path, target: Path, chance: random.Random) -> None:
    """Shuffle the rows of each invoice among themselves, and the header stays."""
    header, *rows = source.read_bytes().splitlines(keepends=True)
    by_invoice: dict[bytes, list[bytes]] = {}
    for row in rows:
        by_invoice.setdefault(row.split(b",")[0], []).append(row)
    for some in by_invoice.values():
        chance.shuffle(some)
    shuffled = [by_invoice[row.split(b",")[0]].pop() for row in rows]
    assert shuffled != rows
    target.write_bytes(b"".join([header, *shuffled]))


def read(folder: Path, name: str) -> bytes:
    (file,) = (folder / "data").rglob(f"{name}.parquet")
    return file.read_bytes()


def without_numbers(folder: Path) -> list[str]:
    rows = pq.read_table(folder / "data/sales.parquet").drop_columns("line_id")
    return sorted(map(str, rows.to_pylist()))


def test_threads_and_memory_change_no_byte_of_a_file_of_several_row_groups(tmp_path):
    prepare(tmp_path, lines=400_000)
    written = []
    for limits in (
        {"PIPELINE_THREADS": "1"},
        {"PIPELINE_THREADS": "4"},
        {"PIPELINE_THREADS": "2", "PIPELINE_MEMORY": "400MB"},
    ):
        for stage in STAGES:
            run_stage(tmp_path, stage, "duckdb", **limits)
        written.append({name: read(tmp_path, name) for name in (*LINES, *ABOUT_CUSTOMERS)})
        assert pq.ParquetFile(tmp_path / "data/sales.parquet").metadata.num_row_groups > 2
    for other in written[1:]:
        assert [name for name in other if other[name] != written[0][name]] == []

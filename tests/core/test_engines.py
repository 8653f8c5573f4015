"""The engine changes the cost, never the result."""

from __future__ import annotations

import pytest
from line_stages import STAGES, copy_inputs, differences, prepare, run_stage

from pipeline.core.engines.base import open_engine
from pipeline.core.engines.duckdb import open_duckdb
from pipeline.core.run.errors import InputError

pytestmark = pytest.mark.slow


def test_pandas_writes_the_tables_that_duckdb_writes(tmp_path):
    prepare(tmp_path)
    other = copy_inputs(tmp_path, tmp_path / "pandas")
    for stage in STAGES:
        run_stage(tmp_path, stage, "duckdb")
        run_stage(other, stage, "pandas")
    assert differences(tmp_path, other) == []


def test_an_engine_that_does_not_exist_is_an_error_that_names_those_that_do(monkeypatch):
    monkeypatch.setenv("PIPELINE_ENGINE", "duck")
    with (
        pytest.raises(InputError, match=r"PIPELINE_ENGINE='duck': expected duckdb, pandas or spa"),
        open_engine(),
    ):
        pass


def test_duckdb_takes_no_more_memory_than_it_is_given(monkeypatch):
    monkeypatch.setenv("PIPELINE_MEMORY", "100MiB")
    with open_duckdb() as engine:
        (limit,) = engine.database.execute("select current_setting('memory_limit')").fetchone()
    assert limit == "100.0 MiB"

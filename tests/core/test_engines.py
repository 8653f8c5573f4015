"""The engine changes the cost, never the result."""

from __future__ import annotations

import pytest

from pipeline.core.engines.base import open_engine
from pipeline.core.engines.duckdb import open_duckdb
from pipeline.core.run.errors import InputError


def test_an_engine_that_does_not_exist_is_an_error_that_names_those_that_do(monkeypatch):
    monkeypatch.setenv("PIPELINE_ENGINE", "duck")
    with (
        pytest.raises(InputError, match=r"PIPELINE_ENGINE='duck': expected duckdb or spark"),
        open_engine(),
    ):
        pass


def test_duckdb_takes_no_more_memory_than_it_is_given(monkeypatch):
    monkeypatch.setenv("PIPELINE_MEMORY", "100MiB")
    with open_duckdb() as engine:
        (limit,) = engine.database.execute("select current_setting('memory_limit')").fetchone()
    assert limit == "100.0 MiB"

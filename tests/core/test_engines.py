"""The engine changes the cost, never the result."""

from __future__ import annotations

import pytest

from pipeline.core.engines.base import open_engine
from pipeline.core.run.errors import InputError


def test_an_engine_that_does_not_exist_is_an_error_that_names_those_that_do(monkeypatch):
    monkeypatch.setenv("PIPELINE_ENGINE", "duck")
    with (
        pytest.raises(InputError, match=r"PIPELINE_ENGINE='duck': expected duckdb or spark"),
        open_engine(),
    ):
        pass

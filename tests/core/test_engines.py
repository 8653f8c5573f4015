"""The engine changes the cost, never the result."""

from __future__ import annotations

import pytest

from pipeline.core.engines.base import open_engine
from pipeline.core.run.errors import InputError


def test_an_unknown_engine_is_an_error_that_names_the_known_ones(monkeypatch):
    monkeypatch.setenv("PIPELINE_ENGINE", "duck")
    with (
        pytest.raises(InputError, match=r"PIPELINE_ENGINE='duck': expected duckdb or spark"),
        open_engine(),
    ):
        pass

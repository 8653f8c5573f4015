"""A Spark cluster (a standalone master, two workers) finds what DuckDB finds on one machine."""

from __future__ import annotations

import importlib.util
import shutil

import pytest
from conftest import REAL_DATA, skip_unless
from line_stages import STAGES, copy_inputs, differences, prepare, run_stage

from bench.lines import cluster

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def test_a_cluster_writes_the_tables_that_duckdb_writes(tmp_path):
    skip_unless(importlib.util.find_spec("pyspark"), "PySpark")
    skip_unless(shutil.which("java"), "Java")
    alone = tmp_path / "duckdb"
    alone.mkdir()
    prepare(alone, REAL_DATA if REAL_DATA.exists() else None, lines=60_000)
    together = copy_inputs(alone, tmp_path / "spark")
    settings = cluster(tmp_path)
    for stage in STAGES:
        run_stage(alone, stage, "duckdb")
        run_stage(together, stage, "spark", **settings)
    assert differences(alone, together) == []
    assert len(list(tmp_path.glob("home/work/app-*/*"))) >= 2 * len(STAGES)

"""A Spark cluster (a standalone master, two workers) finds what DuckDB finds on one machine."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest
from conftest import REAL_DATA, skip_unless
from line_stages import STAGES, copy_inputs, differences, prepare, run_stage

pytestmark = [pytest.mark.spark, pytest.mark.slow]
# Spark starts a standalone master and two workers of one core and 1 GB, with executors that are
# processes of their own and share nothing with the driver but the folder.
CLUSTER = "local-cluster[2,1,1024]"


def test_a_cluster_writes_the_tables_that_duckdb_writes(tmp_path):
    package = importlib.util.find_spec("pyspark")
    skip_unless(package, "PySpark")
    skip_unless(shutil.which("java"), "Java")
    assert package is not None
    assert package.origin is not None
    alone = tmp_path / "duckdb"
    alone.mkdir()
    prepare(alone, REAL_DATA if REAL_DATA.exists() else None, lines=60_000)
    together = copy_inputs(alone, tmp_path / "spark")
    home = tmp_path / "home"  # where workers keep a folder for each executor
    home.mkdir()
    for part in Path(package.origin).parent.iterdir():
        (home / part.name).symlink_to(part)
    settings = {"SPARK_HOME": str(home), "SPARK_MASTER": CLUSTER, "SPARK_LOCAL_IP": "127.0.0.1"}
    for stage in STAGES:
        run_stage(alone, stage, "duckdb")
        run_stage(together, stage, "spark", **settings)
    assert differences(alone, together) == []
    assert len(list(home.glob("work/app-*/*"))) >= 2 * len(STAGES)

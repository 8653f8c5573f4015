"""A standalone Spark cluster (a master, two workers) finds what DuckDB finds on one machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import REAL_DATA, skip_unless
from line_stages import STAGES, copy_inputs, differences, prepare, run_stage

pytestmark = [pytest.mark.spark, pytest.mark.slow]
LOOPBACK = "127.0.0.1"
DEPLOY = "org.apache.spark.deploy"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """The address of a running cluster's master; its processes end with the test."""
    package = importlib.util.find_spec("pyspark")
    skip_unless(package, "PySpark")
    skip_unless(shutil.which("java"), "Java")
    assert package is not None
    assert package.origin is not None
    spark_class = Path(package.origin).parent / "bin" / "spark-class"
    port, web = free_port(), free_port()
    master = f"spark://{LOOPBACK}:{port}"
    env = {
        **os.environ,
        "SPARK_LOCAL_IP": LOOPBACK,
        "SPARK_DAEMON_MEMORY": "256m",
        "PYSPARK_PYTHON": sys.executable,
    }
    started: list[subprocess.Popen[bytes]] = []
    log = tmp_path / "cluster.log"

    def start(*arguments: str) -> None:
        with log.open("ab") as output:
            started.append(
                subprocess.Popen(
                    [str(spark_class), *arguments], env=env, stdout=output, stderr=output
                )
            )

    try:
        start(f"{DEPLOY}.master.Master", "-h", LOOPBACK, "-p", str(port), "--webui-port", str(web))
        wait_for("I have been elected leader", 1, log)
        for number in (1, 2):
            place = ("-d", str(tmp_path / f"worker{number}"), "--webui-port", str(free_port()))
            size = ("-c", "1", "-m", "1g", "-h", LOOPBACK)
            start(f"{DEPLOY}.worker.Worker", *size, *place, master)
        wait_for("Successfully registered with master", 2, log)
        yield master
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind((LOOPBACK, 0))
        port: int = one.getsockname()[1]
        return port


def wait_for(words: str, times: int, log: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if log.exists() and log.read_text(encoding="utf-8", errors="replace").count(words) >= times:
            return
        time.sleep(0.2)
    pytest.fail(f"the cluster did not start:\n{log.read_text(encoding='utf-8', errors='replace')}")


def test_a_cluster_writes_the_tables_that_duckdb_writes(cluster, tmp_path):
    alone = tmp_path / "duckdb"
    alone.mkdir()
    prepare(alone, REAL_DATA if REAL_DATA.exists() else None, lines=60_000)
    together = copy_inputs(alone, tmp_path / "spark")
    settings = {"SPARK_MASTER": cluster, "SPARK_LOCAL_IP": LOOPBACK}
    for stage in STAGES:
        run_stage(alone, stage, "duckdb")
        run_stage(together, stage, "spark", **settings)
    assert differences(alone, together) == []
    log = (tmp_path / "cluster.log").read_text(encoding="utf-8", errors="replace")
    assert log.count("Registered app") == len(STAGES)
    assert log.count("Launching executor") >= 2 * len(STAGES)

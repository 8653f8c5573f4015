"""Order lines out of databases and object stores: real servers on loopback, and files."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from conftest import skip_unless

from pipeline.commands.download import take_query
from pipeline.core.run.errors import InputError

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
ROWS = (
    "create table order_lines (order_id text, at timestamptz, price numeric(12, 4));"
    "insert into order_lines values ('1', '2024-01-05 10:00+01', 10.9000), ('2', null, 0.1)"
)


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """The address of a server of its own, started as a user who is not root."""
    skip_unless(BINARIES, "Debian's postgresql")
    skip_unless(find_spec("adbc_driver_postgresql"), "the ADBC driver of PostgreSQL")
    skip_unless(os.getuid() or shutil.which("runuser"), "runuser: PostgreSQL refuses root")
    folder = tmp_path_factory.mktemp("postgres")
    user = ["runuser", "-u", "nobody", "--"] if os.getuid() == 0 else []
    for parent in (folder, *list(folder.parents)[:3]):
        parent.chmod(0o777)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data, bin_folder = folder / "data", BINARIES[-1]
    subprocess.run(
        [*user, bin_folder / "initdb", "-D", data, "-U", "shop", "-A", "trust"],
        check=True,
        cwd=folder,
    )
    start = ["-o", f"-p {port} -k {folder} -c listen_addresses=127.0.0.1", "-w", "start"]
    log = ["-l", folder / "log"]
    subprocess.run([*user, bin_folder / "pg_ctl", "-D", data, *log, *start], check=True, cwd=folder)
    try:
        address = f"postgresql://shop@127.0.0.1:{port}/postgres"
        subprocess.run([bin_folder / "psql", address, "-qc", ROWS], check=True, cwd=folder)
        yield address
    finally:
        stop = ["-m", "immediate", "stop"]
        subprocess.run([*user, bin_folder / "pg_ctl", "-D", data, *stop], check=True, cwd=folder)


def test_postgresql_keeps_decimals_and_time_zones(postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_DATABASE", postgres)
    file = tmp_path / "lines.parquet"
    assert take_query("env:SHOP_DATABASE", "select * from order_lines", file) == 2
    rows = pq.read_table(file)
    assert [Decimal(str(p)) for p in rows["price"].to_pylist()] == [Decimal("10.9"), Decimal("0.1")]
    assert rows["at"].type.tz == "UTC"


def dvc_project(folder: Path, *commands: str) -> None:
    """Run DVC's commands in a new project of this folder; no file that Git keeps has a secret."""
    subprocess.run(["git", "init", "--quiet"], check=True, cwd=folder)
    for command in ("init --quiet", *commands):
        subprocess.run(
            [sys.executable, "-m", "dvc", *command.split()], check=True, cwd=folder, timeout=120
        )
    subprocess.run(["git", "add", "."], check=True, cwd=folder)
    found = subprocess.run(["git", "grep", "--cached", "secret"], check=False, cwd=folder)
    assert found.returncode == 1


def test_dvc_import_db_brings_a_table_and_its_password_stays_in_the_local_config(
    postgres, tmp_path
):
    skip_unless(find_spec("sqlalchemy") and find_spec("psycopg"), "SQLAlchemy and psycopg")
    address = postgres.replace("postgresql://shop@", "postgresql+psycopg://shop:secret@")
    dvc_project(
        tmp_path,
        f"config --local db.shop.url {address}",
        "import-db --conn shop --table order_lines --out lines.csv",
        "update lines.csv.dvc",
    )
    lines = "order_id,at,price\n1,2024-01-05 09:00:00+00:00,10.9\n2,,0.1\n"
    assert (tmp_path / "lines.csv").read_text(encoding="utf-8") == lines
    assert "secret" in (tmp_path / ".dvc/config.local").read_text(encoding="utf-8")


def test_dvc_brings_a_file_from_s3_and_keeps_results_there(tmp_path, monkeypatch):
    skip_unless(find_spec("moto") and find_spec("dvc_s3"), "moto and dvc-s3")
    import boto3
    from moto.server import ThreadedMotoServer

    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "secret")
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        address = "http://{}:{}".format(*server.get_host_and_port())
        store = boto3.client("s3", endpoint_url=address, region_name="us-east-1")
        store.create_bucket(Bucket="shop")
        store.put_object(Bucket="shop", Key="2024/lines.csv", Body=b"order_id,price\n1,10.90\n")
        dvc_project(
            tmp_path,
            "remote add --default shop s3://shop",
            f"remote modify shop endpointurl {address}",
            "import-url remote://shop/2024/lines.csv lines.csv",
            "import-url lines.csv results.csv",
            "push results.csv",
        )
        kept = [found["Key"] for found in store.list_objects_v2(Bucket="shop")["Contents"]]
    finally:
        server.stop()
    assert (tmp_path / "lines.csv").read_bytes() == b"order_id,price\n1,10.90\n"
    assert [key.split("/")[0] for key in kept] == ["2024", "files"]


def test_a_database_error_never_shows_the_address(postgres, tmp_path, monkeypatch):
    monkeypatch.setenv("SHOP_DATABASE", postgres.replace("shop@", "shop:secret@"))
    with pytest.raises(InputError, match="nowhere") as error:
        take_query("env:SHOP_DATABASE", "select * from nowhere", tmp_path / "x.parquet")
    assert "secret" not in str(error.value)
    assert not (tmp_path / "x.parquet").exists()


def test_files_of_sqlite_and_duckdb_are_databases_too(tmp_path):
    lite = sqlite3.connect(tmp_path / "shop.sqlite")
    lite.executescript(
        "create table lines (id, price); insert into lines values (1, 2.5), (2, null)"
    )
    lite.close()
    duckdb.connect(str(tmp_path / "shop.duckdb")).execute(
        "create table lines as select 1 as id"
    ).close()
    file = tmp_path / "lines.parquet"
    assert take_query(str(tmp_path / "shop.sqlite"), "select * from lines", file) == 2
    assert pq.read_table(file).to_pylist()[0] == {"id": "1", "price": "2.5"}
    assert take_query(str(tmp_path / "shop.duckdb"), "select * from lines", file) == 1
    with pytest.raises(InputError, match="no such table"):
        take_query(str(tmp_path / "shop.sqlite"), "select * from nowhere", file)


def test_a_variable_that_is_not_set_is_named(tmp_path):
    with pytest.raises(InputError, match="the environment has no NO_SUCH_SHOP"):
        take_query("env:NO_SUCH_SHOP", "select 1", tmp_path / "x.parquet")

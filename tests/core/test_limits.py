"""A limit of the machine is told in a line with its remedy; a defect keeps its traceback."""

import errno
import os
from concurrent.futures.process import BrokenProcessPool

import duckdb
import pytest

from pipeline.core.run.limits import limit_reached
from pipeline.core.run.stage import run_stage


def os_error(number: int, file: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), file)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (os_error(errno.ENOSPC), "no room is left on the disk"),
        (os_error(errno.ENOSPC, "data/x.parquet"), "data/x.parquet: no room is left on the disk"),
        (os_error(errno.EROFS, "data"), "data: the folder is read-only"),
        (os_error(errno.EACCES, "data"), "data: permission is missing"),
        (os_error(errno.EFBIG), "ulimit -f"),
        (MemoryError(), "PIPELINE_MEMORY"),
        (BrokenProcessPool("terminated abruptly"), "a worker process was killed"),
        (duckdb.OutOfMemoryException("failed to allocate"), "PIPELINE_MEMORY"),
        (duckdb.IOException('write "x": No space left on device'), "no room is left"),
        (duckdb.IOException('open "x": Permission denied'), 'open "x": Permission denied; make it'),
    ],
)
def test_each_limit_has_its_remedy(error, told, capsys):
    def stopped() -> None:
        raise error

    assert told in (limit_reached(error) or "")
    with pytest.raises(SystemExit) as exit_:
        run_stage(stopped, "Do.", [])
    assert exit_.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    with pytest.raises(type(error)):
        run_stage(stopped, "Do.", ["--debug"])


@pytest.mark.parametrize(
    "error", [os_error(errno.EIO), duckdb.BinderException("no column x"), OSError("of no number")]
)
def test_what_is_no_limit_stays_a_traceback(error):
    def stopped() -> None:
        raise error

    assert limit_reached(error) is None
    with pytest.raises(type(error)):
        run_stage(stopped, "Do.", [])


def test_duckdb_tells_of_its_own_memory_limit():
    with (
        duckdb.connect(config={"memory_limit": "1MB", "temp_directory": ""}) as database,
        pytest.raises(duckdb.OutOfMemoryException) as raised,
    ):
        database.execute("create table t as select range, range::text from range(10_000_000)")
    assert "PIPELINE_MEMORY" in (limit_reached(raised.value) or "")

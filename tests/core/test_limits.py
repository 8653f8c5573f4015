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
        (os_error(errno.ENOSPC, "data/x.parquet"), "'data/x.parquet'; free some"),
        (os_error(errno.EACCES, "data"), "Permission denied: 'data'; make it writable"),
        (os_error(errno.EPERM, "data"), "make it writable"),
        (os_error(errno.EFBIG), "ulimit -f"),
        (MemoryError(), "MemoryError; close other programs"),
        (BrokenProcessPool("terminated abruptly"), "terminated abruptly; close other programs"),
        (duckdb.OutOfMemoryException("failed to allocate"), "PIPELINE_MEMORY"),
        (duckdb.IOException('write "x": No space left on device'), "PIPELINE_SPILL"),
    ],
)
def test_each_limit_has_its_remedy(error, told, capsys):
    def stopped() -> None:
        raise error

    with pytest.raises(SystemExit) as exit_:
        run_stage(stopped, "Do.", [])
    assert exit_.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert told in said
    assert said.count("\n") == 1
    with pytest.raises(type(error)):
        run_stage(stopped, "Do.", ["--debug"])


@pytest.mark.parametrize("error", [os_error(errno.EIO), duckdb.BinderException("no column x")])
def test_what_is_no_limit_stays_a_traceback(error):
    assert limit_reached(error) is None

"""A stage as a command: help, exit codes, and tracebacks only on demand."""

import errno

import duckdb
import pytest

from pipeline.core.run import stage as stage_module
from pipeline.core.run.errors import InputError
from pipeline.core.run.stage import progress, run_stage


def broken() -> None:
    raise InputError("x.csv, row 2, column Price: 'abc' is not a number")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "data/x.parquet"), "'data/x.parquet'; f"),
        (MemoryError(), "error: MemoryError; free some room"),
        (duckdb.OutOfMemoryException("failed to allocate"), "failed to allocate; free"),
    ],
)
def test_a_limit_of_the_machine_is_one_line_with_the_remedy(capsys, error, said):
    def stopped() -> None:
        raise error

    with pytest.raises(SystemExit) as exit_:
        run_stage(stopped, "Do.", [])
    assert exit_.value.code == 1
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_under_dvc_an_error_says_how_to_restore_the_last_run(capsys, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "dvc.yaml:clean")
    monkeypatch.setattr(stage_module, "end_with", lambda _: None)
    with pytest.raises(SystemExit):
        run_stage(broken, "Do.", [])
    assert capsys.readouterr().err.splitlines()[1:] == [stage_module.GOING_BACK]


def test_debug_shows_the_traceback():
    with pytest.raises(InputError):
        run_stage(broken, "Do.", ["--debug"])


def test_progress_yields_everything_and_is_silent_where_no_one_watches(capsys):
    assert not stage_module.console.is_terminal
    assert list(progress([1, 2, 3], "counting")) == [1, 2, 3]
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")

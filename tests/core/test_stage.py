"""A stage as a command: help, exit codes, and tracebacks only on demand."""

import io

import pytest
from rich.console import Console

from pipeline.core.run import stage as stage_module
from pipeline.core.run.errors import InputError
from pipeline.core.run.stage import progress, run_stage


def broken() -> None:
    raise InputError("x.csv, row 2, column Price: 'abc' is not a number")


def test_a_users_mistake_is_one_message_and_exit_code_1(capsys):
    with pytest.raises(SystemExit) as exit_:
        run_stage(broken, "Do.", [])
    assert exit_.value.code == 1
    assert capsys.readouterr().err == ("error: x.csv, row 2, column Price: 'abc' is not a number\n")


def test_where_dvc_ran_the_stage_the_way_back_is_said(capsys, monkeypatch):
    monkeypatch.setenv("DVC_STAGE", "dvc.yaml:clean")
    monkeypatch.setattr(stage_module, "end_with", lambda _: None)
    with pytest.raises(SystemExit):
        run_stage(broken, "Do.", [])
    assert capsys.readouterr().err.splitlines()[1:] == [stage_module.GOING_BACK]


def test_debug_brings_the_traceback_back():
    with pytest.raises(InputError):
        run_stage(broken, "Do.", ["--debug"])


def test_help_is_the_modules_docstring(capsys):
    with pytest.raises(SystemExit) as exit_:
        run_stage(broken, "Keep the genuine sales.\n\nReads   data/x", ["--help"])
    assert exit_.value.code == 0
    assert "Keep the genuine sales.\n\nReads   data/x" in capsys.readouterr().out


def test_progress_yields_everything_and_is_silent_where_no_one_watches(capsys):
    assert not stage_module.console.is_terminal
    assert list(progress([1, 2, 3], "counting")) == [1, 2, 3]
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize(
    ("items", "total", "shown"),
    [([1, 2, 3], None, "3/3"), (iter([1, 2, 3]), 3, "3/3"), (map(int, "123"), None, "/?")],
)
def test_progress_shows_on_a_terminal_what_is_done_of_how_many(monkeypatch, items, total, shown):
    screen = io.StringIO()
    monkeypatch.setattr(stage_module, "console", Console(file=screen, force_terminal=True))
    assert list(progress(items, "counting", total)) == [1, 2, 3]
    assert "counting" in screen.getvalue()
    assert shown in screen.getvalue()

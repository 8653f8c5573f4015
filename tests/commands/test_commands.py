"""Every command of pipeline/: help with an example, exit codes, a traceback only on demand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, STAGES, run

from pipeline import __main__ as pipeline_commands

# Stages as `pipeline.<stage>`, the commands beside the DAG as `pipeline <command>`.
COMMANDS = [f"pipeline.{stage}" for stage in STAGES]
COMMANDS += [f"pipeline {name}" for name in pipeline_commands.COMMANDS]
# A mistake that a user can make in an empty folder, where it takes more than being there.
MISTAKES = {
    "pipeline campaign": ["read", "spring"],
    "pipeline check": ["orders.csv"],
    "pipeline compare": ["v1", "v2", "v3"],
    "pipeline download": ["--from", "nowhere.zip"],
    "pipeline forget": ["17850"],
    "pipeline score": ["orders.csv"],
}
ESCAPE = "\x1b"


def call(command: str, *arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would, without a terminal and without anything to read."""
    return run(
        sys.executable, "-m", *command.split(), *arguments,
        cwd=cwd, check=False, PYTHONPATH=str(ROOT), **env,
    )  # fmt: skip


def test_the_commands_are_listed(tmp_path):
    done = call("pipeline", cwd=tmp_path)
    assert done.returncode == 0
    for name in pipeline_commands.COMMANDS:
        assert f"\n  {name}" in done.stdout
    unknown = call("pipeline", "chekc", cwd=tmp_path)
    assert unknown.returncode == 2
    assert "'chekc' is no command" in unknown.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command, tmp_path):
    done = call(command, "--help", cwd=tmp_path, COLUMNS="100")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Example" in done.stdout
    assert f"python -m {command}" in done.stdout
    assert "--debug" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "pipeline schema"])
def test_a_mistake_is_one_message_without_a_traceback(command, tmp_path):
    mistake = MISTAKES.get(command, [])
    done = call(command, *mistake, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("error: ") == 1
    (at,) = (n for n, line in enumerate(done.stderr.splitlines()) if line.startswith("error: "))
    assert at == len(done.stderr.splitlines()) - 1
    assert "Traceback" not in done.stderr
    assert ESCAPE not in done.stderr


def test_a_python_without_the_projects_packages_says_what_to_do(tmp_path):
    bare = [sys.executable, "-I", "-S", "-c"]  # no site-packages
    start = (
        "import sys, runpy; sys.argv[0] = '-m'; sys.path.insert(0, sys.argv[1]); import pipeline"
    )
    done = run(*bare, start, str(ROOT), cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "run `make` once, then `source .venv/bin/activate`" in done.stderr
    assert "Traceback" not in done.stderr

"""Every command of pipeline/: help with an example, exit codes, a traceback only on demand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, run

COMMANDS = sorted(
    file.stem
    for file in (ROOT / "pipeline").glob("*.py")
    if 'if __name__ == "__main__"' in file.read_text(encoding="utf-8")
)
# A mistake that a user can make in an empty folder, where it takes more than being there.
MISTAKES = {
    "check_source": ["--check", "orders.csv"],
    "download_online_retail": ["--from", "nowhere.zip"],
    "score_lines": ["orders.csv"],
}
ESCAPE = "\x1b"


def call(command: str, *arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would, without a terminal and without anything to read."""
    module = f"pipeline.{command}"
    return run(
        sys.executable, "-m", module, *arguments,
        cwd=cwd, check=False, PYTHONPATH=str(ROOT), **env,
    )  # fmt: skip


def test_every_stage_and_tool_is_among_the_commands():
    assert {"ingest", "clean", "render_report", "compare_runs", "score_lines"} <= set(COMMANDS)
    assert len(COMMANDS) >= 15


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command, tmp_path):
    done = call(command, "--help", cwd=tmp_path, COLUMNS="100")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Example" in done.stdout
    assert f"python -m pipeline.{command}" in done.stdout or command == "check_source"
    assert "--debug" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_option_is_a_usage_error(command, tmp_path):
    done = call(command, *MISTAKES.get(command, []), "--nonsense", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "usage:" in done.stderr
    assert "--nonsense" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_mistake_is_one_message_without_a_traceback_unless_asked_for(command, tmp_path):
    mistake = MISTAKES.get(command, [])
    done = call(command, *mistake, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("error: ") == 1
    (at,) = (n for n, line in enumerate(done.stderr.splitlines()) if line.startswith("error: "))
    # It is the last line; check_source goes on with what can be done about it.
    assert (at == len(done.stderr.splitlines()) - 1) == (command != "check_source")
    assert "Traceback" not in done.stderr
    assert ESCAPE not in done.stderr
    asked = call(command, *mistake, "--debug", cwd=tmp_path)
    assert asked.returncode == 1
    assert "Traceback" in asked.stderr
    assert "InputError" in asked.stderr


def test_a_python_without_the_projects_packages_says_what_to_do(tmp_path):
    bare = [sys.executable, "-I", "-S", "-c"]  # no site-packages
    start = (
        "import sys, runpy; sys.argv[0] = '-m'; sys.path.insert(0, sys.argv[1]); import pipeline"
    )
    done = run(*bare, start, str(ROOT), cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "run `make` once, then `source .venv/bin/activate`" in done.stderr
    assert "Traceback" not in done.stderr

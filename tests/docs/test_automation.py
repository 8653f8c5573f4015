"""docs/automation.md: the jobs are valid YAML, and their shell lines do what the page says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, change_params, run

PAGE = (ROOT / "docs/automation.md").read_text(encoding="utf-8")
GITHUB, GITLAB = map(yaml.safe_load, re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL))
CRON = next(line for line in PAGE.splitlines() if re.match(r"\d+ \d+ \d+ \* \*  ", line))
BASH = ("bash", "-eo", "pipefail")
# What a runner has and this machine has not, or must not do here.
STANDS_IN = {
    "make": "mkdir -p .venv/bin && touch .venv/bin/activate",
    "mail": 'cat > mail.txt; echo "$2" > subject.txt',
}

pytestmark = [pytest.mark.dvc, pytest.mark.slow]


@pytest.fixture
def shell(small_shop: Path, tmp_path: Path):
    """Run shell lines in a shop with a remote: the exit code, and what was printed."""
    for name, does in STANDS_IN.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    run("dvc", "remote", "add", "-d", "-f", "store", str(tmp_path / "store"), cwd=small_shop)
    run("dvc", "push", "--run-cache", cwd=small_shop)

    def called(*lines: str, by: tuple[str, ...] = BASH) -> subprocess.CompletedProcess[str]:
        path = f"{tmp_path}:{Path(subprocess.sys.executable).parent}:/usr/bin:/bin"
        summary = {"GITHUB_STEP_SUMMARY": "summary.md", "GITHUB_PATH": "path.txt", "PATH": path}
        return run(*by, "-c", "\n".join(lines), cwd=small_shop, check=False, **summary)

    return called


def test_every_job_runs_and_fails_on_an_alert(shell, small_shop: Path):
    github = [step["run"] for step in GITHUB["jobs"]["month"]["steps"] if "run" in step]
    gitlab, cron = (
        GITLAB["month"]["script"],
        CRON.split("  ", 1)[1].replace("cd /srv/segments && ", ""),
    )
    for code in (0, 3):
        for lines in (github, gitlab):
            done = shell(*lines)
            assert (done.returncode, "your customers on" in done.stdout) == (code, True), (
                done.stderr
            )
        assert shell(cron, by=("sh",)).returncode == 0
        assert f"exit {code}" in (small_shop / "subject.txt").read_text(encoding="utf-8")
        assert "your customers on" in (small_shop / "mail.txt").read_text(encoding="utf-8")
        assert ("Look at this first" in done.stdout) == (code == 3)
        rules = {"missing_days": 1, "missing_lines": 0.001, "forecast": 0.0001}
        change_params(small_shop, alerts=rules)  # which then are broken
    assert (small_shop / "summary.md").read_text(encoding="utf-8").count("# ") > 2


def test_the_jobs_start_on_a_schedule_and_keep_what_they_made():
    assert [each["cron"] for each in GITHUB[True]["schedule"]] == [" ".join(CRON.split()[:5])]
    assert (
        GITHUB["jobs"]["month"]["steps"][-1]["with"]["path"]
        in GITLAB["month"]["artifacts"]["paths"]
    )

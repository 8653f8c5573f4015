"""The commands of docs/experiments.md, run with DVC and git."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from conftest import run

pytestmark = [pytest.mark.dvc, pytest.mark.slow]


def sh(cwd: Path, command: str) -> str:
    """Run one command line of the document; its only shell syntax is quotes."""
    return run(*shlex.split(command), cwd=cwd).stdout


@pytest.fixture(scope="module")
def shop(small_shop: Path) -> Path:
    """A committed clone with its own origin, in which the pipeline ran on a small shop."""
    folder = small_shop.parent
    sh(folder, "git init --quiet --bare origin.git")
    sh(small_shop, f"git remote set-url origin {folder / 'origin.git'}")
    sh(small_shop, f"dvc remote add -d shop {folder / 'remote'}")
    sh(small_shop, "git commit --quiet -a -m Remote")
    sh(small_shop, "git push --quiet origin HEAD:main")
    return small_shop


def figures(shop: Path) -> dict[str, dict]:
    files = sorted((shop / "metrics").glob("*.json"))
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def test_an_experiment_is_run_compared_undone_and_applied(shop: Path):
    before = figures(shop)
    segments = (shop / "data" / "segments.parquet").read_bytes()
    sh(shop, "dvc exp run -S rfm.as_of=2011-10-31 -n earlier")
    assert figures(shop) != before
    diff = json.loads(sh(shop, "dvc metrics diff --json"))
    assert diff.get("diff", diff)
    params = json.loads(sh(shop, "dvc params diff --json"))
    assert "2011-10-31" in json.dumps(params)
    compared = json.loads(sh(shop, "python -m pipeline compare --json"))
    assert compared["snapshots"][1] == "2011-10-31"

    sh(shop, "git checkout --quiet params.yaml dvc.lock metrics")
    sh(shop, "dvc checkout")
    assert (shop / "data" / "segments.parquet").read_bytes() == segments
    assert figures(shop) == before
    assert "up to date" in sh(shop, "dvc status")

    sh(shop, "dvc exp apply earlier")
    assert figures(shop) != before
    sh(shop, "git checkout --quiet params.yaml dvc.lock metrics")
    sh(shop, "dvc checkout")


def test_the_readmes_example_runs_the_stages_that_it_shows(shop: Path):
    text = (shop / "README.md").read_text(encoding="utf-8")
    example = text.split("```console\n")[1].split("```")[0]
    commands = [line[2:].partition(" #")[0] for line in example.splitlines() if line[:2] == "$ "]
    assert [command.split()[0] for command in commands] == ["dvc", "dvc", "python"]
    told = sh(shop, commands[0])
    skipped = [line for line in example.splitlines() if line.startswith("Stage '")]
    assert len(skipped) == 6
    for line in skipped:
        assert line in told
    assert "Running stage 'select_model'" in told
    assert "Running stage 'render_report'" in told
    sh(shop, commands[1])  # on so small a shop the same segmentation may be chosen again
    assert "select.gates.maximum_segments" in sh(shop, commands[2])
    sh(shop, "git checkout --quiet params.yaml dvc.lock metrics")
    sh(shop, "dvc checkout")


def test_a_queued_grid_gives_one_experiment_per_value(shop: Path):
    sh(shop, "dvc exp run --queue -S 'rfm.as_of=2011-09-30,2011-11-30'")
    sh(shop, "dvc exp run --run-all")
    shown = sh(shop, "dvc exp show --csv")
    assert "2011-09-30" in shown
    assert "2011-11-30" in shown
    assert "Failed" not in shown
    page = (shop / "docs/experiments.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"(?m)^dvc exp show .*$", page)
    narrow = sh(shop, f"{command} --csv")
    assert len(narrow.splitlines()[0]) < len(shown.splitlines()[0])


def test_a_fresh_clone_pulls_outputs_and_an_experiment_without_running_anything(
    shop: Path, tmp_path: Path
):
    sh(shop, "dvc exp run -S rfm.as_of=2011-11-15 -n shared")
    sh(shop, "git checkout --quiet params.yaml dvc.lock metrics")
    sh(shop, "dvc checkout")
    sh(shop, "dvc push")
    sh(shop, "dvc exp push origin shared")

    fresh = tmp_path / "fresh"
    sh(shop, f"git clone --quiet --branch main {shop.parent / 'origin.git'} {fresh}")
    sh(fresh, "dvc pull")
    mine = (shop / "data" / "segments.parquet").read_bytes()
    assert (fresh / "data" / "segments.parquet").read_bytes() == mine
    assert "up to date" in sh(fresh, "dvc status")
    sh(fresh, "dvc exp pull origin shared")
    sh(fresh, "dvc exp apply shared")
    assert "2011-11-15" in (fresh / "params.yaml").read_text(encoding="utf-8")

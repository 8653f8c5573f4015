"""The shell lines of the README's "On your own data", run on a file in an unknown layout."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, change_params, run, scratch_clone

from pipeline.make_sample.__main__ import write_sample

pytestmark = [pytest.mark.dvc, pytest.mark.slow]
README = (ROOT / "README.md").read_text(encoding="utf-8").split("## On your own data")[1]
CHECK, RUN, BACK = re.findall(r"```sh\n(.+?)```", README, re.DOTALL)[:3]


def test_the_lines_of_the_readme_lead_from_a_file_to_kept_segments(tmp_path: Path):
    clone = scratch_clone(tmp_path)
    write_sample(tmp_path / "all.csv", 6_000, 3)
    lines = pd.read_csv(tmp_path / "all.csv", dtype=str, encoding="iso-8859-1")
    lines = lines.rename(columns={"CustomerID": "Client", "UnitPrice": "Price", "Country": "Land"})
    (clone / "data/raw").mkdir(exist_ok=True)
    lines.to_csv(clone / "data/raw/orders.csv", index=False)
    change_params(clone, select={"candidates": ["grid/rhythm/raw/5-8"], "baselines": []})

    def shell(lines: str) -> str:
        lines = lines.replace("source .venv/bin/activate", "")
        return run("bash", "-ec", lines, cwd=clone).stdout

    assert "paid for goods" in shell(CHECK)
    told = shell(RUN)
    assert "kept as pipeline/settings/definitions/kept.yaml" in told
    assert run("git", "status", "--porcelain", cwd=clone).stdout == ""
    assert "up to date" in run("dvc", "status", cwd=clone).stdout
    pages = sorted((clone / "reports").iterdir())
    (clone / "params.yaml").write_text("shop: {}\n", encoding="utf-8")
    shell(BACK)
    assert "up to date" in run("dvc", "status", cwd=clone).stdout
    assert sorted((clone / "reports").iterdir()) == pages

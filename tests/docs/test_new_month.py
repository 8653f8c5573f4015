"""docs/new_month.md, run: a file comes into the folder, and what changed is told."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT, change_params, run, scratch_clone

from pipeline.make_sample.__main__ import write_sample

pytestmark = [pytest.mark.dvc, pytest.mark.slow]


@pytest.mark.parametrize("shop", ["sample", pytest.param("real", marks=pytest.mark.real_data)])
def test_each_month_reruns_the_pipeline_and_the_versions_are_told_apart(tmp_path, shop, request):
    clone, folder, source = scratch_clone(tmp_path), tmp_path / "shop", tmp_path / "all.csv"
    folder.mkdir()
    if shop == "real":
        source = request.getfixturevalue("real_data")
    else:
        write_sample(source, 12_000, 1)
    lines = pd.read_csv(source, dtype=str, encoding="iso-8859-1", keep_default_na=False)
    day = pd.to_datetime(lines["InvoiceDate"], format="%m/%d/%Y %H:%M").dt.normalize()
    month = day.dt.strftime("%Y-%m").where(day >= "2011-11-01", "to_2011-10")
    after = [f"{d + pd.Timedelta(days=1):%Y-%m-%d}" for d in day.groupby(month).max().sort_values()]
    # A cheap choice among those that pass on both shops.
    select = {"candidates": ["grid/rhythm/raw/5-8"], "baselines": []}
    change_params(clone, sample={"lines": 200}, source={"path": str(folder)}, select=select)
    printed, moved = [], []

    def told(command: str) -> str:
        done = run(*command.split(), cwd=clone, COLUMNS="200")
        printed.append(done.stdout + done.stderr)
        return done.stdout

    for number, name in enumerate(["to_2011-10", "2011-11", "2011-12"]):
        lines[month == name].to_csv(folder / f"{name}.csv", index=False)
        said = told("dvc repro")
        if number == 0:
            told("python -m pipeline keep")
            told("dvc repro")
        else:
            assert "Stage 'make_sample' didn't change, skipping" in said
            assert "Running stage 'render_report'" in said
            told("python -m pipeline compare")
            found = json.loads(told("python -m pipeline compare --json"))
            assert found["snapshots"] == after[number - 1 : number + 1]
            assert found["stages"][0] == {"stage": "ingest", "why": f"input {folder}"}
            moved.append(causes_of(found))
            time_lifts_nobody(clone)
            assert "keep their name" in told("python -m pipeline keep --dry-run")
        run("git", "add", "--all", cwd=clone)
        run("git", "commit", "--quiet", "--message", name, cwd=clone)
    (measured,) = json.loads((clone / "metrics/select.json").read_text(encoding="utf-8"))
    assert measured["kept"]["since"] == after[0]
    if shop == "real":
        the_page_shows(" ".join(" ".join(printed).split()), moved)


def causes_of(found: dict) -> pd.Series:
    """How many moved by which cause: under a kept definition by time or by what they did."""
    assert (found["params"], found["customers"]["only_before"]) == ([], 0)
    assert found["customers"]["only_after"] > 0
    causes = pd.DataFrame(found["causes"]).groupby("cause")["customers"].sum()
    assert list(causes.index) == ["own behaviour", "time passing"]
    moves = found["moves"].items()
    assert causes.sum() == sum(n for row, each in moves for to, n in each.items() if to != row)
    return causes


def time_lifts_nobody(clone: Path) -> None:
    segments = pd.read_parquet(clone / "data/segments.parquet")
    order = segments.groupby("segment")["segment_id"].first()
    by_time = segments[segments["moved_by"] == "time"]
    assert (by_time["segment_id"] > by_time["previous_segment"].map(order)).all()


def the_page_shows(printed: str, moved: list[pd.Series]) -> None:
    """Every line under a command was printed, and the figures of the text are the commands'."""
    page = (ROOT / "docs/new_month.md").read_text(encoding="utf-8")
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for part in re.split(r"^\$ .*|…|\n", block, flags=re.MULTILINE):
            assert " ".join(part.split()) in printed
    text = " ".join(page.split())
    (own, time), (theirs, later) = moved
    assert f"Each of the {own + time:,} who moved has one cause. *Time passing*: {time} " in text
    assert f"moved: {later} by time, {theirs} by what they did" in text

"""docs/new_month.md on the sample: a file comes into the folder, and what changed is told."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from conftest import run, scratch_clone

from pipeline.make_sample.__main__ import write_sample

pytestmark = [pytest.mark.dvc, pytest.mark.slow]


def set_params(clone: Path, folder: Path) -> None:
    """The folder as the source, and a cheap choice among few candidates."""
    file = clone / "params.yaml"
    params = yaml.safe_load(file.read_text(encoding="utf-8"))
    params["sample"]["lines"] = 200
    params["source"]["path"] = str(folder)
    params["select"] |= {"candidates": ["grid/rhythm/raw/5-8"], "baselines": []}
    few = {"resamples": 2, "splits": 2, "final_resamples": 4, "final_splits": 2}
    params["select"]["effort"] |= few | {"gap_references": 0}
    file.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def commit(clone: Path, message: str) -> None:
    run("git", "-c", "user.name=T", "-c", "user.email=t@e", "commit", "-qam", message, cwd=clone)


def test_a_delivery_reruns_the_pipeline_and_the_versions_are_told_apart(tmp_path: Path):
    clone, folder = scratch_clone(tmp_path), tmp_path / "shop"
    folder.mkdir()
    write_sample(tmp_path / "all.csv", 12_000, 1)
    lines = pd.read_csv(tmp_path / "all.csv", dtype=str, encoding="iso-8859-1")
    day = pd.to_datetime(lines["InvoiceDate"], format="%m/%d/%Y %H:%M").dt.normalize()
    october, november = day < "2011-11-01", (day >= "2011-11-01") & (day < "2011-12-01")
    set_params(clone, folder)
    lines[october].to_csv(folder / "to_2011-10.csv", index=False)
    run("dvc", "repro", cwd=clone)
    assert "kept as" in run("python", "-m", "pipeline", "keep", cwd=clone).stdout
    run("dvc", "repro", cwd=clone)
    run("git", "add", "--all", cwd=clone)
    commit(clone, "To the end of October")

    lines[november].to_csv(folder / "2011-11.csv", index=False)
    told = run("dvc", "repro", cwd=clone).stdout
    assert "Stage 'make_sample' didn't change, skipping" in told
    assert "Running stage 'render_report'" in told
    found = json.loads(run("python", "-m", "pipeline", "compare", "--json", cwd=clone).stdout)
    after = [day[taken].max() + pd.Timedelta(days=1) for taken in (october, november)]
    assert found["snapshots"] == [f"{moment:%Y-%m-%d}" for moment in after]
    assert found["customers"]["only_before"] == 0
    assert found["customers"]["only_after"] > 0
    assert found["stages"][0] == {"stage": "ingest", "why": f"input {folder}"}
    assert found["params"] == []
    # The definition is kept: every move is the customer's own or time's, and time lifts nobody.
    causes = pd.DataFrame(found["causes"])
    assert set(causes["cause"]) == {"time passing", "own behaviour"}
    moved = sum(n for row, each in found["moves"].items() for to, n in each.items() if to != row)
    assert causes["customers"].sum() == moved
    (measured,) = json.loads((clone / "metrics/select.json").read_text(encoding="utf-8"))
    figures = measured["kept"]
    assert figures["since"] == after[0].strftime("%Y-%m-%d")
    segments = pd.read_parquet(clone / "data/segments.parquet")
    order = segments.groupby("segment")["segment_id"].first()
    by_time = segments[segments["moved_by"] == "time"]
    assert (by_time["segment_id"] > by_time["previous_segment"].map(order)).all()
    then = run("python", "-m", "pipeline", "keep", "--dry-run", cwd=clone).stdout
    assert "customers keep their name" in then

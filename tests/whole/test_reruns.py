"""Reruns are exact: a change makes its stage stale, and what follows runs only if needed.

Real DVC in a scratch clone, on a small sample.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, run, scratch_clone

pytestmark = pytest.mark.dvc

# Section of params.yaml → the stages that DVC calls stale when any key of it changes.
# The report lists every parameter, so each change makes it stale too.
STALE = {
    "shop.name": {"render_report"},
    "shop.currency": {"profile_segments", "render_report"},
    "shop.horizon_days": {"aggregate_rfm", "select_model", "profile_segments", "render_report"},
    "alerts": {"render_report"},
    "sample": {"make_sample", "render_report"},
    "source": {"ingest", "render_report"},
    "clean": {"clean", "render_report"},
    "explore": {"explore", "render_report"},
    "categorize": {"categorize_products", "render_report"},
    "rfm": {"aggregate_rfm", "render_report"},
    "select": {"select_model", "render_report"},
    "prices": {"measure_prices", "render_report"},
    "profile": {"profile_segments", "render_report"},
    "report": {"render_report"},
}


def leaves(values: dict[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every leaf; an empty mapping is a leaf."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*prefix, key))
        else:
            yield (*prefix, key)


PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def reproduced(small_shop: Path) -> Path:
    """A clone in which the pipeline has run on a small shop."""
    return small_shop


def changed(value: Any) -> Any:
    """A value that differs; DVC compares values and does not ask whether they make sense."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case list():
            return [*value, "x"]
        case dict():
            return {**value, "x": "x"}
        case _:
            return "x"


def stale_stages(clone: Path) -> set[str]:
    from dvc.repo import Repo

    with Repo(str(clone)) as repo:
        return set(repo.status())


def test_the_table_names_every_section_of_params():
    assert {name.split(".")[0] for name in STALE} == set(PARAMS)


def test_every_leaf_makes_exactly_its_stage_stale(reproduced, monkeypatch):
    monkeypatch.chdir(reproduced)
    file = reproduced / "params.yaml"
    before = file.read_text(encoding="utf-8")
    assert stale_stages(reproduced) == set()
    wrong = {}
    try:
        for leaf in leaves(yaml.safe_load(before)):
            params = yaml.safe_load(before)
            section = params
            for key in leaf[:-1]:
                section = section[key]
            section[leaf[-1]] = changed(section[leaf[-1]])
            file.write_text(yaml.safe_dump(params), encoding="utf-8")
            stale = stale_stages(reproduced)
            if stale != STALE.get(".".join(leaf), STALE.get(leaf[0])):
                wrong[".".join(leaf)] = stale
    finally:
        file.write_text(before, encoding="utf-8")
    assert not wrong


def ran(output: str) -> list[str]:
    """The stages that `dvc repro` says it ran."""
    return [
        line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")
    ]


def test_a_changed_parameter_reruns_its_stage_and_what_its_output_feeds(reproduced):
    """Fewer top products: another exploration, another report, and nothing else."""
    file = reproduced / "params.yaml"
    before = file.read_text(encoding="utf-8")
    params = yaml.safe_load(before)
    params["explore"]["top_products"] -= 1
    try:
        file.write_text(yaml.safe_dump(params), encoding="utf-8")
        assert ran(run("dvc", "repro", cwd=reproduced).stdout) == ["explore", "render_report"]
    finally:
        file.write_text(before, encoding="utf-8")
        run("dvc", "repro", cwd=reproduced)


def test_a_comment_in_clean_reruns_clean_alone(reproduced):
    clean = reproduced / "pipeline" / "clean" / "__main__.py"
    before = clean.read_text(encoding="utf-8")
    try:
        clean.write_text(before + "# A comment changes no output.\n", encoding="utf-8")
        assert ran(run("dvc", "repro", cwd=reproduced).stdout) == ["clean"]
    finally:
        clean.write_text(before, encoding="utf-8")
        run("dvc", "repro", cwd=reproduced)


@pytest.mark.slow
def test_two_clones_and_two_thread_counts_give_the_same_lock(reproduced, tmp_path):
    second = scratch_clone(tmp_path)
    shutil.copy2(reproduced / "params.yaml", second / "params.yaml")
    (second / "dvc.lock").unlink(missing_ok=True)
    run("dvc", "repro", cwd=second, **one_thread())
    # As content: DVC keeps stages in the order in which they were first recorded.
    first, other = (
        yaml.safe_load((clone / "dvc.lock").read_text(encoding="utf-8"))
        for clone in (reproduced, second)
    )
    assert first["stages"] == other["stages"]


def one_thread() -> dict[str, str]:
    names = ("PIPELINE_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LOKY_MAX_CPU_COUNT")
    assert all(os.environ.get(name) != "1" for name in names)
    return dict.fromkeys(names, "1")

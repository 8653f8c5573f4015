"""Reruns are exact: a change makes its stage stale, and what follows runs only if needed.

Real DVC in a scratch clone, on a small sample.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from conftest import PARAMS, run

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


def stale_stages() -> set[str]:
    from dvc.repo import Repo

    with Repo() as repo:
        return set(repo.status())


def test_every_section_of_params_is_tested_here():
    sections = set(PARAMS) - {"shop"}
    assert set(STALE) == sections | {f"shop.{key}" for key in PARAMS["shop"]}


def test_a_changed_parameter_makes_exactly_its_stages_stale(small_shop, monkeypatch):
    monkeypatch.chdir(small_shop)
    file = Path("params.yaml")
    before = file.read_text(encoding="utf-8")
    assert stale_stages() == set()
    found = {}
    for name in STALE:
        params = yaml.safe_load(before)
        *above, key = name.split(".")
        at = params[above[0]] if above else params
        # DVC does not ask whether a value makes sense.
        at[key] = {**at[key], "x": "x"} if isinstance(at[key], dict) else at[key] * 2
        file.write_text(yaml.safe_dump(params), encoding="utf-8")
        found[name] = stale_stages()
    file.write_text(before, encoding="utf-8")
    assert found == STALE


def ran(output: str) -> list[str]:
    """The stages that `dvc repro` says it ran."""
    return re.findall(r"(?m)^Running stage '(\w+)'", output)


@pytest.mark.parametrize(
    ("file", "old", "new", "stages"),
    [
        ("params.yaml", "top_products: 20", "top_products: 19", ["explore", "render_report"]),
        ("pipeline/clean/__main__.py", "\n", "\n# A comment changes no output.\n", ["clean"]),
    ],
)
def test_an_edit_reruns_its_stage_and_what_its_output_feeds(small_shop, file, old, new, stages):
    path = small_shop / file
    before = path.read_text(encoding="utf-8")
    assert old in before
    path.write_text(before.replace(old, new, 1), encoding="utf-8")
    assert ran(run("dvc", "repro", cwd=small_shop).stdout) == stages
    path.write_text(before, encoding="utf-8")
    run("dvc", "repro", cwd=small_shop)

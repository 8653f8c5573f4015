"""Reruns are exact: a change makes its stage stale, and what follows runs only if needed.

Real DVC in a scratch clone, on a small sample.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, run

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


def test_every_section_of_params_is_tested_here():
    assert {name.split(".")[0] for name in STALE} == set(PARAMS)


def test_a_changed_parameter_makes_exactly_its_stages_stale(small_shop, monkeypatch):
    monkeypatch.chdir(small_shop)
    file = small_shop / "params.yaml"
    before = file.read_text(encoding="utf-8")
    assert stale_stages(small_shop) == set()
    wrong = {}
    try:
        for leaf in leaves(yaml.safe_load(before)):
            params = yaml.safe_load(before)
            section = params
            for key in leaf[:-1]:
                section = section[key]
            section[leaf[-1]] = changed(section[leaf[-1]])
            file.write_text(yaml.safe_dump(params), encoding="utf-8")
            stale = stale_stages(small_shop)
            if stale != STALE.get(".".join(leaf), STALE.get(leaf[0])):
                wrong[".".join(leaf)] = stale
    finally:
        file.write_text(before, encoding="utf-8")
    assert not wrong


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

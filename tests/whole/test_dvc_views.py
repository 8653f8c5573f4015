"""What people see of DVC: short metrics, plots that draw, and no work done twice."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import vl_convert
from conftest import ROOT, STAGES, run

pytestmark = pytest.mark.dvc

PLOTS = [next(iter(plot)) for stage in STAGES.values() for plot in stage.get("plots", [])]
MARKS = "#plot svg .mark-symbol:not(.role-legend-symbol) path, #plot svg .mark-rect path"
EMBED = "async spec => { await vegaEmbed('#plot', spec, {renderer: 'svg'}) }"
EXP_SHOW = ("--only-changed", "--drop", "Created|pipeline|data|customers|revenue|_se", "--no-pager")
FIGURES = list(json.loads((ROOT / "metrics/summary.json").read_text(encoding="utf-8")))


def test_the_summary_has_every_figure_that_people_decide_by():
    from pipeline.render_report.summary import FIGURES as WANTED

    assert list(WANTED) == FIGURES
    assert len(FIGURES) <= 15


@pytest.fixture(scope="module")
def changed(small_shop: Path) -> Path:
    """The shop after an experiment with one parameter."""
    run("dvc", "exp", "run", "-S", "select.k_from=5", cwd=small_shop)
    return small_shop


def test_what_changed_fits_a_screen_and_shows_what_people_decide_by(changed: Path):
    lines = run("dvc", "metrics", "diff", cwd=changed).stdout.splitlines()
    assert 2 < len(lines) <= 1 + len(FIGURES)
    assert all(line.startswith("metrics/summary.json") for line in lines[1:])
    assert max(map(len, lines)) <= 120
    shown = run("dvc", "exp", "show", *EXP_SHOW, cwd=changed, COLUMNS="120").stdout
    assert max(map(len, shown.splitlines())) <= 120
    assert "explained" in shown


@pytest.fixture(scope="module")
def drawn(changed: Path) -> dict[str, Any]:
    """What `dvc plots diff` hands to a browser, by the plot's file."""
    found = run("dvc", "plots", "diff", "HEAD", "--json", cwd=changed).stdout
    return {name: each[0] for name, each in json.loads(found)["data"].items()}


def test_there_is_a_plot_of_each_file_and_no_other(drawn: dict[str, Any]):
    assert sorted(drawn) == sorted(PLOTS)


@pytest.mark.browser
@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_draws_both_versions_and_says_what_it_shows(drawn, browser, name: str):
    spec = drawn[name]["content"]
    assert drawn[name]["revisions"] == ["workspace", "HEAD"]
    page = browser.new_page()
    page.set_content('<div id="plot"></div>')
    page.add_script_tag(content=vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
    page.evaluate(EMBED, spec)
    page.wait_for_selector("#plot svg")
    marks = page.locator(MARKS)
    colours = {marks.nth(n).get_attribute("fill") for n in range(marks.count())}
    colours |= {marks.nth(n).get_attribute("stroke") for n in range(marks.count())}
    assert {"#945dd6", "#13adc7"} <= colours
    places = marks.evaluate_all(
        "all => all.map(m => m.getAttribute('transform') + m.getAttribute('d'))"
    )
    assert len(set(places)) > 1
    texts = page.locator("#plot svg text").all_text_contents()
    assert any(spec["title"]["text"].startswith(text[:20]) for text in texts if len(text) > 12)
    assert not any("undefined" in text or "NaN" in text for text in texts)
    page.close()


@pytest.mark.slow  # test_dvc_yaml holds that every stage can use the run cache
def test_a_repeated_experiment_comes_from_the_run_cache(small_shop: Path):
    """Nothing that a stage writes keeps it out of DVC's run cache."""
    shop = small_shop
    run("git", "checkout", "--quiet", "params.yaml", "dvc.lock", cwd=shop)
    before = (shop / "dvc.lock").read_text(encoding="utf-8")
    said = run("dvc", "exp", "run", "-S", "sample.seed=7", cwd=shop).stdout
    assert len(re.findall("Running stage", said)) == len(STAGES)
    assert (shop / "dvc.lock").read_text(encoding="utf-8") != before
    run("git", "checkout", "--quiet", "params.yaml", cwd=shop)
    said = run("dvc", "repro", cwd=shop).stdout
    assert len(re.findall("is cached - skipping run", said)) == len(STAGES)
    assert "Running stage" not in said
    assert (shop / "dvc.lock").read_text(encoding="utf-8") == before

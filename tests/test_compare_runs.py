"""Comparing two versions: what differs, who moved, and what to do where data is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from conftest import run, scratch_clone

from pipeline.compare_runs import (
    Run,
    as_html,
    as_json,
    as_markdown,
    changed_stages,
    compare_runs,
    flat,
    load_run,
    match_segments,
    tables,
)
from pipeline.shared.errors import InputError


def a_run(name: str, segments: dict[str, str], **fields) -> Run:
    customers = pd.DataFrame(
        {
            "customer_id": list(segments),
            "segment": list(segments.values()),
            "monetary": [float(100 * (i + 1)) for i in range(len(segments))],
        }
    )
    settings = {"params": {}, "metrics": {}, "stages": {}, "snapshot": "2011-12-10", **fields}
    return Run(name=name, customers=customers, **settings)


BEFORE = {"a": "loyal", "b": "loyal", "c": "lost", "d": "lost", "e": "lost"}


def test_the_same_groups_under_other_names_moved_no_one():
    after = {k: {"loyal": "champions", "lost": "hibernating"}[v] for k, v in BEFORE.items()}
    comparison = compare_runs(a_run("HEAD", BEFORE), a_run("workspace", after))
    assert comparison.customers["moved"] == 0
    assert comparison.adjusted_rand_index == 1
    assert comparison.matched == {"loyal": "champions", "lost": "hibernating"}


def test_movers_are_listed_by_their_money_and_counted_off_the_diagonal():
    after = {**BEFORE, "b": "lost", "e": "loyal"}
    comparison = compare_runs(a_run("HEAD", BEFORE), a_run("workspace", after))
    assert comparison.customers == {"in_both": 5, "only_before": 0, "only_after": 0, "moved": 2}
    assert comparison.top_moves["customer_id"].tolist() == ["e", "b"]
    assert comparison.moves.to_dict() == {
        "lost": {"lost": 2, "loyal": 1},
        "loyal": {"lost": 1, "loyal": 1},
    }
    assert comparison.adjusted_rand_index < 1


def test_customers_of_only_one_version_are_counted_apart():
    comparison = compare_runs(a_run("HEAD", BEFORE), a_run("new", {"a": "loyal", "z": "new"}))
    assert comparison.customers == {"in_both": 1, "only_before": 4, "only_after": 1, "moved": 0}


def test_a_segment_without_a_partner_means_that_its_customers_moved():
    after = {**BEFORE, "e": "new"}
    comparison = compare_runs(a_run("HEAD", BEFORE), a_run("workspace", after))
    assert comparison.customers["moved"] == 1
    assert list(comparison.moves.columns) == ["lost", "loyal", "new"]


def test_where_segments_merge_nobody_moves_from_a_name_to_the_same_name():
    before = {"a": "loyal", "b": "loyal", "c": "champions"}
    comparison = compare_runs(
        a_run("HEAD", before), a_run("new", dict.fromkeys(before, "champions"))
    )
    assert comparison.matched == {"loyal": "champions"}
    assert comparison.customers["moved"] == 0
    assert comparison.top_moves.empty


def test_versions_without_a_common_customer_are_compared_all_the_same():
    comparison = compare_runs(a_run("HEAD", {"a": "loyal"}), a_run("new", {"z": "loyal"}))
    assert comparison.customers == {"in_both": 0, "only_before": 1, "only_after": 1, "moved": 0}
    assert "nan" not in as_markdown(comparison)


def test_an_equal_name_decides_between_equal_matches():
    counts = pd.DataFrame({"x": [1, 1], "y": [1, 1]}, index=["y", "x"])
    assert match_segments(counts) == {"y": "y", "x": "x"}


def test_parameters_and_metrics_that_differ_are_listed_with_their_change():
    before = a_run("HEAD", BEFORE, params={"k": 5, "same": 1}, metrics={"eta": 0.2, "name": "old"})
    after = a_run("new", BEFORE, params={"k": 6, "same": 1}, metrics={"eta": 0.3, "name": "new"})
    comparison = compare_runs(before, after)
    assert comparison.params.to_numpy().tolist() == [["k", 5, 6]]
    assert comparison.metrics["change"].tolist() == [pytest.approx(0.1), None]


def test_flat_gives_dotted_keys():
    assert flat({"a": {"b": 1, "c": {}}, "d": [1]}) == {"a.b": 1, "a.c": {}, "d": [1]}


def lock(code: str = "1", data: str = "1", k: int = 1, out: str = "1") -> dict:
    return {
        "clean": {
            "cmd": "python -m pipeline.clean",
            "deps": [
                {"path": "pipeline/clean.py", "md5": code},
                {"path": "data/lines.parquet", "md5": data},
            ],
            "params": {"params.yaml": {"clean": {"k": k}}},
            "outs": [{"path": "data/sales.parquet", "md5": out}],
        }
    }


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (lock(code="2"), "code pipeline/clean.py"),
        (lock(data="2", out="2"), "input data/lines.parquet"),
        (lock(k=2), "parameters clean.k"),
        (lock(out="2"), "not reproducible"),
        ({}, "only before"),
    ],
)
def test_a_stage_that_differs_says_why(after, why):
    (row,) = changed_stages(lock(), after).to_dict("records")
    assert row["stage"] == "clean"
    assert why in row["why"]


def test_inputs_that_a_stage_makes_are_told_by_that_stage():
    before, after = (
        {
            "ingest": {
                "outs": [{"path": "data/lines.parquet", "md5": md5}],
                "deps": [{"path": "shop.csv", "md5": md5}],
            },
            "clean": lock(data=md5)["clean"],
        }
        for md5 in ("1", "2")
    )
    found = changed_stages(before, after).set_index("stage")["why"].to_dict()
    assert found == {"ingest": "input shop.csv", "clean": "outputs of ingest"}


def test_equal_stages_do_not_differ():
    assert changed_stages(lock(), lock()).empty


def test_every_form_says_the_same_and_hostile_text_stays_text():
    hostile = "<script>alert(1)</script>|x"
    comparison = compare_runs(
        a_run("HEAD", {"a": "loyal", hostile: "loyal", "c": "lost"}),
        a_run("new", {"a": "loyal", hostile: "lost", "c": "lost"}),
    )
    page = as_html(comparison)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "\\|x" in as_markdown(comparison)
    content = json.loads(as_json(comparison))
    assert content["customers"]["moved"] == 1
    assert content["top_moves"][0]["customer_id"] == hostile
    titles = [title for title, _ in tables(comparison)]
    assert titles[0] == "Customers"


@pytest.mark.dvc
def test_a_real_clone_compares_head_with_the_workspace(tmp_path: Path, monkeypatch):
    clone = scratch_clone(tmp_path)
    params = clone / "params.yaml"
    text = params.read_text(encoding="utf-8").replace("lines: 60000", "lines: 3000")
    params.write_text(text, encoding="utf-8")
    run("dvc", "repro", cwd=clone)
    run("git", "add", "--all", cwd=clone)
    run("git", "-c", "user.name=T", "-c", "user.email=t@e", "commit", "-qm", "Run", cwd=clone)
    text = text.replace("seed: 352", "seed: 353", 1)
    params.write_text(text, encoding="utf-8")
    run("dvc", "repro", cwd=clone)

    shown = run("python", "-m", "pipeline.compare_runs", "--json", cwd=clone)
    content = json.loads(shown.stdout)
    assert {"key": "sample.seed", "before": 352, "after": 353} in content["params"]
    assert "make_sample" in {row["stage"] for row in content["stages"]}
    assert content["customers"]["in_both"] > 0

    monkeypatch.chdir(clone)
    with pytest.raises(InputError, match="no version that can be read"):
        load_run("no-such-revision")
    run("dvc", "gc", "--workspace", "--force", cwd=clone)
    with pytest.raises(InputError, match="dvc pull"):
        load_run("HEAD")

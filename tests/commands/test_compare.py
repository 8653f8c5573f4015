"""Comparing two versions: what differs, who moved, and what to do where data is missing."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from core.test_definition import customers as shop
from core.test_definition import defined

from pipeline.commands import compare as command
from pipeline.commands.compare import (
    Run,
    as_html,
    as_json,
    as_markdown,
    changed_stages,
    compare_runs,
    tables,
)
from pipeline.core.model.definition import aged
from pipeline.core.run.errors import InputError


def a_run(name: str, segments: dict[str, str], **fields) -> Run:
    customers = pd.DataFrame(
        {
            "customer_id": list(segments),
            "segment": list(segments.values()),
            "monetary": [float(100 * (i + 1)) for i in range(len(segments))],
            "tenure_days": range(100, 100 + len(segments)),
            "recency_days": range(len(segments)),
        }
    )
    settings = {"params": {}, "metrics": {}, "stages": {}, "snapshot": "2011-12-10", **fields}
    return Run(name=name, customers=customers, **settings)


BEFORE = {"a": "loyal", "b": "loyal", "c": "lost", "d": "lost", "e": "lost"}


def compared(before: dict[str, str], after: dict[str, str], **fields):
    return compare_runs(a_run("HEAD", before), a_run("new", after, **fields))


def test_the_same_groups_under_other_names_were_renamed_and_moved_no_further():
    after = {k: {"loyal": "champions", "lost": "hibernating"}[v] for k, v in BEFORE.items()}
    comparison = compared(BEFORE, after)
    assert comparison.customers["moved"] == comparison.customers["renamed"] == 5
    assert comparison.top_moves.empty
    assert comparison.adjusted_rand_index == 1
    assert comparison.matched == {"loyal": "champions", "lost": "hibernating"}


def test_movers_are_listed_by_their_money_and_counted_off_the_diagonal():
    comparison = compared(BEFORE, {**BEFORE, "b": "lost", "e": "loyal"})
    assert comparison.customers == {
        "in_both": 5, "only_before": 0, "only_after": 0, "moved": 2, "renamed": 0,
    }  # fmt: skip
    assert comparison.top_moves["customer_id"].tolist() == ["e", "b"]
    assert comparison.moves.to_dict() == {
        "lost": {"lost": 2, "loyal": 1},
        "loyal": {"lost": 1, "loyal": 1},
    }
    assert comparison.adjusted_rand_index < 1
    new = compared(BEFORE, {**BEFORE, "e": "new"})
    assert new.customers["moved"] == 1
    assert list(new.moves.columns) == ["lost", "loyal", "new"]


@pytest.mark.parametrize(
    ("before", "after", "counts"),
    [(BEFORE, {"a": "loyal", "z": "new"}, (1, 4, 1)), ({"a": "loyal"}, {"z": "loyal"}, (0, 1, 1))],
)
def test_customers_of_only_one_version_are_counted_apart(before, after, counts):
    comparison = compared(before, after)
    there = ("in_both", "only_before", "only_after")
    assert tuple(comparison.customers[key] for key in there) == counts
    assert comparison.customers["moved"] == 0
    assert "nan" not in as_markdown(comparison)


def test_parameters_and_metrics_that_differ_are_listed_with_their_change():
    before = a_run("HEAD", BEFORE, params={"k": 5, "same": 1}, metrics={"eta": 0.2, "name": "old"})
    after = a_run("new", BEFORE, params={"k": 6, "same": 1}, metrics={"eta": 0.3, "name": "new"})
    comparison = compare_runs(before, after)
    assert comparison.params.to_numpy().tolist() == [["k", 5, 6]]
    assert comparison.metrics["change"].tolist() == [pytest.approx(0.1), None]


@pytest.mark.parametrize(
    ("after", "change", "error", "verdict"),
    [
        ({"select.chosen.auc": 0.7, "select.chosen.auc_se": 0.03}, 0.0, 0.05, "equal"),
        ({"select.chosen.auc": 0.79, "select.chosen.auc_se": 0.03}, 0.09, 0.05, "no clear"),
        ({"select.chosen.auc": 0.81, "select.chosen.auc_se": 0.03}, 0.11, 0.05, "better"),
        ({"select.chosen.auc": 0.59, "select.chosen.auc_se": 0.03}, -0.11, 0.05, "worse"),
        ({"profile.rules.fidelity": 0.91}, 0.01, None, "higher"),
        ({"profile.rules.fidelity": 0.87}, -0.03, None, "lower"),
    ],
)
def test_a_version_is_better_where_the_difference_passes_its_error(after, change, error, verdict):
    before = {
        "select.chosen.auc": 0.7,
        "select.chosen.auc_se": 0.04,
        "profile.rules.fidelity": 0.9,
        "select.chosen.jaccard": None,
    }
    (row,) = command.verdicts(before, after).to_dict("records")
    assert row["change"] == pytest.approx(change)
    assert row["error"] == error
    assert row["verdict"].startswith(verdict)


def test_the_more_figures_are_compared_the_more_it_takes_for_one_to_be_clear():
    figures = dict.fromkeys(command.HEADLINES, 0.5)
    errors = {f"{key}_se": 0.01 for key in command.HEADLINES}
    after = dict.fromkeys(figures, 0.534)  # 2.4 standard errors of the difference
    many = command.verdicts(figures | errors, after | errors)
    assert set(many["verdict"]) == {"no clear difference"}
    alone = [
        {k: v for k, v in side.items() if "auc" in k} for side in (figures | errors, after | errors)
    ]
    assert command.verdicts(*alone)["verdict"].tolist() == ["better"]


def defined_run(name: str, customers: pd.DataFrame, definition, snapshot: str) -> Run:
    names = {n: segment.play for n, segment in enumerate(definition.segments)}
    rows = customers.assign(customer_id=customers.index.astype(str))
    found = Run(name, {}, {}, {}, rows, snapshot, definition, names)
    return replace(found, customers=rows.assign(segment=found.segment_of(rows)))


def test_every_move_has_one_cause_and_they_sum_up_to_the_matrix():
    then, definition = shop(), defined()
    now = aged(then, 40)
    now.loc[::5, "recency_days"] = 3
    now.loc[::5, "frequency"] += 1
    grid = replace(definition.clustering, recent_days=150, lapsed_days=290)
    wider = replace(definition, clustering=grid)
    before = defined_run("October", then, definition, "2011-10-31")
    found = {}
    for name, rows, drawn, day in (
        ("later", now, definition, "2011-12-10"), ("wider", then, wider, "2011-10-31"),
        ("both", now, wider, "2011-12-10"),
    ):  # fmt: skip
        comparison = compare_runs(before, defined_run(name, rows, drawn, day))
        found[name] = comparison.causes.groupby("cause")["customers"].sum().to_dict()
        cells = comparison.moves.rename_axis(columns=None).stack()  # noqa: PD013
        moved = cells[[row != column for row, column in cells.index]].sum()
        assert sum(found[name].values()) == moved == comparison.customers["moved"] > 0
    moved = before.customers["segment"] != before.segment_of(now)
    has_ordered = now.index % 5 == 0
    assert found["later"] == {
        "own behaviour": (moved & has_ordered).sum(), "time passing": (moved & ~has_ordered).sum(),
    }  # fmt: skip
    assert set(found["wider"]) == {"changed definition"}


def test_versions_of_two_shops_are_refused_and_a_later_day_of_one_shop_is_not():
    before = a_run("HEAD", BEFORE)
    later = before.customers.assign(
        tenure_days=before.customers["tenure_days"] + 31, recency_days=0
    )
    command.refuse_other_shop(before, replace(before, customers=later, snapshot="2012-01-10"))
    other = before.customers.assign(tenure_days=7, recency_days=7)
    for stranger in (replace(before, customers=other), a_run("v2", {"z": "loyal"})):
        with pytest.raises(
            InputError, match=r"are not of the same shop: of [50] customers in both, 0%"
        ):
            command.refuse_other_shop(before, stranger)


def test_versions_with_other_data_are_to_be_judged_with_care():
    def titles(**after) -> list[str]:
        figures = {"ingest.source.sha256": "1", "profile.rules.fidelity": 0.9}
        before = a_run("HEAD", BEFORE, metrics=figures)
        fields = {"metrics": figures, **after}
        return [title for title, _ in tables(compare_runs(before, a_run("new", BEFORE, **fields)))]

    assert "Is it better?" in titles()
    other = {"ingest.source.sha256": "2", "profile.rules.fidelity": 0.8}
    assert "Is it better? (other data: judge with care)" in titles(metrics=other)
    assert "Is it better? (other data: judge with care)" in titles(snapshot="2011-11-10")


def test_every_headline_is_explained_and_better_where_it_is_higher():
    rows = Path("docs/metrics.md").read_text(encoding="utf-8").splitlines()
    for key in command.HEADLINES:
        stage, figure = key.split(".", 1)
        assert any(
            row.startswith(f"| `{figure}` |") and row.endswith("| higher |") for row in rows
        ), f"{stage}: {figure}"


def lock(code: str = "1", data: str = "1", k: int = 1, out: str = "1") -> dict:
    return {
        "clean": {
            "cmd": "python -m pipeline.clean",
            "deps": [
                {"path": "pipeline/clean/__main__.py", "md5": code},
                {"path": "data/lines.parquet", "md5": data},
            ],
            "params": {"params.yaml": {"clean": {"k": k}}},
            "outs": [{"path": "data/sales.parquet", "md5": out}],
        }
    }


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (lock(code="2"), "code pipeline/clean/__main__.py"),
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


def test_inputs_that_a_stage_makes_are_told_by_that_stage_and_equal_stages_not_at_all():
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
    assert changed_stages(before, before).empty


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


@pytest.fixture
def versions(monkeypatch, tmp_path):
    """Call the command on versions that are at hand; returns what was asked for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    loaded: list[str] = []
    metrics = {"HEAD": {"eta": 0.25, "seed": 1}, "workspace": {"eta": 0.5}}

    def load(revision: str) -> Run:
        loaded.append(revision)
        after = {**BEFORE, "b": "lost"} if revision == "workspace" else BEFORE
        return a_run(revision, after, metrics=metrics.get(revision, {}))

    def call(*arguments: str) -> list[str]:
        loaded.clear()
        monkeypatch.setattr(sys, "argv", ["compare_runs", *arguments])
        command.main()
        return loaded

    monkeypatch.setattr(command, "load_run", load)
    return call


def test_a_version_that_is_not_named_is_head_before_and_the_workspace_after(versions):
    assert versions() == ["HEAD", "workspace"]
    assert versions("v1") == ["v1", "workspace"]
    assert versions("v1", "main") == ["v1", "main"]


def test_the_terminal_gets_tables_with_a_dash_for_what_one_side_has_not(versions, capsys):
    versions()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    cells = [[cell for cell in row if cell != "│"] for row in rows]
    assert ["eta", "0.25", "0.5", "0.25"] in cells
    assert ["seed", "1", "–", "–"] in cells
    assert ["b", "loyal", "lost", "200.00"] in cells


def test_of_a_long_list_the_terminal_is_told_its_length(capsys):
    metrics = {f"figure {number}": number for number in range(command.LONGEST + 1)}
    comparison = compare_runs(a_run("HEAD", BEFORE), a_run("new", BEFORE, metrics=metrics))
    command.print_tables(comparison)
    told = capsys.readouterr().out
    assert f"Metrics: {len(metrics)} differ; --md, --json and --html FILE list them" in told
    assert "figure 7" not in told
    assert "figure 7" in as_markdown(comparison)


def test_each_form_is_printed_or_written_where_asked_for(versions, capsys):
    versions("--md")
    assert capsys.readouterr().out.startswith("# HEAD → workspace\n\n## Customers\n")
    versions("--json")
    assert json.loads(capsys.readouterr().out)["customers"]["moved"] == 1
    versions("--html", "a.html")
    assert capsys.readouterr().out == "a.html\n"
    assert "<h1>HEAD → workspace</h1>" in Path("a.html").read_text(encoding="utf-8")

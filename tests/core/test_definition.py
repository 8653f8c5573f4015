"""The definition comes back from its file, and gives each row alone the same segment."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.core.model.clusterings import fit_clusterings
from pipeline.core.model.definition import (
    Definition,
    Segment,
    aged,
    assign,
    load_definition,
    save_definition,
)
from pipeline.core.model.grid import COLUMNS, Grid
from pipeline.core.model.groups import Wholesale, declared_group, wholesale_of
from pipeline.core.model.transforms import feature_matrix, fit_transform
from pipeline.core.run.errors import InputError

RULE = Wholesale(is_apart=True, minimum_units_per_line=100.0, minimum_orders=3)


def customers(size: int = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "recency_days": rng.integers(1, 300, size).astype(float),
            "frequency": 1 + rng.poisson(2, size),
            "monetary": rng.lognormal(6, 1, size),
            "tenure_days": 300,
            "days_between_orders": rng.uniform(5, 90, size),
            "units_per_line": 8.0,
        }
    )
    rows.loc[0, ["recency_days", "frequency", "monetary"]] = [np.nan, 0, 0.0]
    rows.loc[1, ["frequency", "units_per_line"]] = [4, 500.0]
    return rows


def defined(algorithm: str = "grid", transform: str = "raw") -> Definition:
    rows = customers()
    features = feature_matrix(rows, COLUMNS, 1.0)
    later = np.log1p(features[:, 2]) / 3 + features[:, 1]
    fitted = fit_transform(transform, features, [(features, later)])
    points = fitted.apply(features)
    clustering = fit_clusterings(algorithm, points, [5], 0, later)[0]
    size = clustering.size
    groups = [
        Segment(g, size + n, g, "declared")
        for n, g in enumerate(("wholesale", "returned_everything"))
    ]
    condition = "a condition" if algorithm == "grid" else ""
    names = Grid.fitted(features, 11)
    plays = getattr(clustering, "names", names.names)
    found = [Segment(plays[n], n, condition=condition) for n in reversed(range(size))]
    return Definition(
        candidate="test",
        snapshot_date="2011-12-10",
        money_unit=1.0,
        wholesale=RULE,
        segments=[groups[0], *found, groups[1]],
        columns=list(COLUMNS),
        names=names,
        transform=fitted,
        clustering=clustering,
    )


def test_returned_everything_and_wholesale_are_predefined_segments():
    rows = pd.DataFrame({"frequency": [0, 5, 2, 5], "units_per_line": [900.0, 100, 900, 99]})
    assert list(declared_group(rows, RULE)) == ["returned_everything", "wholesale", "", ""]
    off = RULE.model_copy(update={"is_apart": False})
    assert list(declared_group(rows, off)) == ["returned_everything", "", "", ""]


@pytest.mark.parametrize(
    ("algorithm", "transform"),
    [
        ("grid", "raw"),
        ("steps", "expected_curve"),
        ("tiers", "expected_line"),
        ("kmeans", "weighted"),
        ("kmeans", "power"),
        ("kmeans", "standard_pca2"),
        ("ward", "quantile"),
        ("mixture", "log"),
        ("tree", "raw"),
    ],
)
def test_a_loaded_definition_assigns_each_row_alone_the_same_segment(
    tmp_path, algorithm, transform
):
    definition = defined(algorithm, transform)
    save_definition(definition, tmp_path / "first.yaml")
    back = load_definition(tmp_path / "first.yaml")
    save_definition(back, tmp_path / "again.yaml")
    assert (tmp_path / "first.yaml").read_bytes() == (tmp_path / "again.yaml").read_bytes()
    rows = customers()
    together = assign(back, rows)
    pd.testing.assert_frame_equal(together, assign(definition, rows))
    alone = pd.concat([assign(back, rows.iloc[[n]]) for n in range(40)])
    pd.testing.assert_frame_equal(alone, together[:40])
    assert together["play"].iloc[:2].tolist() == ["returned_everything", "wholesale"]
    assert together["segment_id"].iloc[:2].tolist() == [definition.size - 1, 0]
    assert together["confidence"].between(0, 1).all()


def test_without_recency_in_the_segment_the_play_follows_the_customers_figures():
    rows = customers()
    definition = defined("kmeans", "log")
    names = definition.names
    found = assign(definition, rows)["play"][2:]
    features = feature_matrix(rows[2:], COLUMNS, 1.0)
    assert found.tolist() == [names.names[n] for n in names.assign(features)]


def test_ageing_changes_only_days():
    rows = customers()
    older = aged(rows, 30)
    assert (older["recency_days"].dropna() == rows["recency_days"].dropna() + 30).all()
    assert (older["tenure_days"] == 330).all()
    same = ["frequency", "monetary", "days_between_orders", "units_per_line"]
    pd.testing.assert_frame_equal(older[same], rows[same])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("segments: [", "is not valid YAML"),
        ("kind: Popen", "is no definition of segments"),
        ("kind: Segment\nplay: new\ncluster: 0", "is no definition of segments but Segment"),
        ("candidate: x", "is no definition of segments but dict"),
        ("kind: Definition\ncandidate: x", "is no definition of segments .*missing"),
    ],
)
def test_a_file_that_is_no_definition_is_refused(tmp_path, content, words):
    file = tmp_path / "definition.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        load_definition(file)


def test_a_wholesale_rule_that_fits_most_customers_is_ignored():
    few = customers()
    assert wholesale_of(few, RULE) == (RULE, 1 / 200)
    in_grams = few.assign(units_per_line=500.0)
    rule, share = wholesale_of(in_grams, RULE)
    assert share > 0.2
    assert not rule.is_apart
    assert "wholesale" not in declared_group(in_grams, rule)

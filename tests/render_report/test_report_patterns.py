"""The report's patterns: a figure for each that there is, a finding where it was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_inputs import write_inputs

from pipeline.render_report.inputs import Inputs, read_inputs
from pipeline.render_report.patterns import patterns

KEYS = ["months", "week", "concentration", "countries", "baskets", "orders", "returns", "cohorts"]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Inputs:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("patterns")
        patch.chdir(folder)
        write_inputs(folder)
        return read_inputs()


def test_every_pattern_has_a_figure_and_a_table_as_wide_as_its_head(inputs):
    found = patterns(inputs, "£", 5)
    assert [figure["key"] for figure in found] == KEYS
    for figure in found:
        assert figure["rows"]
        assert {len(row) for row in figure["rows"]} == {len(figure["head"])}


def test_without_the_figures_nothing_is_claimed(inputs):
    told = {figure["key"]: figure["finding"] for figure in patterns(inputs, "£", 5)}
    untold = patterns(replace(inputs, metrics={}), "£", 5)
    assert [figure["key"] for figure in untold] == KEYS
    for figure in untold:
        assert len(figure["finding"]) <= len(told[figure["key"]])
        assert "None" not in figure["finding"]
    shorter = [f["key"] for f in untold if len(f["finding"]) < len(told[f["key"]])]
    assert {"week", "concentration", "countries"} <= set(shorter)


def test_of_dates_without_a_time_of_day_no_hour_is_told(inputs):
    at = inputs.exploration["pattern"] == "weekday_hour"
    days = inputs.exploration[at].drop_duplicates("bucket").assign(sub_bucket="00")
    found = patterns(replace(inputs, exploration=days), "£", 5)
    (week,) = (figure for figure in found if figure["key"] == "week")
    assert week["finding"].startswith("Thursday is the busiest day (21")
    assert "hour" not in week["finding"] + week["alt"]
    assert week["head"] == ("Day", "Orders")
    assert {len(row) for row in week["rows"]} == {2}
    assert len(week["rows"]) == 7


def test_a_pattern_without_rows_is_no_figure(inputs):
    assert patterns(replace(inputs, exploration=inputs.exploration.iloc[:0]), "£", 5) == []


def test_pale_columns_are_explained_only_where_there_are_some(inputs):
    told = "Pale columns are months that the data does not cover whole."
    whole = replace(inputs, segment_months=inputs.segment_months.assign(is_whole=True))
    for found, is_told in ((inputs, True), (whole, False)):
        months = patterns(found, "£", 5)[0]
        assert (told in months["finding"]) is is_told


def test_orders_three_months_on_are_claimed_only_where_measured(inputs):
    explore = {**inputs.metrics["explore"], "retention": {"month_1": 0.22}}
    found = patterns(replace(inputs, metrics={"explore": explore}), "£", 5)
    assert found[-1]["finding"] == "22% of new customers order again one month later."

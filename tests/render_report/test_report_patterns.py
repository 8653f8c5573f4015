"""The report's patterns: a figure for each that there is, a finding where it was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_inputs import write_inputs

from pipeline.core.run.params import PARAMS_FILE
from pipeline.core.run.yaml_text import load_yaml
from pipeline.render_report.inputs import Inputs, read_inputs
from pipeline.render_report.patterns import patterns
from pipeline.render_report.sentences import Writer, read_writer

KEYS = [
    "month", "week", "concentration", "country", "basket_value", "orders_per_customer", "cohort",
]  # fmt: skip


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> tuple[Inputs, Writer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("patterns"))
        write_inputs(PARAMS_FILE.resolve().parent)
        return read_inputs(), read_writer(load_yaml(PARAMS_FILE.read_text()))


def test_every_pattern_has_a_figure_and_without_figures_claims_nothing(shop):
    inputs, writer = shop
    told = patterns(inputs, writer, 5)
    untold = patterns(replace(inputs, metrics={}), writer, 5)
    assert [figure["key"] for figure in told] == [figure["key"] for figure in untold] == KEYS
    for one, other in zip(told, untold, strict=True):
        assert {len(row) for row in one["rows"]} == {len(one["head"])}
        assert len(other["finding"]) < len(one["finding"])
    assert patterns(replace(inputs, exploration=inputs.exploration.iloc[:0]), writer, 5) == []


def test_of_dates_without_a_time_of_day_no_hour_is_told(shop):
    inputs, writer = shop
    at = inputs.exploration["pattern"] == "weekday_hour"
    days = inputs.exploration[at].drop_duplicates("bucket").assign(sub_bucket="00")
    (week,) = patterns(replace(inputs, exploration=days), writer, 5)
    assert week["finding"] == "Thursday is the busiest day (21% of the orders)."
    assert week["head"] == ("weekday", "orders")


def test_cohorts_leave_out_the_files_first_month_and_the_unfinished_last(shop):
    inputs, writer = shop
    cohorts = patterns(inputs, writer, 5)[-1]
    assert cohorts["rows"][0][0] == "Feb 2011"
    assert cohorts["rows"][-1][0] == "Nov 2011"
    assert len(cohorts["head"]) == 2 + 9  # to November, of February's customers

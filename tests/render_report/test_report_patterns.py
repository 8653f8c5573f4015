"""The report's patterns: a figure for each that there is, a finding where it was measured."""

from __future__ import annotations

from dataclasses import replace

from pipeline.render_report.inputs import Inputs
from pipeline.render_report.patterns import patterns
from pipeline.render_report.sentences import Writer

KEYS = [
    "month", "week", "concentration", "country", "basket_value", "orders_per_customer", "cohort",
]  # fmt: skip


def test_every_pattern_has_a_figure_and_without_figures_claims_nothing(
    inputs: Inputs, writer: Writer
):
    told, untold = patterns(inputs, writer, 5), patterns(replace(inputs, metrics={}), writer, 5)
    assert [figure["key"] for figure in told] == [figure["key"] for figure in untold] == KEYS
    for one, other in zip(told, untold, strict=True):
        assert {len(row) for row in one["rows"]} == {len(one["head"])}
        assert len(other["finding"]) < len(one["finding"])
    assert patterns(replace(inputs, exploration=inputs.exploration.iloc[:0]), writer, 5) == []


def test_of_dates_without_a_time_of_day_no_hour_is_told(inputs: Inputs, writer: Writer):
    at = inputs.exploration["pattern"] == "weekday_hour"
    days = inputs.exploration[at].drop_duplicates("bucket").assign(sub_bucket="00")
    (week,) = patterns(replace(inputs, exploration=days), writer, 5)
    assert week["finding"].endswith("of the orders).")
    assert week["head"] == ("weekday", "orders")


def test_cohorts_leave_out_the_files_first_month_and_the_unfinished_last(
    inputs: Inputs, writer: Writer
):
    cohorts = patterns(inputs, writer, 5)[-1]
    assert cohorts["rows"][0][0] == "Jan 2011"
    assert cohorts["rows"][-1][0] == "Nov 2011"
    assert len(cohorts["head"]) == 2 + 10  # to November, of January's customers

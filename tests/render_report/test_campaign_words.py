"""Campaigns on the page: what was measured, and why nothing can be said."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from pipeline.render_report.campaigns import campaigns
from pipeline.render_report.language import read_language
from pipeline.render_report.sentences import Writer

Told = Callable[..., dict[str, list[str]]]


@pytest.fixture
def told(campaign_table: pd.DataFrame) -> Told:
    def tell(**changes: object) -> dict[str, list[str]]:
        found = campaigns(campaign_table.assign(**changes), Writer(read_language("en"), "£"))
        return {c["head"].partition(":")[0]: c["texts"] for c in found}

    return tell


def test_a_result_says_how_much_how_surely_and_what_it_was_worth(told: Told):
    buyers, spend = (text.replace("\xa0", " ") for text in told()["autumn"])
    assert buyers == (
        "40% of the treated ordered, 34% of the held out. Adjusted for earlier orders the "
        "difference is 6.1 percentage points (95% interval 1.2 to 11, 25% narrower by it). "
        "The campaign raised it."
    )
    assert spend.endswith("Gain in margin (50%, known for 80% of revenue), after £120 of cost: "
                          "£13.4k (£4,380 to £22.4k).")  # fmt: skip
    assert "what the goods cost is not known" in told(margin_rate=None)["autumn"][1]


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        ("no rise as planned", "Any rise is smaller than the 20% that was planned."),
        ("too small to tell", "groups of this size show a rise of 10% or more."),
    ],
)
def test_each_verdict_has_its_sentence(told: Told, verdict: str, says: str):
    assert says in told(verdict=verdict)["autumn"][0]


def test_what_cannot_be_said_yet_or_at_all_is_said(told: Told):
    (waiting,) = told()["now"]
    assert waiting.startswith("Too early: orders are known until 10 December 2011")
    assert told()["bad"] == ["Not a valid test: the list was changed after the draw."]
    assert told(difference=None)["autumn"][0].endswith("Too few ordered to tell anything.")

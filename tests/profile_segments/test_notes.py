"""What a shop's data does not allow to say is said."""

from __future__ import annotations

import json
from datetime import date
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pipeline.profile_segments.notes import notes_on

RICH = {
    "is_possible": True,
    "knows_season": True,
    "days_held_out": 3,
    "expected": {"spend": 100.0},
    "seen": {
        "least": 50.0, "most": 150.0, "is_more_than_ever": False, "is_less_than_ever": False,
    },
    "coverage": {"segments": {"checks": 20, "within_95": 0.8}},
}  # fmt: skip


def notes(*, countries=("Malta", "Chile"), titles=(1, 2), days=800, spend=(9.0,), **figures):
    segments = list(range(len(spend)))
    members = np.resize(segments, 2)
    day = date(2011, 12, 9)
    shop = SimpleNamespace(
        day=day,
        last=pd.DataFrame({"segment_id": members, "country": np.resize(countries, 2)}),
        names=pd.DataFrame({"segment_id": [0, 1], "segment": ["loyal", "lost"], "group": ""}),
        titles=titles,
        customers=pd.DataFrame({"snapshot_date": [day, date(2011, 11, 30)]}),
        first_day=day - pd.Timedelta(days=days),
        last_day=day,
    )
    sums = pd.DataFrame({"segment_id": segments, "spend": spend})
    found = notes_on(shop, SimpleNamespace(figures=RICH | figures, by_segment=sums), 90)
    assert found["position"].tolist() == list(range(1, len(found) + 1))
    return {row.topic: (row.note, json.loads(row.figures)) for row in found.itertuples()}


def test_of_a_rich_file_only_the_empty_segment_is_noted():
    assert notes() == {"profiles": ("nobody", {"segments": ["lost"]})}


def test_a_segment_that_the_forecast_would_put_higher_is_named():
    assert notes(spend=(9.0, 9.5)) == {
        "profiles": ("other_order", {"segments": ["lost"], "days": 90})
    }
    assert notes(spend=(9.5, 9.0)) == {}


@pytest.mark.parametrize(
    ("poor", "topic", "says"),
    [
        ({"titles": ()}, "categories", ("no_categories", {})),
        ({"countries": ("Malta",)}, "countries", ("one_country", {})),
        ({"days": 729}, "season", ("short_file", {})),
        ({"is_possible": False}, "forecast", ("no_forecast", {})),
        ({"knows_season": False}, "forecast", ("no_season", {})),
        ({"days_held_out": 0}, "forecast", ("not_checked", {})),
        (
            {"coverage": {"segments": {"checks": 20, "within_95": 0.79}}},
            "forecast",
            ("checked", {"checks": 20, "within": 79}),
        ),
        (
            {"expected": {"spend": 300.0}, "seen": RICH["seen"] | {"is_more_than_ever": True}},
            "forecast",
            ("more_than_ever", {"times": 2.0, "days": 90}),
        ),
    ],
)
def test_what_is_missing_is_noted_under_its_topic(poor, topic, says):
    found = notes(**poor)
    assert list(found) == ["profiles", topic]
    assert found[topic] == says

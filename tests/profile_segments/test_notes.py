"""What a shop's data does not allow to say is said."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

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


def notes(*, countries=("Malta", "Chile"), titles=(1, 2), days=800, **figures):
    day = date(2011, 12, 9)
    shop = SimpleNamespace(
        day=day,
        last=pd.DataFrame({"segment_id": 0, "country": countries}),
        names=pd.DataFrame({"segment_id": [0, 1], "segment": ["loyal", "lost"]}),
        titles=titles,
        customers=pd.DataFrame({"snapshot_date": [day, date(2011, 11, 30)]}),
    )
    lines = SimpleNamespace(first_day=day - pd.Timedelta(days=days), last_day=day)
    found = notes_on(shop, lines, SimpleNamespace(figures=RICH | figures), 90)
    assert found["position"].tolist() == list(range(1, len(found) + 1))
    return dict(zip(found["topic"], found["note"], strict=True))


def test_of_a_rich_file_only_the_empty_segment_is_noted():
    assert notes() == {"profiles": "Nobody is in the segment “lost” at the last snapshot."}


@pytest.mark.parametrize(
    ("poor", "topic", "says"),
    [
        ({"titles": ()}, "categories", "no kinds of goods"),
        ({"countries": ("Malta",)}, "countries", "one country"),
        ({"days": 729}, "season", "less than two years"),
        ({"is_possible": False}, "forecast", "fewer than 90 days"),
        ({"knows_season": False}, "forecast", "season is unknown"),
        ({"days_held_out": 0}, "forecast", "unchecked"),
        (
            {"coverage": {"segments": {"checks": 20, "within_95": 0.79}}},
            "forecast",
            "In 20 checks of a segment in earlier months, its spend lay within the 95% interval 79",
        ),
        (
            {"expected": {"spend": 300.0}, "seen": RICH["seen"] | {"is_more_than_ever": True}},
            "forecast",
            "is 2 times the most that any 90 days of the file brought: it has never seen more",
        ),
    ],
)
def test_what_is_missing_is_noted_under_its_topic(poor, topic, says):
    found = notes(**poor)
    assert list(found) == ["profiles", topic]
    assert says in found[topic]

"""What a shop's data does not allow to say is said."""

from __future__ import annotations

from datetime import date, timedelta
from types import SimpleNamespace

import pandas as pd
import pytest

from pipeline.core.text import words
from pipeline.profile_segments.notes import notes_on

DAY = timedelta(days=1)


def notes(
    *,
    countries=("Malta", "Chile"),
    titles=(1, 2),
    checked=(date(2010, 12, 1),),
    days=800,
    verdicts=(),
):
    day = date(2011, 12, 9)
    shop = SimpleNamespace(
        day=day,
        last=pd.DataFrame({"segment_id": 0, "country": countries}),
        names=pd.DataFrame({"segment_id": [0, 1], "segment": ["loyal", "lost"]}),
        titles=titles,
        customers=pd.DataFrame({"snapshot_date": [day, date(2011, 11, 30)]}),
    )
    lines = SimpleNamespace(first_day=day - pd.Timedelta(days=days), last_day=day)
    outlook = SimpleNamespace(
        expected=None if checked is None else 1,
        check=pd.DataFrame({"snapshot_date": list(checked or ())}).assign(
            grouping="segment", verdict="about right"
        ),
    )
    if verdicts:
        of_segments = {"snapshot_date": checked[0], "grouping": "segment", "verdict": verdicts}
        of_all = {"snapshot_date": checked[0], "grouping": "all", "verdict": ["too low"] * 9}
        outlook.check = pd.concat([pd.DataFrame(of_segments), pd.DataFrame(of_all)])
    found = notes_on(shop, lines, outlook, 90)
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
        ({"checked": None}, "value", "No snapshot has a whole horizon"),
        ({"checked": ()}, "value", "unchecked"),
    ],
)
def test_what_is_missing_is_noted_under_its_topic(poor, topic, says):
    found = notes(**poor)
    assert list(found) == ["profiles", topic]
    assert says in found[topic]


@pytest.mark.parametrize(
    ("checked", "is_of_the_season"),
    [
        (date(2010, 12, 9), True),
        (date(2011, 1, 23), True),  # 45 days on, over the turn of the year
        (date(2011, 1, 24), False),
        (date(2011, 10, 25), True),
        (date(2011, 10, 24), False),
    ],
)
def test_a_check_in_another_season_is_noted_with_both_spans(checked, is_of_the_season):
    found = notes(checked=(date(2011, 6, 30), checked))
    assert ("value" not in found) is is_of_the_season
    if not is_of_the_season:
        first, last = min(date(2011, 6, 30), checked), max(date(2011, 6, 30), checked)
        span = f"{words.day(first + DAY)} and {words.day(last + 90 * DAY)}, another season"
        assert span in found["value"]
        assert (
            f"for {words.day(date(2011, 12, 10))} to {words.day(date(2012, 3, 8))}"
            in (found["value"])
        )


def test_how_often_what_was_expected_came_true_is_noted_where_it_was_seldom():
    right, high, low = ["about right"], ["too high"], ["too low"]
    assert "expected_spend" not in notes(verdicts=right * 7 + high * 3)
    said = notes(verdicts=right * 6 + high * 3 + low)["expected_spend"]
    assert said.startswith("In 10 checks of a segment in earlier months, its expected spend was ")
    assert "about right 6 times, too high 3 times and too low 1 times." in said

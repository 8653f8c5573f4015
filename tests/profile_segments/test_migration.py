"""Moves between segments: nobody is lost, shares and intervals are right."""

from __future__ import annotations

from datetime import date

import pandas as pd

from pipeline.profile_segments.migration import (
    NOT_YET,
    a_year_back,
    mean_retention,
    migration,
    rise_gains,
    segment_retention,
    where_most_go,
)

NAMES = {0: "best", 1: "middle", 2: "lost"}
JAN, FEB, MID_FEB = date(2011, 1, 31), date(2011, 2, 28), date(2011, 3, 10)


def segments(*rows: tuple[date, str, int]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["snapshot_date", "customer_id", "segment_id"])
    return frame.assign(monetary=1.0, recency_days=9.0)


THREE = segments(
    (JAN, "a", 0), (JAN, "b", 0), (JAN, "c", 1), (JAN, "d", 1),
    (FEB, "a", 0), (FEB, "b", 1), (FEB, "c", 0), (FEB, "d", 2), (FEB, "e", 1),
    (MID_FEB, "a", 2), (MID_FEB, "b", 1), (MID_FEB, "c", 0), (MID_FEB, "d", 2),
    (MID_FEB, "e", 1), (MID_FEB, "f", 0),
)  # fmt: skip


def test_every_customer_of_the_later_day_moves_exactly_once():
    moves = migration(THREE, NAMES)
    sums = moves.groupby(["span", "from_date"])["customers"].sum()
    assert sums.to_dict() == {("month", JAN): 5, ("month", FEB): 6, ("whole", JAN): 6}
    assert moves.groupby(["span", "from_date", "from_segment"])["share"].sum().round(9).eq(1).all()


def test_who_was_no_customer_yet_comes_from_nowhere():
    moves = migration(THREE, NAMES)
    new = moves[(moves["span"] == "month") & (moves["from_segment"] == NOT_YET)]
    assert new[["to_segment", "customers"]].to_numpy().tolist() == [["middle", 1], ["best", 1]]


def test_retention_counts_who_stayed_rose_and_fell():
    found = segment_retention(migration(THREE, NAMES)).set_index(["segment_id", "from_date"])
    columns = ["customers", "stayed", "rose", "fell"]
    assert found.loc[(0, JAN), columns].tolist() == [2, 1, 0, 1]
    assert found.loc[(1, JAN), columns].tolist() == [2, 0, 1, 1]


def test_the_mean_is_over_whole_months_only():
    retention = segment_retention(migration(THREE, NAMES))
    assert mean_retention(retention) == {0: 0.5, 1: 0.0}


def test_fallers_go_where_most_of_them_are_a_month_later():
    moves = migration(THREE, NAMES)
    assert where_most_go(moves, "fell") == {0: ("middle", 0.5), 1: ("lost", 0.5)}
    assert where_most_go(moves, "rose") == {1: ("best", 0.5)}


def test_the_whole_file_is_seen_from_a_year_back_or_from_its_start():
    days = [date(2010, 12, 31), date(2011, 6, 30), date(2011, 12, 31)]
    assert a_year_back(days) == date(2010, 12, 31)
    assert a_year_back([date(2010, 6, 30), *days]) == date(2010, 12, 31)
    assert a_year_back(days[1:]) == date(2011, 6, 30)


def test_a_rise_is_worth_what_those_who_rose_spent_more_than_those_who_stayed():
    names = [f"c{n}" for n in range(60)]
    rose = [n < 20 for n in range(60)]
    segments = pd.concat(
        [
            pd.DataFrame({"snapshot_date": date(2011, 1, 31), "customer_id": names,
                          "segment_id": 1}),
            pd.DataFrame({"snapshot_date": date(2011, 2, 28), "customer_id": names,
                          "segment_id": [0 if up else 1 for up in rose]}),
        ]
    )  # fmt: skip
    later = pd.DataFrame(
        {"snapshot_date": date(2011, 2, 28), "customer_id": names,
         "later_spend": [50.0 if up else 20.0 for up in rose]}
    )  # fmt: skip
    assert rise_gains(segments, later) == {1: 30.0}
    assert rise_gains(segments, later.iloc[1:]) == {}

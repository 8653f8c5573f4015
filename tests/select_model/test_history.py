"""Customers in an order of what they did: of names nothing, of what came later nothing either."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.select_model.history import in_order_of_history

DAYS = pd.to_datetime(["2011-01-31", "2011-02-28", "2011-03-31"]).date


def shop(rows: list[tuple[int, str, float | None, int]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["day", "customer_id", "recency_days", "frequency"])
    return frame.assign(snapshot_date=[DAYS[day] for day in frame.pop("day")])


def names(rows: pd.DataFrame, day: int) -> list[str]:
    return rows.loc[rows["snapshot_date"] == DAYS[day], "customer_id"].tolist()


def test_the_first_snapshot_counts_first_and_newcomers_stand_behind():
    rows = shop(
        [
            (0, "a", 9.0, 1), (0, "b", 3.0, 1), (0, "c", 3.0, 1), (0, "d", None, 0),
            (1, "n", 0.0, 1), (1, "a", 0.0, 2), (1, "b", 30.0, 1), (1, "c", 2.0, 2),
            (1, "d", None, 0),
        ]
    )  # fmt: skip
    ordered = in_order_of_history(rows)
    assert names(ordered, 0) == ["c", "b", "a", "d"]
    assert names(ordered, 1) == ["c", "b", "a", "d", "n"]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_other_names_and_another_order_of_rows_give_the_same_order(seed):
    rng = np.random.default_rng(seed)
    size = 12
    rows = shop(
        [
            (day, f"c{n:02d}", float(rng.integers(0, 3)), int(rng.integers(1, 3)))
            for n in range(size)
            for day in range(int(rng.integers(0, 3)), 3)
        ]
    )
    ordered = in_order_of_history(rows)
    told = rows.sample(frac=1, random_state=seed % 2**31)
    other = dict(zip(sorted(set(told["customer_id"])), rng.permutation(size), strict=False))
    told["customer_id"] = told["customer_id"].map(lambda name: f"x{other[name]:02d}")
    figures = ["snapshot_date", "recency_days", "frequency"]
    pd.testing.assert_frame_equal(ordered[figures], in_order_of_history(told)[figures])


def test_what_came_later_moves_nobody_of_a_day():
    rng = np.random.default_rng(0)
    rows = shop([(day, f"c{n}", float(rng.integers(9)), 1) for n in range(30) for day in range(3)])
    told = rows.copy()
    after = told["snapshot_date"] > DAYS[0]
    told.loc[after, "recency_days"] = rng.permutation(told.loc[after, "recency_days"])
    figures = ["snapshot_date", "recency_days", "frequency"]
    one, other = (in_order_of_history(r).loc[:29, figures] for r in (rows, told))
    pd.testing.assert_frame_equal(one, other)

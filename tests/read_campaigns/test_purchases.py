"""What counts as bought in a span, and what is known before it."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from pipeline.read_campaigns.purchases import Purchases, history, outcomes

MAY = date(2011, 5, 1)


def day(text: str) -> int:
    return date.fromisoformat(text).toordinal()


BOUGHT = [
    ("a", "2011-04-30", 50.0), ("a", "2011-05-01", 20.0), ("a", "2011-05-30", 10.0),
    ("a", "2011-05-31", 99.0), ("b", "2011-05-10", 30.0), ("c", "2011-05-02", 5.0),
    ("d", "2011-01-02", 7.0),
]  # fmt: skip
RETURNED = [
    ("b", "2011-05-10", "2011-05-12", 30.0), ("c", "2011-05-02", "2011-05-31", 5.0),
    ("a", "2011-05-01", "2011-05-02", 2.5), ("a", "2011-04-30", "2011-05-02", 50.0),
]  # fmt: skip
PURCHASES = Purchases(
    pd.DataFrame([(c, day(d), m) for c, d, m in BOUGHT], columns=["customer_id", "day", "amount"]),
    pd.DataFrame(
        [(c, day(d), day(r), m) for c, d, r, m in RETURNED],
        columns=["customer_id", "day", "returned_day", "amount"],
    ),
    day("2011-05-31"),
)


def test_outcomes_are_orders_less_returns_of_the_period():
    found = outcomes(PURCHASES, ["d", "c", "b", "a", "new"], MAY, 30)
    assert found["spend"].tolist() == [0, 5, 0, 27.5, 0]
    assert found["buyers"].tolist() == [0, 1, 0, 1, 0]


def test_history_ignores_the_period_and_later_returns():
    later = PURCHASES.bought[PURCHASES.bought["day"] < MAY.toordinal()]
    only = Purchases(later, PURCHASES.returned.iloc[:0], 0)
    found, expected = (history(p, ["a", "d", "new"], MAY, 30) for p in (PURCHASES, only))
    for name, values in found.items():
        assert np.isfinite(values).all()
        assert values == pytest.approx(expected[name])
    assert found["spend"][0, -1] == 50  # in the span's length before
    assert found["spend"][1, -1] == 0

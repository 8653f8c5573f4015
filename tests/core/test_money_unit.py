"""The unit of money is the shop's own, and known before anything is judged."""

from __future__ import annotations

import pandas as pd
import pytest

from pipeline.core.model.money_unit import money_unit

DAYS = pd.to_datetime(["2011-01-31", "2011-03-31", "2011-05-31"]).date


def shop(*values: float, day: int = 0, frequency: int = 1) -> pd.DataFrame:
    rows = pd.DataFrame({"average_order_value": values, "frequency": frequency})
    return rows.assign(snapshot_date=DAYS[day])


def test_the_unit_is_a_300th_of_the_median_order_and_scales_with_prices():
    rows = shop(100.0, 300.0, 5000.0)
    assert money_unit(rows, 90) == 1.0
    assert money_unit(shop(10_000.0, 30_000.0, 500_000.0), 90) == 100.0


def test_the_unit_comes_from_the_first_horizon_of_snapshots():
    rows = pd.concat([shop(3.0), shop(600.0, day=1), shop(90_000.0, day=2)])
    assert money_unit(rows, 90) == 2.0
    assert money_unit(rows, 30) == pytest.approx(0.01)


def test_customers_who_returned_everything_do_not_count():
    nothing = shop(0.0, 0.0, frequency=0)
    assert money_unit(pd.concat([nothing, shop(900.0)]), 90) == 3.0
    assert money_unit(nothing, 90) == 1.0

"""The forecast: known answers of its model, honesty on held-out days, and made-up shops."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from bench.value import HORIZON, simulated_shop
from pipeline.profile_segments.forecast import forecast
from pipeline.profile_segments.forecast_check import (
    deciles,
    errors,
    forecast_figures,
    shop_forecast,
)
from pipeline.profile_segments.purchases import YEAR, Clock, Purchases
from pipeline.profile_segments.repeat_buying import (
    BuyingModel,
    Histories,
    fit_buying,
    order_values,
)

DAY = date(2011, 6, 30).toordinal()


def events(*rows) -> Purchases:
    """From rows of customer, invoice, day before DAY, day known and amount."""
    columns = ["customer_id", "invoice_id", "day", "known", "amount"]
    frame = pd.DataFrame(rows, columns=columns)
    return Purchases.of(frame.assign(day=DAY - frame["day"], known=DAY - frame["known"]))


@pytest.fixture(scope="module")
def gift_shop() -> tuple[Purchases, int]:
    return simulated_shop("gifts, 2 years", 1)


@pytest.fixture(scope="module")
def made(gift_shop):
    return forecast(*gift_shop, HORIZON)


def test_the_model_of_repeat_buying_finds_what_it_was_made_with():
    rng = np.random.default_rng(1)
    size, age, steps = 20_000, 500.0, rng.choice([1, 4], 20_000, p=[0.7, 0.3])
    rate, leaves = rng.gamma(0.8, 1 / 60, size), rng.exponential(1 / rng.gamma(1.2, 1 / 400, size))
    leaves[rng.random(size) < 0.2] = 0
    times = rng.gamma(steps[:, None], 1 / (rate * steps)[:, None], (size, 400)).cumsum(axis=1)
    times[times > leaves[:, None]] = 1e6
    seen, later = times <= age, ((times > age) & (times <= age + 90)).sum(axis=1)
    repeats = seen.sum(axis=1)
    gaps = np.where(seen, times - np.roll(times, 1, axis=1) * (np.arange(400) > 0), 1.0)
    known = Histories(
        repeats=repeats.astype(float),
        last=np.where(seen, times, 0).max(axis=1),
        age=np.full(size, age),
        between=np.log(gaps).sum(axis=1),
        is_new=np.ones(size, dtype=bool),
    )
    model = fit_buying(known)
    assert model.once == pytest.approx(0.2, abs=0.06)
    assert model.weights[0] == pytest.approx(0.7, abs=0.1)
    found = model.outlook(known, 90)
    assert found.alive.sum() == pytest.approx((leaves > age).sum(), rel=0.06)
    assert found.orders.sum() == pytest.approx(later.sum(), rel=0.04)
    silent = age - known.last > 180
    kinds = {"one": repeats == 0, "few": (repeats > 0) & (repeats < 4)}
    kinds |= {"at random": (repeats > 3) & (steps == 1), "regular": (repeats > 3) & (steps == 4)}
    for kind in kinds.values():  # and of each kind of customer, silent or not
        assert found.active[kind].sum() == pytest.approx((later > 0)[kind].sum(), rel=0.1)
    often = (repeats > 3) & silent
    assert found.active[often].sum() == pytest.approx((later > 0)[often].sum(), rel=0.25)


def test_whoever_kept_a_rhythm_and_fell_silent_has_left():
    model = BuyingModel(r=1.0, alpha=60.0, s=1.0, beta=400.0, once=0.1, weights=(0.5, 0.2, 0.3))
    last, orders = np.array([100.0, 100.0]), np.array([10.0, 10.0])
    between = np.log(np.array([[10.0] * 10, [0.5] * 9 + [95.5]])).sum(axis=1)
    known = Histories(orders, last, last + 40, between, np.array([True, True]))
    steady, at_random = model.outlook(known, 30).alive
    assert steady < 0.2
    assert at_random > 0.5


def test_expected_orders_are_stable_for_who_orders_very_often():
    often = np.array([5_000.0])
    between = often * (np.log(400 / 5_000) - np.euler_gamma)  # what orders at random have
    known = Histories(often, np.array([400.0]), np.array([400.0]), between, np.array([True]))
    model = BuyingModel(
        r=1.0, alpha=60.0, s=0.1, beta=4000.0, once=0.1, weights=(0.9998, 1e-4, 1e-4)
    )
    assert model.outlook(known, 90).orders == pytest.approx(979, rel=0.01)


def test_a_value_seen_once_is_shrunk_further_than_one_seen_often():
    rng = np.random.default_rng(0)
    orders = np.append(rng.integers(1, 6, 400), [1, 40, 0]).astype(float)
    spend = orders * rng.gamma(6, 10, 403)
    spend[-3:] = 300, 40 * 300, 0
    once, often, never = order_values(orders, spend)[-3:]
    usual = np.median(spend[:400] / orders[:400])
    assert usual < once < often < 300
    assert usual * 0.8 < never < once


def test_a_return_is_known_from_its_day_and_an_order_taken_back_whole_is_none():
    told = events(
        ("a", "1", 40, 40, 50), ("a", "1", 40, 10, -20), ("b", "2", 30, 30, 8),
        ("b", "2", 30, 5, -8), ("b", "3", 1, 1, 7), ("c", "4", 2, 2, 9),
    )  # fmt: skip
    before, after = told.at(DAY - 20), told.at(DAY)
    assert [told.ids[i] for i in after.customers] == ["a", "b", "c"]
    assert before.spend_since(0).tolist() == [50, 8]
    assert after.spend_since(0).tolist() == [30, 7, 9]
    assert after.orders_since(0).tolist() == [1, 1, 1]
    orders, spend = told.later(before, 20)
    assert (orders.tolist(), spend.tolist()) == ([0, 1], [0, 7])


def test_the_clock_runs_with_the_season_and_leaves_growth_out():
    day = np.arange(3 * YEAR)
    season = np.where(day % YEAR < YEAR // 5, 3.0, 1.0)
    amount = season * np.exp(0.5 * day / YEAR)
    told = events(*((str(n // 100), str(n), 3 * YEAR - n, 3 * YEAR - n, amount[n]) for n in day))
    known = told.at(DAY - 1)
    assert known.growth == pytest.approx(0.5 * 364 / 394, abs=0.01)
    start, mean = DAY - 3 * YEAR, season.mean()
    assert known.clock.span(start + 20, 30) == pytest.approx(30 * 3 / mean, rel=0.03)
    assert known.clock.span(start + 150, 100) == pytest.approx(100 / mean, rel=0.03)
    assert known.clock.span(start + 7, YEAR) == pytest.approx(YEAR)


def test_a_file_of_less_than_a_year_goes_by_the_calendar():
    known = events(("a", "1", 300, 300, 5), ("a", "2", 3, 3, 5)).at(DAY)
    assert not known.knows_season
    assert known.clock.span(DAY, 90) == Clock(np.ones(YEAR)).span(DAY, 90) == 90


def test_the_forecast_of_a_day_knows_nothing_that_came_after_it(gift_shop):
    purchases, end = gift_shop
    cut = end - 200
    rows = purchases.known <= cut
    kept = {"order": "order", "known": "known", "amount": "amount"}
    past = Purchases(
        ids=purchases.ids, customer=purchases.customer, day=purchases.day,
        first=purchases.first, **{name: getattr(purchases, name)[rows] for name in kept},
    )  # fmt: skip
    one, other = forecast(purchases, cut, HORIZON), forecast(past, cut, HORIZON)
    for name in ("active", "orders", "spend"):
        np.testing.assert_array_equal(getattr(one.near, name), getattr(other.near, name))
    assert one.interval(one.near, one.near.spend > 0, 0.8) == other.interval(
        other.near, other.near.spend > 0, 0.8
    )


def test_every_figure_lies_in_its_range_and_the_interval_of_the_shop_round_its_sum(made):
    for horizon in (made.near, made.year):
        assert ((horizon.active >= 0) & (horizon.active <= 1)).all()
        assert (horizon.spend > 0).all()
        low, high = horizon.active_interval
        assert ((low <= horizon.active) & (horizon.active <= high)).all()
        everybody = horizon.spend > 0
        inner = made.interval(horizon, everybody, 0.8)
        outer = made.interval(horizon, everybody, 0.95)
        assert outer[0] < inner[0] < horizon.spend.sum() < inner[1] < outer[1]
    assert made.year.spend.sum() > 2 * made.near.spend.sum()
    first, likely, last = made.next_order()
    assert ((first <= likely) & (likely <= last)).all()
    assert first.min() >= 1
    assert np.isinf(last).any()


@pytest.mark.parametrize("chance", [1e-4, 0.0])
def test_a_group_that_hardly_anybody_is_left_of_may_buy_nothing(made, chance):
    members = np.arange(len(made.customers)) < 20
    near = replace(made.near, active=np.where(members, chance, made.near.active))
    assert made.interval(made.near, members, 0.95)[1] > 0
    assert made.interval(near, members, 0.95) == (0, 0)


@pytest.mark.parametrize("shape", ["gifts, 2 years", "before a Christmas", "a grocer"])
def test_simulated_shops_do_what_was_forecast(shape):
    level, right, inside, sums = [], [], [], []
    for seed in range(2):
        purchases, end = simulated_shop(shape, seed)
        found, known = forecast(purchases, end, HORIZON), purchases.at(end)
        orders, spend = purchases.later(known, HORIZON)
        assert found.near.spend_interval is not None
        low, high = found.near.spend_interval
        level.append(errors(found.near.spend, spend)["level"])
        right.append(errors(found.near.spend, spend)["calibration_error"])
        naive = errors(known.spend_since(end - HORIZON), spend)["calibration_error"]
        assert right[-1] < naive + 0.05
        inside.append(float(((low <= spend) & (spend <= high)).mean()))
        sums.append(found.interval(found.near, spend >= 0, 0.95))
        assert sums[-1][0] <= spend.sum() <= sums[-1][1]
        assert found.near.active.sum() == pytest.approx((orders > 0).sum(), rel=0.3)
    assert 0.7 < float(np.exp(np.mean(np.log(level)))) < 1.35
    assert 0.74 < float(np.mean(inside)) < 0.95


def shop_tables(purchases: Purchases, end: int, step: int = 60):
    """Snapshots with two segments (who orders more is in 0), and their outcomes."""
    customers, later = [], []
    for back in range(480, -1, -step):
        day, known = end - back, purchases.at(end - back)
        ids = purchases.ids[known.customers]
        rows = {"snapshot_date": date.fromordinal(day), "customer_id": ids}
        customers.append(
            pd.DataFrame({**rows, "segment_id": (known.orders_since(0) < 3).astype(int)})
        )
        if back >= HORIZON:
            orders, spend = purchases.later(known, HORIZON)
            later.append(pd.DataFrame({**rows, "later_orders": orders, "later_spend": spend}))
    shuffled = [frame.sample(frac=1, random_state=2) for frame in customers]
    return pd.concat(shuffled), pd.concat(later)


def test_held_out_days_are_checked_by_group_and_add_up(gift_shop):
    purchases, end = gift_shop
    customers, later = shop_tables(purchases, end)
    found = shop_forecast(
        customers, later, purchases, {0: "good", 1: "rest"}, horizon=HORIZON, origins=3
    )
    assert found.forecast is not None
    check = found.check
    assert check.groupby("grouping").size().to_dict() == {"all": 3, "decile": 30, "segment": 6}
    days = sorted(set(check["snapshot_date"]))
    assert days == sorted(set(later["snapshot_date"]))[-3:]
    for day in days:
        rows = check[check["snapshot_date"] == day].assign(
            sum=lambda r: r["actual_spend"] * r["customers"]
        )
        sums = rows.groupby("grouping")["sum"].sum()
        truth = later.loc[later["snapshot_date"] == day, "later_spend"].sum()
        assert sums.to_numpy() == pytest.approx(truth)
    assert (check["is_within_95"] >= check["is_within_80"]).all()
    assert (check["is_within_95"] == (check["verdict"] == "held")).all()
    assert found.figures["days_held_out"] == 3
    assert 0.5 < found.figures["accuracy"]["level"] < 2
    held = found.figures["coverage"]
    assert held["shop"]["checks"] == 3
    assert held["segments"]["width"] > held["segments"]["naive_width"]
    by_segment = found.by_segment.set_index("segment_id")
    assert by_segment["spend"].sum() == pytest.approx(found.forecast.near.spend.sum())
    assert (by_segment["spend_low"] < by_segment["spend_low80"]).all()
    assert (by_segment["spend_high80"] < by_segment["spend_high"]).all()
    mine = found.by_customer.merge(
        customers[customers["snapshot_date"] == date.fromordinal(end)], on="customer_id"
    )
    assert mine.loc[mine["segment_id"] == 0, "expected_spend"].sum() == pytest.approx(
        by_segment.loc[0, "spend"], rel=1e-3
    )


def test_a_forecast_outside_of_what_the_file_has_seen_is_flagged(gift_shop, made):
    purchases, _ = gift_shop
    figures = forecast_figures(made, purchases, HORIZON)["seen"]
    assert not figures["is_more_than_ever"]
    assert not figures["is_less_than_ever"]
    assert figures["least"] < figures["last_days"] <= figures["most"] + 0.01
    near = replace(made.near, spend=made.near.spend * 99)
    huge = replace(made, near=near)
    assert forecast_figures(huge, purchases, HORIZON)["seen"]["is_more_than_ever"]


def test_errors_are_none_for_a_perfect_forecast_and_known_for_a_doubled_one():
    actual = np.arange(1.0, 21)
    assert errors(actual, actual) == {
        "calibration_error": 0, "level": 1, "gini": 1, "mean_error": 0,
    }  # fmt: skip
    found = errors(2 * actual, actual)
    assert (found["level"], found["calibration_error"], found["gini"]) == (2, 1, 1)
    assert errors(actual[::-1], actual)["gini"] == pytest.approx(-1)
    assert deciles(np.array([3.0, 1, 2])).tolist() == [7, 1, 4]


@pytest.mark.parametrize("joining", [YEAR, 80], ids=["opened with the file", "one cohort alone"])
def test_a_year_in_which_a_shop_fills_or_empties_is_no_season(joining):
    rng = np.random.default_rng(4)
    start, size = DAY - YEAR, 600
    began = rng.integers(0, joining, size)
    until = np.minimum(began + rng.exponential(250, size), YEAR + HORIZON)
    day = [np.arange(b, u, rng.integers(7, 21)) for b, u in zip(began, until, strict=True)]
    days = start + np.concatenate(day).astype(int)
    who = np.repeat(np.arange(size), [len(each) for each in day])
    orders = {"customer_id": who, "invoice_id": np.arange(len(who)), "day": days, "known": days}
    shop = Purchases.of(pd.DataFrame(orders).assign(amount=rng.gamma(4, 5, len(who))))
    known = shop.at(DAY)
    assert not known.knows_season
    level = forecast(shop, DAY, HORIZON).near.spend.sum() / shop.later(known, HORIZON)[1].sum()
    assert 0.8 < level < 1.3  # as a season, the year would make it a third, or three times

"""Expected value: honest hold-outs, calibration, intervals."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from pipeline.profile_segments.outlook import learn_outlook
from pipeline.profile_segments.value import (
    LEAST_ROWS,
    WAYS,
    HeldOut,
    Snapshot,
    best_way,
    calibration,
    held_out,
    mean_interval,
    season_error,
    segment_means,
    segment_outlook,
    tenths,
    value_check,
    value_features,
    ways_for,
)


@pytest.fixture(autouse=True)
def one_thread():
    """Boosting on a busy machine is many times slower on two threads than on one."""
    with threadpool_limits(1):
        yield


def customers(rows: int = 3, **columns) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            "tenure_days": np.full(rows, 100),
            "recency_days": np.full(rows, 10.0),
            "frequency": np.full(rows, 2),
            "monetary": np.full(rows, 50.0),
            "average_order_value": np.full(rows, 25.0),
            "return_rate": np.zeros(rows),
            "units_per_line": np.full(rows, 3.0),
        }
    )
    return frame.assign(**columns)


def snapshot(day: date, seed: int, size: int = 400, scale: float = 1.0) -> Snapshot:
    """Customers whose later orders follow their first feature."""
    rng = np.random.default_rng(seed)
    features = rng.uniform(0, 2, (size, 9))
    segment = (features[:, 0] < 1).astype(np.int64)
    orders = rng.poisson(scale * features[:, 0])
    spend = orders * 10.0
    return Snapshot(day, features, segment, np.column_stack([orders > 0, orders, spend]) * 1.0)


DAYS = [date(2011, 1, 1) + timedelta(days=45 * i) for i in range(6)]


def test_features_are_finite_also_for_who_kept_nothing():
    rows = customers(recency_days=[10.0, np.nan, 0.0], frequency=[2, 0, 1], monetary=[5.0, 0, 1])
    assert np.isfinite(value_features(rows, 1.0)).all()


def test_the_same_orders_in_a_longer_life_are_a_lower_rate():
    young, old = value_features(customers(2, tenure_days=[30, 300]), 1.0)
    assert young[6] > old[6]


def test_what_expects_a_snapshot_learnt_only_from_horizons_that_were_over():
    known = [snapshot(day, seed) for seed, day in enumerate(DAYS)]
    poisoned = [*known[:3], *(snapshot(s.day, 99, scale=50) for s in known[3:])]
    honest = held_out(known, 90, 10, 1)
    for one, other in zip(honest, held_out(poisoned, 90, 10, 1), strict=True):
        if one.snapshot.day - timedelta(days=90) < poisoned[3].day:
            assert one.expected["segment means"][0].tolist() == pytest.approx(
                segment_means(
                    [s for s in poisoned if s.day + timedelta(days=90) <= one.snapshot.day], 0
                )(other.snapshot.features, one.snapshot.segment)[0].tolist()
            )


def test_the_first_snapshot_with_a_past_is_the_first_held_out():
    known = [snapshot(day, seed) for seed, day in enumerate(DAYS)]
    assert [h.snapshot.day for h in held_out(known, 90, 10, 1)] == DAYS[2:]
    assert [h.snapshot.day for h in held_out(known, 90, 2, 1)] == DAYS[-2:]
    assert held_out(known[:1], 90, 4, 1) == []


def test_a_small_segment_is_drawn_to_the_shops_mean():
    outcomes = np.array([[1.0, 1, 10]] * 99 + [[1.0, 1, 1000]])
    segment = np.array([0] * 99 + [1])
    known = Snapshot(DAYS[0], np.zeros((100, 9)), segment, outcomes)
    expected = segment_means([known], 0)(np.zeros((3, 9)), np.array([0, 1, 7]))
    shop = outcomes[:, 2].mean()
    assert expected[1, 2] == pytest.approx((1000 + 20 * shop) / 21)
    assert expected[2, 2] == pytest.approx(shop)  # a segment never seen
    assert expected[0, 2] < shop < expected[1, 2] < 1000


def test_few_customers_or_few_buyers_teach_means_alone():
    assert ways_for([snapshot(DAYS[0], 1, size=LEAST_ROWS - 1)]) == ["segment means"]
    assert ways_for([snapshot(DAYS[0], 1, scale=0.0)]) == ["segment means"]
    assert len(ways_for([snapshot(DAYS[0], 1)])) == 3


def test_a_perfect_forecast_is_calibrated_and_a_doubled_one_is_not():
    outcomes = np.array([[1.0, 1, i] for i in range(1, 21)])
    perfect = calibration(outcomes, outcomes)
    assert perfect["calibration_error"] == 0
    assert perfect["level"] == 1
    assert perfect["brier"] == 0
    doubled = calibration(outcomes * [1, 2, 2], outcomes)
    assert doubled["calibration_error"] == pytest.approx(1)
    assert doubled["level"] == pytest.approx(2)


def test_the_way_of_least_calibration_error_is_kept_and_learns_what_there_is():
    known = [snapshot(day, seed) for seed, day in enumerate(DAYS)]
    checked = held_out(known, 90, 3, 1)
    way, figures = best_way(checked, ways_for(known))
    assert way == figures["calibration_error"].idxmin()
    assert way != "segment means"  # the signal is finer than the two segments
    assert figures.loc[way, "brier"] < figures.loc[way, "brier_of_base"]


def test_without_a_held_out_snapshot_there_is_no_interval():
    known = snapshot(DAYS[0], 1)
    found = segment_outlook(known.outcomes, known.segment, [], way="x", resamples=20, seed=1)
    assert found["spend"].sum() == pytest.approx(known.outcomes[:, 2].sum())
    assert found[["spend_low", "spend_high"]].isna().all(axis=None)


def test_the_interval_holds_what_comes_true_about_as_often_as_it_says():
    hits = []
    for seed in range(20):
        known = [snapshot(day, 100 * seed + i, size=90) for i, day in enumerate(DAYS)]
        truth = snapshot(DAYS[-1] + timedelta(days=45), 100 * seed + 77, size=90)
        checked = held_out(known, 90, 4, 1)
        way, _ = best_way(checked, ways_for(known))
        last = held_out([*known, truth], 90, 1, 1)[0].expected[way]
        found = segment_outlook(
            last, truth.segment, checked, way=way, resamples=200, seed=1
        ).set_index("segment_id")
        for number in (0, 1):
            actual = truth.outcomes[truth.segment == number, 2].sum()
            hits.append(found.loc[number, "spend_low"] <= actual <= found.loc[number, "spend_high"])
    assert np.mean(hits) >= 0.85


def test_season_error_is_zero_where_all_came_true_and_log_two_where_it_doubled():
    known = [snapshot(day, seed) for seed, day in enumerate(DAYS)]
    checked = held_out(known, 90, 2, 1)
    for h in checked:
        h.expected["right"] = h.outcomes
        h.expected["half"] = h.outcomes / 2
    assert season_error(checked, "right").tolist() == [0, 0, 0]
    assert season_error(checked, "half") == pytest.approx(np.log(2))


def test_tenths_are_of_equal_size_and_in_order():
    found = tenths(np.arange(100.0))
    assert np.bincount(found)[1:].tolist() == [10] * 10
    assert (np.diff(found) >= 0).all()
    assert tenths(np.array([1.0, 1.0])).tolist() == [1, 6]


def test_the_check_has_everybody_each_segment_and_each_tenth():
    known = [snapshot(day, seed) for seed, day in enumerate(DAYS)]
    checked = held_out(known, 90, 1, 1)
    found = value_check(checked, "segment means", {0: "good", 1: "rest"}, 50, 1)
    assert found.groupby("grouping").size().to_dict() == {"all": 1, "segment": 2, "tenth": 10}
    for _, rows in found.groupby("grouping"):
        assert rows["customers"].sum() == 400
        assert (rows["customers"] * rows["actual_spend"]).sum() == pytest.approx(
            known[-1].outcomes[:, 2].sum()
        )
    assert set(found["verdict"]) <= {"about right", "too high", "too low"}


def test_the_interval_of_a_mean_holds_it():
    values = np.arange(50.0)
    low, high = mean_interval(values, 200, 1)
    assert low < values.mean() < high


def test_without_outcomes_nothing_is_expected():
    frame = customers(2).assign(
        snapshot_date=date(2011, 1, 1), customer_id=["a", "b"], segment_id=[0, 1]
    )
    later = pd.DataFrame(columns=["snapshot_date", "customer_id", "later_orders", "later_spend"])
    found = learn_outlook(
        frame, later, {0: "x", 1: "y"}, horizon_days=90, origins=4, resamples=20, seed=1
    )
    assert found.expected is None
    assert found.way == "none"


def test_the_features_of_a_customer_are_counts_rates_and_silence():
    row = customers(
        1,
        tenure_days=[40],
        recency_days=[9.0],
        frequency=[4],
        monetary=[99.0],
        average_order_value=[24.0],
        return_rate=[0.25],
        units_per_line=[2.0],
    )
    logs = [np.log(x) for x in (10, 5, 100, 25, 3, 4.5 / 100, 1.99)]
    wanted = [*logs[:4], 0.25, *logs[4:], 9 / 41]
    assert value_features(row, 1.0)[0] == pytest.approx(wanted)
    silent = value_features(row.assign(recency_days=np.nan), 1.0)[0]
    assert silent == pytest.approx([np.log(41), *wanted[1:8], 40 / 41])


@pytest.mark.parametrize("way", ["regression", "boosted trees"])
def test_a_way_learns_buying_orders_and_spend_from_what_they_follow(way):
    known = [snapshot(day, seed) for seed, day in enumerate(DAYS[:4])]
    asked = np.full((2, 9), 1.0)
    asked[:, 0] = 0.3, 1.7
    expected = WAYS[way](known, 1)(asked, np.array([1, 0]))
    assert expected[:, 0] == pytest.approx(1 - np.exp([-0.3, -1.7]), abs=0.12)
    assert expected[:, 1] == pytest.approx([0.3, 1.7], abs=0.35)
    assert expected[:, 2] == pytest.approx([3, 17], abs=3.5)


def test_a_regression_goes_no_further_than_what_it_saw():
    known = [snapshot(day, seed) for seed, day in enumerate(DAYS[:2])]
    seen = np.vstack([s.features for s in known])
    expect = WAYS["regression"](known, 1)
    edges = np.vstack([seen.min(axis=0), seen.max(axis=0)])
    beyond = edges + np.array([[-5.0], [5.0]])
    np.testing.assert_allclose(expect(beyond, np.zeros(2)), expect(edges, np.zeros(2)))


def test_the_least_that_teaches_more_than_means_is_declared():
    def shop(buyers: int, size: int = LEAST_ROWS) -> list[Snapshot]:
        bought = (np.arange(size) < buyers) * 1.0
        outcomes = np.column_stack([bought, bought, bought])
        return [Snapshot(DAYS[0], np.zeros((size, 9)), np.zeros(size, np.int64), outcomes)]

    assert [len(ways_for(shop(n))) for n in (19, 20, 99, 100)] == [1, 3, 3, 1]


def by_hand() -> HeldOut:
    """Ten customers; of segment 0 too much is expected, of segment 3 what they do."""
    segment = np.array([0] * 4 + [3] * 6)
    expected = np.column_stack([np.full(10, 0.5), np.full(10, 2.0), [10.0] * 4 + [3.0] * 6])
    outcomes = np.column_stack([[0, 1] * 5, [0, 4] * 5, [2.0, 2, 2, 2, 1, 5, 1, 5, 1, 5]])
    return HeldOut(Snapshot(DAYS[0], np.zeros((10, 9)), segment, outcomes), {"x": expected})


def test_the_check_sets_expected_beside_actual_and_says_which_way_it_is_off():
    found = value_check([by_hand()], "x", {0: "good", 3: "rest"}, 200, 1).set_index("label")
    everybody, good, rest = (found.loc[label] for label in ("all", "good", "rest"))
    assert everybody["grouping"] == "all"
    assert (good["grouping"], good["position"], good["snapshot_date"]) == ("segment", 0, DAYS[0])
    assert (rest["position"], rest["customers"]) == (3, 6)
    assert found.loc["tenth 10", ["grouping", "position"]].tolist() == ["tenth", 10]
    assert good[["expected_spend", "actual_spend"]].tolist() == [10, 2]
    assert good[["actual_spend_low", "actual_spend_high"]].tolist() == [2, 2]
    assert everybody["expected_spend"] == pytest.approx(5.8)
    assert everybody[["expected_orders", "actual_orders"]].tolist() == [2, 2]
    assert everybody[["expected_buying_rate", "actual_buying_rate"]].tolist() == [0.5, 0.5]
    assert rest["actual_spend_low"] < 3 < rest["actual_spend_high"]
    assert [good["verdict"], rest["verdict"]] == ["too high", "about right"]
    halved = by_hand()
    halved.expected["x"] /= 10
    assert value_check([halved], "x", {0: "", 3: ""}, 200, 1)["verdict"][0] == "too low"
    assert value_check([halved], "y", {}, 200, 1).empty


def test_calibration_is_by_tenths_and_knows_the_mere_rate():
    h = by_hand()
    found = calibration(h.expected["x"], h.outcomes)
    # By expected spend: six of 3 against 1 or 5, then four of 10 against 2.
    assert found["calibration_error"] == pytest.approx((6 * 2 + 4 * 8) / 26)
    assert found["level"] == pytest.approx(58 / 26)
    assert found["orders_level"] == 1
    assert found["brier"] == 0.25
    assert found["brier_of_base"] == 0.25


def test_without_a_check_the_last_way_is_taken_and_has_no_figures():
    way, figures = best_way([], ["segment means", "regression"])
    assert way == "regression"
    assert figures.empty
    assert figures.index.name == "way"


def test_the_interval_of_a_segment_is_as_wide_as_its_own_members_were_unlike_what_was_expected():
    segment = np.repeat([0, 1], 100)
    expected = np.tile([0.5, 1.0, 10.0], (200, 1))
    outcomes = expected.copy()
    outcomes[100:] = np.tile([[0.0, 0, 0], [1, 2, 20]], (50, 1))  # the same in sum
    held = HeldOut(Snapshot(DAYS[0], np.zeros((200, 9)), segment, outcomes), {"x": expected})
    found = segment_outlook(expected, segment, [held], way="x", resamples=2000, seed=1).set_index(
        "segment_id"
    )
    assert found["spend"].tolist() == [1000, 1000]
    assert found.loc[0, ["spend_low", "spend_high"]].tolist() == pytest.approx([1000, 1000])
    # A hundred draws of 0 or 20: a standard error of 1 in a mean of 10.
    assert found.loc[1, "spend_low"] == pytest.approx(804, abs=25)
    assert found.loc[1, "spend_high"] == pytest.approx(1196, abs=25)
    assert found.loc[1, ["buying", "orders"]].tolist() == [50, 100]


def test_a_season_that_surprised_the_whole_shop_widens_every_interval():
    segment = np.zeros(100, dtype=np.int64)
    expected = np.ones((100, 3))
    held = [
        HeldOut(Snapshot(day, np.zeros((100, 9)), segment, expected * factor), {"x": expected})
        for day, factor in zip(DAYS, (2.0, 0.5), strict=False)
    ]
    found = segment_outlook(expected, segment, held, way="x", resamples=4000, seed=1)
    # Twice and half: log 2 in root mean square, so 1.96 of it on each side.
    low, high = np.log(found["orders_low"][0] / 100), np.log(found["orders_high"][0] / 100)
    assert (high - low) / 2 == pytest.approx(1.96 * np.log(2), rel=0.1)
    assert (high + low) / 2 == pytest.approx(0, abs=0.1)


def test_the_outlook_is_clipped_and_rounded_and_counts_what_it_learnt_from():
    rows = pd.concat(
        [
            customers(150, frequency=np.arange(150) % 5).assign(
                snapshot_date=day,
                customer_id=[f"c{i}" for i in range(150)],
                segment_id=np.arange(150) % 2,
            )
            for day in DAYS[:5]
        ]
    )
    bought = rows["frequency"].to_numpy()
    later = rows[["snapshot_date", "customer_id"]].assign(
        later_orders=bought, later_spend=bought * 10.0
    )
    later = later[later["snapshot_date"] < DAYS[4]]
    found = learn_outlook(
        rows, later, {0: "x", 1: "y"}, horizon_days=45, origins=2, resamples=20, seed=1
    )
    assert (found.learnt_from, found.origins) == (4, 2)
    assert found.way in WAYS
    assert found.way == found.figures["calibration_error"].idxmin()
    assert found.expected.shape == (150, 3)
    assert found.expected[:, 0].max() <= 1
    assert (found.expected == found.expected.round(4)).all()
    assert found.expected.sum(axis=0) == pytest.approx([120, 300, 3000], rel=0.05)
    assert found.by_segment["spend"].sum() == pytest.approx(found.expected[:, 2].sum())
    assert set(found.check["snapshot_date"]) == set(DAYS[2:4])
    assert set(found.check.loc[found.check["grouping"] == "segment", "label"]) == {"x", "y"}


def test_a_snapshot_without_outcomes_is_none_that_was_held_out():
    unjudged = replace(snapshot(DAYS[0], 1), outcomes=None)
    with pytest.raises(ValueError, match="a held-out snapshot has outcomes"):
        _ = HeldOut(unjudged, {}).outcomes

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from pipeline.core.model.transforms import (
    TRANSFORMS,
    feature_columns,
    feature_matrix,
    fit_transform,
)


def customers(size=300, seed=0):
    rng = np.random.default_rng(seed)
    features = np.column_stack(
        [rng.integers(1, 300, size), 1 + rng.poisson(2, size), rng.lognormal(6, 1, size)]
    ).astype(float)
    later = np.maximum(0, features[:, 1] - features[:, 0] / 60 + rng.normal(size=size))
    return features, later


def test_a_star_matches_every_column_of_a_prefix():
    available = ["monetary", "spend_share_party", "spend_share_garden"]
    assert feature_columns(["monetary", "spend_share_*"], available) == available
    assert feature_columns(["spend_share_*"], ["monetary"]) == []


def test_gaps_are_filled_with_the_time_since_the_first_order():
    rows = pd.DataFrame(
        {"days_between_orders": [np.nan, 7.0], "recency_days": [3, None], "tenure_days": [90, 40]}
    )
    filled = feature_matrix(rows, ["days_between_orders", "recency_days"], 1.0)
    np.testing.assert_array_equal(filled, [[90, 3], [7, 40]])


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_a_row_gets_the_same_coordinates_alone_as_among_others(kind):
    features, later = customers()
    transform = fit_transform(kind, features, [(features, later)])
    together = transform.apply(features)
    alone = np.vstack([transform.apply(features[[row]]) for row in range(20)])
    np.testing.assert_array_equal(alone, together[:20])


@pytest.mark.parametrize("kind", ["weighted", "expected_line", "expected_curve"])
def test_supervised_transforms_need_later_purchases(kind):
    with pytest.raises(ValueError, match="learns from later purchases, none were given"):
        fit_transform(kind, customers()[0])


@pytest.mark.parametrize("kind", ["quantile", "expected_line", "expected_curve"])
def test_another_currency_gives_the_same_coordinates(kind):
    features, later = customers()
    dearer = features * [1, 1, 128]
    one = fit_transform(kind, features, [(features, later)]).apply(features)
    other = fit_transform(kind, dearer, [(dearer, later)]).apply(dearer)
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_curve_learnt_on_few_orders_works_on_many():
    features, later = customers(2000)
    grown = features * [1, 5, 5]  # the same customers, five times as many orders
    learnt = fit_transform("expected_curve", grown, [(features, later)])
    expected = learnt.apply(grown)[:, 0]
    assert np.corrcoef(expected, later)[0, 1] > 0.75


def test_logs_are_standardised_and_a_constant_becomes_zero():
    features = np.column_stack([[0.0, 1.0, 3.0, 7.0], np.full(4, 2.0)])
    found = fit_transform("log", features).apply(features)
    assert found[:, 0] == pytest.approx(np.array([-3, -1, 1, 3]) / np.sqrt(5))
    assert found[:, 1].tolist() == [0, 0, 0, 0]


def test_a_quantile_score_is_the_normal_quantile_of_the_mid_rank():
    features = np.array([[1.0], [1.0], [1.0], [2.0], [9.0]])
    fitted = fit_transform("quantile", features)
    seen = np.array([[1.0], [2.0], [9.0], [0.0], [99.0]])
    middle = np.array([0.3, 0.7, 0.9, 0.001, 0.999])  # of 500 steps, half a one at the ends
    assert norm.cdf(fitted.apply(seen)[:, 0]) == pytest.approx(middle)


def test_weights_are_relative_to_the_strongest_predictor():
    rng = np.random.default_rng(1)
    features = np.expm1(rng.normal(size=(4000, 3)) + 6)
    logged = np.log1p(features)
    later = 2 * logged[:, 0] - logged[:, 1]
    fitted = fit_transform("weighted", features, [(features, later)])
    assert fitted.weights == pytest.approx([1, 0.5, 0], abs=0.02)
    plain = fit_transform("log", features).apply(features)
    assert fitted.apply(features) == pytest.approx(plain * fitted.weights)


def test_the_line_fits_a_linear_outcome_and_the_curve_a_bent_one():
    rng = np.random.default_rng(2)
    features = rng.lognormal(size=(4000, 2))
    scores = fit_transform("quantile", features).apply(features)
    later = 3 + scores @ [2.0, -1.0]
    fitted = fit_transform("expected_line", features, [(features, later)])
    assert fitted.apply(features)[:, 0] == pytest.approx(later, abs=0.01)
    bent = np.abs(scores[:, 0]) + scores[:, 0] * scores[:, 1]
    errors = [
        np.std(bent - fit_transform(kind, features, [(features, bent)]).apply(features)[:, 0])
        for kind in ("expected_line", "expected_curve")
    ]
    assert errors[1] < 0.3 * errors[0]

from dataclasses import replace

import numpy as np
import pytest
from segmentation_shop import SETTING, in_time, snapshots

from pipeline.select_model.candidates import (
    Family,
    fit_family,
    later_purchase_figures,
    measure_family,
    stability_figures,
    value_of_clusters,
)

FAMILIES = [
    Family("kmeans", "rfm", "log", (2, 4)),
    Family("grid", "rhythm", "raw", (5, 8)),
    Family("steps", "rfm", "expected_curve", (3, 5)),
    Family("tree", "rfm", "raw", (3,)),
    Family("kmeans", "rfm", "weighted", (3,)),
    Family("kmeans_trimmed", "rfm", "standard_pca2", (3,), is_baseline=True),
]


def figures(family, found):
    now, past, origins = in_time(found)
    weights = np.random.default_rng(0).multinomial(400, np.full(400, 1 / 400), size=20)
    return measure_family(
        family, now, past, origins, later_weights=weights.astype(float), setting=SETTING
    )


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_is_measured_at_every_k_with_figures_in_their_ranges(family):
    measured = figures(family, snapshots())
    assert [row["k"] for row, _ in measured] == list(family.sizes)
    for row, spread in measured:
        assert 0 <= row["smallest_share"] <= row["largest_share"] <= 1
        assert 0 <= row["jaccard"] <= row["jaccard_mean"] <= 1
        assert 0 <= row["prediction_strength"] <= 1
        assert 0 < row["eta_squared"] < 1
        assert spread.shape == (2, 20)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_nothing_after_the_cut_changes_what_is_learnt_before_it(family):
    found = snapshots()
    _, _, origins = in_time(found)
    cut, past = origins[-1].cut, origins[-1].past
    # A signal after the cut that no feature knows of: whoever learns from it gives itself away.
    loud = replace(cut, spend=np.where(np.arange(400) % 2 == 0, 1e6, 0.0))
    fitted = fit_family(family, cut, past, SETTING, 7)
    again = fit_family(family, loud, past, SETTING, 7)
    for one, other in zip(fitted, again, strict=True):
        np.testing.assert_array_equal(one.labels(cut), other.labels(cut))
        one_values, other_values = (
            value_of_clusters(f.labels(past[-1]), past[-1].outcomes, f.clustering.size + 2)
            for f in (one, other)
        )
        np.testing.assert_array_equal(one_values, other_values)


def test_the_signal_after_the_cut_does_change_how_it_is_judged():
    found = snapshots()
    _, _, origins = in_time(found)
    loud = replace(origins[-1].cut, spend=np.where(np.arange(400) % 2 == 0, 1e6, 0.0))
    weights = np.ones((2, 400))
    family = FAMILIES[0]
    quiet = later_purchase_figures(family, origins[-1:], weights, SETTING, 7)
    noisy = later_purchase_figures(family, [replace(origins[-1], cut=loud)], weights, SETTING, 7)
    assert quiet[0][0]["eta_squared"] > 0.2
    assert noisy[0][0]["eta_squared"] < 0.05


def test_declared_groups_are_clusters_of_their_own_after_the_models():
    now, past, _ = in_time(snapshots())
    fitted = fit_family(FAMILIES[0], now, past, SETTING, 7)[0]
    labels = fitted.labels(now)
    assert (labels[:3] == 2).all()
    assert (labels[3:] < 2).all()


def test_one_size_of_a_family_is_fitted_as_it_was_among_the_others():
    now, past, _ = in_time(snapshots())
    family = FAMILIES[0]
    among = fit_family(family, now, past, SETTING, family.seed(1))[1]
    alone = fit_family(family.at(4), now, past, SETTING, family.at(4).seed(1))[0]
    np.testing.assert_array_equal(among.labels(now), alone.labels(now))


def test_planted_clusters_are_more_stable_at_their_number_than_above_it():
    found = snapshots()
    rng = np.random.default_rng(5)
    planted = np.repeat([[1.0, 2, 20], [200, 20, 900], [30, 5, 8000], [300, 1, 300]], 100, axis=0)
    points = planted * rng.lognormal(0, 0.1, (400, 3))
    now = replace(found[-1], features={"rfm": points}, group=np.full(400, -1))
    family = Family("kmeans", "rfm", "log", (4, 7))
    four, seven = stability_figures(family, now, (), SETTING, resamples=4, splits=2)
    assert four["jaccard"] > 0.98
    assert four["prediction_strength"] > 0.98
    assert seven["jaccard"] < 0.75


def test_a_snapshot_whose_horizon_is_not_over_has_no_outcomes():
    with pytest.raises(ValueError, match="the horizon after 2011-09-28 is not over"):
        _ = snapshots()[-1].outcomes

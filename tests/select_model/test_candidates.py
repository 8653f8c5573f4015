"""Candidates and their figures, against what they are by their definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from segmentation_shop import SETTING, in_time, snapshots
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_samples

from pipeline.core.model.clusterings import Boxes, Centroids
from pipeline.core.model.transforms import Raw
from pipeline.select_model import candidates
from pipeline.select_model.candidates import (
    Family,
    Fitted,
    fit_family,
    judged_by_later,
    meaning_figures,
    measure_family,
    segment_values,
    shape_figures,
    stability_figures,
)
from pipeline.select_model.prediction import eta_squared, later_figures
from pipeline.select_model.snapshots import Snapshot

KMEANS = Family("kmeans", "rfm", "log", (2, 3))
FAMILIES = [
    Family("kmeans", "rfm", "log", (2, 4)),
    Family("grid", "rhythm", "raw", (5, 8)),
    Family("steps", "rfm", "expected_curve", (3, 5)),
    Family("tree", "rfm", "raw", (3,)),
    Family("kmeans", "rfm", "weighted", (3,)),
    Family("kmeans_trimmed", "rfm", "standard_pca2", (3,), is_baseline=True),
]


def with_effort(**changes):
    return replace(SETTING, effort=SETTING.effort.model_copy(update=changes))


def of_four(**changes) -> Snapshot:
    known = Snapshot(
        "2011-01-28",
        {"rfm": np.array([[1.0], [2.0], [8.0], [9.0]])},
        np.ones((4, 4)),
        np.array([-1, 1, -1, -1]),
        np.array([2, 0, 1, 3]),
        np.expm1(np.array([1.0, 4.0, 6.0, 8.0])),
    )
    return replace(known, **changes)


def cut_at(*edges: float) -> Fitted:
    return Fitted("rfm", Raw(), Boxes.between(np.array(edges), 1.0))


def test_a_snapshot_gives_the_rows_that_a_model_decides_as_often_as_they_were_drawn():
    assert of_four().rows(None).tolist() == [0, 2, 3]
    assert of_four().rows(np.array([9, 2, 1, 0])).tolist() == [0, 2, 2]
    assert of_four().outcomes == pytest.approx([1, 4, 6, 8])
    with pytest.raises(ValueError, match="the horizon after 2011-09-28 is not over"):
        _ = snapshots()[-1].outcomes


def test_declared_groups_follow_the_models_clusters_by_their_number():
    assert cut_at(5).points(of_four()).tolist() == [[1], [8], [9]]
    assert cut_at(5).labels(of_four()).tolist() == [0, 3, 1, 1]


def test_the_value_of_a_cluster_is_its_mean_and_that_of_all_where_nobody_is():
    (values,) = segment_values([cut_at(5)], [of_four()])
    assert values == pytest.approx([1, 7, 4.75, 4])


def test_a_family_is_seeded_by_its_name_alone():
    others = [replace(KMEANS, algorithm="ward"), replace(KMEANS, transform="raw")]
    assert len({*(f.seed(1) for f in others), KMEANS.seed(1), KMEANS.seed(2)}) == 4
    assert replace(KMEANS, sizes=(9,)).seed(1) == KMEANS.seed(1)
    now = snapshots()[-1]
    among, alone = (
        fit_family(replace(KMEANS, sizes=sizes), now, (), SETTING)[-1]
        for sizes in ((2, 4), (4,))
    )  # fmt: skip
    np.testing.assert_array_equal(among.labels(now), alone.labels(now))


def test_the_trimmed_baseline_is_fitted_without_the_top_twentieth():
    now = snapshots()[-1]
    points = now.features["rfm"].copy()
    points[10:20] *= 1e6
    family = Family("kmeans_trimmed", "rfm", "standard_pca2", (3,))
    rich = replace(now, features={"rfm": points})
    trimmed = fit_family(family, rich, (), SETTING)[0]
    whole = fit_family(replace(family, algorithm="kmeans"), rich, (), SETTING)[0]
    assert (trimmed.transform.center < 3 * np.median(points, axis=0)).all()
    assert (whole.transform.center > 1000 * np.median(points, axis=0)).any()


@pytest.mark.parametrize("transform", ["log", "raw"])
def test_the_shape_is_measured_on_standardised_points_and_shares_are_of_everybody(transform):
    now, past, _ = in_time(snapshots())
    family = replace(KMEANS, transform=transform)
    setting = with_effort(gap_references=0, quadratic_sample=400)
    fitted = fit_family(family, now, past, setting)
    for found, each in zip(shape_figures(family, fitted, now, setting), fitted, strict=True):
        labels = each.labels(now)[now.rows(None)]
        points = np.log1p(now.features["rfm"][now.rows(None)])
        points = (points - points.mean(axis=0)) / points.std(axis=0)
        counts = np.unique(labels, return_counts=True)[1]
        silhouettes = silhouette_samples(points, labels)
        assert found == {
            "segments": len(counts),
            "smallest_share": counts.min() / 400,
            "largest_share": counts.max() / 400,
            "silhouette": pytest.approx(silhouettes.mean()),
            "silhouette_se": pytest.approx(silhouettes.std() / np.sqrt(397)),
            "calinski_harabasz": pytest.approx(calinski_harabasz_score(points, labels)),
            "davies_bouldin": pytest.approx(davies_bouldin_score(points, labels)),
            "bic": None,
            "gap": None,
            "gap_se": None,
        }


def test_mixtures_have_a_bic_and_centres_a_gap_and_a_single_cluster_no_silhouette():
    now, past, _ = in_time(snapshots())
    family = replace(KMEANS, algorithm="mixture")
    fitted = fit_family(family, now, past, SETTING)
    two, three = shape_figures(family, fitted, now, SETTING)
    assert two["bic"] == pytest.approx(fitted[0].clustering.model.bic(fitted[0].points(now)))
    assert two["bic"] != three["bic"]
    gaps = shape_figures(KMEANS, fit_family(KMEANS, now, past, SETTING), now, SETTING)
    assert all(np.isfinite(each["gap"]) and each["gap_se"] >= 0 for each in gaps)
    assert gaps[0]["gap"] != gaps[1]["gap"]
    alike = replace(now, features={"rfm": np.ones((400, 3))})
    single, of_one = Fitted("rfm", Raw(), Centroids(np.ones((1, 3)))), replace(KMEANS, sizes=(2,))
    (found,) = shape_figures(of_one, [single], alike, with_effort(gap_references=0))
    assert (found["silhouette"], found["largest_share"]) == (None, 397 / 400)


def test_stability_is_that_of_the_least_cluster_with_the_error_of_its_mean():
    similar = np.array([[1.0, 0.5, np.nan], [0.8, 0.7, np.nan]])
    found = candidates._stability(similar, np.array([0.5, 0.7]))
    assert found == pytest.approx(
        {
            "resamples": 2,
            "jaccard": 0.6,
            "jaccard_se": 0.1,
            "jaccard_mean": 0.75,
            "prediction_strength": 0.6,
            "prediction_strength_se": 0.1,
        }
    )


def test_planted_clusters_are_more_stable_at_their_number_than_above_it():
    rng = np.random.default_rng(5)
    planted = np.repeat([[1.0, 2, 20], [200, 20, 900], [30, 5, 8000], [300, 1, 300]], 100, axis=0)
    points = planted * rng.lognormal(0, 0.1, (400, 3))
    now = replace(snapshots()[-1], features={"rfm": points}, group=np.full(400, -1))
    family = Family("kmeans", "rfm", "log", (4, 7))
    four, seven = stability_figures(family, now, (), SETTING, resamples=4, splits=2)
    assert four["jaccard"] > 0.98
    assert four["prediction_strength"] > 0.98
    assert seven["jaccard"] < 0.75


def test_later_figures_are_means_over_the_origins_and_errors_those_over_resamples():
    _now, _past, origins = in_time(snapshots())
    weights = np.random.default_rng(0).multinomial(400, np.full(400, 1 / 400), size=20) * 1.0
    at_cuts = [fit_family(KMEANS, o.cut, o.past, SETTING) for o in origins]
    wanted, resampled = [], []
    for (two, _), origin in zip(at_cuts, origins, strict=True):
        labels = two.labels(origin.cut)
        forecast = segment_values([two], origin.past)[0][labels]
        wanted.append(vars(later_figures(forecast, origin.cut.outcomes, origin.cut.spend)))
        resampled.append(eta_squared(labels, origin.cut.outcomes, weights))
    figures, spread = judged_by_later(at_cuts, origins, weights)[0]
    for name in ("r_squared", "gini", "top20_capture", "auc"):
        assert figures[name] == pytest.approx(np.mean([each[name] for each in wanted]))
    assert spread == pytest.approx(np.array(resampled))
    assert figures["eta_squared_se"] == pytest.approx(spread.mean(axis=0).std())


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_is_measured_at_every_k_with_figures_in_their_ranges(family):
    weights = np.random.default_rng(0).multinomial(400, np.full(400, 1 / 400), size=20) * 1.0
    measured = measure_family(
        family, *in_time(snapshots()), later_weights=weights, setting=SETTING
    )  # fmt: skip
    assert [row["candidate"] for row, _ in measured] == [f"{family.name}/{k}" for k in family.sizes]
    for row, spread in measured:
        assert row["is_baseline"] is family.is_baseline
        assert 0 <= row["smallest_share"] <= row["largest_share"] <= 1
        assert 0 <= row["jaccard"] <= row["jaccard_mean"] <= 1
        assert 0 <= row["prediction_strength"] <= 1
        assert 0 < row["eta_squared"] < 1
        assert spread.shape == (2, 20)


def test_a_cut_by_recency_keeps_stages_together_and_only_the_wrong_way_round_can_ageing_help():
    now, past, _ = in_time(snapshots())
    days = now.rhythm.copy()
    days[:, 0] += 365
    now = replace(now, older=(replace(now, rhythm=days, features={"rfm": days[:, :3]}),))
    (right,), (alike,) = (meaning_figures([cut_at(*edges)], now, past) for edges in ([90.0], []))
    assert right["same_stage"] > alike["same_stage"]
    assert right["rises_by_ageing"] == alike["rises_by_ageing"] == 0
    upside_down = [replace(s, spend=s.features["rfm"][:, 0]) for s in past]
    (wrong,) = meaning_figures([cut_at(90)], now, upside_down)
    assert wrong["rises_by_ageing"] == (now.rhythm[now.rows(None), 0] < 90).mean()

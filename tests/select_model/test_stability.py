import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.select_model.stability import (
    gap_statistic,
    jaccard_by_cluster,
    prediction_strength,
    structure_of,
    within_dispersion,
)


def test_jaccard_of_each_cluster_is_that_with_its_likest_cluster():
    labels = np.array([0, 0, 0, 1, 1])
    again = np.array([1, 1, 0, 0, 0])
    np.testing.assert_allclose(jaccard_by_cluster(labels, again, 2), [2 / 3, 2 / 3])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.permutations(range(5)))
def test_jaccard_is_one_however_parts_are_numbered_and_none_without_members(labels, numbers):
    own = np.array(labels)
    relabelled = np.array(numbers)[own]
    found = jaccard_by_cluster(own, relabelled, 5)
    assert (found[np.unique(own)] == 1).all()
    assert np.isnan(np.delete(found, np.unique(own))).all()


def test_prediction_strength_is_the_worst_parts_share_of_pairs_kept_together():
    test = np.array([0, 0, 0, 1, 1, 1])
    trained = np.array([0, 0, 1, 1, 1, 1])
    assert prediction_strength(test, trained, 2) == pytest.approx(1 / 3)


def test_dispersion_is_the_sum_of_squared_distances_to_the_parts_centres():
    points = np.array([[0.0], [2.0], [10.0], [14.0]])
    assert within_dispersion(points, np.array([0, 0, 1, 1])) == 2 + 8


def two_blobs(rng, size=300):
    points = rng.normal(size=(size, 2)) * 0.3
    points[: size // 2] += 4
    return points


def by_sign_of_first(points, _seed):
    cut = points[:, 0] > points[:, 0].mean()
    return [np.zeros(len(points), np.int64), cut.astype(np.int64)]


def test_the_gap_is_larger_at_two_parts_where_there_are_two():
    (one, _), (two, error) = gap_statistic(
        two_blobs(np.random.default_rng(0)), by_sign_of_first, 5, 0
    )
    assert two > one + error


def test_correlated_columns_without_borders_are_a_continuum():
    rng = np.random.default_rng(3)
    first = rng.normal(size=600)
    assert structure_of(np.column_stack([first, first + 0.5 * rng.normal(size=600)]), 0) == (
        "continuum"
    )

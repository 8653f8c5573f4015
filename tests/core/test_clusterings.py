import numpy as np
import pytest

from pipeline.core.model import clusterings
from pipeline.core.model.clusterings import Boxes, Centroids, fit_clusterings, sample_rows

# Every algorithm that finds clusters; rules and grids want recency, frequency and monetary.
ALGORITHMS = [n for n in clusterings.ALGORITHMS if n not in ("rfm_rules", "grid")]


def three_blobs(size=240):
    rng = np.random.default_rng(1)
    planted = np.repeat([0, 1, 2], size // 3)
    return planted[:, None] * [4.0, 3.0] + rng.normal(size=(size, 2)) * 0.2, planted


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_planted_groups_are_found(algorithm):
    points, planted = three_blobs()
    clustering = fit_clusterings(algorithm, points, [3], 0, planted.astype(float))[0]
    parts = clustering.assign(points)
    pairs = {(int(a), int(b)) for a, b in zip(planted, parts, strict=True)}
    if algorithm == "steps":  # its outer bands hold 5% each, by construction
        assert len(set(parts)) == 3
    else:
        assert len(pairs) == 3


@pytest.mark.parametrize("algorithm", clusterings.ALGORITHMS)
def test_every_customer_gets_one_cluster_and_a_confidence_from_0_to_1(algorithm):
    points, planted = three_blobs()
    points = np.abs(np.column_stack([points, points]))
    clustering = fit_clusterings(algorithm, points, [4], 0, planted.astype(float))[0]
    far = np.vstack([points, points.max(axis=0) + 100, np.zeros(4)])
    parts, confidence = clustering.assign(far), clustering.confidence(far)
    assert ((parts >= 0) & (parts < clustering.size)).all()
    assert ((confidence >= 0) & (confidence <= 1)).all()


def test_equal_values_share_a_cluster():
    values = np.array([1.0] * 70 + [2.0] * 30)[:, None]
    for algorithm in ("tiers", "steps"):
        parts = fit_clusterings(algorithm, values, [5], 0)[0].assign(values)
        assert len(set(parts[:70])) == len(set(parts[70:])) == 1


def test_every_leaf_of_a_tree_holds_the_minimum_share():
    rng = np.random.default_rng(0)
    points = rng.random((500, 3))
    clustering = fit_clusterings("tree", points, [8], 0, points[:, 0] ** 4, minimum_share=0.05)[0]
    assert np.bincount(clustering.assign(points)).min() >= 25


def test_a_pruned_tree_equals_one_grown_to_that_size():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(600, 3))
    outcomes = np.sin(3 * points[:, 0]) + np.abs(points[:, 1]) * points[:, 2]
    sizes = [9, 2, 5, 12]
    together = fit_clusterings("tree", points, sizes, 0, outcomes, minimum_share=0.02)
    for size, cut_back in zip(sizes, together, strict=True):
        grown = fit_clusterings("tree", points, [size], 0, outcomes, minimum_share=0.02)[0]
        assert cut_back.size == grown.size == size
        assert len(set(zip(cut_back.assign(points), grown.assign(points), strict=True))) == size
        assert np.allclose(cut_back.confidence(points), grown.confidence(points))


def test_a_tree_without_outcomes_is_refused():
    with pytest.raises(ValueError, match="learns from later purchases"):
        fit_clusterings("tree", three_blobs()[0], [2], 0)


def test_a_sample_is_sorted_unique_and_reproducible():
    rows = sample_rows(1000, 50, 3)
    assert len(rows) == 50
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, sample_rows(1000, 50, 3))
    np.testing.assert_array_equal(sample_rows(10, 50, 3), np.arange(10))


def test_confidence_between_centres_is_one_minus_the_ratio_of_distances():
    two = Centroids(np.array([[0.0, 0.0], [6.0, 8.0]]))
    points = np.array([[0.0, 0.0], [1.5, 2.0], [3.0, 4.0], [6.0, 8.0]])
    assert two.confidence(points) == pytest.approx([1, 1 - 2.5 / 7.5, 0, 1])


def test_confidence_in_a_band_is_the_distance_to_its_edge_over_half_its_width():
    three = Boxes.between(np.array([0.0, 10.0, 12.0]), 1.0)
    points = np.array([[-1.0], [2.5], [5.0], [11.5], [12.5], [99.0]])
    assert three.confidence(points) == pytest.approx([0.2, 0.5, 1, 0.5, 0.5, 1])
    one = Boxes.between(np.array([3.0]), 8.0)
    assert one.confidence(np.array([[0.0], [4.0]])) == pytest.approx([0.75, 0.25])


def edges(cut: Boxes) -> list[float]:
    return cut.boxes[1:, 0, 0].tolist()


def test_tiers_have_equal_counts_and_steps_equal_widths():
    values = np.arange(1001.0)[:, None]
    tiers, steps, halves = (
        fit_clusterings(name, values, [k], 0)[0]
        for name, k in (("tiers", 4), ("steps", 5), ("steps", 2))
    )
    assert edges(tiers) == [250, 500, 750]
    assert edges(steps) == pytest.approx([50, 350, 650, 950])
    assert edges(halves) == [500]
    assert tiers.assign(np.array([[249.0], [250.0]])).tolist() == [0, 1]


def test_rfm_rules_match_the_industrys_table():
    grid = np.array(list(np.ndindex(5, 5, 5)), dtype=float) + 1
    parts = fit_clusterings("rfm_rules", grid, [10], 0)[0].assign(grid)
    recency = 6 - grid[:, 0]  # the latest order has score 5
    worth = np.ceil((grid[:, 1] + grid[:, 2]) / 2)
    found = {
        score: [set(parts[(recency == score) & (worth == w)].tolist()) for w in range(1, 6)]
        for score in (5, 4, 3, 2, 1)
    }
    assert found == {
        5: [{3}, {2}, {2}, {0}, {0}],
        4: [{4}, {2}, {2}, {1}, {1}],
        3: [{6}, {6}, {5}, {1}, {1}],
        2: [{9}, {9}, {7}, {7}, {8}],
        1: [{9}, {9}, {7}, {7}, {8}],
    }

import numpy as np
import pytest

from pipeline.core.model import partitions
from pipeline.core.model.partitions import (
    assign_parts,
    confidence_of,
    fit_partitions,
    rfm_rules,
    sample_rows,
)

# Every algorithm by its name; the trade's rules want recency, frequency and monetary.
ALGORITHMS = [name for name in partitions.ALGORITHMS if name != "rules"]


def three_blobs(size=240):
    rng = np.random.default_rng(1)
    planted = np.repeat([0, 1, 2], size // 3)
    return planted[:, None] * [4.0, 3.0] + rng.normal(size=(size, 2)) * 0.2, planted


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_planted_groups_are_found(algorithm):
    points, planted = three_blobs()
    partition = fit_partitions(algorithm, points, [3], 0, planted.astype(float))[0]
    parts = assign_parts(partition, points)
    pairs = {(int(a), int(b)) for a, b in zip(planted, parts, strict=True)}
    if algorithm == "steps":  # its outer parts are a twentieth each, by construction
        assert len(set(parts)) == 3
    else:
        assert len(pairs) == 3


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, "rules"])
def test_everyone_gets_one_part_and_a_confidence_between_nothing_and_one(algorithm):
    points, planted = three_blobs()
    if algorithm == "rules":
        points = np.column_stack([points, points[:, 0]])
    partition = fit_partitions(algorithm, points, [4], 0, planted.astype(float))[0]
    far = np.vstack([points, points.max(axis=0) + 100, points.min(axis=0) - 100])
    parts, confidence = assign_parts(partition, far), confidence_of(partition, far)
    assert ((parts >= 0) & (parts < partition.size)).all()
    assert ((confidence >= 0) & (confidence <= 1)).all()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_nobody_gets_no_part(algorithm):
    points, planted = three_blobs()
    partition = fit_partitions(algorithm, points, [2], 0, planted.astype(float))[0]
    assert len(assign_parts(partition, points[:0])) == 0
    assert len(confidence_of(partition, points[:0])) == 0


def test_confidence_is_least_on_an_edge():
    values = np.linspace(0, 1, 101)[:, None]
    partition = fit_partitions("steps", values, [4], 0)[0]
    edges = partition.values[:, None]
    assert confidence_of(partition, edges).max() == 0
    assert confidence_of(partition, (edges[1:] + edges[:-1]) / 2).min() == pytest.approx(1)


def test_equal_values_are_never_parted():
    values = np.array([1.0] * 70 + [2.0] * 30)[:, None]
    for algorithm in ("tiers", "steps"):
        parts = assign_parts(fit_partitions(algorithm, values, [5], 0)[0], values)
        assert len(set(parts[:70])) == len(set(parts[70:])) == 1


def test_a_tree_keeps_every_leaf_above_the_least_share():
    rng = np.random.default_rng(0)
    points = rng.random((500, 3))
    partition = fit_partitions("tree", points, [8], 0, points[:, 0] ** 4, minimum_share=0.05)[0]
    assert np.bincount(assign_parts(partition, points)).min() >= 25


def test_a_tree_cut_back_from_a_larger_one_is_the_tree_grown_to_that_size():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(600, 3))
    outcomes = np.sin(3 * points[:, 0]) + np.abs(points[:, 1]) * points[:, 2]
    sizes = [9, 2, 5, 12]
    together = fit_partitions("tree", points, sizes, 0, outcomes, minimum_share=0.02)
    for size, cut_back in zip(sizes, together, strict=True):
        grown = fit_partitions("tree", points, [size], 0, outcomes, minimum_share=0.02)[0]
        assert cut_back.size == grown.size == size
        assert (
            len(set(zip(assign_parts(cut_back, points), assign_parts(grown, points), strict=True)))
            == size
        )
        assert np.allclose(confidence_of(cut_back, points), confidence_of(grown, points))


def test_a_tree_without_outcomes_is_refused():
    with pytest.raises(ValueError, match="learns from later purchases"):
        fit_partitions("tree", three_blobs()[0], [2], 0)


def test_an_unknown_algorithm_is_named():
    with pytest.raises(ValueError, match="unknown algorithm 'magic'"):
        fit_partitions("magic", three_blobs()[0], [2], 0)


def test_rfm_rules_put_the_latest_dearest_most_frequent_first_and_the_rest_last():
    points = np.column_stack([np.arange(100.0), 100 - np.arange(100.0), 100 - np.arange(100.0)])
    rules = rfm_rules(points)
    assert list(assign_parts(rules, points[[0, 99]])) == [0, 9]


def test_a_sample_is_in_order_without_repeats_and_the_same_for_a_seed():
    rows = sample_rows(1000, 50, 3)
    assert len(rows) == 50
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, sample_rows(1000, 50, 3))
    np.testing.assert_array_equal(sample_rows(10, 50, 3), np.arange(10))


def test_confidence_between_centres_is_one_less_the_ratio_of_the_distances():
    two = partitions.Partition("centroids", 2, np.array([[0.0, 0.0], [6.0, 8.0]]))
    points = np.array([[0.0, 0.0], [1.5, 2.0], [3.0, 4.0], [6.0, 8.0]])
    assert confidence_of(two, points) == pytest.approx([1, 1 - 2.5 / 7.5, 0, 1])


def test_confidence_between_edges_is_the_distance_over_half_the_parts_width():
    three = partitions.Partition("edges", 4, np.array([0.0, 10.0, 12.0]))
    points = np.array([[-1.0], [2.5], [5.0], [11.5], [12.5], [99.0]])
    assert confidence_of(three, points) == pytest.approx([0.2, 0.5, 1, 0.5, 0.5, 1])
    one = partitions.Partition("edges", 2, np.array([3.0]))
    assert confidence_of(one, np.array([[0.0], [4.0]])) == pytest.approx([0.75, 0.25])


def test_confidence_in_a_mixture_is_the_posterior_and_a_single_part_is_certain():
    points, _ = three_blobs()
    mixture = fit_partitions("mixture", points, [3], 0)[0]
    posterior = mixture.model.predict_proba(points).max(axis=1)
    assert confidence_of(mixture, points) == pytest.approx(posterior)
    assert (confidence_of(partitions.Partition("edges", 1, np.empty(0)), points) == 1).all()


def test_tiers_are_of_equal_size_and_steps_of_equal_length_within_the_outer_twentieths():
    values = np.arange(1001.0)[:, None]
    tiers, steps, halves = (
        fit_partitions(name, values, [k], 0)[0]
        for name, k in (("tiers", 4), ("steps", 5), ("steps", 2))
    )
    assert tiers.values.tolist() == [250, 500, 750]
    assert steps.values == pytest.approx([50, 350, 650, 950])
    assert halves.values.tolist() == [500]
    assert assign_parts(tiers, np.array([[249.0], [250.0]])).tolist() == [0, 1]


def test_rfm_rules_are_the_trades_table_of_recency_by_worth():
    grid = np.array(list(np.ndindex(5, 5, 5)), dtype=float) + 1
    parts = assign_parts(rfm_rules(grid), grid)
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


def test_a_kind_of_partition_that_nobody_knows_is_named():
    with pytest.raises(ValueError, match=r"^unknown kind of partition 'spiral'$"):
        assign_parts(partitions.Partition("spiral", 2), np.zeros((1, 2)))

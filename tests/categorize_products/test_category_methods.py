"""Seeds, head nouns, co-purchase, discovery, quality and corrections, on small cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from pipeline.categorize_products import copurchase
from pipeline.categorize_products.copurchase import copurchase_vectors, pair_weights, positive_pmi
from pipeline.categorize_products.discovery import discover, meanings_of, name_groups
from pipeline.categorize_products.head_nouns import head_nouns, naming_words, pattern_scores
from pipeline.categorize_products.model import (
    categorize_texts,
    chances,
    fit_classes,
    learn_vocabulary,
    model_table,
)
from pipeline.categorize_products.overrides import read_overrides
from pipeline.categorize_products.product_text import words_of
from pipeline.categorize_products.quality import coherence, copurchase_lift
from pipeline.categorize_products.seeds import Seeds, lexicon_of, seed_product
from pipeline.categorize_products.spread import calibrated, spread_seeds, training_rows
from pipeline.categorize_products.taxonomy import find_taxonomy, read_taxonomy
from pipeline.core.run.errors import InputError

LEXICON = lexicon_of(read_taxonomy(find_taxonomy("gifts")), {})


def seeded(text, damping=None):
    category, _, _ = seed_product(words_of(text), LEXICON, damping or {})
    return LEXICON.categories[category] if category >= 0 else None


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("SET OF 3 CAKE TINS PANTRY DESIGN", "kitchen"),
        ("RED RETROSPOT MUG", "dining"),
        ("LUNCH BAG SKULLS", "bags_lunch"),
        ("HOT WATER BOTTLE TEA AND SYMPATHY", "bath_beauty_warmth"),
        ("WATER BOTTLE BLUE", "bags_lunch"),
        ("CHRISTMAS CAKE CASES", "christmas"),
        ("PAPER NAPKINS UNION JACK", "party"),
        ("MAGIC GARDEN NOTEBOOK", "stationery_wrap"),
        ("MONEY BOX HOUSE", "toys_games"),
        ("T-LIGHT HOLDER WITH HEARTS", "lights_candles_fragrance"),
        ("ZZYZX", None),
    ],
)
def test_the_product_decides_and_not_its_pattern(text, category):
    assert seeded(text) == category


def test_a_damped_pattern_word_yields_to_the_noun_before_it():
    assert seeded("plate rabbit toy") == "toys_games"
    assert seeded("plate rabbit toy", {"toy": 1.0}) == "dining"


PARTS = [
    naming_words(words_of(f"{colour} {thing}"))
    for thing in ("mug", "clock", "candle", "apron", "basket", "wreath")
    for colour in ("red", "blue", "green", "pink", "white", "black")
]
PRICES = np.log(np.repeat([2.0, 9.0, 1.0, 5.0, 7.0, 12.0], 6))


def test_nouns_that_stand_last_and_cost_alike_are_heads_and_colours_are_patterns():
    heads = head_nouns(PARTS, PRICES)
    assert heads == [part[-1] for part in PARTS]
    scores = pattern_scores(PARTS, heads)
    assert min(scores[c] for c in ("red", "blue")) > 0.9
    assert "mug" not in scores


def baskets(*rows, products=4):
    matrix = np.zeros((len(rows), products))
    for number, row in enumerate(rows):
        matrix[number, list(row)] = 1
    return sparse.csr_array(matrix)


def test_each_basket_gives_each_of_its_products_weight_one():
    pairs = pair_weights(baskets([0, 1], [0, 1, 2]))
    assert pairs.toarray()[0].tolist() == [0, 1.5, 0.5, 0]


@settings(deadline=None)  # a busy machine is no defect
@given(st.lists(st.sets(st.integers(0, 3), min_size=2), min_size=1, max_size=6))
def test_pairs_are_symmetric_and_their_information_is_positive(rows):
    pairs = pair_weights(baskets(*rows))
    assert np.allclose(pairs.toarray(), pairs.toarray().T)
    before = pairs.copy()
    assert (positive_pmi(pairs).data > 0).all()
    assert (pairs != before).nnz == 0


def test_in_a_large_shop_only_what_is_most_bought_describes_the_others(monkeypatch):
    pairs = pair_weights(baskets([0, 1], [0, 1], [0, 2], [1, 3], [0, 1, 2], [2, 3]))
    whole = positive_pmi(pairs).toarray()
    monkeypatch.setattr(copurchase, "MOST_CONTEXTS", 3)  # 0, 1 and 2 are in more baskets than 3
    assert np.array_equal(positive_pmi(pairs).toarray(), whole[:, :3])


def test_a_shop_without_pairs_has_vectors_of_zero():
    empty = sparse.csr_array((4, 4))
    assert not copurchase_vectors(empty, 3, 0).any()


def test_discovery_groups_similar_products_under_distinct_names():
    heads = [part[-1] for part in PARTS]
    points = np.repeat(np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [-1, 0], [-1, 0.1]]), 6, 0)
    meanings = meanings_of(PARTS, heads, {}, embedded=False)
    groups = discover(meanings, heads, points.astype(float), 3, seed=1)
    assert len(set(groups)) == 3
    names = name_groups(groups, heads, {}, PARTS)
    assert len({key for key, _ in names.values()}) == 3


def test_a_group_is_not_named_by_a_word_of_pattern():
    heads = ["dotted", "dotted", "dotted", "mug", "mug", "clock"]
    groups = np.array([0, 0, 0, 0, 0, 1])
    words = [[head] for head in heads]
    assert "dotted" in name_groups(groups, heads, {}, words)[0][0]
    assert "dotted" not in name_groups(groups, heads, {"dotted": 0.9}, words)[0][0].split("_")[0]


def test_a_group_without_a_noun_of_its_own_is_called_by_its_words():
    words = [["guji", "kg"], ["guji", "kg"], ["guji"]]
    names = name_groups(np.array([0, 1, 2]), ["guji"] * 3, {}, words)
    assert [title for _, title in names.values()] == ["Guji kg", "Guji kg 2", "Guji"]


def test_words_of_pattern_count_for_less_in_what_a_text_means():
    parts = [["red", "mug"], ["red", "clock"], ["blue", "mug"], ["blue", "clock"]]
    heads = [part[-1] for part in parts]
    plain = meanings_of(parts, heads, {}, embedded=False)
    damped = meanings_of(parts, heads, {"red": 0.9, "blue": 0.9}, embedded=False)
    assert damped[0] @ damped[2] > plain[0] @ plain[2]
    assert damped[0] @ damped[1] < plain[0] @ plain[1]


def test_a_saved_text_model_categorizes_unseen_products():
    texts = [words_of(t) for t in ("red mug", "blue mug", "red clock", "blue clock")]
    vocabulary = learn_vocabulary(texts, {})
    model = fit_classes(vocabulary.matrix(texts), np.array([0, 0, 1, 1]), np.ones(4), 2)
    table = model_table(vocabulary, *model, ["dining", "home"])
    unseen = categorize_texts([words_of("huge mug"), words_of("huge clock")], table)
    assert unseen["category"].tolist() == ["dining", "home"]


def test_where_no_word_stands_twice_a_text_says_nothing():
    texts = [["bread"], ["milk"], ["soap"]]
    vocabulary = learn_vocabulary(texts, {})
    model = fit_classes(vocabulary.matrix(texts), np.array([0, 1, 1]), np.ones(3), 3)
    found = chances(vocabulary.matrix(texts), *model)
    np.testing.assert_allclose(found, [[1 / 3, 2 / 3, 0]] * 3, atol=1e-6)


def test_categories_that_are_bought_together_lift_copurchase_above_chance():
    rows = [[0, 1], [0, 1], [2, 3], [2, 3]]
    labels = np.array([0, 0, 1, 1])
    assert copurchase_lift(pair_weights(baskets(*rows)), labels, 1) > 1.5
    assert copurchase_lift(sparse.csr_array((4, 4)), labels, 1) == 1.0


def test_coherence_is_high_where_telling_words_meet_in_baskets():
    texts = [["mug"], ["cup"], ["saw"], ["nail"]]
    rows = baskets([0, 1], [2, 3])
    right = coherence(rows, texts, np.array([0, 0, 1, 1]))
    wrong = coherence(rows, texts, np.array([0, 1, 0, 1]))
    assert right == pytest.approx(1.0)
    assert wrong == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "make it with the header `stock_code,category`"),
        ("code,category\n", "expected the header"),
        ("stock_code,category\nA,cars\n", "line 2, column category: 'cars' is no category"),
        ("stock_code,category\nX,cups\n", "line 2, column stock_code: 'X' was never sold"),
        ("stock_code,category\nA,cups\nA,rest\n", "line 3, .*'A' stands twice"),
    ],
)
def test_a_wrong_correction_is_named_with_its_line(tmp_path, text, message):
    path = tmp_path / "overrides.csv"
    if text:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_overrides(path, ["cups", "rest"], {"A"})


def test_training_uses_a_limited_sample_of_clearly_seeded_products():
    kinds = np.array(["seed", "none", "always", "hint", "seed", "seed"])
    seeds = Seeds(np.zeros(6, dtype=np.int64), np.zeros(6), kinds)
    assert training_rows(seeds, 4, seed=1).tolist() == [0, 2, 4, 5]
    drawn = training_rows(seeds, 2, seed=1).tolist()
    assert drawn == sorted(set(drawn) & {0, 2, 4, 5})
    assert len(drawn) == 2


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
def test_fewer_kinds_than_requested_groups_give_one_group_per_kind():
    parts = [["red", "mug"]] * 4 + [["blue", "saw"]] * 4
    heads = [part[-1] for part in parts]
    meanings = meanings_of(parts, heads, {}, embedded=False)
    groups = discover(meanings, heads, np.repeat(np.eye(2), 4, axis=0), 5, seed=1)
    assert len(set(groups[:4])) == len(set(groups[4:])) == 1
    assert groups[0] != groups[4]


@pytest.mark.parametrize("kind", ["always", "seed"])
def test_an_always_seed_outweighs_the_model(kind):
    # Forty mugs are dining; two of their like are said to be elsewhere.
    texts = [["mug", "red"], ["mug", "blue"]] * 20 + [["saw", "steel"]] * 40 + [["mug", "red"]] * 2
    category = np.array([0] * 40 + [1] * 40 + [1] * 2)
    kinds = np.array(["seed"] * 80 + [kind] * 2)
    seeds = Seeds(category, np.full(82, 2.0), kinds)
    spread = spread_seeds(
        texts, seeds, np.zeros((82, 0)), {}, categories=3, rest=2, least_confidence=0.3,
        copurchase_weight=0.0, most_training=1000, seed=1,
    )  # fmt: skip
    is_moved = spread.chance[-2:].argmax(axis=1) == 1
    assert is_moved.all() if kind == "always" else not is_moved.any()
    assert (spread.decided_by[-2:] == ("seed" if kind == "always" else "spread")).all()
    np.testing.assert_allclose(spread.chance.sum(axis=1), 1.0)


def test_calibration_keeps_the_order_and_softens_what_words_decide():
    chance = np.array([[0.9, 0.08, 0.02]] * 2)
    by_words, by_likeness = calibrated(chance, np.array(["seed", "spread"]))
    assert np.array_equal(by_words.argsort(), chance[0].argsort())
    assert by_words.max() < 0.9 < by_likeness.max()
    np.testing.assert_allclose([by_words.sum(), by_likeness.sum()], 1.0)

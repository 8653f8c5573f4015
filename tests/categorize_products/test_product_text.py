"""Words of a product's text: normalised, mended, and where the thing is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.categorize_products.product_text import (
    mended_spellings,
    naming_part,
    phrases_in,
    singular,
    spellings_from,
    words_of,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("LADY'S BAG 'RETRO'", ["lady", "bag", "retro"]),
        ("SET OF 3 CAKE TINS", ["set", "of", "#", "cake", "tin"]),
        ("T-LIGHT HOLDER", ["tlight", "holder"]),
        ("T LIGHTS & CANDLES", ["tlight", "and", "candle"]),
        ("CHILDREN'S KNIVES", ["child", "knife"]),
        ("GLASSES, BOXES", ["glass", "box"]),
        ("CAFÉ 36CM", ["cafe", "#", "cm"]),
        ("", []),
    ],
)
def test_a_description_becomes_plain_singular_words(text, words):
    assert words_of(text) == words


def test_declared_spellings_are_read_as_the_words_they_stand_for():
    spellings = spellings_from({"photoframes": "photo frame"})
    assert words_of("PHOTOFRAME", spellings) == ["photo", "frame"]


@pytest.mark.parametrize(
    ("counts", "known", "mended"),
    [
        # one letter less, one more or two exchanged; another letter is no slip
        (
            {"strawberry": 20, "strawbery": 1, "kitten": 1, "mitten": 9, "paisely": 1},
            {"paisley"},
            {"strawbery": ("strawberry",), "paisely": ("paisley",)},
        ),
        ({"trawberry": 1, "strawberry": 9}, set(), {}),  # nor is the first one
        ({"drawerknob": 1, "drawer": 9}, {"knob"}, {"drawerknob": ("drawer", "knob")}),
        ({"cushions": 5, "cushionx": 50}, {"cushion"}, {}),  # a common word
    ],
)
def test_a_rare_word_is_mended_where_one_slip_or_a_blank_makes_it_known(counts, known, mended):
    assert mended_spellings(counts, known) == mended


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("set of 3 cake tins", ["cake", "tin"]),
        ("box of 24 cocktail parasols", ["cocktail", "parasol"]),
        ("shelf with 4 hooks", ["shelf"]),
        ("lunch bag red", ["lunch", "bag", "red"]),
        ("set of 3", ["set", "of", "#"]),
    ],
)
def test_the_naming_part_leaves_out_counts_and_what_the_thing_has(text, named):
    words = words_of(text)
    start, stop = naming_part(words)
    assert words[start:stop] == named


def test_a_phrase_inside_a_longer_one_does_not_count():
    phrases = {("cake",): 1, ("cake", "tin"): 2}
    assert phrases_in(["cake", "tin"], phrases, 2) == [(0, 2, 2)]


@given(st.text())
def test_any_text_has_words_and_a_naming_part_within_them(text):
    words = words_of(text)
    if words:
        start, stop = naming_part(words)
        assert 0 <= start < stop <= len(words)


@given(st.from_regex(r"[a-z]{1,12}", fullmatch=True))
def test_a_singular_is_never_empty(word):
    assert singular(word)

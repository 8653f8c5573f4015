"""A linear text model of categories that is kept as a plain table: feature, category, weight."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

INTERCEPT = ""  # the feature name of the weight that every text has
MOST_FEATURES = 60_000
PENALTY = 10.0
PLACES = 4


def features_of(words: Sequence[str]) -> list[str]:
    """A text's features: its words, and its pairs of neighbours."""
    return [*words, *(f"{a} {b}" for a, b in itertools.pairwise(words))]


@dataclass(frozen=True)
class Vocabulary:
    """Features by column, each with its weight (rare = high, pattern = low)."""

    columns: Mapping[str, int]
    weights: Floats

    def matrix(self, texts: Sequence[Sequence[str]]) -> sparse.csr_array:
        """Rows of unit length, one per text; features that are not known are left out."""
        rows, columns, values = [], [], []
        for row, words in enumerate(texts):
            found = Counter(f for f in features_of(words) if f in self.columns)
            scored = [(self.columns[f], (1 + np.log(n))) for f, n in found.items()]
            scored = [(c, v * self.weights[c]) for c, v in scored]
            length = np.sqrt(sum(v * v for _, v in scored)) or 1.0
            rows += [row] * len(scored)
            columns += [c for c, _ in scored]
            values += [v / length for _, v in scored]
        shape = (len(texts), len(self.columns))
        return sparse.csr_array((np.array(values, dtype=float), (rows, columns)), shape=shape)


def learn_vocabulary(texts: Sequence[Sequence[str]], patterns: Mapping[str, float]) -> Vocabulary:
    """Features in two texts or more, the most frequent if there are too many.

    A feature weighs its inverse document frequency, less the share by which its words are mere
    pattern.
    """
    counts = Counter(f for words in texts for f in set(features_of(words)))
    kept = sorted((f for f, n in counts.items() if n > 1), key=lambda f: (-counts[f], f))
    kept = sorted(kept[:MOST_FEATURES])
    rarity = np.array([np.log((1 + len(texts)) / (1 + counts[f])) + 1 for f in kept])
    plain = np.array([1 - min(patterns.get(w, 0.0) for w in f.split()) for f in kept])
    return Vocabulary({f: at for at, f in enumerate(kept)}, rarity * plain)


def fit_classes(
    features: sparse.csr_array, classes: Positions, weights: Floats, known: int
) -> tuple[Floats, Floats]:
    """Coefficients (category × feature) and intercepts of a multinomial logistic regression.

    A category without an example gets no chance. Where no text tells categories apart (there is
    one, or no word stands in two texts), each has its share of the examples.
    """
    coefficients = np.zeros((known, features.shape[1]))
    intercepts = np.full(known, -20.0)
    present = np.unique(classes)
    if len(present) < 2 or not features.shape[1]:
        counts = np.bincount(classes, weights, known)[present]
        intercepts[present] = np.log(counts / counts.sum())
        return coefficients, intercepts
    model = LogisticRegression(C=PENALTY, max_iter=200, tol=1e-3)
    model.fit(features, classes, sample_weight=weights)
    if len(present) == 2:
        coefficients[present] = np.vstack([-model.coef_[0], model.coef_[0]]) / 2
        intercepts[present] = np.array([-1, 1]) * model.intercept_[0] / 2
    else:
        coefficients[present] = model.coef_
        intercepts[present] = model.intercept_
    return coefficients, intercepts


def chances(features: sparse.csr_array, coefficients: Floats, intercepts: Floats) -> Floats:
    """The probability of each category, row by row."""
    scores: Floats = softmax(features @ coefficients.T + intercepts, axis=1)
    return scores


def model_table(
    vocabulary: Vocabulary, coefficients: Floats, intercepts: Floats, categories: Sequence[str]
) -> pd.DataFrame:
    """The fitted model as rows of feature, rarity, category and weight; weights of 0 left out."""
    features = list(vocabulary.columns)
    at, of = np.nonzero(np.abs(coefficients.T) >= 10.0**-PLACES / 2)
    table = pd.DataFrame(
        {
            "feature": np.array(features, dtype=object)[at],
            "rarity": vocabulary.weights[at].round(PLACES),
            "category": np.array(categories, dtype=object)[of],
            "weight": coefficients.T[at, of].round(PLACES),
        }
    )
    constant = pd.DataFrame(
        {
            "feature": INTERCEPT,
            "rarity": 1.0,
            "category": list(categories),
            "weight": intercepts.round(PLACES),
        }
    )
    return pd.concat([constant, table], ignore_index=True)


def categorize_texts(texts: Sequence[Sequence[str]], model: pd.DataFrame) -> pd.DataFrame:
    """The category and its confidence for texts of products that were never sold before.

    `texts` are words as `product_text.words_of` makes them; `model` is the kept table
    (category_words). A text without a known feature gets the most frequent category and its share.
    """
    constant = model[model["feature"] == INTERCEPT]
    rest = model[model["feature"] != INTERCEPT]
    categories = sorted(constant["category"])
    features = sorted(rest["feature"].unique())
    columns = {f: at for at, f in enumerate(features)}
    rarity = rest.drop_duplicates("feature").set_index("feature")["rarity"]
    coefficients = np.zeros((len(categories), len(features)))
    place = {c: at for at, c in enumerate(categories)}
    coefficients[rest["category"].map(place), rest["feature"].map(columns)] = rest["weight"]
    intercepts = constant.set_index("category")["weight"].loc[categories].to_numpy()
    vocabulary = Vocabulary(columns, rarity.loc[features].to_numpy() if features else np.zeros(0))
    probability = chances(vocabulary.matrix(texts), coefficients, intercepts)
    best = probability.argmax(axis=1)
    return pd.DataFrame(
        {"category": np.array(categories)[best], "confidence": probability.max(axis=1)}
    )

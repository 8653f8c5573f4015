"""From what a taxonomy says plainly to a category for every product, by text and co-purchase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from pipeline.categorize_products.model import Vocabulary, chances, fit_classes, learn_vocabulary
from pipeline.categorize_products.seeds import Seeds

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

FOLDS = 3
CLOSE = 0.5  # a seed that leads by less shares its say
DECLARED = 0.99  # how sure what a taxonomy says always leads to a category is
# Seed and model learn from one taxonomy and are wrong together, so their pooled chances are too
# high; where no word decides, the model's alone is too low. Temperature scaling (Guo et al. 2017,
# "On calibration of modern neural networks"), fitted for each on 695 products of the real shop
# that were labelled by reading (bench/labels, final and fresh).
TEMPERATURE = {"seed": 1.65, "spread": 0.8, "prior": 1.65}


@dataclass(frozen=True)
class Spread:
    """Per product the chance of every category, and what decided."""

    chance: Floats
    decided_by: npt.NDArray[np.str_]


def spread_seeds(
    texts: Sequence[Sequence[str]],
    seeds: Seeds,
    vectors: Floats,
    patterns: Mapping[str, float],
    *,
    categories: int,
    rest: int,
    least_confidence: float,
    copurchase_weight: float,
    most_training: int,
    seed: int,
) -> Spread:
    """Every product's category from its seeds and from what products like it are.

    A logistic regression on words and co-purchase learns from the plain seeds. No product is
    judged by a model that learnt from it: the model's word is then independent of the seed, so
    the two can be weighed against each other, each by how often it is right. `always` is not
    weighed: it decides.
    """
    vocabulary = learn_vocabulary(texts, patterns)
    features = joined(vocabulary, texts, vectors, copurchase_weight)
    chance = cross_fitted(features, seeds, categories, most_training, seed)
    strata = seed_strata(seeds)
    evidence = np.log(np.maximum(chance, 1e-9))
    seeded = seeds.category >= 0
    for stratum in sorted(set(strata[seeded])):
        rows = np.flatnonzero((strata == stratum) & seeded)
        if stratum == "always":
            evidence[rows], trust = 0.0, DECLARED
        else:
            trust = reliability(chance[rows], seeds.category[rows])
        others = (1 - trust) / max(categories - 1, 1)
        evidence[rows] += np.log(others)
        evidence[rows, seeds.category[rows]] += np.log(trust) - np.log(others)
    evidence -= evidence.max(axis=1, keepdims=True)
    pooled = np.exp(evidence)
    pooled /= pooled.sum(axis=1, keepdims=True)
    best = pooled.argmax(axis=1)
    unknown = ~seeded & (pooled.max(axis=1) < least_confidence)
    pooled[unknown] = 0.5 * pooled[unknown]
    pooled[unknown, rest] += 0.5
    decided = np.where(
        unknown, "prior", np.where(seeded & (best == seeds.category), "seed", "spread")
    )
    return Spread(calibrated(pooled, decided), decided)


def calibrated(chance: Floats, decided_by: npt.NDArray[np.str_]) -> Floats:
    """Chances that are right as often as they say, in the same order, 1 in all in each row."""
    temperature = np.array([TEMPERATURE[way] for way in decided_by])[:, None]
    powers = np.maximum(chance, 1e-12) ** (1 / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def joined(
    vocabulary: Vocabulary, texts: Sequence[Sequence[str]], vectors: Floats, weight: float
) -> sparse.csr_array:
    """Text features and co-purchase vectors side by side."""
    text = vocabulary.matrix(texts)
    if weight == 0 or vectors.shape[1] == 0:
        return text
    return sparse.hstack([text, sparse.csr_array(weight * vectors)], format="csr")


def training_rows(seeds: Seeds, most: int, seed: int) -> Positions:
    """The plainly seeded products, at most so many of them."""
    rows = np.flatnonzero(np.isin(seeds.kind, ["always", "seed"]))
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    return rows


def cross_fitted(
    features: sparse.csr_array, seeds: Seeds, categories: int, most: int, seed: int
) -> Floats:
    """Each product's chances from a model that did not learn from it."""
    rows = training_rows(seeds, most, seed)
    if len(rows) < FOLDS:
        return np.full((features.shape[0], categories), 1 / categories)
    fold = np.random.default_rng(seed).integers(0, FOLDS, features.shape[0])
    chance = np.zeros((features.shape[0], categories))
    for number in range(FOLDS):
        learn = rows[fold[rows] != number]
        weights = np.where(seeds.lead[learn] < CLOSE, 0.3, 1.0)
        model = fit_classes(features[learn], seeds.category[learn], weights, categories)
        judged = np.flatnonzero(fold == number)
        chance[judged] = chances(features[judged], *model)
    return chance


def seed_strata(seeds: Seeds) -> npt.NDArray[np.str_]:
    """Seeds that may be right equally often: by kind, and by how far they lead."""
    lead = np.where(seeds.lead >= 2.0, "alone", np.where(seeds.lead >= 1.0, "far", "near"))
    return np.where(seeds.kind == "seed", lead, seeds.kind)


def reliability(chance: Floats, category: Positions) -> float:
    """How often seeds agree with a model that did not learn from them (Laplace-smoothed).

    Some of the disagreement is the model's mistake, so a seed is better than this: the error is
    on the careful side, and the confidence that comes of it is not too high.
    """
    agree = chance.argmax(axis=1) == category
    return float((agree.sum() + 4.0) / (len(agree) + 5.0))

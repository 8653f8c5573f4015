"""A map of products: every category an island, its products spread out on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]

TURN = np.pi * (3 - np.sqrt(5))  # the golden angle: points at it cover a disc evenly
PUSHES = 300
GAP = 1.12


def product_map(labels: Positions, closeness: sparse.csr_array, confidence: Floats) -> Floats:
    """The place (x, y) of each product, both from -1 to 1.

    Islands whose products are bought together lie near each other (classical scaling of the
    co-purchase between categories, then pushed apart until none overlap); an island's area is its
    number of products, and its surest products stand in the middle.
    """
    groups = np.unique(labels)
    member = sparse.csr_array(
        (np.ones(len(labels)), (np.arange(len(labels)), np.searchsorted(groups, labels))),
        shape=(len(labels), len(groups)),
    )
    between = (member.T @ closeness @ member).toarray()
    sizes = np.asarray(member.sum(axis=0)).ravel()
    radii = np.sqrt(sizes / sizes.sum())
    centres = _apart(_scaled(between), radii)
    places = np.zeros((len(labels), 2))
    for at, group in enumerate(groups):
        rows = np.flatnonzero(labels == group)
        rows = rows[np.argsort(-confidence[rows], kind="stable")]
        rank = np.arange(len(rows)) + 0.5
        distance = 0.92 * radii[at] * np.sqrt(rank / len(rows))
        angle = rank * TURN
        offsets = np.column_stack([np.cos(angle), np.sin(angle)]) * distance[:, None]
        places[rows] = centres[at] + offsets
    return places / max(float(np.abs(places).max()), 1e-9)


def _scaled(between: Floats) -> Floats:
    mass = between.sum(axis=1)
    expected = np.outer(mass, mass) / max(mass.sum(), 1e-9)
    likeness = np.log1p(
        np.divide(between, expected, out=np.zeros_like(between), where=expected > 0)
    )
    distance = likeness.max() - (likeness + likeness.T) / 2
    np.fill_diagonal(distance, 0.0)
    count = len(distance)
    centring = np.eye(count) - 1 / count
    values, axes = np.linalg.eigh(-0.5 * centring @ distance**2 @ centring)
    axes = axes[:, ::-1][:, :2] * np.sqrt(np.maximum(values[::-1][:2], 0))
    axes = np.pad(axes, ((0, 0), (0, 2 - axes.shape[1])))
    axes *= np.where(axes.sum(axis=0) < 0, -1.0, 1.0)
    # Two islands on one spot could not be pushed apart: a first nudge along a spiral.
    turn = np.arange(count) * TURN
    return np.asarray(axes + 1e-3 * np.column_stack([np.cos(turn), np.sin(turn)]))


def _apart(centres: Floats, radii: Floats) -> Floats:
    wide = max(float(np.abs(centres).max()), 1e-9)
    centres = centres / wide * 0.8
    for _ in range(PUSHES):
        moved = False
        for a in range(len(centres)):
            for b in range(a + 1, len(centres)):
                between = centres[b] - centres[a]
                distance = max(float(np.hypot(*between)), 1e-9)
                overlap = GAP * (radii[a] + radii[b]) - distance
                if overlap > 1e-9:
                    shift = between / distance * overlap / 2
                    centres[a] -= shift
                    centres[b] += shift
                    moved = True
        if not moved:
            break
    return centres

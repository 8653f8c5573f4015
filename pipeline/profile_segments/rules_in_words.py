"""The model retold as a few short rules: the leaves of a shallow tree.

Thresholds are rounded to what people say before the rules are judged, so the fidelity is that of
the rules as they are printed, not that of the tree behind them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier

COLUMNS = (
    "recency_days",
    "frequency",
    "monetary",
    "tenure_days",
    "average_order_value",
    "units_per_line",
)
WHOLE = {"recency_days", "frequency", "tenure_days"}
FIRST_LEAST = 4  # customers in the smallest leaf of a small shop
SMALLEST_LEAF = 100  # elsewhere a leaf has at least 1 in so many customers

Box = tuple[tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True)
class Rule:
    """One leaf: the half-open box low < value <= high in each column, and the segment it says."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    segment_id: int
    returned_everything: bool = False


def learn_rules(
    customers: pd.DataFrame,
    segment: NDArray[np.int64],
    *,
    leaves: int,
    depth: int,
    seed: int,
) -> list[Rule]:
    """Return rules, the first that holds counts, that say the segments as well as they can.

    First who kept nothing, then the leaves of a tree, which cover the rest.
    """
    kept = customers["frequency"].to_numpy() > 0
    rules: list[Rule] = []
    if not kept.all():
        none = (math.nan,) * len(COLUMNS)
        rules = [Rule(none, none, _most_frequent(segment[~kept]), returned_everything=True)]
    if not kept.any():
        return rules
    points, given = _points(customers[kept]), segment[kept]
    tree = DecisionTreeClassifier(
        max_leaf_nodes=max(leaves, 2),
        max_depth=depth,
        min_samples_leaf=max(FIRST_LEAST, len(points) // SMALLEST_LEAF),
        random_state=seed,
    ).fit(points, given)
    everywhere = (-math.inf,) * len(COLUMNS), (math.inf,) * len(COLUMNS)
    return rules + _leaves(tree.tree_, 0, everywhere, points, given)


def apply_rules(rules: Sequence[Rule], customers: pd.DataFrame) -> NDArray[np.int64]:
    """The position in `rules` of the one that holds for each customer (−1: none)."""
    kept = customers["frequency"].to_numpy() > 0
    points = _points(customers)
    found = np.full(len(customers), -1)
    for position, rule in enumerate(rules):
        if rule.returned_everything:
            found[~kept] = position
        else:
            found[kept & (found < 0) & _inside(points, rule.low, rule.high)] = position
    return found


def fidelity(rules: Sequence[Rule], customers: pd.DataFrame, segment: NDArray[np.int64]) -> float:
    """The share of customers on whom the rules and the model agree."""
    says = np.array([rule.segment_id for rule in rules] + [-1])
    return float(np.mean(says[apply_rules(rules, customers)] == segment))


def judged_rules(
    rules: Sequence[Rule], customers: pd.DataFrame, segment: NDArray[np.int64]
) -> pd.DataFrame:
    """Return one row per rule: segment_id, its condition, customers, precision and recall."""
    holds = apply_rules(rules, customers)
    rows = []
    for position, rule in enumerate(rules):
        inside, members = holds == position, segment == rule.segment_id
        rows.append(
            {
                "segment_id": rule.segment_id,
                "rule": condition(rule),
                "customers": int(inside.sum()),
                "precision": float(members[inside].mean()),
                "recall": float(inside[members].mean()) if members.any() else 0.0,
            }
        )
    found = pd.DataFrame(rows).sort_values(
        ["segment_id", "customers", "rule"], ascending=[True, False, True], kind="stable"
    )
    return found.assign(rule_id=np.arange(1, len(found) + 1))


def segment_rule(judged: pd.DataFrame, segment_id: int) -> dict[str, Any]:
    """The segment's rules as one text with its precision and recall."""
    mine = judged[judged["segment_id"] == segment_id]
    hits = float((mine["precision"] * mine["customers"]).sum())
    return {
        "rule": " or ".join(mine["rule"]),
        "rule_precision": round(hits / max(int(mine["customers"].sum()), 1), 6),
        "rule_recall": round(float(mine["recall"].sum()), 6),
    }


def condition(rule: Rule) -> str:
    """Such as: recency_days <= 60, frequency >= 4, monetary > 1200."""
    if rule.returned_everything:
        return "frequency = 0"
    bounds = zip(COLUMNS, rule.low, rule.high, strict=True)
    asked = {column: " and ".join(_bounds(column, low, high)) for column, low, high in bounds}
    return ", ".join(f"{c} {text}" for c, text in asked.items() if text) or "frequency >= 1"


def _bounds(column: str, low: float, high: float) -> Iterator[str]:
    is_whole = column in WHOLE
    if (is_whole and high == low + 1) or (column == "frequency" and high == 1):
        yield f"= {high:.12g}"
        return
    if low > -math.inf:
        yield f">= {low + 1:.12g}" if is_whole else f"> {low:.12g}"
    if high < math.inf:
        yield f"<= {high:.12g}"


def _most_frequent(segment: NDArray[np.int64]) -> int:
    return int(np.bincount(segment).argmax())


def _points(customers: pd.DataFrame) -> NDArray[np.float64]:
    points: NDArray[np.float64] = np.nan_to_num(customers[list(COLUMNS)].to_numpy(dtype=float))
    return points


def _inside(
    points: NDArray[np.float64], low: Sequence[float], high: Sequence[float]
) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = np.all((points > np.array(low)) & (points <= np.array(high)), axis=1)
    return found


def _leaves(
    tree: Any, node: int, box: Box, points: NDArray[np.float64], given: NDArray[np.int64]
) -> list[Rule]:
    """The rules below a node, thresholds rounded; leaves that say the same become one."""
    rows = _inside(points, *box)
    if not rows.any():
        return []
    here = [Rule(*box, _most_frequent(given[rows]))]
    left, right = int(tree.children_left[node]), int(tree.children_right[node])
    if left == right:
        return here
    low, high = box
    at = int(tree.feature[node])
    threshold = _rounded(COLUMNS[at], float(tree.threshold[node]))
    below = low, _replaced(high, at, min(high[at], threshold))
    above = _replaced(low, at, max(low[at], threshold)), high
    rules = _leaves(tree, left, below, points, given) + _leaves(tree, right, above, points, given)
    return here if len({rule.segment_id for rule in rules}) == 1 else rules


def _replaced(values: tuple[float, ...], at: int, value: float) -> tuple[float, ...]:
    return (*values[:at], value, *values[at + 1 :])


def _rounded(column: str, threshold: float) -> float:
    if column in WHOLE:
        return float(math.floor(threshold))
    return float(f"{threshold:.3g}")

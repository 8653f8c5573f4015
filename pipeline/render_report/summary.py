"""The figures that people decide by, taken from those of the stages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

# Name in metrics/summary.json → stage and key of the figure.
FIGURES = {
    "customers": "profile.customers",
    "revenue": "explore.sales.revenue",
    "segments": "assign.segments",
    "chosen": "select.chosen.candidate",
    "gates_passed": "select.passed_every_gate",
    "explained": "select.chosen.eta_squared",
    "explained_se": "select.chosen.eta_squared_se",
    "stability": "select.chosen.jaccard",
    "auc": "select.chosen.auc",
    "forecast": "profile.forecast.expected.spend",
    "retention": "profile.monthly_retention",
    "rules": "profile.rules.fidelity",
    "next_category": "profile.next_category.hit_rate",
    "coherence": "categorize.coherence_npmi",
    "drift": "profile.drift_from_month_before.largest_psi",
}


def summary(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return each figure by its name; a shop with a short past lacks some."""
    found = {name: reduce(_get, key.split("."), metrics) for name, key in FIGURES.items()}
    return {name: figure for name, figure in found.items() if figure is not None}


def _get(figures: Any, key: str) -> Any:
    return figures.get(key) if isinstance(figures, Mapping) else None

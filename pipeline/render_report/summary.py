"""The figures that people decide by, taken from those of the stages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.core.run.metrics import flat

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


def summary(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return each figure by its name; a shop with a short past lacks some."""
    found = flat(metrics)
    return {name: found[key] for name, key in FIGURES.items() if found.get(key) is not None}

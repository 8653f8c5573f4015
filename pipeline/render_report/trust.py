"""How the choice was made, how far to trust it, and where every line went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.core.text import words
from pipeline.render_report import charts
from pipeline.render_report.charts import Picture, draw
from pipeline.render_report.inputs import Inputs
from pipeline.render_report.rows import Row, rows_of

PLACES = {
    "duplicates": "exact repeats of a whole line",
    "stock_adjustments": "no description, no price, no customer",
    "not_goods": "postage, fees, manual entries, vouchers, samples",
    "no_price": "goods at price 0 or below",
    "not_sold": "cancelled, not paid or otherwise no sale",
    "no_quantity": "goods of quantity 0",
    "returns_matched": "returns, taken off the sale that they belong to",
    "returns_unmatched": "returns of goods sold before the file begins",
    "kept_with_customer": "sales to known customers: what the segments are made of",
    "kept_without_customer": "sales to nobody known: they teach categories and patterns",
}
STRUCTURES = {
    "none": "There is no structure in these customers: their figures have nothing to do with each "
    "other, and any parting of them is arbitrary.",
    "continuum": "The customers are a continuum, not islands: they differ in order, and the "
    "borders between segments are drawn, not found. Who stands near a border could be on either "
    "side.",
}
SWEEPS = (
    ("eta_squared", "Later spend explained (η²)", None, "higher is better"),
    ("jaccard", "Stability (Jaccard)", "jaccard", "the dashed line is the gate"),
    (
        "prediction_strength",
        "Prediction strength",
        "prediction_strength",
        "the dashed line is the gate",
    ),
    ("silhouette", "Silhouette", None, "always likes few segments; shown, not used"),
)


# What a candidate's name says, `algorithm/features/transform/k`, in words.
LAID_OUT = {
    "raw": "taken as they are",
    "log": "taken as logarithms",
    "power": "straightened by a power transform",
    "quantile": "taken as ranks",
    "weighted": "each weighted by how much later spend it predicts",
    "standard_pca2": "standardized and reduced to two principal components",
    "expected_line": "joined into one figure, the spend they let expect (a straight line each)",
    "expected_curve": "joined into one figure, the spend they let expect (a curve each)",
}
CUT = {
    "kmeans": "grouped around centres (k-means)",
    "kmeans_trimmed": "grouped around centres (k-means), the top 5 % left out of the fit",
    "bisecting": "split in two again and again (bisecting k-means)",
    "ward": "joined from the bottom up (Ward)",
    "mixture": "taken as a mixture of normal distributions",
    "mixture_diag": "taken as a mixture of normal distributions",
    "mixture_tied": "taken as a mixture of normal distributions",
    "hdbscan": "taken where customers lie densely (HDBSCAN)",
    "tree": "split by a tree that learnt from later spend",
    "tiers": "cut into tiers of as many customers each",
    "steps": "cut into steps of equal width between two outer groups",
    "rfm_rules": "scored 1 to 5 and put together by the industry's rules",
    "grid": "by stages of life (new, recent, slowing, lapsed) and tiers of orders and spend",
}


def in_words(candidate: Row, feature_sets: Mapping[str, Sequence[str]]) -> str:
    """How a candidate makes segments, in a sentence."""
    columns = [
        words.plain(name.removesuffix("_*").removesuffix("_days"))
        for name in feature_sets.get(candidate["features"], [candidate["features"]])
    ]
    *most, last = columns
    named = f"{', '.join(most)} and {last}" if most else last
    laid_out = LAID_OUT.get(candidate["transform"], f"laid out by {candidate['transform']}")
    cut = CUT.get(candidate["algorithm"], f"grouped by {candidate['algorithm']}")
    return f"{named}, {laid_out}, {cut}."


def trust(inputs: Inputs, currency: str) -> Row:
    """The choice, its gates, its rivals, the reference model and what came true."""
    candidates = rows_of(inputs.candidates)
    chosen = next(row for row in candidates if row["is_chosen"])
    runner_up = next((row for row in candidates if row["is_runner_up"]), None)
    gates = inputs.params["select"]["gates"]
    ordered = sorted(candidates, key=lambda row: (-row["eta_squared"], row["candidate"]))
    return {
        "chosen": chosen,
        "in_words": in_words(chosen, inputs.params["select"]["feature_sets"]),
        "runner_up": runner_up,
        "gates": gates,
        "metrics": inputs.metrics.get("select", {}),
        "reasons": _reasons(inputs),
        "structure": STRUCTURES.get(inputs.metrics.get("select", {}).get("structure", ""), ""),
        "sweeps": list(_sweeps(inputs.candidates, chosen, gates)),
        "field": draw("candidates", charts.candidate_field(_field(ordered))),
        "candidates": ordered,
        "calibration": _calibration(inputs, currency),
        "checks": rows_of(inputs.forecast_check[inputs.forecast_check["grouping"] != "decile"]),
        "profile": inputs.metrics.get("profile", {}),
        "rules": rows_of(inputs.segment_rules),
        "notes": rows_of(inputs.profile_notes),
    }


def _reasons(inputs: Inputs) -> list[Row]:
    """Why each family of candidates was or was not taken: the choice first, then by prediction."""
    order = {"chosen": 0, "runner-up": 1, "rejected": 2, "baseline": 3}
    rows = rows_of(inputs.selection_reasons)
    return sorted(
        rows,
        key=lambda row: (order[row["verdict"]], -(row["share_of_reference"] or 0), row["family"]),
    )


def _sweeps(candidates: pd.DataFrame, chosen: Row, gates: Mapping[str, Any]) -> Any:
    family = candidates[
        (candidates["algorithm"] == chosen["algorithm"])
        & (candidates["features"] == chosen["features"])
        & (candidates["transform"] == chosen["transform"])
    ].sort_values("k")
    for figure, heading, gate, note in SWEEPS:
        rows = [
            {"k": int(row["k"]), "value": row[figure], "text": words.number(row[figure])}
            for row in rows_of(family)
            if row[figure] is not None
        ]
        if len(rows) > 1:
            picture = draw(
                f"sweep-{figure}".replace("_", "-"),
                charts.sweep(rows, gates[gate] if gate else None, int(chosen["k"])),
                width=300,
            )
            yield {"title": heading, "note": note, "picture": picture, "rows": rows}


def _field(candidates: Sequence[Row]) -> list[Row]:
    ranks = {"baseline": 1, "failed a gate": 0, "passed": 2, "chosen": 3}
    rows = []
    for row in candidates:
        kind = "failed a gate" if row["failed_gates"] else "passed"
        kind = "baseline" if row["is_baseline"] else kind
        kind = "chosen" if row["is_chosen"] else kind
        rows.append(
            {
                "candidate": row["candidate"],
                "jaccard": row["jaccard"],
                "jaccard_text": words.number(row["jaccard"], 2),
                "eta": row["share_of_reference"] or 0,
                "eta_text": words.share(row["share_of_reference"]),
                "failed": row["failed_gates"] or "nothing",
                "kind": kind,
                "rank": ranks[kind],
            }
        )
    return rows


def _calibration(inputs: Inputs, currency: str) -> Row | None:
    deciles = inputs.forecast_check[inputs.forecast_check["grouping"] == "decile"]
    if deciles.empty:
        return None
    last = deciles["snapshot_date"].max()
    rows = [
        {
            "label": row["label"],
            "expected": row["expected_spend"],
            "actual": row["actual_spend"],
            "low": row["expected_spend_low"],
            "high": row["expected_spend_high"],
            "expected_text": words.money(row["expected_spend"], currency),
            "actual_text": words.money(row["actual_spend"], currency),
            "interval": words.money_between(
                row["expected_spend_low"], row["expected_spend_high"], currency
            ),
            "verdict": row["verdict"],
        }
        for row in rows_of(deciles[deciles["snapshot_date"] == last].sort_values("position"))
    ]
    picture: Picture = draw("calibration", charts.calibration(rows, currency), 480)
    return {"day": last, "rows": rows, "picture": picture}


def ledger(inputs: Inputs) -> Row:
    """Where every line of the input went, as clean counted it."""
    found = inputs.metrics.get("clean", {})
    return {
        "rows": [
            {"name": name, "about": PLACES.get(name, ""), **place}
            for name, place in found.get("ledger", {}).items()
        ],
        "facts": found.get("facts", {}),
        "returns": found.get("returns", {}),
    }


def settings(inputs: Inputs) -> Row:
    """The data's fingerprint, every stage's figures and every parameter, as they stand."""
    return {
        "source": flat(inputs.metrics.get("ingest", {})),
        "stages": {stage: flat(figures) for stage, figures in inputs.metrics.items()},
        "params": inputs.params_text,
    }


def flat(figures: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested figures with their keys joined by dots."""
    found: dict[str, Any] = {}
    for key, value in figures.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found

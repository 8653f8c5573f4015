"""The analyst's page: the data, the model, how the choice was made and how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.core.run.metrics import flat
from pipeline.render_report import charts
from pipeline.render_report.conditions import both, condition_in_words, gates_in_words
from pipeline.render_report.inputs import Inputs
from pipeline.render_report.marks import SHAPES
from pipeline.render_report.rows import Row, rows_of
from pipeline.render_report.sentences import Writer

SWEEPS = (
    ("eta_squared", None), ("jaccard", "jaccard"), ("prediction_strength", "prediction_strength"),
    ("silhouette", None),
)  # fmt: skip
KINDS = {  # of candidates in the picture: shape, colour, size
    "failed": (SHAPES[10], "var(--rest)", 2.5),
    "passed": (SHAPES[0], "var(--c4)", 3),
    "baseline": (SHAPES[1], "var(--soft)", 3),
    "chosen": (SHAPES[3], "var(--c1)", 7),
}


def method(inputs: Inputs, writer: Writer) -> Row:
    """The choice, its gates and rivals, forecasts against what came, drift, data, settings."""
    candidates = rows_of(inputs.candidates)
    chosen = next(row for row in candidates if row["is_chosen"])
    gates = inputs.params["select"]["gates"]
    ordered = sorted(candidates, key=lambda row: (-row["eta_squared"], row["candidate"]))
    metrics = inputs.metrics.get("select", {})
    return {
        "chosen": chosen,
        "in_words": in_words(chosen, inputs.params["select"]["feature_sets"], writer),
        "metrics": metrics,
        "structure": metrics.get("structure", "").split()[-1:],  # such as: 3 clusters
        "fails": gates_in_words(chosen["failed_gates"], writer),
        "reasons": _reasons(inputs, writer),
        "sweeps": list(_sweeps(inputs.candidates, chosen, gates, writer)),
        "field": _field(ordered, writer),
        "candidates": [
            row | {"fails": gates_in_words(row["failed_gates"], writer)} for row in ordered
        ],
        "calibration": _calibration(inputs, writer),
        "checks": rows_of(inputs.forecast_check[inputs.forecast_check["grouping"] == "segment"]),
        "profile": inputs.metrics.get("profile", {}),
        "coverage": inputs.metrics.get("profile", {})
        .get("forecast", {})
        .get("coverage", {})
        .get("segments"),
        "rules": [
            row | {"rule": condition_in_words(row["rule"], writer)}
            for row in rows_of(inputs.segment_rules)
        ],
        "year": _matrix(inputs.migration[inputs.migration["span"] == "whole"], writer),
        "retention": _retention(inputs, writer),
        "drift": _drift(inputs),
        "ledger": inputs.metrics.get("clean", {}),
        "source": flat(inputs.metrics.get("ingest", {})),
        "stages": {stage: flat(figures) for stage, figures in inputs.metrics.items()},
        "params": inputs.params_text,
    }


def in_words(candidate: Row, feature_sets: Mapping[str, Sequence[str]], writer: Writer) -> str:
    """How a candidate makes segments, in a sentence."""
    say = writer.language
    columns = [
        say.terms.get(name, name.replace("_", " "))
        for name in feature_sets.get(candidate["features"], [candidate["features"]])
    ]
    return say(
        "method.in_words",
        features=both(say, columns),
        transform=say.terms.get(f"transform {candidate['transform']}", candidate["transform"]),
        algorithm=say.terms.get(f"algorithm {candidate['algorithm']}", candidate["algorithm"]),
    )


def _reasons(inputs: Inputs, writer: Writer) -> list[Row]:
    """Why each family of candidates was or was not taken: the choice first, then by prediction."""
    order = {"chosen": 0, "runner-up": 1, "rejected": 2, "baseline": 3}
    rows = [row | {"reason": _reason(row, writer)} for row in rows_of(inputs.selection_reasons)]
    return sorted(
        rows,
        key=lambda row: (order[row["verdict"]], -(row["share_of_reference"] or 0), row["family"]),
    )


def _reason(row: Row, writer: Writer) -> str:
    say, style = writer.language, writer.style
    fails = gates_in_words(row["failed_gates"], writer)
    texts = [
        say("reasons.gates", verdict=row["verdict"], fails=fails or None, tried=row["tried"]),
        say(
            "reasons.chosen" if row["verdict"] == "chosen" else "reasons.other",
            support=style.share(row["support"]),
            rival=row["compared_with"],
            segments=row["segments"],
            is_more=int(row["lead"] > 0),
            lead=style.number(abs(row["lead"]), 2),
            error=style.number(row["lead_se"], 2),
        ),
        say(
            "reasons.reference",
            share=row["share_of_reference"] and style.share(row["share_of_reference"]),
        ),
    ]
    return "; ".join(filter(None, texts))


def _sweeps(candidates: pd.DataFrame, chosen: Row, gates: Mapping[str, Any], writer: Writer) -> Any:
    same = ("algorithm", "features", "transform")
    family = candidates[(candidates[list(same)] == [chosen[c] for c in same]).all(axis=1)]
    for figure, gate in SWEEPS:
        rows = [
            {"x": int(row["k"]), "y": row[figure], "text": writer.style.number(row[figure], 2)}
            for row in rows_of(family.sort_values("k"))
            if row[figure] is not None
        ]
        if len(rows) > 1:
            picture = charts.trend(rows, gates[gate] if gate else None, chosen=int(chosen["k"]))
            yield {"key": figure, "picture": picture}


def _field(candidates: Sequence[Row], writer: Writer) -> Any:
    """Candidates by stability and by what they predict; the chosen one drawn last."""
    points = []
    for row in candidates:
        kind = "failed" if row["failed_gates"] else "passed"
        kind = "baseline" if row["is_baseline"] else kind
        kind = "chosen" if row["is_chosen"] else kind
        shape, colour, size = KINDS[kind]
        points.append(
            {
                "x": row["jaccard"], "y": row["eta_squared"], "shape": shape, "colour": colour,
                "size": size, "text": row["candidate"], "rank": list(KINDS).index(kind),
            }
        )  # fmt: skip
    points.sort(key=lambda point: point["rank"])
    tops = [max(p[axis] for p in points) for axis in ("x", "y")]
    ticks = [
        [
            {"at": n / 5, "text": writer.style.number(n / 5, 1)}
            for n in range(6)
            if n / 5 <= top + 0.1
        ]
        for top in tops
    ]
    return charts.scatter(points, *ticks, logs=(False, False))


def _calibration(inputs: Inputs, writer: Writer) -> Row | None:
    """Forecast and actual by deciles on the last held-out day, on logarithmic scales."""
    check = inputs.forecast_check
    deciles = check[check["grouping"] == "decile"]
    if deciles.empty:
        return None
    last = deciles["snapshot_date"].max()
    rows = rows_of(deciles[deciles["snapshot_date"] == last].sort_values("position"))
    drawn = [row for row in rows if row["expected_spend"] > 0 and row["actual_spend"] > 0]
    points = [
        {
            "x": row["expected_spend"], "y": row["actual_spend"], "shape": SHAPES[0],
            "low": max(row["expected_spend_low"], 0.1 * row["expected_spend"]),
            "high": row["expected_spend_high"], "colour": "var(--accent)",
            "text": f"{row['position']}", "label": f"{row['position']}",
        }
        for row in drawn
    ]  # fmt: skip
    picture = None
    if len(points) > 1:
        values = [v for p in points for v in (p["x"], p["y"])]
        ticks = [{"at": v, "text": writer.tick(v)} for v in charts.powers(min(values), max(values))]
        picture = charts.scatter(points, ticks, ticks, is_equal=True)
    return {"day": last, "rows": rows, "picture": picture}


def _matrix(whole: pd.DataFrame, writer: Writer) -> Row | None:
    """Who went from which segment to which; those who were not customers yet come last."""
    if whole.empty:
        return None
    shares = whole.pivot_table("share", "from_segment_id", "to_segment_id").astype(object)
    members = whole.groupby("from_segment_id")["customers"].sum()
    names = {
        number: writer.language.title(name)
        for side in ("from", "to")
        for number, name in zip(whole[f"{side}_segment_id"], whole[f"{side}_segment"], strict=True)
    }
    starts, ends = (sorted(each, key=lambda n: (n < 0, n)) for each in (shares.index, shares))
    rows = shares.where(shares.notna(), None)
    return {
        "from_date": whole["from_date"].iloc[0],
        "to_date": whole["to_date"].iloc[0],
        "ends": [names[end] for end in ends],
        "rows": [
            {
                "title": names[start],
                "customers": members[start],
                "cells": [{"is_same": start == e, "share": rows.loc[start, e]} for e in ends],
            }
            for start in starts
        ],
    }


def _retention(inputs: Inputs, writer: Writer) -> Row | None:
    """The share that stayed in its segment, over whole months alone; few members are not told."""
    rows = [row for row in rows_of(inputs.segment_retention) if row["days"] >= 28]
    if not rows:
        return None
    days = sorted({row["to_date"] for row in rows})
    cells = {(row["segment_id"], row["to_date"]): row for row in rows}
    names = {row["segment_id"]: writer.language.title(row["segment"]) for row in rows}
    return {
        "days": [writer.style.short_months[day.month - 1] for day in days],
        "rows": [
            {"title": name, "cells": [cells.get((number, day)) for day in days]}
            for number, name in sorted(names.items())
        ],
    }


def _drift(inputs: Inputs) -> Row | None:
    """The last snapshot against the one before, most changed first."""
    rows = inputs.drift[inputs.drift["reference"] == "previous"]
    if rows.empty:
        return None
    day = rows["snapshot_date"].max()
    shown = rows_of(
        rows[rows["snapshot_date"] == day].sort_values(["psi", "measure"], ascending=[False, True])
    )
    return {
        "day": day,
        "reference_day": shown[0]["reference_date"],
        "rows": shown,
        "changed": [row for row in shown if row["verdict"] != "stable"],
    }

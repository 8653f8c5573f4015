"""The map of customers, and a section for each segment."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeline.core.text import words
from pipeline.render_report import charts
from pipeline.render_report.charts import Picture, draw
from pipeline.render_report.inputs import Inputs
from pipeline.render_report.rows import Row, of_segment, rows_of, spread_evenly


def customer_map(inputs: Inputs, segments: Sequence[Row], currency: str, limit: int) -> Row:
    """Customers by recency and spend; those who kept nothing have neither and are not drawn."""
    outlook = inputs.customer_forecasts.sort_values(["segment_id", "customer_id"])
    kept = outlook[outlook["recency_days"].notna() & (outlook["monetary"] > 0)]
    drawn = spread_evenly(rows_of(kept), limit)
    points = [
        {
            "segment_id": row["segment_id"],
            "segment": row["segment"],
            "customer": row["customer_id"],
            "recency_days": int(row["recency_days"]),
            "monetary": float(row["monetary"]),
            "recency": f"{words.days(int(row['recency_days']))} ago",
            "orders": words.count(row["frequency"]),
            "spend": words.money(row["monetary"], currency),
            "expected": words.money(row["expected_spend"], currency),
        }
        for row in drawn
    ]
    return {
        "picture": draw("map", charts.customer_map(points, _legend(segments), currency)),
        "drawn": len(drawn),
        "all": len(outlook),
        "kept": len(kept),
    }


def segment_pages(inputs: Inputs, segments: Sequence[Row], currency: str) -> list[Row]:
    """One page of facts for each segment, in the order of value."""
    strategies = {row["segment_id"]: row for row in rows_of(inputs.strategies)}
    countries = inputs.segment_countries.sort_values(
        ["segment_id", "customers", "country"], ascending=[True, False, True]
    )
    spreads = _spreads(rows_of(inputs.segment_features))
    pages = []
    for segment in segments:
        number = segment["segment_id"]
        features = [
            feature | {"spread": spreads.get((number, feature["feature"]))}
            for feature in of_segment(inputs.segment_features, number)
        ]
        categories = of_segment(inputs.segment_categories, number)
        months = of_segment(inputs.segment_months, number)
        pages.append(
            {
                "segment": segment,
                "strategy": strategies[number],
                "features": features,
                "apart": [f for f in features if f["effect"] not in ("like the rest", "none")][:4],
                "over": [c for c in categories if c["verdict"] == "over"],
                "under": [c for c in categories if c["verdict"] == "under"],
                "categories": categories,
                "countries": of_segment(countries, number)[:6],
                "months": months,
                "season": _season(number, months, segment),
                "rules": of_segment(inputs.segment_rules, number),
                "typical": of_segment(inputs.typical_customers, number)[:3],
                "moves": _moves(inputs, number),
                "currency": currency,
            }
        )
    return pages


def _spreads(features: Sequence[Row]) -> dict[tuple[int, str], dict[str, str]]:
    """Where each segment's quantiles stand on their feature's scale, in percent of its width.

    One scale for a feature in all segments, logarithmic but for shares, so that rows compare.
    """
    ends: dict[str, list[float]] = {}
    for row in features:
        if row["q05"] is not None:
            ends.setdefault(row["feature"], []).extend(_scaled(row, q) for q in ("q05", "q95"))
    found = {}
    for row in features:
        if row["q05"] is None:
            continue
        low, high = min(ends[row["feature"]]), max(ends[row["feature"]])
        found[row["segment_id"], row["feature"]] = {
            q: f"{100 * min(max((_scaled(row, q) - low) / ((high - low) or 1), 0), 1):.1f}%"
            for q in ("q05", "q25", "median", "q75", "q95", "rest_median")
            if row[q] is not None
        }
    return found


def _scaled(row: Row, figure: str) -> float:
    value = float(row[figure])
    return value if row["unit"] == "share" else math.copysign(math.log1p(abs(value)), value)


def _legend(segments: Sequence[Row]) -> list[Row]:
    return [{k: s[k] for k in ("segment_id", "colour", "shape")} for s in segments]


def _season(number: int, months: Sequence[Row], segment: Row) -> Picture | None:
    if len(months) < 2 or not any(row["spend_share"] for row in months):
        return None
    rows = [
        {
            "label": words.month(row["month"]),
            "month": words.month(row["month"]) + ("" if row["is_whole"] else " (not whole)"),
            "share": row["spend_share"],
            "rest": row["rest_share"],
            "text": words.share(row["spend_share"]),
            "rest_text": words.share(row["rest_share"]),
        }
        for row in months
    ]
    return draw(f"season-{number}", charts.season(rows, segment), width=420)


def _moves(inputs: Inputs, number: int) -> list[Row]:
    """Where the members of a year ago are now, most first."""
    moves = inputs.migration
    whole = moves[(moves["span"] == "whole") & (moves["from_segment_id"] == number)]
    return rows_of(whole.sort_values("customers", ascending=False, kind="stable"))[:4]

"""A section for each segment: what it is, what to do, how it differs, how it changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.render_report import charts
from pipeline.render_report.conditions import condition_in_words
from pipeline.render_report.inputs import Inputs
from pipeline.render_report.rows import Row, of_segment, rows_of
from pipeline.render_report.sentences import Writer, segment_figures

FEATURES = 7  # that are drawn
CATEGORIES, MOVES = 6, 4  # that are listed


def plays_of(inputs: Inputs, segments: Sequence[Row], writer: Writer) -> dict[int, Row]:
    """The play of each segment in words, and what holds of its members."""
    strategies = {row["segment_id"]: row for row in rows_of(inputs.strategies)}
    shop = {
        "horizon": inputs.params["shop"]["horizon_days"],
        "lift": inputs.params["profile"]["power"]["lift"],
    }
    found = {}
    for segment in segments:
        number = segment["segment_id"]
        rest = {
            row["feature"]: row["rest_median"]
            for row in of_segment(inputs.segment_features, number)
        }
        figures = segment_figures(segment, strategies[number], rest, shop)
        found[number] = writer.play(segment, strategies[number], figures)
    return found


def segment_pages(
    inputs: Inputs, segments: Sequence[Row], plays: dict[int, Row], writer: Writer
) -> list[Row]:
    """One page of facts for each segment, in the order of value."""
    strategies = {row["segment_id"]: row for row in rows_of(inputs.strategies)}
    spreads = _spreads(rows_of(inputs.segment_features))
    conditions = inputs.segment_names.set_index("segment_id")["condition"].to_dict()
    a_year = inputs.migration[inputs.migration["span"] == "whole"]
    a_year = a_year.sort_values("customers", ascending=False, kind="stable")
    pages = []
    for segment in segments:
        number = segment["segment_id"]
        features = [
            f | {"spread": spreads.get((number, f["feature"]))}
            for f in of_segment(inputs.segment_features, number)
            # Of what few members have, the median says nothing of the segment.
            if f["customers"] * 2 >= segment["customers"]
        ]
        categories = of_segment(inputs.segment_categories, number)
        moves = rows_of(a_year[a_year["from_segment_id"] == number])
        pages.append(
            {
                "segment": segment,
                "condition": condition_in_words(conditions.get(number, ""), writer),
                "rule": condition_in_words(segment["rule"], writer),
                "play": plays[number],
                "strategy": strategies[number],
                "features": features[:FEATURES],
                "categories": categories[:CATEGORIES],
                "season": _season(of_segment(inputs.segment_months, number), writer),
                "members": _members(inputs, segment, writer),
                "moves": moves[:MOVES],
                "moved": sum(row["customers"] for row in moves),
            }
        )
    return pages


def customer_map(inputs: Inputs, segments: Sequence[Row], writer: Writer, limit: int) -> Row | None:
    """Customers by last order and spend, on logarithmic scales; a name at each segment's median."""
    found = inputs.customer_forecasts.sort_values(["segment_id", "customer_id"])
    kept = found[found["recency_days"].notna() & (found["monetary"] > 0)]
    evenly = np.linspace(0, len(kept) - 1, min(limit, len(kept)))
    marks = {s["segment_id"]: s for s in segments}
    points = [
        {
            "x": max(row["recency_days"], 1), "y": float(row["monetary"]),
            "shape": marks[row["segment_id"]]["shape"],
            "colour": marks[row["segment_id"]]["colour"], "size": 2.2,
        }
        for row in rows_of(kept.iloc[evenly.astype(int)])
    ]  # fmt: skip
    if len(points) < 2:
        return None
    names = [
        {
            "x": max(s["median_recency_days"], 1), "y": s["median_monetary"], "label": s["title"],
            "shape": s["shape"], "colour": s["colour"], "size": 6, "class": "point median",
        }
        for s in segments
        if s["median_recency_days"] is not None and s["median_monetary"] > 0
    ]  # fmt: skip
    style, spends = writer.style, [point["y"] for point in points]
    x_ticks = [{"at": d, "text": style.count(d)} for d in (1, 7, 30, 90, 365)]
    y_ticks = [{"at": v, "text": writer.tick(v)} for v in charts.powers(min(spends), max(spends))]
    return {
        "picture": charts.scatter(points + names, x_ticks, y_ticks),
        "drawn": len(points),
        "kept": len(kept),
    }


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


def _season(months: Sequence[Row], writer: Writer) -> Any:
    """Share of spend by month; months that the file does not cover whole are hatched."""
    if len(months) < 2 or not any(row["spend_share"] for row in months):
        return None
    style = writer.style
    rows = [
        {
            "label": style.short_months[row["month"].month - 1],
            "value": row["spend_share"],
            "rest": row["rest_share"],
            "is_part": not row["is_whole"],
            "text": style.share(row["spend_share"]),
        }
        for row in months
    ]
    return charts.columns(rows, style.share, height=110)


def _members(inputs: Inputs, segment: Row, writer: Writer) -> Any:
    """Members at each month end, and now."""
    style = writer.style
    counted = of_segment(inputs.segment_retention, segment["segment_id"])
    rows = [(row["from_date"], row["customers"]) for row in counted]
    rows.append((segment["snapshot_date"], segment["customers"]))
    if len(rows) < 2:
        return None
    drawn = [
        {"label": style.short_months[day.month - 1], "value": n, "text": style.count(n)}
        for day, n in rows
    ]
    return charts.columns(drawn, style.count, height=100)

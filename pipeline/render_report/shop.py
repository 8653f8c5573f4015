"""The first screen: how the shop is doing, what to decide, and the segments in one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.render_report.inputs import Inputs
from pipeline.render_report.rows import Row, rows_of
from pipeline.render_report.sentences import Writer

MOST_DECISIONS = 5
TILES = ("revenue", "orders", "customers", "new_customers")


def how_it_is_doing(inputs: Inputs, writer: Writer) -> Row:
    """The last days beside the days before and the same days a year before; and the forecast."""
    periods = {row["period"]: row for row in rows_of(inputs.shop_periods)}
    latest = periods["latest"]
    return {
        "latest": latest,
        "tiles": [_tile(name, periods, writer) for name in TILES],
        "forecast": _forecast(inputs, periods, writer),
    }


def _tile(name: str, periods: dict[str, Row], writer: Writer) -> Row:
    style, latest = writer.style, periods["latest"]
    write = writer.money if name == "revenue" else style.count
    lines = []
    for other, base in (
        ("year_before", latest), ("comparable_year_before", periods.get("comparable")),
        ("before", latest),
    ):  # fmt: skip
        if other not in periods or base is None or periods[other][name] is None:
            continue
        was, now = periods[other][name], base[name]
        lines.append(
            {
                "change": style.change(now, was),
                "is_up": now >= was,
                "text": writer.language(
                    f"now.{other}", days=style.span(base["days"]), was=write(was), now=write(now)
                ),
            }
        )
    return {"name": name, "value": write(latest[name]), "lines": lines}


def _forecast(inputs: Inputs, periods: dict[str, Row], writer: Writer) -> Row | None:
    """The sum that is expected beside the same days a year before, from known customers."""
    expected = inputs.metrics["profile"].get("forecast", {}).get("expected")
    if not expected:
        return None
    before = periods.get("ahead_year_before")
    low, high = (expected.get(f"spend_{end}95") for end in ("low", "high"))
    was = None if before is None else before["known_revenue"]
    return {
        "sum": writer.money(expected["spend"]),
        "between": writer.style.money_between(low, high, writer.currency),
        "before": None if was is None else writer.money(was),
        "change": None if was is None else writer.style.change(expected["spend"], was),
    }


def decisions(
    inputs: Inputs, segments: Sequence[Row], plays: dict[int, Row], writer: Writer
) -> list[Row]:
    """What to do first: the plays with most to gain, in that order."""
    strategies = {row["segment_id"]: row for row in rows_of(inputs.strategies)}
    ranked = sorted(
        (s for s in segments if strategies[s["segment_id"]]["decision"] is not None),
        key=lambda s: strategies[s["segment_id"]]["decision"],
    )
    found = []
    for segment in ranked[:MOST_DECISIONS]:
        strategy = strategies[segment["segment_id"]]
        style, treated = writer.style, strategy["treated_customers"] or strategy["customers"]
        found.append(
            {
                "segment": segment,
                "play": plays[segment["segment_id"]],
                "gain": writer.money(strategy["value_at_stake"]),
                "margin": None
                if strategy["margin_at_stake"] is None
                else writer.money(strategy["margin_at_stake"]),
                "between": ""
                if strategy["value_at_stake_low"] is None
                else style.money_between(
                    strategy["value_at_stake_low"], strategy["value_at_stake_high"], writer.currency
                ),
                "per_contact": writer.money(strategy["value_at_stake"] / treated),
                "assumes": writer.language(
                    f"decisions.assumes_{strategy['compares']}"
                    if strategy["measured_lift"] is None
                    else "decisions.assumes_measured",
                    measured=style.share(strategy["measured_lift"]),
                    base=style.share(strategy["baseline_rate"]),
                    target=style.share(strategy["target_rate"]),
                    lift=style.share(inputs.params["profile"]["power"]["lift"]),
                ),
            }
        )
    return found


def totals(inputs: Inputs, segments: Sequence[Row]) -> dict[str, Any]:
    """The last row of the table of segments, as profile_segments summed it."""
    profile = inputs.metrics["profile"]
    expected = profile.get("forecast", {}).get("expected", {})
    return {
        "segments": len(segments),
        "forecast": expected.get("spend"),
        "forecast_low": expected.get("spend_low95"),
        "forecast_high": expected.get("spend_high95"),
        **profile["total"],
    }

"""The first screen: how the shop is doing, what to decide, and the segments in one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.render_report.changes import move_anchor
from pipeline.render_report.inputs import Inputs
from pipeline.render_report.rows import Row, rows_of
from pipeline.render_report.sentences import Writer

MOST_DECISIONS = 5  # beside that about those who fell
LEAST_FALLEN = 10  # customers; of fewer a share says nothing
# Those who fell are measured by who orders, within the test of the segment that they are in.
AS_FALL = {
    "compares": "buyers", "measured_lift": None, "margin_at_stake": None, "treated_customers": None,
}  # fmt: skip
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
    forecast = inputs.metrics["profile"].get("forecast", {})
    if not (expected := forecast.get("expected")):
        return None
    before = periods.get("ahead_year_before")
    low, high = (expected.get(f"spend_{end}95") for end in ("low", "high"))
    was = None if before is None else before["known_revenue"]
    return {
        "sum": writer.money(expected["spend"]),
        "between": writer.style.money_between(low, high, writer.currency),
        "before": None if was is None else writer.money(was),
        "to_come": writer.style.share(1 - forecast["known_share"]),
        "change": None if was is None else writer.style.change(expected["spend"], was),
    }


def decisions(
    inputs: Inputs, segments: Sequence[Row], plays: dict[int, Row], writer: Writer
) -> list[Row]:
    """What to do first: the plays with most to gain and those who fell, in the order of money."""
    strategies = {row["segment_id"]: row for row in rows_of(inputs.strategies)}
    found = []
    for segment in segments:
        strategy, play = strategies[segment["segment_id"]], plays[segment["segment_id"]]
        if strategy["decision"] is not None and strategy["decision"] <= MOST_DECISIONS:
            whom = {"list": segment["anchor"], "from": segment["title"], "measure": play["test"]}
            found.append({**whom, "action": play["action"], "note": "", "strategy": strategy})
    falls = [
        row
        for row in rows_of(inputs.latest_moves.sort_values("value_at_stake", ascending=False))
        if row["value_at_stake"] and row["customers"] >= LEAST_FALLEN
        if strategies[row["to_segment_id"]]["decision"] is not None
    ]
    found += [_fall(row, strategies[row["to_segment_id"]], inputs, writer) for row in falls[:1]]
    found.sort(key=lambda row: -row["strategy"]["value_at_stake"])
    return [row | _money(row["strategy"], inputs, writer) for row in found]


def _fall(move: Row, strategy: Row, inputs: Inputs, writer: Writer) -> Row:
    """The decision about those who fell from one segment to another."""
    start, end = (writer.language.title(move[f"{side}_segment"]) for side in ("from", "to"))
    figures = {
        "end": end,
        "days": writer.style.span(inputs.params["shop"]["horizon_days"]),
        "spend": writer.money(move["spend"]),
        "loss": move["fall_loss"] and writer.money(move["fall_loss"]),
    }
    texts = {
        key: writer.language(f"fall.{key}", **figures) for key in ("action", "note", "measure")
    }
    return texts | {
        "list": move_anchor(move["from_segment"], move["to_segment"]),
        "from": writer.language("lists.move", start=start, end=end),
        "strategy": strategy | AS_FALL | move,
    }


def _money(strategy: Row, inputs: Inputs, writer: Writer) -> Row:
    """For how many customers a decision is, what it may bring and what it assumes, in words."""
    style, treated = writer.style, strategy["treated_customers"] or strategy["customers"]
    low, high = (strategy[f"value_at_stake_{end}"] for end in ("low", "high"))
    margin, value = strategy["margin_at_stake"], strategy["value_at_stake"]
    measured = strategy["measured_lift"]
    return {
        "number": strategy["segment_id"],
        "customers": strategy["customers"],
        "cost_class": writer.language("cost." + strategy["cost_class"]),
        "gain": writer.money(value),
        "margin": None if margin is None else writer.money(margin),
        "between": "" if low is None else style.money_between(low, high, writer.currency),
        "per_contact": writer.money(value / treated),
        "assumes": writer.language(
            f"decisions.assumes_{strategy['compares'] if measured is None else 'measured'}",
            measured=style.share(measured),
            base=style.share(strategy["baseline_rate"]),
            target=style.share(strategy["target_rate"]),
            lift=style.share(inputs.params["profile"]["power"]["lift"]),
        ),
    }


def totals(inputs: Inputs) -> dict[str, Any]:
    """The last row of the table of segments, as profile_segments summed it."""
    profile = inputs.metrics["profile"]
    expected = profile.get("forecast", {}).get("expected", {})
    return {
        "forecast": expected.get("spend"),
        "forecast_low": expected.get("spend_low95"),
        "forecast_high": expected.get("spend_high95"),
        **profile["total"],
    }

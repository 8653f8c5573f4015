"""Campaigns in words: what was measured, or why nothing can be said yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.core.text import words


def result_in_words(rows: pd.DataFrame, currency: str) -> list[str]:
    """What one campaign (its rows of data/campaigns.parquet) changed, a sentence a line."""
    ordered = rows.sort_values(["is_kpi", "measure"], ascending=[False, True])
    told: list[dict[str, Any]] = [
        dict(zip(ordered.columns, row, strict=True)) for row in ordered.itertuples(index=False)
    ]
    first = told[0]
    head = (
        f"{first['campaign']}: {words.count(first['treated'])} treated, "
        f"{words.count(first['held_out'])} held out of {first['segments']}, "
        f"{words.day(first['start'])} to {words.day(first['end'])}."
    )
    if first["verdict"] == "invalid":
        return [head, f"  Not valid: {first['problem']}."]
    if first["verdict"] in {"not started", "too early"}:
        verdict = str(first["verdict"]).capitalize()
        known, end = words.day(first["known_until"]), words.day(first["end"])
        return [
            head,
            f"  {verdict}: orders are known until {known}, the last day that counts is {end}.",
        ]
    return [head, *(f"  {measure_in_words(row, currency)}" for row in told)]


def measure_in_words(row: Mapping[str, Any], currency: str) -> str:
    """What one measure shows, how surely, and what it was worth."""
    is_spend = row["measure"] == "spend"

    def told(value: Any) -> str:
        return words.money(value, currency) if is_spend else points(value)

    def level(value: Any) -> str:
        return words.money(value, currency) if is_spend else words.share(value)

    what = "Spend per customer" if is_spend else "Share who ordered"
    means = (
        f"{what}: {level(row['treated_mean'])} of the treated, "
        f"{level(row['held_out_mean'])} of the held out"
    )
    if words.is_missing(row["difference"]):
        return f"{means}. Too few ordered to tell anything."
    text = (
        f"{means}; adjusted for earlier orders {told(row['difference'])} (95% interval "
        f"{told(row['difference_low'])} to {told(row['difference_high'])}"
        f"{_narrowed(row['narrowed'])}). "
    )
    text += VERDICTS[row["verdict"]].format(planned=words.share(row["planned_lift"]))
    if row["verdict"] == "too small to tell" and not words.is_missing(row["detectable_lift"]):
        text += (
            f" Groups of this size show a rise of {words.share(row['detectable_lift'])} or more."
        )
    if is_spend:
        cost = f", after {words.money(row['cost'], currency)} of cost" if row["cost"] else ""
        what = "revenue; costs are unknown"
        if not words.is_missing(row["margin_rate"]):
            known = words.share(row["cost_known_share"])
            what = f"margin, {words.share(row['margin_rate'])} where the cost is known ({known})"
        text += (
            f" Gain in {what}: {words.money(row['gain'], currency)}{cost} (95% interval "
            f"{words.money(row['gain_low'], currency)} to "
            f"{words.money(row['gain_high'], currency)})."
        )
    return text


VERDICTS = {
    "rise": "The campaign raised it.",
    "fall": "The campaign lowered it.",
    "no rise as planned": "Any rise is smaller than the {planned} that was planned.",
    "too small to tell": "Too small to tell.",
}


def points(value: float) -> str:
    """A difference of shares in percentage points."""
    return f"{value * 100:+.1f} points".replace("-", "−")


def _narrowed(value: Any) -> str:
    if words.is_missing(value) or value < 0.005:
        return ""
    return f", {words.share(value)} narrower than without that"

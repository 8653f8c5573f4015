"""Campaigns in words: what was measured, or why nothing can be said yet."""

from __future__ import annotations

import pandas as pd

from pipeline.core.text.words import is_missing
from pipeline.render_report.rows import Row, rows_of
from pipeline.render_report.sentences import Writer


def campaigns(table: pd.DataFrame, writer: Writer) -> list[Row]:
    """Each campaign of data/campaigns.parquet: what was drawn, and what it changed."""
    ordered = table.sort_values(["start", "campaign", "is_kpi"], ascending=[False, True, False])
    return [
        campaign_in_words(rows_of(rows), writer)
        for _, rows in ordered.groupby("campaign", sort=False)
    ]


def campaign_in_words(rows: list[Row], writer: Writer) -> Row:
    """One campaign (its KPI first): a head, and a text for each measure or for the whole."""
    say, style, first = writer.language, writer.style, rows[0]
    days = {name: style.date(first[name]) for name in ("start", "end", "known_until")}
    sizes = {name: style.count(first[name]) for name in ("treated", "held_out")}
    segments = ", ".join(map(say.title, first["segments"].split("; ")))
    head = say("campaigns.head", name=first["campaign"], segments=segments, **sizes, **days)
    if first["verdict"] == "invalid":
        return {"head": head, "texts": [say(f"campaigns.invalid_{first['problem']}")]}
    if first["verdict"] in {"not started", "too early"}:
        return {"head": head, "texts": [say("campaigns.waiting", **days)]}
    return {"head": head, "texts": [measure_in_words(row, writer) for row in rows]}


def measure_in_words(row: Row, writer: Writer) -> str:
    """What one measure shows, how surely, and what it was worth."""
    say, style, measure = writer.language, writer.style, row["measure"]
    level = writer.money if measure == "spend" else style.share
    means = {name: level(row[f"{name}_mean"]) for name in ("treated", "held_out")}
    parts = [say(f"campaigns.{measure}", **means)]
    if is_missing(row["difference"]):
        return f"{parts[0]} {say('campaigns.few')}"
    change = writer.money if measure == "spend" else lambda v: style.number(100 * v, 2)
    ends = {name: change(row[f"difference{name}"]) for name in ("", "_low", "_high")}
    parts.append(
        say(f"campaigns.{measure}_change", change=ends[""], low=ends["_low"], high=ends["_high"],
            narrowed=style.share(max(row["narrowed"], 0)))
    )  # fmt: skip
    parts.append(
        say("campaigns." + row["verdict"].replace(" ", "_"),
            planned=style.share(row["planned_lift"]), seen=style.share(row["detectable_lift"]))
    )  # fmt: skip
    if measure == "spend":
        gain = {name or "gain": writer.money(row[f"gain{name}"]) for name in ("", "_low", "_high")}
        key = "revenue" if is_missing(row["margin_rate"]) else "margin"
        known = style.share(row["cost_known_share"])
        cost, rate = writer.money(row["cost"]), style.share(row["margin_rate"])
        parts.append(say(f"campaigns.{key}", cost=cost, rate=rate, known=known, **gain))
    return " ".join(parts)

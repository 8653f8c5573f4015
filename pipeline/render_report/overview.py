"""The first screen: what the shop is, and its segments at a glance."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from pipeline.core.text import words
from pipeline.render_report.charts import FONT, SOFT
from pipeline.render_report.inputs import Inputs
from pipeline.render_report.rows import Row

WIDTH, BAR, GAP = 1000, 44, 46


def shop_facts(inputs: Inputs) -> Row:
    """What the shop is: sales, span and the day that everything is told as of."""
    explored = inputs.metrics.get("explore", {})
    months = inputs.exploration.loc[inputs.exploration["pattern"] == "month", "bucket"]
    return {
        "sales": explored.get("sales", {}),
        "unknown_share": explored.get("no_customer", {}).get("share_of_revenue"),
        "first": words.month(months.iloc[0]) if len(months) else words.NOTHING,
        "last": words.month(months.iloc[-1]) if len(months) else words.NOTHING,
        "as_of": inputs.profiles["snapshot_date"].iloc[0],
        "customers": inputs.metrics.get("assign", {}).get("customers"),
    }


def glance(inputs: Inputs, segments: Sequence[Row]) -> Row:
    """The segments side by side, as rows and as one picture."""
    actions = inputs.strategies.set_index("segment_id")["action"].to_dict()
    rows = [
        segment | {"action": actions.get(segment["segment_id"], segment["action"])}
        for segment in segments
    ]
    return {"rows": rows, "picture": glance_picture(segments)}


def glance_picture(segments: Sequence[Row]) -> Markup:
    """Who they are, what they brought and what is expected of them: three bars, one width."""
    kinds = [("customers", "customer_share"), ("revenue so far", "revenue_share")]
    if all(segment["expected_spend_share"] is not None for segment in segments):
        kinds.append(("expected next", "expected_spend_share"))
    bars, bands, labels = [], [], []
    before: list[tuple[float, float]] = []
    for level, (name, figure) in enumerate(kinds):
        top = level * (BAR + GAP) + 20
        spans = _spans(segments, figure)
        labels.append(
            Markup('<text x="0" y="{}" fill="{}" font-size="13">{}</text>').format(
                top - 7, SOFT, f"Share of {name}" if level < 2 else "Share of what is expected next"
            )
        )
        for segment, (start, end) in zip(segments, spans, strict=True):
            bars.append(_bar(segment, figure, start, end, top))
        for segment, above, below in zip(segments, before, spans, strict=False):
            bands.append(_band(segment, above, below, top))
        before = spans
    height = len(kinds) * (BAR + GAP) - GAP + 24
    return Markup(
        '<svg class="picture" focusable="false" viewBox="0 0 {} {}" font-family="{}">{}{}{}</svg>'
    ).format(WIDTH, height, FONT, *(Markup("").join(p) for p in (bands, labels, bars)))


def _spans(segments: Sequence[Row], figure: str) -> list[tuple[float, float]]:
    spans, x = [], 0.0
    for segment in segments:
        end = x + float(segment[figure]) * WIDTH
        spans.append((x, end))
        x = end
    return spans


def _bar(segment: Row, figure: str, start: float, end: float, top: float) -> Markup:
    width = end - start
    text = words.share(segment[figure])
    label = Markup()
    if width > 68:  # room for the mark and the figure
        label = Markup(
            '<path d="{}" transform="translate({:.1f},{}) scale(6)" fill="white"/>'
            '<text x="{:.1f}" y="{}" fill="white" font-size="15" font-weight="600">{}</text>'
        ).format(segment["shape"], start + 14, top + BAR / 2, start + 25, top + BAR / 2 + 5, text)
    elif width > 16:
        label = Markup(
            '<path d="{}" transform="translate({:.1f},{}) scale(5)" fill="white"/>'
        ).format(segment["shape"], start + width / 2, top + BAR / 2)
    return Markup(
        '<g data-segment="{}"><title>{}: {}</title>'
        '<rect x="{:.1f}" y="{}" width="{:.1f}" height="{}" fill="{}" stroke="white"/>{}</g>'
    ).format(
        segment["segment_id"], segment["title"], text, start, top, width, BAR,
        segment["colour"], label,
    )  # fmt: skip


def _band(
    segment: Row, above: tuple[float, float], below: tuple[float, float], bottom: float
) -> Markup:
    (a, b), (c, d) = above, below
    top, middle = bottom - GAP, bottom - GAP / 2
    return Markup(
        '<path data-segment="{}" fill="{}" fill-opacity="0.16" d="M{:.1f},{}C{:.1f},{} {:.1f},{} '
        '{:.1f},{}H{:.1f}C{:.1f},{} {:.1f},{} {:.1f},{}Z"/>'
    ).format(
        segment["segment_id"], segment["colour"], a, top, a, middle, c, middle, c, bottom,
        d, d, middle, b, middle, b, top,
    )  # fmt: skip

"""The flow picture of migration: bands from segments a year ago to segments now, as plain SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipeline.report.charts import FONT

WIDTH, HEIGHT, NODE, GAP, MARGIN, LABEL = 860, 520, 14, 10, 165, 15.0


@dataclass(frozen=True)
class Stop:
    """A segment on one side of the picture."""

    segment_id: int
    name: str
    colour: str
    note: str


@dataclass(frozen=True)
class Flow:
    """Customers who went from one segment to another."""

    start: int
    end: int
    customers: int
    text: str


def flow_picture(left: Sequence[Stop], right: Sequence[Stop], flows: Sequence[Flow]) -> Markup:
    """Draw the flows between the stops of the left and those of the right side, in their order."""
    sides = [(left, "start", MARGIN), (right, "end", WIDTH - MARGIN - NODE)]
    total = sum(flow.customers for flow in flows) or 1
    scale = (HEIGHT - GAP * (max(len(left), len(right)) - 1)) / total
    tops: dict[tuple[str, int], float] = {}
    parts: list[Markup] = []
    for stops, side, x in sides:
        y, label_y = 0.0, -LABEL
        for stop in stops:
            height = scale * sum(f.customers for f in flows if getattr(f, side) == stop.segment_id)
            tops[side, stop.segment_id] = y
            label_y = max(y + height / 2, label_y + LABEL)  # names of thin bands stay apart
            parts.append(_node(stop, (x, y), height, label_y, is_left=side == "start"))
            y += height + GAP
    bands = [_band(flow, tops, scale, left) for flow in _in_order(flows, left, right)]
    return Markup(
        '<svg class="picture" focusable="false" viewBox="0 -8 {} {}" '
        'font-family="{}" font-size="13">{}{}</svg>'
    ).format(WIDTH, HEIGHT + 24, FONT, Markup("").join(bands), Markup("").join(parts))


def _in_order(flows: Sequence[Flow], left: Sequence[Stop], right: Sequence[Stop]) -> list[Flow]:
    starts = [stop.segment_id for stop in left]
    ends = [stop.segment_id for stop in right]
    return sorted(flows, key=lambda flow: (starts.index(flow.start), ends.index(flow.end)))


def _node(
    stop: Stop, corner: tuple[float, float], height: float, label_y: float, *, is_left: bool
) -> Markup:
    x, y = corner
    text_x, anchor = (x - 8, "end") if is_left else (x + NODE + 8, "start")
    return Markup(
        '<g data-segment="{}"><rect x="{}" y="{:.1f}" width="{}" height="{:.1f}" fill="{}"/>'
        '<text x="{}" y="{:.1f}" text-anchor="{}" fill="#1d2433">{}'
        '<tspan fill="#5b6475"> {}</tspan></text></g>'
    ).format(
        stop.segment_id, x, y, NODE, max(height, 1), stop.colour,
        text_x, label_y + 4.5, anchor, stop.name, stop.note,
    )  # fmt: skip


def _band(
    flow: Flow, tops: dict[tuple[str, int], float], scale: float, left: Sequence[Stop]
) -> Markup:
    thick = flow.customers * scale
    start, end = tops["start", flow.start], tops["end", flow.end]
    tops["start", flow.start] += thick
    tops["end", flow.end] += thick
    colour = next(stop.colour for stop in left if stop.segment_id == flow.start)
    x0, x1 = MARGIN + NODE, WIDTH - MARGIN - NODE
    middle = (x0 + x1) / 2
    return Markup(
        '<path data-from="{}" data-to="{}" fill="{}" fill-opacity="{}" '
        'd="M{},{:.1f}C{},{:.1f} {},{:.1f} {},{:.1f}V{:.1f}C{},{:.1f} {},{:.1f} {},{:.1f}Z">'
        "<title>{}</title></path>"
    ).format(
        flow.start, flow.end, colour, 0.55 if flow.start != flow.end else 0.25,
        x0, start, middle, start, middle, end, x1, end, end + thick,
        middle, end + thick, middle, start + thick, x0, start + thick, flow.text,
    )  # fmt: skip

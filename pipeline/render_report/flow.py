"""The flow picture of migration: a column of segments for each snapshot, and bands between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pipeline.render_report.charts import FONT

WIDTH, HEIGHT, NODE, GAP, LABEL = 1000, 460, 9, 7, 16.0
TOP, LEFT, RIGHT = 24, 6, 150
LEAST_STEP = 40  # a snapshot's name needs so much room


@dataclass(frozen=True)
class Stop:
    """A segment as it stands in every column."""

    segment_id: int
    name: str
    colour: str


@dataclass(frozen=True)
class Flow:
    """Customers who went from one segment to another; who comes from none of them is new."""

    start: int
    end: int
    customers: int
    text: str


@dataclass(frozen=True)
class Column:
    """A snapshot: its name and those who came into its segments; nobody does in the first."""

    name: str
    came: Sequence[Flow]


def flow_picture(stops: Sequence[Stop], columns: Sequence[Column], first: Sequence[Flow]) -> Markup:
    """Draw the columns from left to right; `first` leaves the first column, and says its sizes."""
    order = {stop.segment_id: place for place, stop in enumerate(stops)}
    sizes = [_sizes(order, [(f.start, f.customers) for f in first])]
    sizes += [_sizes(order, [(f.end, f.customers) for f in c.came]) for c in columns[1:]]
    largest = max(1, *(sum(size.values()) for size in sizes))
    scale = (HEIGHT - GAP * (len(stops) - 1)) / largest
    step = (WIDTH - LEFT - RIGHT - NODE) / max(len(columns) - 1, 1)
    tops = [_tops(size, scale) for size in sizes]
    bands: list[Markup] = []
    nodes: list[Markup] = []
    every = int(LEAST_STEP // step) + 1
    for place, column in enumerate(columns):
        x = LEFT + place * step
        if (len(columns) - 1 - place) % every == 0:
            nodes.append(_heading(column.name, x + NODE / 2))
        nodes += [
            _node(stop, (x, tops[place][stop.segment_id]), scale * sizes[place][stop.segment_id])
            for stop in stops
        ]
        if place:
            starts, ends = dict(tops[place - 1]), dict(tops[place])
            for flow in sorted(
                (f for f in column.came if f.start in order),
                key=lambda f: (order[f.start], order[f.end]),
            ):
                thick = flow.customers * scale
                corners = (x - step + NODE, starts[flow.start], x, ends[flow.end])
                bands.append(_band(flow, corners, thick, stops[order[flow.start]].colour))
                starts[flow.start] += thick
                ends[flow.end] += thick
    labels = _labels(stops, tops[-1], sizes[-1], scale)
    return Markup(
        '<svg class="picture" focusable="false" viewBox="0 0 {} {}" '
        'font-family="{}" font-size="13">{}{}{}</svg>'
    ).format(WIDTH, HEIGHT + TOP + 8, FONT, *(Markup("").join(p) for p in (bands, nodes, labels)))


def _sizes(order: dict[int, int], counts: Sequence[tuple[int, int]]) -> dict[int, int]:
    found = dict.fromkeys(order, 0)
    for number, customers in counts:
        found[number] += customers
    return found


def _tops(sizes: dict[int, int], scale: float) -> dict[int, float]:
    """Where each segment's node begins; columns stand on one floor, so that growth shows."""
    y = HEIGHT + TOP - sum(sizes.values()) * scale - GAP * (len(sizes) - 1)
    found = {}
    for number, customers in sizes.items():
        found[number] = y
        y += customers * scale + GAP
    return found


def _heading(name: str, x: float) -> Markup:
    return Markup(
        '<text x="{:.1f}" y="12" text-anchor="middle" font-size="12" fill="#5b6475">{}</text>'
    ).format(x, name)


def _node(stop: Stop, corner: tuple[float, float], height: float) -> Markup:
    return Markup(
        '<rect data-segment="{}" x="{:.1f}" y="{:.1f}" width="{}" height="{:.1f}" fill="{}"/>'
    ).format(stop.segment_id, *corner, NODE, max(height, 1), stop.colour)


def _labels(
    stops: Sequence[Stop], tops: dict[int, float], sizes: dict[int, int], scale: float
) -> list[Markup]:
    """The names beside the last column; names of thin nodes stay apart."""
    found, low = [], -LABEL
    for stop in stops:
        number = stop.segment_id
        low = max(tops[number] + sizes[number] * scale / 2, low + LABEL)
        found.append(
            Markup(
                '<text data-segment="{}" x="{}" y="{:.1f}" fill="#1d2433">{}'
                '<tspan fill="#5b6475"> {}</tspan></text>'
            ).format(number, WIDTH - RIGHT + 8, low + 4.5, stop.name, f"{sizes[number]:,}")
        )
    return found


def _band(
    flow: Flow, corners: tuple[float, float, float, float], thick: float, colour: str
) -> Markup:
    x0, start, x1, end = corners
    middle = (x0 + x1) / 2
    return Markup(
        '<path data-from="{}" data-to="{}" fill="{}" fill-opacity="{}" '
        'd="M{:.1f},{:.1f}C{:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f}v{:.1f}'
        'C{:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f}Z"><title>{}</title></path>'
    ).format(
        flow.start, flow.end, colour, 0.6 if flow.start != flow.end else 0.2,
        x0, start, middle, start, middle, end, x1, end, thick,
        middle, end + thick, middle, start + thick, x0, start + thick, flow.text,
    )  # fmt: skip

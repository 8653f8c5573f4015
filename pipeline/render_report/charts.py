"""Small pictures as SVG: drawn narrow, so that their words are legible on a telephone.

Colours are classes and variables of styles.css, so that they follow the reader's light or dark
mode; what a picture says stands in words beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

Rows = Sequence[Mapping[str, Any]]
Scale = Callable[[float], float]

WIDTH, LEFT, BOTTOM, TOP = 360, 44, 20, 10
LETTER = 6.2  # about the width of a letter


def columns(rows: Rows, ticks: Callable[[float], str], *, height: int = 130) -> Markup:
    """Columns in the order of the rows: label, value, text; `is_part` hatched, `rest` a dot."""
    top = max((max(row["value"], row.get("rest") or 0) for row in rows), default=0) or 1
    floor, step = height - BOTTOM, (WIDTH - LEFT) / max(len(rows), 1)

    def up(value: float) -> float:
        return floor - value / top * (floor - TOP)

    parts = [_across(up(value), ticks(value)) for value in _round_steps(top)]
    longest = max((len(row["label"]) for row in rows), default=1)
    every = math.ceil((longest + 1) * LETTER / step)
    for place, row in enumerate(rows):
        x, y = LEFT + place * step, up(row["value"])
        kind, tall = "part" if row.get("is_part") else "col", max(floor - y, 0.5)
        said = _element("title", f"{row['label']}: {row['text']}")
        parts.append(
            _element("rect", said, kind, x=x + step * 0.12, y=y, width=step * 0.76, height=tall)
        )
        if row.get("rest") is not None:
            parts.append(_element("circle", "", "dot", cx=x + step / 2, cy=up(row["rest"]), r=2.6))
        if (len(rows) - 1 - place) % every == 0:
            parts.append(_text(x + step / 2, height - 5, row["label"], "middle"))
    return picture(height, parts)


def scatter(
    points: Rows,
    x_ticks: Rows,
    y_ticks: Rows,
    *,
    height: int = 260,
    logs: tuple[bool, bool] = (True, True),
    is_equal: bool = False,
    curve: Rows = (),
) -> Markup:
    """Points x, y, text, shape, colour (optional low, high, label) on logarithmic or plain scales.

    `is_equal` draws the line on which x and y are equal, `curve` a line through more points.
    """
    drawn = [*points, *curve]
    floor, right = height - BOTTOM - 14, WIDTH - 8
    across = _scale(
        [p["x"] for p in drawn] + [t["at"] for t in x_ticks], LEFT, right, is_log=logs[0]
    )
    heights = [v for p in drawn for v in (p["y"], p.get("low"), p.get("high")) if v is not None]
    up = _scale(heights + [t["at"] for t in y_ticks], floor, TOP, is_log=logs[1])
    parts = [_across(up(t["at"]), t["text"]) for t in y_ticks]
    parts += [_text(across(t["at"]), floor + 14, t["text"], "middle") for t in x_ticks]
    if is_equal:
        low, high = max(min(p["x"] for p in drawn), 1e-9), max(p["x"] for p in drawn)
        parts.append(_line("even", [(across(low), up(low)), (across(high), up(high))]))
    parts += [_line("line", [(across(p["x"]), up(p["y"])) for p in curve])] if curve else []
    for p in points:
        x, y = across(p["x"]), up(p["y"])
        if p.get("low") is not None:
            parts.append(_line("range", [(x, up(p["low"])), (x, up(p["high"]))]))
        said = _element("title", p["text"]) if p.get("text") else ""
        kind, place = p.get("class", "point"), f"translate({x:.1f},{y:.1f})"
        place += f" scale({p.get('size', 3)})"
        colour = f"--colour:{p['colour']}"
        parts.append(_element("path", said, kind, d=p["shape"], transform=place, style=colour))
    for p in (p for p in points if p.get("label")):
        x, y = across(p["x"]), up(p["y"]) - 7
        parts.append(_text(x, y, p["label"], "end" if x > WIDTH * 0.7 else "middle", "halo"))
    return picture(height, parts)


def trend(rows: Rows, gate: float | None, *, chosen: int, height: int = 120) -> Markup:
    """One figure over whole numbers: x, y, text; the chosen in a ring, the gate dashed."""
    floor = height - BOTTOM
    values = [row["y"] for row in rows] + ([] if gate is None else [gate])
    up = _scale(values, floor - 6, TOP + 4, is_log=False)
    across = _scale([row["x"] for row in rows], LEFT + 8, WIDTH - 10, is_log=False)
    low, *_, high = sorted(rows, key=lambda row: float(row["y"]))
    named = [low, high] if up(low["y"]) - up(high["y"]) > LETTER * 2 else [high]
    parts = [_text(LEFT - 4, up(row["y"]) + 4, row["text"], "end") for row in named]
    parts.append(_line("line", [(across(row["x"]), up(row["y"])) for row in rows]))
    if gate is not None:
        parts.append(_line("even", [(LEFT, up(gate)), (WIDTH, up(gate))]))
    for row in rows:
        x, y = across(row["x"]), up(row["y"])
        if row["x"] == chosen:
            parts.append(_element("circle", "", "ring", cx=x, cy=y, r=7))
        said = _element("title", f"{row['x']}: {row['text']}")
        parts.append(_element("circle", said, "mark", cx=x, cy=y, r=3))
        parts.append(_text(x, height - 5, str(row["x"]), "middle"))
    return picture(height, parts)


def picture(height: int, parts: Sequence[Markup]) -> Markup:
    """The parts as one picture; for screen readers there are the words beside it."""
    return Markup(
        '<svg class="picture" viewBox="0 0 {} {}" aria-hidden="true" focusable="false">{}</svg>'
    ).format(WIDTH, height, Markup("").join(parts))


def powers(low: float, high: float) -> list[float]:
    """1, 10, 100, … from the first at or above `low` to the last at or below `high`."""
    return [10.0**n for n in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]


def _scale(values: Sequence[float], start: float, end: float, *, is_log: bool) -> Scale:
    """From the least and greatest of the values to `start` and `end`."""

    def level(value: float) -> float:
        return math.log(max(value, 1e-9)) if is_log else value

    low, high = level(min(values)), level(max(values))
    return lambda value: start + (level(value) - low) / ((high - low) or 1) * (end - start)


def _round_steps(top: float) -> list[float]:
    """Two to four round values up to `top`."""
    size = 10.0 ** math.floor(math.log10(top))
    step = next(s for s in (size / 5, size / 2, size, size * 2, size * 5) if top / s <= 4)
    return [step * n for n in range(1, int(top / step) + 1)]


def _across(y: float, text: str) -> Markup:
    return _line("grid", [(LEFT, y), (WIDTH, y)]) + _text(LEFT - 4, y + 4, text, "end")


def _text(x: float, y: float, text: str, anchor: str, kind: str | None = None) -> Markup:
    return _element("text", text, kind, x=x, y=y, **{"text-anchor": anchor})


def _line(kind: str, points: Sequence[tuple[float, float]]) -> Markup:
    return _element("path", "", kind, d="M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points))


def _element(name: str, inside: str, kind: str | None = None, **attributes: Any) -> Markup:
    """An element of this class, floats to a tenth."""
    told = Markup("").join(
        Markup(' {}="{}"').format(key, f"{value:.1f}" if isinstance(value, float) else value)
        for key, value in {"class": kind, **attributes}.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(name, told, inside)

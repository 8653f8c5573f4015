"""How a segment looks wherever it is drawn: one colour and one shape, never colour alone."""

from __future__ import annotations

from dataclasses import dataclass

COLOURS = 12  # in styles.css, light and dark, each with a contrast of 3 to 1 (WCAG 1.4.11)
# Paths in a square from -1 to 1, as Vega takes them and as a small SVG draws them.
SHAPES = (
    "M0,-1A1,1,0,1,1,0,1A1,1,0,1,1,0,-1Z",
    "M-.9,-.9H.9V.9H-.9Z",
    "M0,-1L1,.8H-1Z",
    "M0,-1.1L.9,0L0,1.1L-.9,0Z",
    "M-.35,-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z",
    "M0,1L1,-.8H-1Z",
    "M1,0L-.8,1V-1Z",
    "M0,-1L.29,-.4L.95,-.31L.48,.15L.59,.81L0,.5L-.59,.81L-.48,.15L-.95,-.31L-.29,-.4Z",
    "M-1,0L.8,1V-1Z",
    "M-.95,0L-.48,-.85H.48L.95,0L.48,.85H-.48Z",
    "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z",
    "M-1,-.4H1V.4H-1Z",
)


@dataclass(frozen=True)
class Mark:
    """The colour and shape of one segment."""

    colour: str
    shape: str


def mark_of(number: int) -> Mark:
    """The mark of the segment of this number; beyond twelve, new pairs of colour and shape."""
    turn = number // COLOURS
    return Mark(f"var(--c{number % COLOURS})", SHAPES[(number + 5 * turn) % len(SHAPES)])

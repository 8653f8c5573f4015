"""Draw docs/images/segments.png, the README's picture, from the tables of whatever ran last.

The picture holds aggregates only: names of segments, shares and sums.

Example: python docs/draw_pictures.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import vl_convert
import yaml
from markupsafe import Markup

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline.core.run.outputs import whole_file  # noqa: E402
from pipeline.core.run.stage import run_stage  # noqa: E402
from pipeline.core.tables.contract import read_table  # noqa: E402
from pipeline.core.tables.profile_segments import PROFILES  # noqa: E402
from pipeline.core.text import words  # noqa: E402
from pipeline.render_report.charts import FONT, INK, SOFT  # noqa: E402
from pipeline.render_report.inputs import params_text  # noqa: E402
from pipeline.render_report.overview import glance_picture  # noqa: E402
from pipeline.render_report.rows import Row, segments_of  # noqa: E402

PICTURE = ROOT / "docs" / "images" / "segments.png"
MARGIN, WIDTH, LINE, HEAD = 40, 1000, 46, 96


def main() -> None:
    """Read the profiles of the working directory, draw them, write the picture."""
    params = yaml.safe_load(params_text())
    svg = picture(
        segments_of(read_table(PROFILES)),
        params["shop"]["currency"],
        params["shop"]["horizon_days"],
    )
    with whole_file(PICTURE) as unfinished:
        unfinished.write_bytes(vl_convert.svg_to_png(svg, scale=1.3))
    print(PICTURE)


def picture(segments: list[Row], currency: str, horizon: int) -> str:
    """The glance at the segments: a line for each, and below the bars of who brings what."""
    heads = (("Segment", 0), ("Customers", 240), ("Revenue", 350), (f"Next {horizon} days", 515))
    parts = [_text(x, HEAD - 18, name, SOFT, 15) for name, x in heads]
    for number, segment in enumerate(segments):
        parts.append(_line(segment, HEAD + number * LINE, currency))
    bars = HEAD + len(segments) * LINE + 30
    height = bars + 270
    title = _text(0, 34, "Who the customers are, what they bring, what to do", INK, 27, bold=True)
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" width="{w}" height="{h}" '
        'viewBox="{x} {y} {w} {h}" '
        'font-family="{font}"><rect x="{x}" y="{y}" width="{w}" height="{h}" fill="white"/>'
        '{title}{parts}<g transform="translate(0,{bars})">{glance}</g></svg>'
    ).format(
        w=WIDTH + 2 * MARGIN, h=height + MARGIN, x=-MARGIN, y=-MARGIN // 2, font=FONT, title=title,
        parts=Markup("").join(parts), bars=bars,
        glance=Markup(_inner(glance_picture(segments))),  # noqa: S704 - made of Markup
    )  # fmt: skip


def _line(segment: Row, y: int, currency: str) -> Markup:
    expected = words.money(segment["expected_spend"], currency)
    mark = Markup('<path d="{}" fill="{}" transform="translate(9,{}) scale(9)"/>').format(
        segment["shape"], segment["colour"], y + 12
    )
    rule = Markup('<path d="M0,{}H{}" stroke="#dfe3ea"/>').format(y - 8, WIDTH)
    cells = (
        _text(32, y + 19, segment["title"], INK, 20, bold=True),
        _text(240, y + 19, words.count(segment["customers"]), INK, 19),
        _text(350, y + 19, words.money(segment["revenue"], currency), INK, 19),
        _text(515, y + 19, expected, INK, 19),
        _text(680, y + 19, segment["action"], INK, 17),
    )
    return Markup("").join((rule, mark, *cells))


def _text(x: float, y: float, text: str, colour: str, size: int, *, bold: bool = False) -> Markup:
    return Markup('<text x="{}" y="{}" fill="{}" font-size="{}" font-weight="{}">{}</text>').format(
        x, y, colour, size, 700 if bold else 400, text
    )


def _inner(svg: str) -> str:
    return svg.partition(">")[2].removesuffix("</svg>")


if __name__ == "__main__":
    run_stage(main, __doc__)

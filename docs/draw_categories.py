"""Draw docs/images/categories.png: the map of products, an island for each category.

The picture holds points and the categories' titles, nothing of the shop's texts.

Example: python docs/draw_categories.py
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

import pandas as pd
import vl_convert

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline.core.run.outputs import whole_file  # noqa: E402
from pipeline.core.run.stage import run_stage  # noqa: E402
from pipeline.core.tables.categorize_products import PRODUCT_CATEGORIES  # noqa: E402
from pipeline.core.tables.contract import read_table  # noqa: E402

PICTURE = ROOT / "docs" / "images" / "categories.png"
HALF, MARGIN = 430, 40
COLOURS = ("#1b6ca8", "#c8553d", "#588157", "#8e6c8a", "#b08900", "#4a7c8c", "#a44a6c", "#6b705c")


def main() -> None:
    """Read the products of the working directory, draw them, write the picture."""
    svg = picture(read_table(PRODUCT_CATEGORIES))
    with whole_file(PICTURE) as unfinished:
        unfinished.write_bytes(vl_convert.svg_to_png(svg, scale=1.5))
    print(PICTURE)


def picture(products: pd.DataFrame) -> str:
    """A dot for each product, fainter where its category is less sure; a title on each island."""
    size = 2 * (HALF + MARGIN)
    parts = []
    for number, (_, island) in enumerate(products.groupby("category_title", sort=True)):
        colour = COLOURS[number % len(COLOURS)]
        for row in island.itertuples():
            sure = 0.25 + 0.5 * row.confidence
            parts.append(
                f'<circle cx="{_x(row.map_x):.1f}" cy="{_y(row.map_y):.1f}" r="2.6" '
                f'fill="{colour}" fill-opacity="{sure:.2f}"/>'
            )
    for title, island in products.groupby("category_title", sort=True):
        middle = _x((island["map_x"].min() + island["map_x"].max()) / 2)
        centre = _y((island["map_y"].min() + island["map_y"].max()) / 2)
        parts.append(
            f'<text x="{middle:.1f}" y="{centre:.1f}" text-anchor="middle" font-size="12" '
            f'font-weight="bold" stroke="white" stroke-width="4" paint-order="stroke">'
            f"{escape(str(title))} ({len(island)})</text>"
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" '
        f'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(parts)}</svg>"
    )


def _x(value: float) -> float:
    return MARGIN + HALF * (1 + value)


def _y(value: float) -> float:
    return MARGIN + HALF * (1 - value)


if __name__ == "__main__":
    run_stage(main, __doc__)

"""Render the report: one page that a shop owner can read. It formats; it computes no figure.

Reads   the tables of exploration, categories, selection, segments and profiles; metrics/*.json;
        params.yaml
Writes  reports/segments.html, metrics/summary.json

Example: python -m pipeline.render_report
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pipeline.core.run.metrics import write_summary
from pipeline.core.run.outputs import write_text
from pipeline.core.run.params import ShopParams, StageParams, load_params
from pipeline.core.run.stage import run_stage, stage
from pipeline.render_report.inputs import read_inputs
from pipeline.render_report.page import Look, page
from pipeline.render_report.summary import summary

REPORT = Path("reports/segments.html")


class Params(StageParams):
    """Section `report` of params.yaml."""

    map_customers: int = Field(ge=0, le=5000)
    map_products: int = Field(ge=0, le=5000)
    top_rows: int = Field(ge=1, le=100)


def main() -> None:
    """Read what the other stages found, format it, write the page."""
    params, shop = load_params("report", Params), load_params("shop", ShopParams)
    with stage("render_report") as log:
        inputs = read_inputs()
        look = Look(shop=shop.name, currency=shop.currency, **vars(params))
        html = page(inputs, look)
        write_text(REPORT, html)
        write_summary(summary(inputs.metrics))
        log.info("%s: %.2f MB", REPORT, len(html.encode()) / 1e6)


if __name__ == "__main__":
    run_stage(main, __doc__)

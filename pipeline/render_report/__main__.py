"""Render the report: a page for the shop, one for the analyst, and the mailing list.

It formats and computes no figure; the words are those of pipeline/settings/words.

Reads   the tables of exploration, categories, selection, segments and profiles; metrics/*.json;
        params.yaml, pipeline/settings/words
Writes  reports/segments.html, reports/method.html, reports/segments.csv,
        metrics/summary.json

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
from pipeline.render_report.language import read_language
from pipeline.render_report.page import Look, report
from pipeline.render_report.sentences import Writer
from pipeline.render_report.summary import summary

PAGE, METHOD = Path("reports/segments.html"), Path("reports/method.html")
MAILING_LIST = Path("reports/segments.csv")


class Params(StageParams):
    """Section `report` of params.yaml."""

    language: str = Field(pattern=r"^[a-z]{2,3}$")
    listed_customers: int = Field(ge=0, le=10_000)
    map_customers: int = Field(ge=0, le=5000)
    top_rows: int = Field(ge=1, le=100)


def main() -> None:
    """Read what the other stages found, format it, write the pages and the list."""
    params, shop = load_params("report", Params), load_params("shop", ShopParams)
    with stage("render_report") as log:
        inputs = read_inputs()
        writer = Writer(read_language(params.language), shop.currency)
        look = Look(shop=shop.name, **params.model_dump(exclude={"language"}))
        made = report(inputs, look, writer)
        write_text(PAGE, made.segments)
        write_text(METHOD, made.method)
        write_text(MAILING_LIST, made.mailing_list)
        write_summary(summary(inputs.metrics))
        log.info("%s: %.2f MB", PAGE, len(made.segments.encode()) / 1e6)


if __name__ == "__main__":
    run_stage(main, __doc__)

"""Show the segments of the last snapshot in the terminal, and where the report lies.

--digest prints, in Markdown, alerts by the rules of section `alerts` of params.yaml, what changed
since the snapshot before, what to do, and what campaigns brought; it ends with exit code 3 where a
rule is broken.

Reads   data/profiles, params.yaml; for the digest data/segments.parquet, data/sales.parquet,
        data/campaigns.parquet

Example: python -m pipeline show
         python -m pipeline show --digest
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from pipeline.commands.digest import AlertParams, alerts, digest, read_run
from pipeline.core.engines.base import open_engine
from pipeline.core.run.params import ShopParams, load_params
from pipeline.core.run.stage import command_parser, run_command
from pipeline.core.run.yaml_text import load_yaml
from pipeline.core.tables.contract import read_table
from pipeline.core.tables.profile_segments import PROFILES
from pipeline.core.text import words
from pipeline.render_report.inputs import params_text
from pipeline.render_report.rows import segments_of
from pipeline.render_report.sentences import read_writer

REPORT = Path("reports/segments.html")
WIDTH_OF_A_FILE = 120  # where no terminal says how wide it is


ALERTED = 3  # exit code


def main() -> None:
    """Print the segments, or the digest."""
    parser = command_parser(__doc__)
    parser.add_argument("--digest", action="store_true", help="alerts, changes, what to do")
    arguments = parser.parse_args()
    run_command(show_digest if arguments.digest else show, debug=arguments.debug)


def show_digest() -> None:
    """Print the digest; end with ALERTED where a rule is broken."""
    with open_engine() as engine:
        run = read_run(engine)
    shop, rules = load_params("shop", ShopParams), load_params("alerts", AlertParams)
    found = alerts(run, max(run.members), rules, shop.horizon_days)
    print(digest(run, found, shop))
    if found:
        sys.exit(ALERTED)


def show() -> None:
    """Read the profiles and print them."""
    profiles = read_table(PROFILES)
    params = load_yaml(params_text())
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH_OF_A_FILE
    console = Console(highlight=False, width=width)
    console.print(segments_table(profiles, params))
    if REPORT.exists():
        console.print(Text.assemble("The report: ", (str(REPORT), "bold")))
    else:
        console.print(Text(f"{REPORT} is missing: `dvc repro` writes it"))


def segments_table(profiles: pd.DataFrame, params: Mapping[str, Any]) -> RichTable:
    """One row per segment: name, customers, share of revenue, expected value, the one action."""
    currency, horizon = params["shop"]["currency"], params["shop"]["horizon_days"]
    language = read_writer(params).language
    segments = segments_of(profiles, language)
    table = RichTable(title=f"Customer segments as of {words.day(segments[0]['snapshot_date'])}")
    table.title_justify = "left"
    table.add_column("Segment", style="bold", no_wrap=True)
    table.add_column("Customers", justify="right")
    table.add_column("Of revenue", justify="right")
    table.add_column(f"Expected in {horizon} days", justify="right")
    table.add_column("Do this")
    for segment in segments:
        cells = (
            segment["title"],
            words.count(segment["customers"]),
            words.share(segment["revenue_share"]),
            words.money(segment["expected_spend"], currency),
            language.play(segment["play"], segment["segment"]).action,
        )
        # Text, not markup: a name with brackets in it is a name.
        table.add_row(*(Text(str(cell)) for cell in cells))
    return table


if __name__ == "__main__":
    main()

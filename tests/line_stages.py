"""Running the line stages on an engine, and finding what differs between two runs."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
from conftest import ROOT, run

from pipeline.core.tables.categorize_products import PRODUCT_CATEGORIES
from pipeline.core.tables.contract import write_table
from pipeline.make_sample.__main__ import write_sample

STAGES = ("clean", "explore", "aggregate_rfm")
TABLES = ("sales", "returned_units", "exploration", "customers", "later_purchases")
FIGURES = (*(f"metrics/{stage}.json" for stage in STAGES), "metrics/plots/season.csv")


def prepare(folder: Path, source: Path | None = None, lines: int = 3000) -> None:
    """Ingest the source (default: a sample) on DuckDB, and give each product a category."""
    params = (ROOT / "params.yaml").read_text(encoding="utf-8")
    if source is None:
        source = folder / "sample.csv"
        write_sample(source, lines, 352)
    assert "  path: data/sample/sample.csv" in params
    changed = params.replace("  path: data/sample/sample.csv", f"  path: {source}", 1)
    (folder / "params.yaml").write_text(changed, encoding="utf-8")
    run_stage(folder, "ingest", "duckdb")
    rows = pq.read_table(folder / "data/invoice_lines.parquet", columns=["stock_code"])
    products = rows.group_by("stock_code").aggregate([]).to_pandas()
    shelf = products["stock_code"].str[-1].isin(list("02468")).map({True: "even", False: "odd"})
    columns = {"category": shelf, "category_title": shelf, "description": "", "confidence": 1.0}
    columns |= {"runner_up": None, "decided_by": "override"}
    here = replace(PRODUCT_CATEGORIES, path=folder / PRODUCT_CATEGORIES.path)
    write_table(here, products.assign(**columns))


def copy_inputs(source: Path, folder: Path) -> Path:
    (folder / "data").mkdir(parents=True)
    for name in ("params.yaml", "data/invoice_lines.parquet", "data/product_categories.parquet"):
        shutil.copy2(source / name, folder / name)
    return folder


def run_stage(folder: Path, stage: str, engine: str, **env: str) -> None:
    paths = {"PYTHONPATH": str(ROOT), "PIPELINE_ENGINE": engine}
    run(sys.executable, "-m", f"pipeline.{stage}", cwd=folder, **paths, **env)


def differences(one: Path, other: Path) -> list[str]:
    """The tables and figures that are not the same: every value, and the order of the rows."""
    different = []
    for name in TABLES:
        expected = pq.read_table(one / "data" / f"{name}.parquet")
        found = pq.read_table(other / "data" / f"{name}.parquet")
        # Writers differ in whether they mark a column as never null.
        if found.column_names != expected.column_names or not found.cast(
            expected.schema, safe=True
        ).equals(expected):
            different.append(name)
    different += [n for n in FIGURES if (one / n).read_bytes() != (other / n).read_bytes()]
    return different

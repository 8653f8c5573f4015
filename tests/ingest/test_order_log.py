"""A log of orders without products goes through every stage, which say what they could not do."""

from __future__ import annotations

import csv
import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT, run

from pipeline.make_sample.__main__ import write_sample

STAGES = (
    "ingest",
    "clean",
    "explore",
    "categorize_products",
    "aggregate_rfm",
    "select_model",
    "assign_segments",
    "profile_segments",
    "render_report",
)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which every stage has run on such a log, and what they said."""
    folder = tmp_path_factory.mktemp("log")
    shutil.copytree(ROOT / "pipeline/settings/taxonomies", folder / "pipeline/settings/taxonomies")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["source"] |= {"path": "log.csv", "layout": "order_log"}
    params["select"] |= {
        "k_to": 4,
        "candidates": ["kmeans/rfm/log"],
    }
    params["select"]["effort"] |= {"resamples": 4, "splits": 2, "later_resamples": 20}
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    write_log(folder / "log.csv")
    said = [
        run(
            sys.executable, "-W", "always", "-m", f"pipeline.{stage}",
            cwd=folder, PYTHONPATH=str(ROOT),
        ).stderr
        for stage in STAGES
    ]  # fmt: skip
    return folder, "".join(said)


def write_log(target: Path) -> None:
    """What a shop without products would export of a sample: customer, date and amount by order."""
    source = target.with_name("sample.csv")
    write_sample(source, 20_000, 352)
    totals: dict[tuple[str, str, str], float] = {}
    with source.open(encoding="iso-8859-1", newline="") as file:
        for line in csv.DictReader(file):
            if line["CustomerID"]:
                order = (line["InvoiceNo"], line["CustomerID"], line["InvoiceDate"])
                amount = int(line["Quantity"]) * float(line["UnitPrice"])
                totals[order] = totals.get(order, 0) + amount
    with target.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["customer", "date", "amount"])
        rows.writerows(
            (customer, moment, f"{amount:.2f}")
            for (_, customer, moment), amount in totals.items()
            if round(amount, 2)
        )


def test_every_stage_ends_well_and_warns_of_nothing_internal(done):
    folder, said = done
    assert "Warning" not in said
    assert "kept" in said
    customers = pq.read_table(folder / "data/customers.parquet")
    last = max(customers["snapshot_date"].to_pylist())
    described = {
        row["customer_id"] for row in customers.to_pylist() if row["snapshot_date"] == last
    }
    with (folder / "reports/segments.csv").open(encoding="utf-8", newline="") as file:
        assert {row["customer_id"] for row in csv.DictReader(file)} == described


def test_returns_of_a_log_are_netted_as_those_of_products(done):
    folder, _ = done
    sales = pq.read_table(folder / "data/sales.parquet").to_pandas()
    assert set(sales["stock_code"]) == {"ORDER"}
    assert sales["quantity_returned"].sum() > 0


def test_the_report_says_what_such_a_log_cannot_tell(done):
    folder, _ = done
    page = (folder / "reports/segments.html").read_text(encoding="utf-8")
    assert "Lines with product codes and descriptions would help." in page

"""The whole pipeline, run by DVC: on the embedded sample and on the real shop."""

from __future__ import annotations

import json
import runpy
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from conftest import ROOT, run, scratch_clone

pytestmark = [pytest.mark.dvc, pytest.mark.slow]


def metrics(clone: Path, stage: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((clone / "metrics" / f"{stage}.json").read_text())[0]
    return content


def query(clone: Path, sql: str) -> tuple[Any, ...]:
    """One row of an SQL query over the clone's tables; @ stands for their folder."""
    with duckdb.connect() as database:
        row = database.execute(sql.replace("@", f"{clone}/data/")).fetchone()
    assert row is not None
    return row


@pytest.fixture(scope="module")
def real_shop(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Path:
    """A clone beside a shared/ folder, in which the real shop went through `dvc exp run`."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "shared").symlink_to(real_data.parents[1])
    clone = scratch_clone(folder)
    run("git", "add", "--all", cwd=clone)
    run("git", "commit", "--quiet", "--allow-empty", "-m", "Uncommitted changes", cwd=clone)
    run("dvc", "exp", "run", "-S", "source.path=../shared/data/online_retail.zip", cwd=clone)
    return clone


@pytest.mark.real_data
def test_the_real_shop_has_the_facts_counted_by_hand(real_shop):
    """See ../shared/data/README.md."""
    facts = metrics(real_shop, "clean")["facts"]
    assert facts["lines_without_customer"] == 135_080
    assert facts["lines_without_description"] == 1_454
    assert facts["duplicates_with_customer"] == 5_225
    assert facts["with_customer_after_duplicates"] == 401_604
    assert facts["with_customer_negative_quantity"] == 8_872
    assert facts["with_customer_sold"] == 392_732
    assert facts["with_customer_sold_not_goods"] == 1_549
    assert facts["with_customer_sold_goods_at_price_0"] == 33
    assert facts["with_customer_sold_goods"] == 391_150
    assert facts["customers"] == 4_334
    assert facts["countries"] == 38
    read = metrics(real_shop, "ingest")
    assert read["first_sold_at"] == "2010-12-01 08:26:00"
    assert read["last_sold_at"] == "2011-12-09 12:50:00"


@pytest.mark.real_data
def test_the_ledger_counts_every_line_and_every_penny_once(real_shop):
    ledger = metrics(real_shop, "clean")["ledger"]
    lines_read, money_read = query(
        real_shop, "select count(*), sum(quantity * unit_price) from '@invoice_lines.parquet'"
    )
    assert lines_read == 541_909
    assert sum(place["lines"] for place in ledger.values()) == lines_read
    # Metrics are rounded to cents; the stage itself compares exact decimals and raises.
    money = sum(Decimal(str(place["money"])) for place in ledger.values())
    assert abs(money - money_read) <= Decimal("0.005") * len(ledger)
    assert metrics(real_shop, "clean")["facts"]["money_read"] == float(round(money_read, 2))
    assert ledger["duplicates"]["lines"] == 5_268
    assert ledger["duplicates"]["lines_with_customer"] == 5_225
    assert ledger["kept_with_customer"]["lines"] == 391_150
    kept, customers = query(
        real_shop, "select count(customer_id), count(distinct customer_id) from '@sales.parquet'"
    )
    assert (kept, customers) == (391_150, 4_334)


@pytest.mark.real_data
def test_no_customer_and_no_product_of_the_real_shop_is_lost(real_shop):
    customers, segmented, products, categorized = query(
        real_shop,
        """select (select count(distinct customer_id) from '@sales.parquet'),
             (select count(*) from '@segments.parquet'
              where snapshot_date = (select max(snapshot_date) from '@segments.parquet')),
             (select count(distinct stock_code) from '@sales.parquet'),
             (select count(*) from '@product_categories.parquet')""",
    )
    assert customers == segmented == 4_334
    assert products == categorized
    rows, every_row = query(
        real_shop,
        "select (select count(*) from '@customers.parquet'), count(*) from '@segments.parquet'",
    )
    assert rows == every_row


@pytest.mark.real_data
@pytest.mark.browser
def test_the_readmes_picture_shows_the_current_report(real_shop, browser):
    screenshots = runpy.run_path(str(ROOT / "docs/screenshots.py"))
    tab = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = real_shop / "reports/segments.html"
    assert page.stat().st_size < 3_000_000
    tab.goto(page.as_uri())
    shown = (ROOT / "docs/images/report.txt").read_text(encoding="utf-8")
    assert screenshots["first_screen"](tab) == shown, "stale: run `make screenshots` on this shop"
    tab.close()


def test_a_broken_input_fails_and_the_last_outputs_can_be_restored(small_shop):
    clone = small_shop
    before = (clone / "data" / "segments.parquet").read_bytes()

    (clone / "broken.csv").write_text("InvoiceNo;StockCode\n1;2\n")
    params = clone / "params.yaml"
    text = params.read_text(encoding="utf-8")
    assert "path: data/sample/sample.csv" in text
    params.write_text(text.replace("path: data/sample/sample.csv", "path: broken.csv"))
    failed = run("dvc", "repro", cwd=clone, check=False)
    assert failed.returncode != 0
    assert "broken.csv" in failed.stderr
    assert "Traceback" not in failed.stderr

    # The remedy that the README names.
    run("git", "checkout", "--quiet", "params.yaml", "dvc.lock", "metrics", cwd=clone)
    run("dvc", "checkout", cwd=clone)
    assert (clone / "data" / "segments.parquet").read_bytes() == before
    assert "up to date" in run("dvc", "status", cwd=clone).stdout

"""What must not change the result of the whole DAG: variants of one shop's file."""

from __future__ import annotations

import random
import re
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from conftest import PARAMS, ROOT, run
from pandas.testing import assert_frame_equal
from whole_dag import (
    CODE,
    CUSTOMER,
    PRICE,
    WITH_REPORT,
    moved,
    read_rows,
    retold,
    run_dag,
    table,
    write_params,
    write_rows,
)

from pipeline.make_sample.__main__ import write_sample

pytestmark = pytest.mark.slow


CLEAN = PARAMS["clean"]
NO_GOODS = re.compile("|".join(CLEAN["not_goods_patterns"].values()))
LINES = {"invoice_lines", "sales", "returned_units"}
DAYS_OF_28_YEARS = 28 * 365 + 7  # after which the calendar repeats, weekdays too


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample with all stages run, which every variant is compared with."""
    folder = tmp_path_factory.mktemp("told")
    source = folder / "shop.csv"
    write_sample(source, 6000, 352)
    write_params(folder, "shop.csv")
    run_dag(folder, WITH_REPORT)
    assert table(folder, "segments")["segment"].nunique() > 2
    return folder


def outputs(folder: Path) -> dict[str, bytes]:
    """Every table, figure and report that was written, but not the lines, which have numbers."""
    files = [f for top in ("data", "metrics", "reports") for f in (folder / top).rglob("*.*")]
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in files
        if file.is_file() and file.stem not in LINES and file.suffix != ".html"
    }


def different(one: Path, other: Path) -> list[str]:
    first, second = outputs(one), outputs(other)
    return sorted(n for n in first.keys() | second.keys() if first.get(n) != second.get(n))


def test_shuffled_rows_in_many_files_and_a_file_without_rows_change_no_byte(told, tmp_path):
    header, rows = read_rows(told / "shop.csv")
    random.Random(1).shuffle(rows)
    for part in range(7):
        write_rows(tmp_path / "shop" / f"{part}.csv", header, rows[part::7])
    write_rows(tmp_path / "shop" / "9 nothing sold.csv", header, [])
    write_params(tmp_path, "shop")
    run_dag(tmp_path, WITH_REPORT)
    # The figures of ingest count the files.
    assert set(different(told, tmp_path)) <= {"metrics/ingest.json"}


def test_other_names_of_customers_and_products_change_nothing_but_the_names(told, tmp_path):
    _, rows = read_rows(told / "shop.csv")
    customers = renamed({row[CUSTOMER] for row in rows} - {""}, "person", 2)
    goods = {row[CODE].upper() for row in rows if is_goods(row[CODE].upper())}
    codes = renamed(goods, "Z", 3)

    def tell(row):
        row[CUSTOMER] = customers.get(row[CUSTOMER], "")
        row[CODE] = codes.get(row[CODE].upper(), row[CODE])
        return row

    retold(told / "shop.csv", tmp_path / "shop.csv", tell)
    write_params(tmp_path, "shop.csv")
    run_dag(tmp_path, WITH_REPORT)
    named = {
        "customers",
        "later_purchases",
        "segments",
        "customer_forecasts",
        "customer_months",
        "customer_prices",
        "product_categories",
    }
    for name in named:
        before, after = table(told, name), table(tmp_path, name)
        for column, names in (("customer_id", customers), ("stock_code", codes)):
            if column in before:
                before[column] = before[column].map(names).fillna(before[column])
        key = [c for c in ("snapshot_date", "month", "customer_id", "stock_code") if c in before]
        before, after = (t.sort_values(key, ignore_index=True) for t in (before, after))
        assert_frame_equal(before, after, obj=name)
    # Beside these tables names stand in lists of best and typical ones, where of equals the
    # first by name is taken, and in what is sorted by name; ingest fingerprints the file.
    by_name = {"exploration", "products_to_review", "ingest", "summary"}
    assert {Path(name).stem for name in different(told, tmp_path)} <= named | by_name


def renamed(names: set[str], prefix: str, seed: int) -> dict[str, str]:
    """Another name for each, in another order."""
    numbers = random.Random(seed).sample(range(10_000, 99_999), len(names))
    return {name: f"{prefix}{number}" for name, number in zip(sorted(names), numbers, strict=True)}


def is_goods(code: str) -> bool:
    return code not in CLEAN["not_goods_codes"] and NO_GOODS.search(code) is None


@pytest.mark.parametrize("times", ["100", "0.1"])
def test_prices_in_another_currency_give_the_same_segments(told, tmp_path, times):
    def tell(row):
        row[PRICE] = str(Decimal(row[PRICE]) * Decimal(times))
        return row

    retold(told / "shop.csv", tmp_path / "shop.csv", tell)
    write_params(tmp_path, "shop.csv", explore={"basket_value_edges": [0, 7]})
    run_dag(tmp_path, WITH_REPORT)
    columns = ["snapshot_date", "customer_id", "segment_id", "segment"]
    assert_frame_equal(table(told, "segments")[columns], table(tmp_path, "segments")[columns])
    assert_frame_equal(
        table(told, "segments"), table(tmp_path, "segments"), check_exact=False, atol=1e-4
    )
    one, other = table(told, "candidates"), table(tmp_path, "candidates")
    assert_frame_equal(one, other, check_exact=False, rtol=1e-4, atol=2e-5)
    expected = table(told, "customer_forecasts")["expected_spend"] * float(times)
    assert table(tmp_path, "customer_forecasts")["expected_spend"].to_numpy() == pytest.approx(
        expected.to_numpy(), rel=1e-3, abs=0.01 * max(1, float(times))
    )


def test_28_years_later_everything_is_the_same_but_the_dates(told, tmp_path):
    retold(
        told / "shop.csv",
        tmp_path / "shop.csv",
        lambda row: moved(row, timedelta(days=DAYS_OF_28_YEARS)),
    )
    write_params(tmp_path, "shop.csv")
    run_dag(tmp_path, WITH_REPORT)
    for name in ("customers", "later_purchases", "segments", "migration", "drift"):
        before, after = table(told, name), table(tmp_path, name)
        for column in before.columns[
            before.columns.str.endswith("_date") | (before.columns == "since")
        ]:
            before[column] += pd.Timedelta(days=DAYS_OF_28_YEARS)
        assert_frame_equal(before, after, obj=name)
    before, after = (table(folder, "customer_forecasts") for folder in (told, tmp_path))
    for column in before.columns[before.columns.str.contains("since|next_order")]:
        later = pd.to_datetime(before[column]) + pd.Timedelta(days=DAYS_OF_28_YEARS)
        before[column] = later.astype("datetime64[us]")
        after[column] = pd.to_datetime(after[column]).astype("datetime64[us]")
    # The clock of forecasts counts days from year 1: the last digit may be rounded otherwise.
    assert_frame_equal(before, after, obj="customer_forecasts", check_exact=False, atol=1e-4)
    assert table(told, "candidates").equals(table(tmp_path, "candidates"))


@pytest.mark.parametrize("days", [7, 19])
def test_shifting_all_dates_keeps_the_last_snapshots_customers(told, tmp_path, days):
    """The ends of months fall elsewhere, so that what is learnt from them may differ."""
    retold(told / "shop.csv", tmp_path / "shop.csv", lambda row: moved(row, timedelta(days=days)))
    write_params(tmp_path, "shop.csv")
    run_dag(tmp_path, ("ingest", "clean", "categorize_products", "aggregate_rfm"))
    before, after = (on_the_last_day(folder) for folder in (told, tmp_path))
    assert (after["snapshot_date"] - before["snapshot_date"] == pd.Timedelta(days=days)).all()
    assert_frame_equal(before.drop(columns="snapshot_date"), after.drop(columns="snapshot_date"))


def on_the_last_day(folder: Path) -> pd.DataFrame:
    rows = table(folder, "customers")
    return rows[rows["snapshot_date"] == rows["snapshot_date"].max()].reset_index(drop=True)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"PIPELINE_THREADS": "4", "OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "4"},
        {"LC_ALL": "tr_TR.UTF-8", "LANG": "C", "TZ": "Pacific/Chatham", "PYTHONHASHSEED": "9"},
    ],
    ids=["threads", "place"],
)
def test_threads_locale_time_zone_and_hash_seed_change_no_byte(told, tmp_path, elsewhere):
    write_params(tmp_path, "shop.csv")
    (tmp_path / "shop.csv").symlink_to(told / "shop.csv")
    (tmp_path / "pipeline").symlink_to(ROOT / "pipeline")
    runner, path = str(ROOT / "tests" / "whole_dag.py"), f"{ROOT}:{ROOT / 'tests'}"
    run(sys.executable, runner, ".", *WITH_REPORT, cwd=tmp_path, PYTHONPATH=path, **elsewhere)
    assert different(told, tmp_path) == []
    for name in ("data/sales.parquet", "reports/segments.html", "reports/method.html"):
        assert (told / name).read_bytes() == (tmp_path / name).read_bytes()

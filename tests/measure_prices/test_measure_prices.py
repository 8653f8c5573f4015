"""Margin and discounts: known truths, unknown is never zero, planted habits are found."""

from __future__ import annotations

import contextlib
import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from whole_dag import run_dag, write_params

from pipeline.core.run.errors import InputError
from pipeline.core.tables.contract import read_table
from pipeline.core.tables.measure_prices import CUSTOMER_PRICES
from pipeline.make_sample.__main__ import write_sample
from pipeline.measure_prices import __main__ as measure_prices

NAMES = {
    "invoice_id": "Order", "stock_code": "SKU", "description": "Text", "quantity": "Quantity",
    "sold_at": "Date", "unit_price": "List price", "amount": "Paid", "customer_id": "Customer",
    "country": "Country",
}  # fmt: skip


def prices_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rows: pd.DataFrame, costs: str = ""
) -> pd.DataFrame:
    """CUSTOMER_PRICES of order lines (columns as in NAMES), through ingest and clean."""
    rows.rename(columns=NAMES).to_csv(folder / "orders.csv", index=False)
    columns = {field: name for field, name in NAMES.items() if field in rows}
    write_params(folder, "orders.csv", source={"layout": "order_lines", "columns": columns})
    run_dag(folder, ("ingest", "clean"))
    (folder / "costs.csv").write_text(f"stock_code,from,unit_cost\n{costs}", encoding="utf-8")
    monkeypatch.setattr(measure_prices, "COSTS_FILE", Path("costs.csv"))
    ids = sorted(rows["customer_id"].unique())
    with contextlib.chdir(folder):
        one = {"snapshot_date": date(2011, 12, 31), "segment": "all"}
        members = pd.DataFrame({"customer_id": ids, **one})
        monkeypatch.setattr(measure_prices, "read_table", lambda _: members)
        measure_prices.main()
        return read_table(CUSTOMER_PRICES).set_index("customer_id")


def lines(rows: list[tuple[str, str, str, int, float, float]]) -> pd.DataFrame:
    """Lines of (customer, day, product, quantity, list price, paid)."""
    frame = pd.DataFrame(
        rows, columns=["customer_id", "sold_at", "stock_code", "quantity", "unit_price", "amount"]
    )
    frame["invoice_id"] = frame["customer_id"] + frame["sold_at"]
    return frame.assign(description="MUG", country="France", sold_at=frame["sold_at"] + " 10:00")


def test_margin_covers_known_costs_only_and_reports_their_share(tmp_path, monkeypatch):
    rows = lines([
        ("a", "2011-01-31", "P1", 10, 2.0, 20.0), ("a", "2011-02-01", "P1", 10, 2.0, 20.0),
        ("a", "2011-03-01", "P2", 1, 10.0, 10.0), ("b", "2011-03-01", "P2", 3, 10.0, 15.0),
    ])  # fmt: skip
    costs = "p1,2011-02-01,1.50\np1,2011-01-01,1.25\n"
    found = prices_of(tmp_path, monkeypatch, rows, costs)
    assert found.loc["a", "revenue"] == 50
    assert found.loc["a", "margin"] == pytest.approx(40 - 12.5 - 15)
    assert found.loc["a", "cost_known_share"] == pytest.approx(0.8)
    assert pd.isna(found.loc["b", "margin"])
    assert found.loc["b", "cost_known_share"] == 0
    (figures,) = json.loads((tmp_path / "metrics/prices.json").read_text(encoding="utf-8"))
    assert figures["margin_rate"] == pytest.approx(12.5 / 40, rel=1e-4)
    assert figures["cost_known_share"] == pytest.approx(40 / 65, rel=1e-4)


def test_discounts_are_shares_of_list_price_and_null_without_any(tmp_path, monkeypatch):
    rows = lines([
        ("a", "2011-01-31", "P1", 10, 2.0, 15.0), ("a", "2011-02-01", "P1", 10, 2.0, 20.0),
        ("b", "2011-02-01", "P1", 10, 2.0, 19.99),
    ])  # fmt: skip
    found = prices_of(tmp_path, monkeypatch, rows)
    assert found.loc["a", "discounted_share"] == pytest.approx(0.5)
    assert found.loc["a", "discount_depth"] == pytest.approx(0.25)
    assert found.loc["b", "discounted_share"] == 0
    plain = prices_of(tmp_path, monkeypatch, rows.drop(columns="amount"))
    assert plain["discounted_share"].isna().all()
    assert not plain["buys_on_promotion"].any()


def test_customers_who_buy_on_promotion_are_found_where_they_are_planted(tmp_path, monkeypatch):
    """A tenth of the sample buys nine in ten lines at 15% to 40% off, the others one in six."""
    write_sample(tmp_path / "sample.csv", 20_000, 9)
    sample = pd.read_csv(tmp_path / "sample.csv", dtype={"CustomerID": str}, encoding="iso-8859-1")
    sample = sample[(sample["Quantity"] > 0) & (sample["UnitPrice"] > 0)].dropna()
    rng = np.random.default_rng(1)
    orders = sample.groupby("CustomerID")["InvoiceNo"].nunique()
    planted = set(rng.choice(orders.index[orders >= 2], len(orders) // 10, replace=False))
    chance = np.where(sample["CustomerID"].isin(planted), 0.9, 1 / 6)
    off = np.where(rng.random(len(sample)) < chance, rng.uniform(0.15, 0.4, len(sample)), 0)
    rows = pd.DataFrame({
        "customer_id": sample["CustomerID"], "invoice_id": sample["InvoiceNo"],
        "stock_code": sample["StockCode"], "description": sample["Description"],
        "quantity": sample["Quantity"], "unit_price": sample["UnitPrice"],
        "sold_at": pd.to_datetime(sample["InvoiceDate"], format="%m/%d/%Y %H:%M"),
        "amount": (sample["Quantity"] * sample["UnitPrice"] * (1 - off)).round(2),
        "country": sample["Country"],
    })  # fmt: skip
    found = prices_of(tmp_path, monkeypatch, rows)
    told = set(found.index[found["buys_on_promotion"]])
    assert len(told & planted) >= 0.9 * len(told)
    assert len(told & planted) >= 0.9 * len(planted)


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        ("P1,yesterday,1\n", r"costs.csv, row 2: from 'yesterday', unit_cost '1'; expected a day"),
        ("P1,2011-01-01,-1\n", r"unit_cost '-1'; expected"),
        ("P1,2011-01-01,1\np1 ,2011-01-01,2\n", r"P1 has two costs from 2011-01-01; keep one"),
    ],
)
def test_costs_that_cannot_be_read_are_an_error(tmp_path, costs: str, message: str):
    file = tmp_path / "costs.csv"
    file.write_text(f"stock_code,from,unit_cost\n{costs}", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        measure_prices.read_costs(file)

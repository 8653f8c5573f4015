"""The whole way of a shop's lines in one process, with little effort spent on selection."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from conftest import ROOT

STAGES = (
    "ingest", "clean", "explore", "categorize_products", "aggregate_rfm", "select_model",
    "assign_segments", "measure_prices", "read_campaigns", "profile_segments", "render_report",
)  # fmt: skip
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"


def go(
    folder: Path,
    monkeypatch: Any,
    rows: Sequence[Sequence[str]],
    shop: str = "a shop",
    currency: str = "£",
) -> str | None:
    """Run every stage on these rows in `folder`; return the stage that refused, and why."""
    from pipeline.core.run.errors import InputError

    monkeypatch.chdir(folder)
    monkeypatch.setenv("PIPELINE_THREADS", "1")
    with (folder / "x.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER.split(","), *rows])
    (folder / "params.yaml").write_text(yaml.safe_dump(_params(shop, currency)), encoding="utf-8")
    for stage in STAGES:
        try:
            importlib.import_module(f"pipeline.{stage}.__main__").main()
        except InputError as error:
            return f"{stage}: {error}"
    return None


def _params(shop: str, currency: str) -> dict[str, Any]:
    params: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["source"]["path"] = "x.csv"
    params["categorize"]["overrides"] = str(ROOT / params["categorize"]["overrides"])
    params["shop"] |= {"name": shop, "currency": currency}
    params["select"] |= {
        "k_to": 4,
        "origins": 2,
        "candidates": ["steps/rfm/log"],
        "baselines": ["tiers/spend/raw/4"],
        "effort": params["select"]["effort"]
        | {"resamples": 3, "splits": 2, "gap_references": 1, "later_resamples": 20},
    }
    return params


def rows_of_a_shop(
    count: int,
    customers: int = 1,
    days: int = 370,
    product: tuple[str, str] = ("85123A", "WHITE HEART MUG"),
    quantities: Sequence[int] = (6, 2, 12),
) -> list[list[str]]:
    """Rows over so many days, in which each customer comes again and again (0: nobody known)."""
    rows = []
    for number in range(count):
        moment = datetime(2010, 12, 1, 8, 26) + timedelta(days=days * number / max(1, count - 1))  # noqa: DTZ001
        customer = str(17850 + number * number * 7 % customers) if customers else ""
        quantity = str(quantities[number % len(quantities)])
        when = f"{moment.month}/{moment.day}/{moment.year} {moment:%H:%M}"
        rows.append(
            [str(500000 + number), *product, quantity, when, "2.55", customer, "United Kingdom"]
        )
    return rows

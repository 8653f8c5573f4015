"""Running every stage in this process on a small shop, and writing variants of its file."""

from __future__ import annotations

import contextlib
import copy
import csv
import importlib
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import yaml
from conftest import PARAMS, ROOT, STAGES

from pipeline.core.run.errors import InputError

WITH_REPORT = tuple(STAGES)[1:]  # in the order of dvc.yaml, without make_sample
TO_SEGMENTS = WITH_REPORT[:-1]
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
TIME = "%m/%d/%Y %H:%M"
NUMBER, CODE, QUANTITY, MOMENT, PRICE, CUSTOMER = 0, 1, 3, 4, 5, 6

Row = list[str]


def write_params(folder: Path, source: Path | str, /, **changes: Any) -> None:
    """The project's parameters with a few candidates, which take seconds; `changes` by section."""
    params = copy.deepcopy(PARAMS)
    params["source"]["path"] = str(source)
    select = params["select"]
    select["k_to"], select["origins"] = 4, 1
    for unused in ("behaviour", "spend"):
        del select["feature_sets"][unused]
    select["candidates"] = [
        "kmeans/rfm/log",
        "kmeans/categories/log",
        "kmeans/rfm/expected_curve",
        "tree/rfm/raw",
    ]
    select["baselines"] = []
    select["effort"] |= {"resamples": 3, "splits": 2, "gap_references": 1, "later_resamples": 20}
    params["profile"]["forecast"]["origins"] = 1
    for section, values in changes.items():
        params[section] |= values
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def run_dag(folder: Path, stages: tuple[str, ...] = TO_SEGMENTS) -> Path:
    """Run the stages one after the other with `folder` as the project's top."""
    link = folder / "pipeline"
    if not link.exists():
        link.symlink_to(ROOT / "pipeline")
    with contextlib.chdir(folder):
        for stage in stages:
            importlib.import_module(f"pipeline.{stage}.__main__").main()
    return folder


def read_rows(source: Path) -> tuple[Row, list[Row]]:
    with source.open(encoding="iso-8859-1", newline="") as file:
        header, *rows = csv.reader(file)
    return header, rows


def write_rows(
    target: Path, header: Row, rows: Sequence[Row], encoding: str = "iso-8859-1"
) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return target


def refusal(folder: Path, rows: Sequence[Row], **changes: Any) -> str | None:
    """Run every stage on these rows in `folder`; return the message of the stage that refused."""
    write_rows(folder / "x.csv", HEADER.split(","), rows, "utf-8")
    select = {"candidates": ["steps/rfm/log"], "baselines": ["tiers/rfm/raw/4"], "origins": 2}
    write_params(folder, "x.csv", select=select, **changes)
    for stage in WITH_REPORT:
        try:
            run_dag(folder, (stage,))
        except InputError as error:
            return f"{stage}: {error}"
    return None


def rows_of_a_shop(
    count: int,
    customers: int = 1,
    days: int = 370,
    product: tuple[str, str] = ("85123A", "WHITE HEART MUG"),
    quantities: Sequence[int] = (6, 2, 12),
) -> list[Row]:
    """Rows over `days`, in which each customer orders again and again (0: no customer ids)."""
    rows = []
    for number in range(count):
        day = datetime(2010, 12, 1, 8, 26) + timedelta(days=days * number / max(1, count - 1))  # noqa: DTZ001
        customer = str(17850 + number * number * 7 % customers) if customers else ""
        quantity = str(quantities[number % len(quantities)])
        sale = [str(500000 + number), *product, quantity, day.strftime(TIME), "2.55", customer]
        rows.append([*sale, "United Kingdom"])
    return rows


def retold(source: Path, target: Path, tell: Callable[[Row], Row]) -> Path:
    """The source with every row rewritten."""
    header, rows = read_rows(source)
    return write_rows(target, header, [tell(list(row)) for row in rows])


def moved(row: Row, by: timedelta) -> Row:
    row[MOMENT] = (datetime.strptime(row[MOMENT], TIME) + by).strftime(TIME)  # noqa: DTZ007
    return row


def table(folder: Path, name: str) -> pd.DataFrame:
    (file,) = (folder / "data").rglob(f"{name}.parquet")
    rows: pd.DataFrame = pq.read_table(file).to_pandas()
    return rows


if __name__ == "__main__":
    run_dag(Path(sys.argv[1]), tuple(sys.argv[2:]) or TO_SEGMENTS)

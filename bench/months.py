"""What months raise an alert: 52 in which nothing was planted, and one with each of four faults.

Made-up shops of the sample's generator go through the stages; each month end is judged by the
rules of params.yaml against the one before. Faults are planted in the lines.

Example: python -m bench months
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd

from bench.lines import ROOT
from bench.scoring import train
from pipeline.commands.show import AlertParams, alerts, read_run
from pipeline.core.engines.base import open_engine
from pipeline.core.run.params import ShopParams, load_params
from pipeline.make_sample.__main__ import write_sample

SHOPS, LINES = (11, 12, 13, 14), 60_000
KEPT = ("1", "4", "7")
Plant = Callable[[pd.DataFrame, pd.Series], pd.DataFrame]  # lines and when they were sold
NOVEMBER, FAULTY = pd.Timestamp("2011-11-01"), date(2011, 11, 30)


def everybody_back(lines: pd.DataFrame, sold_at: pd.Series) -> pd.DataFrame:
    """Every customer of before November orders again in it."""
    last = lines[(sold_at < NOVEMBER) & (lines["CustomerID"] != "")]
    last = last[~last["Quantity"].str.startswith("-")].drop_duplicates("CustomerID", keep="last")
    invoices = [str(900_000 + n) for n in range(len(last))]
    return pd.concat([lines, last.assign(InvoiceNo=invoices, InvoiceDate="11/22/2011 10:00")])


FAULTS: dict[str, Plant] = {
    "a week's file is missing": lambda lines, at: lines[~at.between("2011-11-13", "2011-11-20")],
    "three in four of November's lines are missing":
        lambda lines, at: lines[(at < NOVEMBER) | (lines.index % 4 == 0)],
    "two in three customers order no more from September on":
        lambda lines, at: lines[(at < "2011-09-01") | lines["CustomerID"].str.endswith(KEPT)],
    "every customer orders in November": everybody_back,
}  # fmt: skip


def main() -> None:
    """Print the alerts."""
    found: list[str] = []
    months = 0
    for seed in SHOPS:
        told = judged(seed, lambda lines, _: lines)
        months += len(told)
        found += [f"{day}: {alert}" for day, each in told.items() for alert in each]
    print(
        f"   {len(found)} alerts in {months} quiet months (at most 1 in 24)", *found, sep="\n      "
    )
    for fault, plant in FAULTS.items():
        print(f"   {fault}:", *judged(SHOPS[0], plant)[FAULTY], sep="\n      ")


def judged(seed: int, plant: Plant) -> dict[date, list[str]]:
    """The alerts of each month end of a shop with something planted in its lines."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, contextlib.chdir(name):
        write_sample(Path("all.csv"), LINES, seed)
        lines = pd.read_csv("all.csv", dtype=str, encoding="iso-8859-1", keep_default_na=False)
        sold_at = pd.to_datetime(lines["InvoiceDate"], format="%m/%d/%Y %H:%M")
        plant(lines, sold_at).to_csv("x.csv", index=False, encoding="iso-8859-1")
        train(Path.cwd(), "x.csv")
        rules = load_params("alerts", AlertParams, ROOT / "params.yaml")
        with open_engine() as engine:
            run = read_run(engine)
        horizon = load_params("shop", ShopParams).horizon_days
        return {day: alerts(run, day, rules, horizon) for day in run.members}


if __name__ == "__main__":
    main()

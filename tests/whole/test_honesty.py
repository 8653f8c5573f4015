"""What is not there is not found, what is there is found, and nothing of the future is known."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from line_stages import prepare, run_stage
from segmentation_shop import DATES, SETTING, write_shop
from sklearn.metrics import adjusted_rand_score

from pipeline.core.model.money_unit import money_unit
from pipeline.core.run.params import load_params
from pipeline.core.tables.aggregate_rfm import CUSTOMERS, LATER_PURCHASES
from pipeline.core.tables.contract import read_table
from pipeline.select_model import __main__ as select_model
from pipeline.select_model.candidates import Family, fit_family, segment_values
from pipeline.select_model.history import in_order_of_history
from pipeline.select_model.snapshots import Snapshot, in_time, snapshots_of
from pipeline.select_model.stability import structure_of

pytestmark = pytest.mark.slow

CUT = "2011-09-30"
FAMILIES = (
    ("kmeans", "log"),
    ("kmeans", "expected_curve"),
    ("steps", "expected_curve"),
    ("tree", "raw"),
)


@pytest.mark.parametrize("seed", range(3))
def test_planted_groups_are_structure_and_are_found(seed):
    rng = np.random.default_rng(seed)
    planted = rng.integers(0, 4, 600)
    centres = np.array([[0, 0, 0], [3, 3, 0], [0, 3, 3], [3, 0, 3]])
    logs = 2 + centres[planted] + rng.normal(scale=0.2, size=(600, 3))
    assert structure_of(logs, seed) == "4 clusters"
    everyone = np.arange(600)
    shop = Snapshot(
        "2011-12-10", {"rfm": np.expm1(logs)}, np.ones((600, 4)), np.full(600, -1), everyone
    )
    (found,) = fit_family(
        Family("kmeans", "rfm", "log", (4,), False), shop, (), replace(SETTING, seed=seed)
    )
    assert adjusted_rand_score(planted, found.labels(shop)) > 0.99


def test_lines_after_a_cut_change_no_customer_of_a_snapshot_up_to_it(tmp_path):
    described = []
    for name in ("as_it_was", "told"):
        folder = tmp_path / name
        folder.mkdir()
        if name == "told":
            shutil.copy(tmp_path / "as_it_was" / "sample.csv", folder)
            after = tell_the_future(folder / "sample.csv")
            assert after > 300
            prepare(folder, folder / "sample.csv")
        else:
            prepare(folder)
        for stage in ("clean", "aggregate_rfm"):
            run_stage(folder, stage, "duckdb")
        described.append(up_to_the_cut(folder))
    assert len(described[0]) > 100
    assert described[0] == described[1]


def tell_the_future(source: Path) -> int:
    """Buy a thousand more units on every second line after the cut; return how many were."""
    with source.open(encoding="iso-8859-1", newline="") as file:
        header, *rows = csv.reader(file)
    count = 0
    for row in rows:
        moment = datetime.strptime(row[4], "%m/%d/%Y %H:%M")  # noqa: DTZ007, of no zone
        if str(moment.date()) > CUT and not row[3].startswith("-"):
            count += 1
            row[3] = str(int(row[3]) + 1000 * (count % 2))
    with source.open("w", encoding="iso-8859-1", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return count


def up_to_the_cut(folder: Path) -> list[str]:
    rows = pq.read_table(folder / "data/customers.parquet").to_pylist()
    return [str(row) for row in rows if str(row["snapshot_date"]) <= CUT]


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Customers and their later purchases, and the same shop told of a signal after a cut."""
    monkeypatch.chdir(tmp_path)
    write_shop()
    customers, later = (read_table(t) for t in (CUSTOMERS, LATER_PURCHASES))
    for frame, money in ((customers, "monetary"), (later, "later_spend")):
        frame[money] = frame[money].astype(float)
    cut = pd.Timestamp(DATES[4]).date()
    told = customers.copy(), later.copy()
    after = told[0]["snapshot_date"] > cut
    even = told[0]["customer_id"].str[-1].isin(list("02468"))
    for column in ("monetary", "average_order_value", "frequency", "distinct_products"):
        told[0].loc[after & even, column] *= 50
    newcomers = told[0][after].tail(40).assign(customer_id=[f"a{n:03d}" for n in range(40)])
    told = (pd.concat([told[0], newcomers], ignore_index=True), told[1])
    # What is bought within the horizon of the cut is after it, too.
    judged = told[1]["snapshot_date"] > cut - timedelta(days=90)
    told[1].loc[judged & told[1]["customer_id"].str[-1].isin(list("02468")), "later_spend"] = 5000
    told[1].loc[judged, "later_orders"] = 3
    return (customers, later), told, cut


def test_what_selection_learns_at_a_cut_knows_nothing_that_came_after_it(shop):
    params = load_params("select", select_model.Params, ROOT / "params.yaml")
    *tellings, cut = shop
    learnt = []
    for customers, later in tellings:
        rows, unit = in_order_of_history(customers), money_unit(customers, 90)
        columns = {"rfm": params.feature_sets["rfm"]}
        found = snapshots_of(rows, later, columns, params.wholesale, unit)
        _, _, origins = in_time(found, 12, horizon_days=90, past_snapshots=12, origins=4)
        (origin,) = (o for o in origins if o.cut.date == str(cut))
        learnt.append([origin.cut.features["rfm"], origin.cut.group, len(origin.past)])
        for algorithm, transform in FAMILIES:
            family = Family(algorithm, "rfm", transform, (3,), False)
            (fitted,) = fit_family(family, origin.cut, origin.past, SETTING)
            (values,) = segment_values([fitted], origin.past)
            learnt[-1] += [fitted.labels(origin.cut), values]
        learnt[-1].append(origin.cut.outcomes)
    *before, outcomes = learnt[0]
    *after, other_outcomes = learnt[1]
    assert not np.array_equal(outcomes, other_outcomes)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)

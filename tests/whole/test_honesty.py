"""Selection finds planted clusters and learns nothing from after its cut."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
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

FAMILIES = (
    ("kmeans", "log"),
    ("kmeans", "expected_curve"),
    ("steps", "expected_curve"),
    ("tree", "raw"),
)


@pytest.mark.parametrize("seed", range(3))
def test_planted_clusters_are_found(seed):
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


def test_selection_at_a_cut_learns_nothing_from_after_it(shop):
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

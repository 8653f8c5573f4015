import json
import os
import subprocess
import sys
from pathlib import Path

import conftest
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from segmentation_shop import SETTING, write_shop

from pipeline.assign_segments import __main__ as assign_segments
from pipeline.core.run.errors import InputError
from pipeline.core.run.params import parse_params
from pipeline.core.tables.aggregate_rfm import CUSTOMERS, LATER_PURCHASES
from pipeline.core.tables.assign_segments import SEGMENT_NAMES, SEGMENTS
from pipeline.core.tables.contract import read_table
from pipeline.select_model import __main__ as select_model
from pipeline.select_model.snapshots import read_sampled

PARAMS = conftest.PARAMS["select"]
SMALL = PARAMS | {
    "k_to": 5,
    "origins": 2,
    "candidates": [
        "kmeans/rfm/log",
        "kmeans/categories/log",
        "grid/rhythm/raw/5-8",
    ],
    "effort": PARAMS["effort"]
    | SETTING.effort.model_dump(exclude={"customers", "quadratic_sample"}),
}


def run_in(folder, monkeypatch, params=SMALL, horizon_days=90, **shop):
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PIPELINE_THREADS", "1")
    everyone = {"name": "x", "currency": "£", "horizon_days": horizon_days}
    text = yaml.safe_dump({"shop": everyone, "select": params})
    Path("params.yaml").write_text(text, encoding="utf-8")
    write_shop(**shop)
    select_model.main()
    assign_segments.main()
    return json.loads(Path("metrics/select.json").read_text(encoding="utf-8"))[0]


def test_a_shop_with_habits_is_segmented_and_everyone_is_in_one_segment(tmp_path, monkeypatch):
    metrics = run_in(tmp_path / "shop", monkeypatch)
    assert metrics["chosen"]["eta_squared"] > 0.4
    assert metrics["structure"] != "none"
    customers, segments = read_table(CUSTOMERS), read_table(SEGMENTS)
    keys = ["snapshot_date", "customer_id"]
    pd.testing.assert_frame_equal(customers[keys], segments[keys])
    names = read_table(SEGMENT_NAMES).set_index("segment_id")
    assert (segments["segment"] == segments["segment_id"].map(names["segment"])).all()
    assert names["segment"].is_unique
    assert names.index[-1] == names.index[names["group"] == "returned_everything"][0]
    nothing = segments[customers["frequency"] == 0]
    assert set(nothing["segment"]) == {names.loc[names.index[-1], "segment"]}


def test_segments_are_numbered_by_what_their_customers_spent_later(tmp_path, monkeypatch):
    run_in(tmp_path / "shop", monkeypatch)
    joined = read_table(SEGMENTS).merge(read_table(LATER_PURCHASES))
    newest = sorted(joined["snapshot_date"].unique())[-3:]
    joined = joined[joined["snapshot_date"].isin(newest)]
    later = joined["later_spend"].astype(float).groupby(joined["segment_id"]).mean()
    group = read_table(SEGMENT_NAMES).set_index("segment_id")["group"]
    assert later[group != "returned_everything"].is_monotonic_decreasing


def test_independent_columns_have_no_structure_and_predict_nothing(tmp_path, monkeypatch):
    metrics = run_in(tmp_path / "shop", monkeypatch, related=False, size=400)
    assert metrics["structure"] == "none"
    assert metrics["chosen"]["eta_squared"] < 0.05


def test_a_large_shop_is_judged_on_a_sample_and_assigned_whole(tmp_path, monkeypatch):
    params = SMALL | {"effort": SMALL["effort"] | {"customers": 150}}
    run_in(tmp_path / "shop", monkeypatch, params)
    customers, _ = read_sampled(150, PARAMS["seed"])
    assert customers["customer_id"].nunique() == 150
    assert (customers.groupby("customer_id").size() == 9).all()
    assert len(read_table(SEGMENTS)) == 9 * 300


def test_a_history_of_less_than_two_horizons_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="give a longer history or a shorter shop"):
        run_in(tmp_path / "shop", monkeypatch, horizon_days=200)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"k_from": 9, "k_to": 3}, "k_from 9 is above k_to 3"),
        ({"feature_sets": {"other": ["monetary"]}}, "is not in feature_sets: other"),
        (
            {"baselines": ["magic/rfm/log"]},
            r"select: .*magic/rfm/log: unknown algorithm 'magic'; there are kmeans",
        ),
        ({"candidates": ["kmeans/rfm"]}, "'kmeans/rfm': expected algorithm/features/transform"),
    ],
)
def test_bad_parameters_are_named(change, words):
    with pytest.raises(InputError, match=words):
        parse_params("select", select_model.Params, PARAMS | change)


def test_too_few_customers_are_an_error_that_says_how_many_are_needed(tmp_path, monkeypatch):
    with pytest.raises(
        InputError, match=r"\.parquet: 9 customers on .* 50 on \(5 for each of up to 10 s"
    ):
        run_in(tmp_path / "shop", monkeypatch, size=11)
    assert not Path("data/definition.yaml").exists()


BUSY = """
import time, joblib
from pipeline.select_model.measuring import _in_parallel
def work(number):
    print("on", flush=True)
    time.sleep(60)
list(_in_parallel([joblib.delayed(work)(number) for number in range(2)]))
"""


def test_the_workers_of_a_stage_that_is_killed_end_too():
    stage = subprocess.Popen(
        [sys.executable, "-c", BUSY],
        env={**os.environ, "PIPELINE_THREADS": "2", "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert stage.stdout.readline() == b"on\n"
    stage.kill()
    stage.communicate(timeout=30)  # whoever is left holds the pipe

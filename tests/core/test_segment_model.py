import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import skops.io

from pipeline.core.model.partitions import fit_partitions
from pipeline.core.model.segment_model import (
    SegmentModel,
    Wholesale,
    assign,
    declared_group,
    load_model,
    save_model,
)
from pipeline.core.model.transforms import apply_transform, feature_matrix, fit_transform
from pipeline.core.run.errors import InputError

COLUMNS = ["recency_days", "frequency", "monetary"]
RULE = Wholesale(100.0, 3)


def customers(size=200):
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "recency_days": rng.integers(1, 300, size).astype(float),
            "frequency": 1 + rng.poisson(2, size),
            "monetary": rng.lognormal(6, 1, size),
            "tenure_days": 300,
            "units_per_line": 8.0,
        }
    )
    rows.loc[0, ["recency_days", "frequency", "monetary"]] = [np.nan, 0, 0.0]
    rows.loc[1, ["frequency", "units_per_line"]] = [4, 500.0]
    return rows


def kept(algorithm="steps", transform="expected_curve"):
    rows = customers()
    features = feature_matrix(rows, COLUMNS, 1.0)
    later = np.log1p(features[:, 2]) / 3 + features[:, 1]
    fitted = fit_transform(transform, features, [(features, later)])
    points = apply_transform(fitted, features)
    partition = fit_partitions(algorithm, points, [4], 0, later)[0]
    size = partition.size
    return SegmentModel(
        candidate="test",
        snapshot_date="2011-12-10",
        columns=COLUMNS,
        money_unit=1.0,
        transform=fitted,
        partition=partition,
        groups={"kept_nothing": size, "wholesale": size + 1},
        wholesale=RULE,
        order=np.array([*range(size, 0, -1), size + 1, 0]),
        levels={"recency_days": np.arange(size + 2.0)},
        training={"monetary": {"edges": np.array([1.0]), "shares": np.array([0.5, 0.5])}},
    )


def test_who_kept_nothing_and_who_buys_by_the_box_are_declared_groups():
    rows = pd.DataFrame({"frequency": [0, 5, 2, 5], "units_per_line": [900.0, 100, 900, 99]})
    assert list(declared_group(rows, RULE)) == ["kept_nothing", "wholesale", "", ""]
    assert list(declared_group(rows, Wholesale(0.0, 3))) == ["kept_nothing", "", "", ""]


@pytest.mark.parametrize(
    ("algorithm", "transform"),
    [
        ("steps", "expected_curve"),
        ("tiers", "expected_line"),
        ("kmeans", "log"),
        ("kmeans", "power"),
        ("ward", "quantile"),
        ("mixture", "log"),
        ("tree", "raw"),
    ],
)
def test_a_kept_model_comes_back_and_gives_each_row_alone_the_same_segment(
    tmp_path, algorithm, transform
):
    model = kept(algorithm, transform)
    save_model(model, tmp_path / "model.skops")
    back = load_model(tmp_path / "model.skops")
    rows = customers()
    together = assign(back, rows)
    pd.testing.assert_frame_equal(together, assign(model, rows))
    alone = pd.concat([assign(back, rows.iloc[[n]]) for n in range(40)])
    assert list(alone["segment_id"]) == list(together["segment_id"][:40])
    assert together["segment_id"][0] == back.order[back.groups["kept_nothing"]]
    assert together["segment_id"][1] == back.order[back.groups["wholesale"]]
    assert together["confidence"].between(0, 1).all()


def test_the_same_model_is_the_same_bytes_from_another_process(tmp_path):
    script = (
        "import sys; sys.path[:0] = ['tests', 'tests/core']; from pathlib import Path;"
        "from test_segment_model import kept, save_model;"
        "waste = [object() for _ in range({})];"
        "save_model(kept('tree', 'raw'), Path(sys.argv[1]))"
    )
    for name, waste in (("a", 10), ("b", 100_000)):
        subprocess.run(
            [sys.executable, "-c", script.format(waste), str(tmp_path / name)], check=True
        )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_missing_model_says_how_to_make_it(tmp_path):
    with pytest.raises(InputError, match="dvc repro select_model"):
        load_model(tmp_path / "model.skops")


def test_a_model_with_something_unexpected_in_it_is_refused(tmp_path):
    import skops.io

    skops.io.dump({"oops": subprocess.Popen}, tmp_path / "model.skops")
    with pytest.raises(InputError, match=r"not trusted: subprocess\.Popen"):
        load_model(tmp_path / "model.skops")


def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "model.skops").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(InputError, match=r"model.skops is no model"):
        load_model(tmp_path / "model.skops")


def test_a_file_of_something_else_is_no_model(tmp_path):
    file = tmp_path / "model.skops"
    file.write_bytes(skops.io.dumps({"segments": 4}))
    with pytest.raises(InputError) as error:
        load_model(file)
    assert str(error.value) == f"{file} is no model but a dict"

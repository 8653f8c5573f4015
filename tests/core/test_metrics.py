"""Metrics: committed figures without noise."""

from decimal import Decimal

import numpy as np
import pytest

from pipeline.core.run import metrics
from pipeline.core.run.metrics import flat, read_metrics, write_metrics


@pytest.fixture(autouse=True)
def in_a_scratch_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_floats_are_rounded_to_significant_digits_and_money_to_cents():
    write_metrics(
        "clean",
        {
            "share": 0.123456789,
            "large": np.float64(1234567.8),
            "money": Decimal("9761684.0949"),
            "lines": np.int64(541909),
            "minus_zero": -0.0,
            "sound": np.bool_(True),
            "note": "as planned",
            "deep": {"er": 1e-9},
        },
    )
    assert read_metrics("clean") == {
        "share": 0.12346,
        "large": 1234600.0,
        "money": 9761684.09,
        "lines": 541909,
        "minus_zero": 0.0,
        "sound": True,
        "note": "as planned",
        "deep": {"er": 1e-9},
    }
    assert "-0.0" not in (metrics.METRICS / "clean.json").read_text()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, [1, 2], {"a": [1]}])
def test_values_that_a_diff_cannot_show_are_rejected(value):
    with pytest.raises(ValueError, match=r"metric clean\.bad"):
        write_metrics("clean", {"good": 1, "bad": value})
    assert not (metrics.METRICS / "clean.json").exists()


def test_nested_figures_have_dotted_keys_and_what_is_empty_stays():
    assert flat({"a": {"b": 1, "c": {}}, "d": [1]}) == {"a.b": 1, "a.c": {}, "d": [1]}

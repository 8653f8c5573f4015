"""Drift: the index, its noise and its verdicts."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pytest

from pipeline.profile_segments.drift import binned, decile_edges, drift, noise_level, psi, verdict


def test_equal_shares_have_no_drift_and_the_index_is_symmetric():
    one, other = np.array([10.0, 20, 70]), np.array([50.0, 30, 20])
    assert psi(one, one) == 0
    assert psi(one, other) == pytest.approx(psi(other, one))
    assert psi(one * 1000, other * 1000) == pytest.approx(
        sum((p - q) * np.log(p / q) for p, q in ((0.1, 0.5), (0.2, 0.3), (0.7, 0.2))), rel=1e-3
    )


def test_samples_of_one_population_stay_below_the_noise_in_19_of_20_cases():
    rng = np.random.default_rng(1)
    shares = np.full(10, 0.1)
    above = [
        psi(rng.multinomial(400, shares) * 1.0, rng.multinomial(900, shares) * 1.0)
        > noise_level(10, 400, 900)
        for _ in range(600)
    ]
    assert 0.02 <= np.mean(above) <= 0.08


def test_missing_values_are_a_bin_of_their_own():
    assert binned(np.array([1.0, 5.0, np.nan]), np.array([3.0])).tolist() == [1, 1, 1]
    assert decile_edges(np.array([np.nan])).tolist() == []


@pytest.mark.parametrize(
    ("index", "noise", "text"),
    [(0.05, 0.01, "stable"), (0.2, 0.3, "stable"), (0.2, 0.1, "some drift"), (0.3, 0.1, "drifted")],
)
def test_verdicts(index, noise, text):
    assert verdict(index, noise) == text


def snapshots(*means: float) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(1)
    frames = [
        pd.DataFrame(
            {"snapshot_date": date(2011, month, 1), "tenure_days": rng.normal(mean, 1, 500)}
        )
        for month, mean in enumerate(means, start=1)
    ]
    frame = pd.concat(frames, ignore_index=True)
    return frame, np.arange(len(frame)) % 3


def test_every_snapshot_is_held_against_the_last_and_the_one_before():
    frame, segment = snapshots(0, 0, 5)
    found = drift(frame, segment, {"tenure_days": "days"})
    keys = set(zip(found["reference"], found["snapshot_date"], strict=True))
    assert keys == {
        ("training", date(2011, 1, 1)), ("training", date(2011, 2, 1)),
        ("previous", date(2011, 2, 1)), ("previous", date(2011, 3, 1)),
    }  # fmt: skip
    at = found.set_index(["reference", "snapshot_date", "measure"])["verdict"]
    assert at["previous", date(2011, 2, 1), "tenure_days"] == "stable"
    assert at["previous", date(2011, 3, 1), "tenure_days"] == "drifted"
    assert (found.loc[found["measure"] == "segment_shares", "verdict"] == "stable").all()

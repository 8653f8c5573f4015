"""Which plays have a measured lift."""

from __future__ import annotations

import pandas as pd
import pytest

from pipeline.read_campaigns.__main__ import measured_lifts


def campaigns(*rows: tuple[str, float, float, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["play", "lift", "lift_low", "lift_high"])
    return frame.assign(measure="spend", planned_lift=0.2)


def test_campaigns_of_a_play_are_pooled_by_precision():
    found = measured_lifts(campaigns(("a", 0.1, 0.0, 0.2), ("a", 0.4, 0.2, 0.6))).iloc[0]
    assert found["campaigns"] == 2
    assert found["lift"] == pytest.approx((0.1 * 4 + 0.4) / 5)
    assert found["lift_high"] - found["lift_low"] == pytest.approx(0.2 / 1.25**0.5)


def test_an_inconclusive_campaign_has_no_lift_and_no_rise_is_a_lift_of_zero():
    found = measured_lifts(campaigns(("small", 0.1, -0.2, 0.4), ("none", -0.05, -0.15, 0.05)))
    assert found["play"].tolist() == ["none"]
    assert found.loc[0, ["lift", "lift_high"]].tolist() == pytest.approx([0, 0.05])
    waiting = campaigns(("a", 0.1, 0.0, 0.2)).assign(lift=None)
    assert measured_lifts(waiting).empty

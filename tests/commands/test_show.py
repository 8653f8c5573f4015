"""Alerts: quiet months raise none, each planted fault raises its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from conftest import PARAMS

from pipeline.commands.show import AlertParams, Run, alerts

RULES = AlertParams(**PARAMS["alerts"])
SNAPSHOTS = [d.date() for d in pd.date_range("2021-01-31", "2023-06-30", freq="ME")]
LAST, BEFORE = SNAPSHOTS[-1], SNAPSHOTS[-2]
SEGMENTS = {"champions": 0.15, "loyal": 0.25, "lost": 0.6}


def quiet() -> Run:
    """Two and a half years of a shop with a season, closed on Saturdays and at Christmas."""
    rng = np.random.default_rng(8)
    days = [date(2021, 1, 1) + timedelta(days=n) for n in range((LAST - date(2020, 12, 31)).days)]
    open_days = [d for d in days if d.weekday() != 5 and not RULES.is_closed(d)]
    rates = [400 * (1 + 0.3 * (d.month in (11, 12))) * (1 - 0.2 * (d.month == 1))
             for d in open_days]  # fmt: skip
    totals = np.linspace(400, 2000, len(SNAPSHOTS)).astype(int)
    sizes = (rng.multinomial(total, list(SEGMENTS.values())).tolist() for total in totals)
    members = {day: dict(zip(SEGMENTS, found, strict=True))
               for day, found in zip(SNAPSHOTS, sizes, strict=True)}  # fmt: skip
    measures = ("frequency", "monetary", "tenure_days", "segment_shares")
    drift = pd.DataFrame(
        [(day, m, m, 0.9 if m == "tenure_days" else rng.uniform(0, 0.1))
         for day in SNAPSHOTS[1:] for m in measures],
        columns=["snapshot_date", "measure", "measure_title", "psi"],
    )  # fmt: skip
    checks = pd.DataFrame({"snapshot_date": SNAPSHOTS, "expected_spend": 100.0})
    checks["actual_spend"] = rng.normal(100, 15, len(SNAPSHOTS))
    return Run(
        members, dict(zip(open_days, rng.poisson(rates).tolist(), strict=True)), drift, checks
    )


def test_two_years_of_quiet_months_raise_at_most_one_alert():
    run = quiet()
    found = [alert for day in SNAPSHOTS[-25:] for alert in alerts(run, day, RULES, 90)]
    assert len(found) <= 1
    assert alerts(run, SNAPSHOTS[0], RULES, 90) == []


def changed(frame: pd.DataFrame, rows: pd.Series | date, column: str, value: float):
    frame = frame.copy()
    frame.loc[rows, column] = value
    return frame


def days_dropped(run: Run, first: str, last: str) -> Run:
    kept = {d: n for d, n in run.lines.items() if not first <= d.isoformat() <= last}
    return replace(run, lines=kept)


def lines_halved(run: Run) -> Run:
    return replace(run, lines={d: n * 4 // 10 if d > BEFORE else n for d, n in run.lines.items()})


FAULTS: dict[str, tuple[Callable[[Run], Run], str]] = {
    "a file of a week is missing": (
        lambda run: days_dropped(run, "2023-06-12", "2023-06-18"),
        "Missing days: no line on 6 days on which the shop usually sells, from 12 June 2023",
    ),
    "most lines are missing": (lines_halved, "Missing lines: "),
    "prices are in another currency": (
        lambda run: replace(
            run, drift=changed(run.drift, (run.drift["snapshot_date"] == LAST)
                               & (run.drift["measure"] == "monetary"), "psi", 0.8)),
        "Drift: monetary (index 0.80, limit 0.25).",
    ),
    "a segment empties": (
        lambda run: replace(
            run, members={**run.members, LAST: {**run.members[LAST], "champions": 90}}),
        "Segment “champions”: 90 customers, ",
    ),
    "half of the customers buy no more": (
        lambda run: replace(
            run, checks=changed(run.checks, run.checks["snapshot_date"] == date(2023, 3, 31),
                                "actual_spend", 40)),
        "Forecast of 31 March 2023: actual spend was 40",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_raises_its_alert_alone(fault: str):
    plant, message = FAULTS[fault]
    (alert,) = alerts(plant(quiet()), LAST, RULES, 90)
    assert alert.replace("\xa0", " ").startswith(message)


def test_only_undeclared_closures_raise_an_alert():
    run, january = quiet(), date(2023, 1, 31)
    assert alerts(run, january, RULES, 90) == []
    (alert,) = alerts(run, january, RULES.model_copy(update={"closed": ()}), 90)
    assert alert.endswith("from 1 January 2023 to 3 January 2023.")

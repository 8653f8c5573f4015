"""A report of the small prepared shop, with campaigns and with hostile texts in it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.core.tables.read_campaigns import CAMPAIGNS
from pipeline.render_report.inputs import Inputs, read_inputs
from pipeline.render_report.language import read_language
from pipeline.render_report.page import Look, Report, report
from pipeline.render_report.sentences import Writer

# Whatever a shop's file may hold must be harmless on the page.
HOSTILE = (
    "</script><script>window.hacked=1</script><!-- <img src=x onerror=window.hacked=1> ع 🎁 {{7*7}}"
)
LOOK = Look(shop="The gift shop", listed_customers=10_000, map_customers=800, top_rows=10)


@pytest.fixture(scope="session")
def inputs(prepared: Path, campaign_table: pd.DataFrame) -> Inputs:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(prepared)
        return replace(read_inputs(), campaigns=campaign_table)


@pytest.fixture(scope="session")
def writer() -> Writer:
    return Writer(read_language("en"), "£")


@pytest.fixture(scope="session")
def hostile(inputs: Inputs) -> Inputs:
    """The shop with hostile texts for a product, a category, a rule, a figure and a customer."""
    first = {"customer_id": {inputs.customer_forecasts["customer_id"].iloc[0]: HOSTILE}}

    def spoilt(frame: pd.DataFrame, column: str) -> pd.DataFrame:
        return frame.assign(**{column: [HOSTILE, *frame[column].iloc[1:]]})

    products = inputs.exploration.sort_values("pattern", key=lambda p: p != "product_by_revenue")
    return replace(
        inputs,
        customer_forecasts=spoilt(inputs.customer_forecasts.replace(first), "offer_category_title"),
        customer_months=inputs.customer_months.replace(first),
        segments=inputs.segments.replace(first),
        exploration=spoilt(products, "sub_bucket"),
        profiles=spoilt(spoilt(inputs.profiles, "rule"), "over_category_title"),
        segment_rules=spoilt(inputs.segment_rules, "rule"),
        profile_notes=inputs.profile_notes.head(1).assign(
            note="nobody", figures=json.dumps({"segments": [HOSTILE]})
        ),
        metrics=inputs.metrics | {"ingest": {"source": HOSTILE}},
    )


@pytest.fixture(scope="session")
def made(hostile: Inputs, writer: Writer) -> Report:
    return report(hostile, LOOK, writer)


@pytest.fixture(scope="session")
def bare(inputs: Inputs) -> Inputs:
    """The shop as a young one: one snapshot, no categories, no forecast, no gate passed."""
    empty = (
        "campaigns", "category_months", "segment_categories", "migration", "latest_moves",
        "segment_changes", "segment_retention", "drift", "forecast_check",
    )  # fmt: skip
    unknown = r"^(expected_|buying_|value_at|compares|decision|retention)"
    silent = {
        name: frame.assign(**dict.fromkeys(frame.filter(regex=unknown).columns))
        for name in ("profiles", "customer_forecasts", "strategies")
        for frame in [getattr(inputs, name)]
    }
    return replace(
        inputs,
        **{name: getattr(inputs, name).iloc[:0] for name in empty},
        **silent,
        shop_periods=inputs.shop_periods[inputs.shop_periods["period"] == "latest"],
        candidates=inputs.candidates.assign(failed_gates="Jaccard"),
        metrics=inputs.metrics
        | {
            "profile": {"total": inputs.metrics["profile"]["total"], "changes": {"is_known": False}}
        },
    )


@pytest.fixture(scope="session")
def campaign_table() -> pd.DataFrame:
    """One that tells, one that is not over, one that is not valid."""
    drawn = {
        "segments": "champions; loyal", "start": date(2011, 9, 1), "end": date(2011, 11, 29),
        "known_until": date(2011, 12, 10), "treated": 900, "held_out": 300, "planned_lift": 0.2,
        "cost": 120.0, "cost_known_share": 0.8, "margin_rate": 0.5,
    }  # fmt: skip
    told = drawn | {
        "campaign": "autumn", "verdict": "rise", "detectable_lift": 0.1, "narrowed": 0.25,
    }  # fmt: skip
    buyers: dict[str, Any] = {
        "treated_mean": 0.4, "held_out_mean": 0.34,
        "difference": 0.061, "difference_low": 0.012, "difference_high": 0.11,
    }  # fmt: skip
    spend: dict[str, Any] = {
        "treated_mean": 180.0, "held_out_mean": 150.0,
        "difference": 30.0, "difference_low": 10.0, "difference_high": 50.0,
        "gain": 13_380.0, "gain_low": 4_380.0, "gain_high": 22_380.0,
    }  # fmt: skip
    rows = [told | buyers | {"measure": "buyers"}, told | spend | {"measure": "spend"}]
    for name, verdict, problem in (("now", "too early", None), ("bad", "invalid", "list")):
        unclear = drawn | {"campaign": name, "verdict": verdict, "problem": problem}
        rows += [unclear | {"measure": measure} for measure in ("buyers", "spend")]
    frame = pd.DataFrame(rows, columns=CAMPAIGNS.schema.names)
    return frame.assign(is_kpi=frame["measure"] == "buyers").astype(object)

"""The stage as a whole, on small shops of every kind: with and without goods, long and short."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from shops import paid_lines

from pipeline.aggregate_rfm import __main__ as aggregate_rfm
from pipeline.core.model.naming import read_playbook
from pipeline.core.tables.aggregate_rfm import CUSTOMERS
from pipeline.core.tables.assign_segments import SEGMENT_NAMES, SEGMENTS
from pipeline.core.tables.categorize_products import CATEGORY_MONTHS, PRODUCT_CATEGORIES
from pipeline.core.tables.clean import RETURNED_UNITS, SALES
from pipeline.core.tables.contract import read_table, write_table
from pipeline.core.tables.profile_segments import (
    CUSTOMER_FORECASTS,
    FORECAST_CHECK,
    LATEST_MOVES,
    MIGRATION,
    PROFILE_NOTES,
    PROFILES,
    SEGMENT_CATEGORIES,
    SEGMENT_CHANGES,
    SEGMENT_MONTHS,
    SEGMENT_RETENTION,
    SEGMENT_RULES,
    STRATEGIES,
)
from pipeline.profile_segments import __main__ as profile_segments

START = datetime(2011, 1, 3, 10)  # noqa: DTZ001 - a shop's own time
CATEGORIES = {"baking": "Baking", "toys": "Toys & =games", "other": "Other"}
TABLES = (
    PROFILES, SEGMENT_CATEGORIES, SEGMENT_MONTHS, SEGMENT_RULES,
    CUSTOMER_FORECASTS, FORECAST_CHECK, MIGRATION, SEGMENT_RETENTION, STRATEGIES,
    PROFILE_NOTES, LATEST_MOVES, SEGMENT_CHANGES,
)  # fmt: skip


def sales(days: int, customers: int, products: int, seed: int = 1) -> tuple:
    """Lines of a shop whose even customers order often; customer =0 sends everything back."""
    rng = np.random.default_rng(seed)
    rows, returned = [], []
    for number in range(customers):
        name = f"={number}" if number % 5 == 0 else f"c{number:03}"
        orders = 1 + rng.poisson(6 if number % 2 == 0 else 0.7)
        for at in sorted(rng.integers(0, days, orders)):
            for product in rng.choice(products, min(products, 2), replace=False):
                line, quantity = len(rows) + 1, Decimal(int(rng.integers(1, 9)))
                back = quantity if number == 0 else Decimal(0)
                price = Decimal(int(rng.integers(100, 900))) / 100
                rows.append(
                    {
                        "line_id": line,
                        "invoice_id": f"{number}-{at}",
                        "stock_code": "ORDER" if products == 1 else f"P{product}",
                        "description": None if products == 1 else f"THING {product}",
                        "quantity": quantity,
                        "sold_at": START + timedelta(days=int(at)),
                        "unit_price": price,
                        "customer_id": name,
                        "country": "France" if number % 3 == 0 and products > 1 else None,
                        "quantity_returned": back,
                        "net_amount": price * (quantity - back),
                    }
                )
                if back:
                    returned.append(
                        {
                            "line_id": line,
                            "return_line_id": 10_000 + line,
                            "returned_at": START + timedelta(days=int(at), hours=1),
                            "quantity": back,
                            "amount": price * back,
                        }
                    )
    return pd.DataFrame(rows), pd.DataFrame(returned)


def shop(days: int = 300, customers: int = 80, products: int = 6, parts: int = 3) -> None:
    """Write what the stage reads below the working directory."""
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    lines, returned = sales(days, customers, products)
    write_table(SALES, paid_lines(lines))
    write_table(RETURNED_UNITS, returned)
    write_table(CATEGORY_MONTHS, pd.DataFrame(columns=CATEGORY_MONTHS.schema.names))
    keys = list(CATEGORIES) if products > 1 else ["other"]
    codes = sorted(lines["stock_code"].unique())
    write_table(
        PRODUCT_CATEGORIES,
        pd.DataFrame(
            {
                "stock_code": codes,
                "description": [f"THING {code}" for code in codes],
                "category": [keys[i % len(keys)] for i in range(len(codes))],
                "category_title": [CATEGORIES[keys[i % len(keys)]] for i in range(len(codes))],
                "confidence": 1.0,
                "runner_up": None,
                "decided_by": "seed",
            }
        ),
    )
    aggregate_rfm.main()
    described = read_table(CUSTOMERS)
    spend = described["monetary"].to_numpy(dtype=float)
    edges = np.quantile(spend[spend > 0], np.arange(parts - 1, 0, -1) / parts)
    segment = (spend[:, None] < edges).sum(axis=1)
    segment[described["frequency"] == 0] = parts
    described = described.assign(segment_id=segment, group="")
    last = described[described["snapshot_date"] == described["snapshot_date"].max()]
    medians = (
        last.assign(monetary=last["monetary"].astype(float))
        .groupby("segment_id")[["recency_days", "frequency", "monetary"]]
        .median()
        .reindex(range(parts + 2))  # the last one is an empty group
    )
    names = medians.reset_index().fillna({"frequency": 0.0, "monetary": 0.0})
    groups = ["returned_everything", "wholesale"]
    plays = ["champions", "loyal", "need_attention", "about_to_sleep", "at_risk", "lost"]
    names["play"] = [*plays[: parts - 1], "lost", *groups]
    names["group"] = [""] * parts + groups
    names["segment"] = [read_playbook().plays[play].names[0] for play in names["play"]]
    names["customers"] = np.bincount(last["segment_id"], minlength=parts + 2)
    named = names.assign(condition="", klaviyo_group=None, shopify_group=None)
    write_table(SEGMENT_NAMES, named[SEGMENT_NAMES.schema.names])
    of = named.set_index("segment_id")
    write_table(
        SEGMENTS,
        described[["snapshot_date", "customer_id", "segment_id"]].assign(
            segment=described["segment_id"].map(of["segment"]),
            play=described["segment_id"].map(of["play"]),
            confidence=0.5,
            previous_segment=None,
            since=described["snapshot_date"],
            months_in_segment=0,
            moved_by=None,
        ),
    )


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def notes() -> str:
    return " ".join(read_table(PROFILE_NOTES)["note"])


def test_everything_adds_up_to_the_whole_shop():
    shop()
    profile_segments.main()
    customers, profiles = read_table(CUSTOMERS), read_table(PROFILES)
    last = customers[customers["snapshot_date"] == customers["snapshot_date"].max()]
    revenue = sum(last["monetary"])
    assert profiles["customers"].sum() == len(last)
    assert sum(profiles["revenue"]) == revenue
    assert profiles["revenue_share"].sum() == pytest.approx(1, abs=1e-5)
    assert sum(read_table(SEGMENT_MONTHS)["spend"]) == revenue
    assert read_table(SEGMENT_MONTHS)["orders"].sum() == last["frequency"].sum()
    assert float(sum(read_table(SEGMENT_CATEGORIES)["spend"])) == pytest.approx(
        float(revenue), abs=0.2
    )
    assert read_table(SEGMENT_RULES)["customers"].sum() == len(last)
    assert len(read_table(CUSTOMER_FORECASTS)) == len(last)
    outlook = read_table(CUSTOMER_FORECASTS)
    assert outlook["expected_spend"].sum() == pytest.approx(profiles["expected_spend"].sum(), abs=1)
    assert set(read_table(STRATEGIES)["segment_id"]) == set(profiles["segment_id"])
    returned_everything = read_table(PROFILES).set_index("segment").loc["returned everything"]
    assert returned_everything["return_rate"] == 1
    assert returned_everything["revenue"] == 0
    (row,) = read_table(CUSTOMER_FORECASTS).query("customer_id == '=0'").to_dict("records")
    assert np.isnan(row["recency_days"])
    assert row["play"] == "returned_everything"


def test_a_shop_without_products_says_what_could_not_be_done(folder):
    shop(products=1)
    profile_segments.main()
    assert read_table(SEGMENT_CATEGORIES).empty
    assert "no_categories" in notes()
    assert "one_country" in notes()
    assert read_table(CUSTOMER_FORECASTS)["next_category"].isna().all()
    assert json.loads((folder / "metrics/profile.json").read_text())[0]["categories"] == 0


def test_a_shop_of_few_months_expects_nothing_and_says_so():
    shop(days=50)
    profile_segments.main()
    assert read_table(PROFILES)["expected_spend"].isna().all()
    assert read_table(FORECAST_CHECK).empty
    assert "no_forecast" in notes()
    assert not read_table(STRATEGIES)["is_testable"].any()


def test_a_shop_that_cannot_hold_a_period_out_has_unchecked_figures():
    shop(days=150)
    profile_segments.main()
    profiles = read_table(PROFILES)
    assert profiles["expected_spend"].notna().all()
    assert (profiles["expected_spend_low"] < profiles["expected_spend_high"]).all()
    assert read_table(FORECAST_CHECK).empty
    assert "not_checked" in notes()


def test_one_snapshot_is_enough_for_all_but_moves():
    shop(days=20)
    profile_segments.main()
    assert read_table(MIGRATION).empty
    assert read_table(LATEST_MOVES).empty
    assert read_table(SEGMENT_CHANGES).empty
    assert read_table(SEGMENT_RETENTION).empty
    assert "one_snapshot" in notes()


def test_a_shop_of_three_customers_in_one_segment_passes():
    shop(days=200, customers=3, parts=1)
    profile_segments.main()
    assert read_table(PROFILES)["customers"].sum() == 3

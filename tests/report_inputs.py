"""A small made-up shop's tables and metrics, as the stages before the report would hand them on.

Texts are hostile on purpose: whatever a shop's file may hold must be harmless on the page.
"""

from __future__ import annotations

import json
import shutil
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.tables.assign_segments import SEGMENT_NAMES, SEGMENTS
from pipeline.core.tables.categorize_products import CATEGORIES as CATEGORY_FACTS
from pipeline.core.tables.categorize_products import CATEGORY_MONTHS, PRODUCT_CATEGORIES
from pipeline.core.tables.contract import Table, write_table
from pipeline.core.tables.explore import EXPLORATION
from pipeline.core.tables.profile_segments import (
    CUSTOMER_FORECASTS,
    CUSTOMER_MONTHS,
    DRIFT,
    FORECAST_CHECK,
    LATEST_MOVES,
    MIGRATION,
    PROFILE_NOTES,
    PROFILES,
    SEGMENT_CATEGORIES,
    SEGMENT_CHANGES,
    SEGMENT_FEATURES,
    SEGMENT_MONTHS,
    SEGMENT_RETENTION,
    SEGMENT_RULES,
    SHOP_PERIODS,
    STRATEGIES,
)
from pipeline.core.tables.read_campaigns import CAMPAIGNS
from pipeline.core.tables.select_model import CANDIDATES, SELECTION_REASONS

ROOT = Path(__file__).resolve().parents[1]
UNKNOWN = ("expected_", "buying_", "value_at", "compares", "decision")  # without later purchases
HOSTILE = (
    "</script><script>window.hacked=1</script><!-- <img src=x onerror=window.hacked=1> ع 🎁 {{7*7}}"
)
AS_OF = date(2011, 12, 10)
MONTHS = [date(2011, m, 1) for m in range(1, 13)]
SNAPSHOTS = [date(2011, 9, 30), date(2011, 10, 31), date(2011, 11, 30), AS_OF]
NAMES = ["champions", "loyal", "at risk", "wholesale", "returned everything"]
SIZES = [20, 30, 40, 6, 4]
CATEGORIES = {"kitchen": "Kitchen", "lights": "Lights & candles", "party": "Party <fun>"}
FEATURES = {
    "recency_days": ("days since the last order", "days"),
    "frequency": ("orders", "orders"),
    "monetary": ("spend", "currency"),
    "return_rate": ("share taken back", "share"),
}


def write_inputs(folder: Path, *, hostile: bool = True, bare: bool = False) -> None:
    """Write all that render_report reads below `folder`, which must be the working directory.

    A bare shop has one snapshot, no categories, no later purchases, and no candidate that passes.
    """
    (folder / "metrics").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "params.yaml", folder / "params.yaml")
    for table, rows in tables(hostile=hostile, bare=bare).items():
        write_table(table, _frame(table, rows))
    for stage, figures in metrics(hostile=hostile, bare=bare).items():
        (folder / "metrics" / f"{stage}.json").write_text(json.dumps([figures]))


def _frame(table: Table, rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=table.schema.names, dtype=object)


def tables(*, hostile: bool, bare: bool) -> dict[Table, list[dict[str, Any]]]:
    """The rows of every table."""
    chance = np.random.default_rng(7)
    found = {
        PROFILES: [_profile(i) for i in range(5)],
        STRATEGIES: [_strategy(i) for i in range(5)],
        CUSTOMER_FORECASTS: [
            _customer(i, n, chance) for i, size in enumerate(SIZES) for n in range(size)
        ],
        SEGMENT_FEATURES: [
            _feature(i, rank, name) for i in range(5) for rank, name in enumerate(FEATURES, 1)
        ],
        SEGMENT_CATEGORIES: [
            _category(i, rank, key) for i in range(4) for rank, key in enumerate(CATEGORIES, 1)
        ],
        SEGMENT_MONTHS: [_month(i, m) for i in range(5) for m in MONTHS],
        SEGMENT_RETENTION: [
            _retention(i, a, b)
            for i in range(5)
            for a, b in pairwise(SNAPSHOTS)
        ],
        SEGMENT_RULES: [_rule(i) for i in range(5)],
        SEGMENT_NAMES: [
            _segment(i) | {"group": "", "play": NAMES[i].replace(" ", "_"), "customers": SIZES[i],
                           "condition": "ordered at least twice" if i < 3 else ""}
            for i in range(5)
        ],
        SEGMENTS: [
            {"snapshot_date": d, "customer_id": f"C{i}{n:03d}", "segment_id": i,
             "segment": NAMES[i], "play": NAMES[i].replace(" ", "_"), "confidence": 0.9,
             "previous_segment": None, "since": SNAPSHOTS[0], "months_in_segment": 0,
             "moved_by": None}
            for d in SNAPSHOTS for i, size in enumerate(SIZES) for n in range(size)
        ],
        CAMPAIGNS: [] if bare else _campaigns(),
        FORECAST_CHECK: [
            _check(g, p) for g, n in (("all", 1), ("segment", 5), ("decile", 10)) for p in range(n)
        ],
        MIGRATION: _migration(),
        LATEST_MOVES: _latest_moves(),
        SEGMENT_CHANGES: [_change(i) for i in range(5)],
        DRIFT: [_drift(m, d) for d in SNAPSHOTS[:-1] for m in ("segment_shares", "monetary")],
        CUSTOMER_MONTHS: [
            {"customer_id": f"C{i}{n:03d}", "month": m, "orders": 1, "spend": Decimal(40 + n)}
            for i, size in enumerate(SIZES[:4]) for n in range(size) for m in MONTHS[i::4]
        ],
        SHOP_PERIODS: [_period(*period) for period in PERIODS],
        PROFILE_NOTES: [
            {"position": 1, "topic": "season", "note": "short_file", "figures": "{}"},
            {"position": 2, "topic": "profiles", "note": "nobody",
             "figures": json.dumps({"segment": "at risk"})},
        ],
        CANDIDATES: [_candidate(a, k) for a in ("kmeans", "ward", "seed") for k in range(2, 7)],
        SELECTION_REASONS: [_reason("kmeans", "chosen"), _reason("ward", "rejected")],
        EXPLORATION: _exploration(),
        CATEGORY_FACTS: [_category_facts(key) for key in CATEGORIES],
        CATEGORY_MONTHS: [
            _category_month(month, i, key) for i, key in enumerate(CATEGORIES) for month in MONTHS
        ],
        PRODUCT_CATEGORIES: [_product(n) for n in range(60)],
    }  # fmt: skip
    if bare:
        for table in (
            CATEGORY_MONTHS, SEGMENT_CATEGORIES, MIGRATION, LATEST_MOVES, SEGMENT_CHANGES,
            SEGMENT_RETENTION, DRIFT, FORECAST_CHECK,
        ):  # fmt: skip
            found[table] = []
        for row in found[PROFILES] + found[CUSTOMER_FORECASTS] + found[STRATEGIES]:
            unknown = [
                key
                for key in row
                if key.startswith(("expected_", "buying_", "value_at", "compares", "decision"))
            ]
            row.update(dict.fromkeys([*unknown, *({"retention"} & set(row))]))
        found[SHOP_PERIODS] = found[SHOP_PERIODS][:1]
        for row in found[CANDIDATES]:
            row["failed_gates"] = "Jaccard"
    if hostile:
        found[PRODUCT_CATEGORIES][0]["description"] = HOSTILE
        found[PROFILES][0]["offer_category_title"] = HOSTILE
        found[PROFILES][0]["rule"] = HOSTILE
        found[PROFILE_NOTES][1]["figures"] = json.dumps({"segment": HOSTILE})
        for table in (CUSTOMER_FORECASTS, CUSTOMER_MONTHS, SEGMENTS):
            for row in found[table]:
                if row["customer_id"] == "C0000":
                    row["customer_id"] = HOSTILE
        found[CUSTOMER_FORECASTS][1]["offer_category_title"] = HOSTILE
        found[EXPLORATION][-1]["sub_bucket"] = HOSTILE
    return found


def _segment(i: int) -> dict[str, Any]:
    return {"segment_id": i, "segment": NAMES[i]}


def _profile(i: int) -> dict[str, Any]:
    nothing = i == 4
    spend = [9000.0, 5000.0, 800.0, 7000.0, 0.0][i]
    return _segment(i) | {
        "group": ["", "", "", "wholesale", "returned_everything"][i],
        "play": NAMES[i].replace(" ", "_"),
        "snapshot_date": AS_OF,
        "customers": SIZES[i],
        "customer_share": SIZES[i] / 100,
        "revenue": Decimal(["52000", "31000", "9000", "8000", "0"][i]),
        "revenue_share": [0.52, 0.31, 0.09, 0.08, 0.0][i],
        "orders": SIZES[i] * 3,
        "median_recency_days": None if nothing else 10.0 + 30 * i,
        "median_frequency": 0.0 if nothing else 8.0 - i,
        "median_monetary": 0.0 if nothing else 2600.0 / (i + 1),
        "median_tenure_days": 200.0,
        "median_order_value": 0.0 if nothing else 310.0,
        "return_rate": 1.0 if nothing else 0.02,
        "units_per_line": 12.0,
        "gap": None if nothing else 30.0,
        "quiet_days": None if nothing else 55.0,
        "gap_customers": 0 if nothing else SIZES[i],
        "top_country": "United Kingdom",
        "abroad_share": 0.2,
        "peak_month": 11,
        "days_to_peak": 327,
        "top_category_title": "Kitchen",
        "second_category_title": "Party <fun>",
        "offer_category": "kitchen",
        "offer_category_title": "Kitchen",
        "over_category_title": "Kitchen",
        "over_lift": 1.6,
        "next_category": "lights",
        "next_category_title": "Lights & candles",
        "rise_to": "champions" if i in (1, 2) else None,
        "rise_share": 0.21 if i in (1, 2) else None,
        "rise_gain": 1196.0 if i in (1, 2) else None,
        "fall_to": "at risk" if i < 2 else None,
        "fall_share": 0.1 if i < 2 else None,
        "mean_confidence": 0.87,
        "rule": "last order at most 60 days ago and more than 3 orders",
        "rule_precision": 0.91,
        "rule_recall": 0.84,
        "first_order_value": 230.0,
        "first_order_units": 120.0,
        "first_order_products": 14.0,
        "first_order_category": "kitchen",
        "first_order_category_title": "Kitchen",
        "first_order_category_share": 0.4,
        "buying_rate": 0.6 / (i + 1),
        "buying_rate_low": 0.5 / (i + 1),
        "buying_rate_high": 0.7 / (i + 1),
        "expected_orders": 30.0 - i,
        "expected_orders_low": 25.0 - i,
        "expected_orders_high": 35.0 - i,
        "expected_spend": spend,
        "expected_spend_low": spend * 0.8,
        "expected_spend_high": spend * 1.2,
        "expected_spend_per_customer": spend / SIZES[i],
        "expected_spend_share": spend / 21800,
        "retention": 0.7,
    }


def _strategy(i: int) -> dict[str, Any]:
    testable = i < 3
    return _segment(i) | {
        "play": NAMES[i].replace(" ", "_"),
        "cost_class": ["medium", "low", "medium", "high", "none"][i],
        "decision": [1, 3, 2, 4, None][i],
        "exceptions": 0 if i else 3,
        "value_at_stake": 420.0 if i < 4 else None,
        "value_at_stake_low": 300.0 if i < 4 else None,
        "value_at_stake_high": 500.0 if i < 4 else None,
        "compares": "buyers" if i < 4 else None,
        "measured_lift": 0.12 if i == 1 else None,
        "baseline_rate": 0.34,
        "target_rate": 0.39,
        "alpha": 0.05,
        "power": 0.8,
        "customers": SIZES[i],
        "holdout_customers": 4 if testable else None,
        "treated_customers": SIZES[i] - 4 if testable else None,
        "is_testable": testable,
        "detectable_rate": 0.5,
    }


def _customer(i: int, n: int, chance: np.random.Generator) -> dict[str, Any]:
    nothing = i == 4
    return _segment(i) | {
        "customer_id": f"C{i}{n:03d}",
        "confidence": 0.9,
        "recency_days": None if nothing else int(chance.integers(0, 40) + 60 * i),
        "frequency": 0 if nothing else int(chance.integers(1, 12)),
        "monetary": Decimal(0) if nothing else Decimal(int(chance.integers(20, 9000))),
        "country": "France" if n % 5 == 0 else "United Kingdom",
        "top_category": "kitchen",
        "top_category_title": "Kitchen",
        "next_category": "lights",
        "next_category_title": "Lights & candles",
        "next_products": "HEART MUG; LAMP",
        "buying_probability": 0.4,
        "expected_orders": 0.7,
        "expected_spend": 90.0,
        "offer_category": "kitchen",
        "offer_category_title": "Kitchen",
        "tenure_days": 150,
        "play": "at_risk" if (i, n < 3) == (0, True) else NAMES[i].replace(" ", "_"),
        "segment_before": "loyal" if n == 5 else NAMES[i],
        "previous_segment": "loyal" if n == 5 else None,
        "since": SNAPSHOTS[-1] if n == 5 else SNAPSHOTS[0],
        "months_in_segment": 0 if n == 5 else 3,
        "moved_by": "behaviour" if n == 5 else None,
        "recency_score": 3,
        "frequency_score": 4,
        "monetary_score": 5,
    }


def _feature(i: int, rank: int, name: str) -> dict[str, Any]:
    title, unit = FEATURES[name]
    empty = i == 4 and name == "recency_days"
    middle = {"days": 30.0, "orders": 4.0, "currency": 800.0, "share": 0.02}[unit] * (i + 1)
    quantiles = dict(zip(("q05", "q25", "median", "q75", "q95"), (0.2, 0.6, 1, 2, 4), strict=True))
    return _segment(i) | {
        "feature": name,
        "feature_title": title,
        "unit": unit,
        "customers": 0 if empty else SIZES[i],
        **{q: None if empty else round(middle * f, 3) for q, f in quantiles.items()},
        "mean": None if empty else middle * 1.2,
        "rest_median": middle * 0.7,
        "cliffs_delta": None if empty else 0.8 - 0.35 * i,
        "effect": "none"
        if empty
        else ["much higher", "higher", "like the rest", "lower", "lower"][i],
        "rank": rank,
    }


def _category(i: int, rank: int, key: str) -> dict[str, Any]:
    return _segment(i) | {
        "category": key,
        "category_title": CATEGORIES[key],
        "spend": Decimal(1000 * (4 - rank)),
        "spend_share": 0.6 / rank,
        "rest_share": 0.3,
        "buyer_share": 0.8 / rank,
        "rest_buyer_share": 0.4,
        "lift": 1.6 / rank,
        "lift_low": 1.4 / rank,
        "lift_high": 1.9 / rank,
        "verdict": ["over", "like the rest", "under"][rank - 1],
        "rank": rank,
    }


PERIODS = (
    ("latest", date(2011, 9, 11), date(2011, 12, 9), 123456.0, 300),
    ("before", date(2011, 6, 13), date(2011, 9, 10), 100000.0, 310),
    ("comparable", date(2011, 12, 1), date(2011, 12, 9), 20000.0, 50),
    ("comparable_year_before", date(2010, 12, 1), date(2010, 12, 9), 16000.0, 40),
    ("ahead_year_before", date(2010, 12, 10), date(2011, 3, 9), 30000.0, 90),
)


def _period(name: str, start: date, end: date, revenue: float, orders: int) -> dict[str, Any]:
    return {
        "period": name, "first_day": start, "last_day": end, "days": (end - start).days + 1,
        "revenue": revenue, "known_revenue": 0.9 * revenue, "orders": orders,
        "customers": orders // 3, "new_customers": 12 if name == "latest" else None,
    }  # fmt: skip


def _month(i: int, month: date) -> dict[str, Any]:
    return _segment(i) | {
        "month": month,
        "is_whole": month.month < 12,
        "orders": month.month,
        "buyers": month.month,
        "spend": Decimal(100 * month.month),
        "spend_share": month.month / 78,
        "rest_share": 1 / 12,
    }


def _retention(i: int, start: date, end: date) -> dict[str, Any]:
    return _segment(i) | {
        "from_date": start, "to_date": end, "days": (end - start).days, "customers": SIZES[i],
        "stayed": SIZES[i] - 3, "rose": 1, "fell": 2, "retention": 1 - 3 / SIZES[i],
        "retention_low": 0.1, "retention_high": 0.99,
    }  # fmt: skip


def _rule(i: int) -> dict[str, Any]:
    return _segment(i) | {
        "rule_id": i + 1,
        "rule": f"last order at most {10 * (i + 1)} days ago & spend < £{100 * (i + 1)}",
        "customers": SIZES[i],
        "precision": 0.91,
        "recall": 0.84,
    }


def _campaigns() -> list[dict[str, Any]]:
    """One that tells, one that is not over, one that is not valid."""
    drawn = {
        "segments": "champions; loyal", "play": None, "start": date(2011, 9, 1),
        "end": date(2011, 11, 29), "known_until": AS_OF, "treated": 900, "held_out": 300,
        "planned_lift": 0.2, "cost": 120.0, "cost_known_share": 0.8, "margin_rate": 0.5,
    }  # fmt: skip
    told = drawn | {
        "campaign": "autumn", "verdict": "rise", "detectable_lift": 0.1, "narrowed": 0.25,
        **dict.fromkeys(("lift", "lift_low", "lift_high"), 0.2),
    }  # fmt: skip
    difference = ("difference", "difference_low", "difference_high")
    buyers = dict(zip(difference, (0.061, 0.012, 0.11), strict=True))
    spend = dict(zip(difference, (30.0, 10.0, 50.0), strict=True))
    gain = {"gain": 13_380.0, "gain_low": 4_380.0, "gain_high": 22_380.0}
    means = {"treated_mean": 0.4, "held_out_mean": 0.34}
    money = {"treated_mean": 180.0, "held_out_mean": 150.0}
    rows = [
        told | buyers | means | {"measure": "buyers", "is_kpi": True},
        told | spend | gain | money | {"measure": "spend"},
    ]
    for name, verdict, problem in (("now", "too early", None), ("bad", "invalid", "list")):
        rows += [drawn | {"campaign": name, "measure": m, "verdict": verdict, "problem": problem}
                 for m in ("buyers", "spend")]  # fmt: skip
    return [{"is_kpi": row["measure"] == "buyers", **row} for row in rows]


def _check(grouping: str, position: int) -> dict[str, Any]:
    label = {"all": "all", "decile": f"decile {position + 1}"}.get(grouping) or NAMES[position]
    expected = 40.0 * (position + 1)
    return {
        "snapshot_date": date(2011, 8, 31), "grouping": grouping,
        "position": position + (grouping == "decile"), "label": label, "customers": 10,
        "expected_spend": expected, "actual_spend": expected * 1.1,
        "expected_spend_low": expected * 0.8, "expected_spend_high": expected * 1.4,
        "expected_orders": 0.5, "actual_orders": 0.6, "expected_buying_rate": 0.4,
        "actual_buying_rate": 0.42, "is_within_80": True, "is_within_95": True,
        "verdict": "held",
    }  # fmt: skip


def _migration() -> list[dict[str, Any]]:
    rows = []
    spans = [("month", a, b) for a, b in pairwise(SNAPSHOTS)]
    for span, start, end in [*spans, ("whole", SNAPSHOTS[0], AS_OF)]:
        for i in range(-1, 5):
            ends = [i, (i + 1) % 5] if i >= 0 else [0, 2]
            rows += [
                {
                    "span": span, "from_date": start, "to_date": end, "from_segment_id": i,
                    "from_segment": NAMES[i] if i >= 0 else "not yet a customer",
                    "to_segment_id": j, "to_segment": NAMES[j],
                    "customers": 8 if i == j else 3, "share": 0.7 if i == j else 0.3,
                }
                for j in ends
            ]  # fmt: skip
    return rows


def _latest_moves() -> list[dict[str, Any]]:
    ways = [
        (-1, 2, "new", 3, 90), (0, 0, "stayed", 18, 40000), (1, 0, "rose", 2, 9000),
        (0, 1, "fell", 1, 7500), (1, 2, "fell", 4, 600), (2, 1, "rose", 5, 700),
    ]  # fmt: skip
    return [
        {
            "from_date": SNAPSHOTS[-2], "to_date": AS_OF, "from_segment_id": start,
            "from_segment": NAMES[start] if start >= 0 else "not yet a customer",
            "to_segment_id": end, "to_segment": NAMES[end], "direction": direction,
            "customers": customers, "share": 0.1, "spend": Decimal(spend),
            "spend_since": Decimal(spend) / 10,
        }
        for start, end, direction, customers, spend in ways
    ]  # fmt: skip


def _change(i: int) -> dict[str, Any]:
    return _segment(i) | {
        "from_date": SNAPSHOTS[-2], "to_date": AS_OF, "customers_before": SIZES[i] - 1,
        "share_before": SIZES[i] / 100, "customers": SIZES[i], "share": SIZES[i] / 100,
        "newcomers": 1, "rose_in": 2, "fell_in": 0, "rose_out": 0, "fell_out": 2,
        "spend_since": Decimal(120),
    }  # fmt: skip


def _drift(measure: str, when: date) -> dict[str, Any]:
    return {
        "snapshot_date": when, "reference": "training", "reference_date": AS_OF,
        "measure": measure, "measure_title": measure.replace("_", " "), "psi": 0.12,
        "noise": 0.03, "verdict": "some drift",
    }  # fmt: skip


def _candidate(algorithm: str, k: int) -> dict[str, Any]:
    figures = {
        name: round(0.9 - 0.04 * k, 3)
        for name in CANDIDATES.schema.names
        if CANDIDATES.column(name).type == "double"
    }
    return figures | {
        "candidate": f"{algorithm}/rfm/log/{k}", "algorithm": algorithm, "features": "rfm",
        "transform": "log", "k": k, "is_baseline": algorithm == "seed", "segments": k,
        "resamples": 20,
        "bic": None if algorithm != "mixture" else 1.0,
        "failed_gates": "Jaccard" if k > 4 else "",
        "is_chosen": (algorithm, k) == ("kmeans", 4),
        "is_runner_up": (algorithm, k) == ("kmeans", 3),
    }  # fmt: skip


def _reason(algorithm: str, verdict: str) -> dict[str, Any]:
    return {
        "family": f"{algorithm}/rfm/log", "best_candidate": f"{algorithm}/rfm/log/4",
        "is_baseline": False, "passed": 3, "tried": 5, "share_of_reference": 0.74,
        "verdict": verdict, "reason": "74% of the reference model with 4 segments",
    }  # fmt: skip


def _exploration() -> list[dict[str, Any]]:
    buckets: dict[str, list[tuple[str, str, float]]] = {
        "month": [(f"{m:%Y-%m}", "", m.month / 78) for m in MONTHS],
        "weekday_hour": [
            (str(d), f"{h:02d}", 0.02) for d in (1, 2, 3, 4, 5, 7) for h in (9, 12, 15)
        ],
        "country": [("United Kingdom", "", 0.85), ("France", "", 0.15)],
        "basket_lines": [("1", "", 0.2), ("2-5", "", 0.5), ("6-10", "", 0.3)],
        "basket_value": [("0-100", "", 0.4), ("100-200", "", 0.6)],
        "orders_per_customer": [("1", "", 0.4), ("2", "", 0.6)],
        "return_rate": [(f"{m:%Y-%m}", "", 0.02) for m in MONTHS],
        "return_delay": [("0", "", 0.3), ("1-7", "", 0.7)],
        "no_customer": [(f"{m:%Y-%m}", "", 0.2) for m in MONTHS],
        "concentration": [("000", "", 0.0), ("010", "", 0.6), ("100", "", 1.0)],
        "cohort": [
            (f"{m:%Y-%m}", f"{n:02d}", 1.0 if n == 0 else 0.3)
            for m in MONTHS
            for n in range(13 - m.month)
        ],
        "product_by_returns": [("P1", "LAMP", 0.4)],
        "product_by_orders": [("P1", "LAMP", 0.1)],
        "product_by_revenue": [("P2", "CAKE STAND", 0.2), ("P1", "LAMP", 0.1)],
    }
    return [
        {
            "pattern": pattern, "position": position, "bucket": bucket, "sub_bucket": sub,
            "lines": 40, "orders": 20, "customers": 10, "units": 100, "amount": Decimal(1000),
            "returned_amount": Decimal(20), "share": share,
        }
        for pattern, rows in buckets.items()
        for position, (bucket, sub, share) in enumerate(rows, 1)
    ]  # fmt: skip


def _category_month(month: date, rank: int, key: str) -> dict[str, Any]:
    """The first category sells as usual, the second most in November, the third not in January."""
    index = 1.0 if rank == 0 else (2.2 if month.month == 11 else 0.8)
    return {
        "category": key, "month": month, "units_sold": 100, "revenue": Decimal(500),
        "season_index": None if rank == 2 and month.month == 1 else index,
    }  # fmt: skip


def _category_facts(key: str) -> dict[str, Any]:
    return {
        "category": key, "category_title": CATEGORIES[key], "about": "for the house",
        "products": 20, "units_sold": 900, "revenue": Decimal(41000), "return_rate": 0.02,
        "confidence": 0.8, "telling_words": "cake, tin", "examples": "CAKE STAND | TIN",
    }  # fmt: skip


def _product(n: int) -> dict[str, Any]:
    key = list(CATEGORIES)[n % 3]
    return {
        "stock_code": f"P{n}", "description": f"PRODUCT {n}", "category": key,
        "category_title": CATEGORIES[key], "confidence": 0.8, "runner_up": "party",
        "decided_by": "seed",
    }  # fmt: skip


def metrics(*, hostile: bool, bare: bool) -> dict[str, dict[str, Any]]:
    """The figures of every stage, where the report knows them by name."""
    left = {"lines": 3, "lines_with_customer": 2, "money": -12.5}
    exits = ("duplicates", "stock_adjustments", "not_goods", "no_price",
             "returns_matched", "returns_unmatched")  # fmt: skip
    return {
        "ingest": {"lines": 4018, "sha256": "d07a" * 16, "first_day": "2011-01-04"},
        "clean": {
            "ledger": {
                **dict.fromkeys(exits, left),
                "kept_with_customer": {
                    "lines": 4000, "lines_with_customer": 4000, "money": 123456.0,
                },
            },
            "facts": {"lines_read": 4018, "money_read": 123381.0, "customers": 100},
            "returns": {"units": 9, "units_matched": 7, "units_unmatched": 2},
        },
        "explore": {
            "sales": {"lines": 4000, "orders": 300, "customers": 100, "products": 60,
                      "revenue": 123456.0},
            "season": {"strongest_month": "2011-11", "strongest_month_to_mean": 1.7,
                       "busiest_weekday": "Thursday", "busiest_weekday_share_of_orders": 0.21,
                       "busiest_hour": 12, "busiest_hour_share_of_orders": 0.17},
            "countries": {"count": 2, "home": "United Kingdom", "share_of_revenue_abroad": 0.15},
            "baskets": {"median_value": 230.5},
            "returns": {"share_of_sold_money": 0.03},
            "no_customer": {"share_of_lines": 0.2, "share_of_revenue": 0.1},
            "customers": {"share_with_one_order": 0.34, "gini_of_revenue": 0.7,
                          "share_of_revenue_of_top_1_percent": 0.3,
                          "share_of_revenue_of_top_20_percent": 0.74,
                          "share_of_customers_with_half_of_revenue": 0.05},
            "retention": {"month_1": 0.22, "month_3": 0.24},
        },
        "categorize": {"products": 60, "categories": 3, "share": {"kitchen": 0.4}},
        "select": {"structure": "continuum", "candidates": 15, "candidates_passed": 9, "origins": 3,
                   "reference": {"correlation_squared": 0.3}},
        "assign": {"customers": 100},
        "profile": {
            "note": HOSTILE if hostile else "none",
            "customers": 100,
            "total": {"customers": 100, "revenue": 100000.0, "orders": 300},
            "forecast": {} if bare else {
                "expected": {"spend": 21800.0, "spend_low95": 15000.0, "spend_high95": 30000.0},
            },
            "rules": {"fidelity": 0.86},
            "next_category": {"hit_rate": 0.544, "hit_rate_of_the_most_popular": 0.545},
            "changes": {"is_known": False} if bare else {
                "is_known": True, "from": str(SNAPSHOTS[-2]), "to": str(AS_OF), "days": 10,
                "ordered": 31, "spend": 4200.0, "new": 3, "rose": 7, "fell": 5, "stayed": 85,
            },
        },
    }  # fmt: skip

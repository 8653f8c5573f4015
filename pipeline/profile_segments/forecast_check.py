"""The forecast of segments, and how past forecasts, from what was known on their day, held."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.profile_segments.forecast import INNER, OUTER, Forecast, forecast
from pipeline.profile_segments.purchases import WEEKS, YOUNG_DAYS, Purchases

Array = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class HeldOut:
    """The forecast of a past day, the segment of each of its customers, and what came after it."""

    forecast: Forecast
    segment: Whole
    orders: Array
    spend: Array

    @property
    def day(self) -> date:
        """The day."""
        return date.fromordinal(self.forecast.day)


@dataclass(frozen=True)
class ShopForecast:
    """The forecast at the last snapshot, None where the file is too young, and its check."""

    forecast: Forecast | None
    by_customer: pd.DataFrame
    by_segment: pd.DataFrame
    check: pd.DataFrame
    figures: dict[str, Any]


def shop_forecast(
    customers: pd.DataFrame,
    later: pd.DataFrame,
    purchases: Purchases,
    names: Mapping[int, str],
    *,
    horizon: int,
    origins: int,
) -> ShopForecast:
    """Return the forecast of the last snapshot of `customers`, which has a column segment_id.

    `later` has the outcomes of the snapshots whose horizon is over; the last `origins` of them
    are held out.
    """
    last = customers["snapshot_date"].max()
    rows = customers[customers["snapshot_date"] == last].reset_index(drop=True)
    is_young = last.toordinal() - purchases.first < YOUNG_DAYS
    if is_young or not len(purchases.at(last.toordinal()).amount):
        nothing = pd.DataFrame()
        return ShopForecast(None, nothing, nothing, nothing, {"is_possible": False})
    now = forecast(purchases, last.toordinal(), horizon)
    ids = purchases.ids[now.customers]
    segment = rows.set_index("customer_id")["segment_id"].loc[ids].to_numpy(dtype=np.int64)
    checked = held_out(customers, later, purchases, horizon, origins)
    check = pd.DataFrame(list(check_rows(checked, names)))
    figures = {
        "is_possible": True,
        **forecast_figures(now, purchases, horizon),
        "days_held_out": len(checked),
        **coverage(check, checked),
        **accuracy(checked),
    }
    by_customer = customer_rows(now).assign(customer_id=ids)
    return ShopForecast(now, by_customer, segment_sums(now, segment), check, figures)


def held_out(
    customers: pd.DataFrame, later: pd.DataFrame, purchases: Purchases, horizon: int, origins: int
) -> list[HeldOut]:
    """The last `origins` snapshots with outcomes, in order, each with the forecast of its day."""
    first = purchases.first + YOUNG_DAYS
    days = sorted(day for day in set(later["snapshot_date"]) if day.toordinal() >= first)
    found = []
    for day in days[len(days) - min(origins, len(days)) :]:
        keys = ["customer_id", "segment_id"]
        rows = customers.loc[customers["snapshot_date"] == day, keys].merge(
            later[later["snapshot_date"] == day], on="customer_id"
        )
        made = forecast(purchases, day.toordinal(), horizon)
        rows = rows.set_index("customer_id").loc[purchases.ids[made.customers]]
        found.append(
            HeldOut(
                forecast=made,
                segment=rows["segment_id"].to_numpy(dtype=np.int64),
                orders=rows["later_orders"].to_numpy(dtype=float),
                spend=rows["later_spend"].to_numpy(dtype=float),
            )
        )
    return found


def customer_rows(made: Forecast) -> pd.DataFrame:
    """One row per customer as in the table customer_forecasts, in the forecast's order."""
    columns: dict[str, Any] = {}
    nothing = np.full(len(made.customers), np.nan)
    for horizon, end in ((made.near, ""), (made.year, "_year")):
        for name, values, interval in (
            ("buying_probability", horizon.active, horizon.active_interval),
            ("expected_orders", horizon.orders, horizon.orders_interval),
            ("expected_spend", horizon.spend, horizon.spend_interval),
        ):
            digits = 2 if name == "expected_spend" else 4
            low, high = (nothing, nothing) if interval is None else interval
            columns[name + end] = values.round(digits)
            columns[f"{name}{end}_low"] = low.round(digits)
            columns[f"{name}{end}_high"] = high.round(digits)
    for name, days in zip(("from", "likely", "until"), made.next_order(), strict=True):
        columns[f"next_order_{name}"] = [
            date.fromordinal(made.day + int(n)) if np.isfinite(n) else None for n in days
        ]
    return pd.DataFrame(columns)


def segment_sums(made: Forecast, segment: Whole) -> pd.DataFrame:
    """Per segment the expected buyers, orders and spend in sum, with intervals that hold OUTER.

    `spend_low80` and `spend_high80` hold INNER; `_year` is the sum of twelve months.
    """
    near, year, rows = made.near, made.year, []
    for number in np.unique(segment):
        mine = segment == number
        row: dict[str, float] = {"segment_id": int(number)}
        row["buyers"] = float(near.active[mine].sum())
        row["buyers_low"], row["buyers_high"] = (
            float(end[mine].sum()) for end in near.active_interval
        )
        row["orders"] = float(near.orders[mine].sum())
        row["orders_low"], row["orders_high"] = made.interval(near, mine, OUTER, "orders")
        row["spend"] = float(near.spend[mine].sum())
        row["spend_low"], row["spend_high"] = made.interval(near, mine, OUTER)
        row["spend_low80"], row["spend_high80"] = made.interval(near, mine, INNER)
        row["spend_year"] = float(year.spend[mine].sum())
        row["spend_year_low"], row["spend_year_high"] = made.interval(year, mine, OUTER)
        rows.append(row)
    return pd.DataFrame(rows)


def deciles(values: Array) -> Whole:
    """1 (least) to 10 (most) by rank; equal values are parted by their position."""
    ranks = np.empty(len(values), dtype=np.int64)
    ranks[np.argsort(values, kind="stable")] = np.arange(len(values))
    return ranks * 10 // max(len(values), 1) + 1


def check_rows(checked: Sequence[HeldOut], names: Mapping[int, str]) -> Iterator[dict[str, Any]]:
    """Forecast and actual figures per customer, by group, on each held-out day."""
    for h in checked:
        near = h.forecast.near
        decile = deciles(near.spend)
        groups = [("all", 0, "all", np.ones(len(h.spend), dtype=bool))]
        groups += [("segment", int(s), names[int(s)], h.segment == s) for s in np.unique(h.segment)]
        groups += [("decile", int(d), f"decile {d}", decile == d) for d in np.unique(decile)]
        for grouping, position, label, inside in groups:
            size, actual = int(inside.sum()), float(h.spend[inside].sum())
            low, high = h.forecast.interval(near, inside, OUTER)
            inner_low, inner_high = h.forecast.interval(near, inside, INNER)
            naive = h.forecast.interval(near, inside, OUTER, sigma=0.0)
            yield {
                "snapshot_date": h.day,
                "grouping": grouping,
                "position": position,
                "label": label,
                "customers": size,
                "expected_spend": near.spend[inside].mean(),
                "expected_spend_low": low / size,
                "expected_spend_high": high / size,
                "actual_spend": actual / size,
                "expected_buying_rate": near.active[inside].mean(),
                "actual_buying_rate": (h.orders[inside] > 0).mean(),
                "is_within_80": inner_low <= actual <= inner_high,
                "is_within_95": low <= actual <= high,
                "naive_width": (naive[1] - naive[0]) / size,
                "verdict": "too high" if actual < low else "too low" if actual > high else "held",
            }


def forecast_figures(made: Forecast, purchases: Purchases, horizon: int) -> dict[str, Any]:
    """What is expected in sum, beside what the file has seen."""
    everybody = np.ones(len(made.customers), dtype=bool)
    near, year = made.near, made.year
    spend = float(near.spend.sum())
    found: dict[str, Any] = {
        "origins_learnt_from": made.origins,
        "knows_season": made.knows_season,
        "known_share": made.known_share,
        "ways": {way.replace(" ", "_"): total for way, total in made.ways.items()},
        "expected": {"buyers": near.active.sum(), "orders": near.orders.sum(), "spend": spend},
        "expected_in_a_year": {
            "buyers": year.active.sum(),
            "orders": year.orders.sum(),
            "spend": year.spend.sum(),
        },
    }
    for name, part, when in (
        ("expected", INNER, near),
        ("expected_in_a_year", INNER, year),
        ("expected", OUTER, near),
        ("expected_in_a_year", OUTER, year),
    ):
        low, high = made.interval(when, everybody, part)
        found[name] |= {f"spend_low{part:.0%}"[:-1]: low, f"spend_high{part:.0%}"[:-1]: high}
    known = purchases.at(made.day)
    daily = np.bincount(known.day - known.first, known.amount, made.day - known.first + 1)
    sums = np.convolve(daily, np.ones(horizon), "valid") if len(daily) >= horizon else daily[:0]
    seen: dict[str, Any] = {"last_days": known.total(made.day - horizon, made.day)}
    if len(sums):
        seen |= {"least": float(sums.min()), "most": float(sums.max())}
        seen["is_more_than_ever"] = spend > float(sums.max())
        # The file's sums are those of new customers too.
        seen["is_less_than_ever"] = spend < made.known_share * float(sums.min())
    if made.knows_season:
        before = known.total(made.day - WEEKS, made.day - WEEKS + horizon)
        growth = float(np.exp(made.growth))
        seen |= {"year_before": before, "growth": growth}
        if before > 0:
            seen["of_year_before_times_growth"] = spend / (before * growth)
    return found | {"seen": seen}


def coverage(check: pd.DataFrame, checked: Sequence[HeldOut]) -> dict[str, Any]:
    """The share of held-out sums within their intervals, and how wide these are."""
    if check.empty:
        return {}
    found: dict[str, Any] = {}
    for name, grouping in (("shop", "all"), ("segments", "segment")):
        rows = check[check["grouping"] == grouping]
        width = rows["expected_spend_high"] - rows["expected_spend_low"]
        found[name] = {
            "checks": len(rows),
            "within_80": float(rows["is_within_80"].mean()),
            "within_95": float(rows["is_within_95"].mean()),
            "width": float((width / rows["expected_spend"]).median()),
            "naive_width": float((rows["naive_width"] / rows["expected_spend"]).median()),
        }
    within: defaultdict[str, list[NDArray[np.bool_]]] = defaultdict(list)
    for h in checked:
        near = h.forecast.near
        for name, ends, actual in (
            ("spend_within_80", near.spend_interval, h.spend),
            ("orders_within_80", near.orders_interval, h.orders),
        ):
            if ends is not None:
                within[name].append((ends[0] <= actual) & (actual <= ends[1]))
    if within:
        found["customers"] = {
            name: float(np.concatenate(parts).mean()) for name, parts in within.items()
        }
    return {"coverage": found}


def accuracy(checked: Sequence[HeldOut]) -> dict[str, Any]:
    """The means over the held-out days of how far the forecast was right."""
    if not checked:
        return {}
    rows = [errors(h.forecast.near.spend, h.spend) for h in checked]
    found: dict[str, float] = dict(pd.DataFrame(rows).mean())
    bought = np.concatenate([h.orders > 0 for h in checked])
    chance = np.concatenate([h.forecast.near.active for h in checked])
    found["orders_level"] = float(
        np.mean([h.forecast.near.orders.sum() / max(h.orders.sum(), 1) for h in checked])
    )
    found["brier"] = float(np.mean((chance - bought) ** 2))
    found["brier_of_base"] = float(np.mean((bought.mean() - bought) ** 2))
    return {"accuracy": found}


def errors(expected: Array, actual: Array) -> dict[str, float]:
    """How far a forecast of spend was right.

    calibration_error: mean distance of forecast and actual over deciles of customers by forecast,
    as a share of the mean spend; level: forecast over actual in sum; gini: of actual spend in the
    forecast's order, as a share of the best order's; error: mean absolute, as a share of the mean.
    """
    decile, total = deciles(expected), max(float(actual.sum()), 1e-9)
    apart = np.bincount(decile, expected - actual)
    best = gini(actual, actual)
    return {
        "calibration_error": float(np.abs(apart).sum() / total),
        "level": float(expected.sum() / total),
        "gini": gini(expected, actual) / best if best > 0 else 0.0,
        "mean_error": float(np.abs(expected - actual).sum() / total),
    }


def gini(order: Array, amounts: Array) -> float:
    """How much more of `amounts` the first by `order` have than a random share."""
    ranked = np.cumsum(amounts[np.argsort(-order, kind="stable")]) / max(float(amounts.sum()), 1e-9)
    return float(2 * ranked.mean() - 1 - 1 / len(ranked))

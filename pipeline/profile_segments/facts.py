"""What is known of every segment, put together from the tables and from the lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.core.engines.base import Engine
from pipeline.core.run.errors import InputError
from pipeline.core.tables.contract import MONEY, Table
from pipeline.profile_segments.forecast_check import ShopForecast
from pipeline.profile_segments.from_lines import (
    customer_months,
    first_days,
    first_order_categories,
    first_orders,
    gap_counts,
    lines_until,
    order_countries,
    order_events,
    segment_money,
    segment_months,
    span,
)
from pipeline.profile_segments.migration import (
    mean_retention,
    rise_gains,
    where_fallers_go,
    where_risers_go,
)
from pipeline.profile_segments.next_category import learn_habits, next_best
from pipeline.profile_segments.next_products import Bought
from pipeline.profile_segments.profiles import SHARE_PREFIX, home_countries, top_category
from pipeline.profile_segments.purchases import Purchases
from pipeline.profile_segments.rules_in_words import segment_rule

Lines = nw.LazyFrame[Any]

REST = "other"  # the category of what nothing is known about is nothing to advertise
SEASON_MONTHS = 6  # whole months below which no month can be called the strongest
FROM_SEGMENTS = (
    "snapshot_date", "customer_id", "segment_id", "play", "confidence", "previous_segment", "since",
    "months_in_segment", "moved_by",
)  # fmt: skip
OUT_OF_SEASON = 0.6  # of its usual share of the sales, in the days ahead, a year before


@dataclass(frozen=True)
class Shop:
    """What the stage reads: every snapshot's customers with segment_id, and the last one apart.

    `names` has one row per segment with its play; `titles` maps the keys of categories
    to their names, and is empty where the shop's lines know no products; `in_season` are the keys
    that may be offered in the horizon ahead.
    """

    customers: pd.DataFrame
    last: pd.DataFrame
    later: pd.DataFrame
    names: pd.DataFrame
    titles: dict[str, str]
    in_season: frozenset[str]
    products: dict[str, str]

    @property
    def day(self) -> date:
        """The last snapshot."""
        day: date = self.last["snapshot_date"].iloc[0]
        return day

    @property
    def segment(self) -> NDArray[np.int64]:
        """The segment_id of each customer at the last snapshot."""
        return self.last["segment_id"].to_numpy(dtype=np.int64)

    @property
    def name_of(self) -> dict[int, str]:
        """The name of each segment_id."""
        return dict(zip(self.names["segment_id"].astype(int), self.names["segment"], strict=True))


@dataclass(frozen=True)
class FromLines:
    """What only the lines know, at customer scale or less."""

    countries: pd.DataFrame
    customer_months: pd.DataFrame
    gaps: pd.DataFrame
    months: pd.DataFrame
    money: pd.DataFrame
    first_orders: pd.DataFrame
    first_categories: pd.DataFrame
    purchases: Purchases
    bought: Bought
    first_day: date
    last_day: date


def join_shop(
    customers: pd.DataFrame,
    segments: pd.DataFrame,
    *,
    names: pd.DataFrame,
    later: pd.DataFrame,
    categories: pd.DataFrame,
    category_months: pd.DataFrame,
    horizon_days: int,
) -> Shop:
    """Return the shop's tables joined, with top and next category of the last snapshot.

    Raises InputError where customers and segments are not of one run.
    """
    joined = customers.merge(
        segments[[name for name in FROM_SEGMENTS if name in segments]],
        on=["snapshot_date", "customer_id"],
        how="left",
        validate="one_to_one",
    )
    if joined["segment_id"].isna().any() or len(segments) != len(customers):
        raise InputError(
            "data/segments.parquet and data/customers.parquet do not hold the same customers; "
            "`dvc repro` makes both anew"
        )
    joined["segment_id"] = joined["segment_id"].astype("int64")
    last = joined[joined["snapshot_date"] == joined["snapshot_date"].max()].reset_index(drop=True)
    titles = category_titles(categories)
    keys = [key for key in sorted(titles) if key != REST]
    title_of: dict[str | None, str | None] = {None: None}
    title_of.update(titles)
    day = last["snapshot_date"].iloc[0]
    in_season = frozenset(keys) - out_of_season(category_months, day, horizon_days)
    offered = [key for key in keys if key in in_season]
    found = {
        "top_category": top_category(last, keys),
        "offer_category": top_category(last, offered),
        "next_category": next_categories(last, offered),
    }
    titled = {f"{name}_title": [title_of[key] for key in each] for name, each in found.items()}
    described = categories[categories["description"].notna()]
    products = dict(zip(described["stock_code"], described["description"], strict=True))
    last = last.assign(**found, **titled)
    return Shop(joined, last, later, names, titles, in_season, products)


def out_of_season(months: pd.DataFrame, day: date, horizon_days: int) -> set[str]:
    """The categories of which hardly anything was sold in the months ahead, a year before.

    `months` has category, month and season_index (1 = its usual share of the month's sales). Where
    the file does not know these months, nothing is out of season.
    """
    days = pd.date_range(day + timedelta(days=1), periods=horizon_days)
    ahead = pd.Series([date(d.year - 1, d.month, 1) for d in days]).value_counts()
    if not set(ahead.index) <= set(months["month"]):
        return set()
    index = months.pivot_table("season_index", "category", "month").reindex(columns=ahead.index)
    weighted = (index.fillna(0.0) * ahead).sum(axis=1) / ahead.sum()
    return {str(category) for category in weighted.index[weighted < OUT_OF_SEASON]}


def category_titles(categories: pd.DataFrame) -> dict[str, str]:
    """The title of each category's key; none where there is but one category or one product."""
    titles = dict(zip(categories["category"], categories["category_title"], strict=True))
    return titles if len(titles) > 1 and len(categories) > 1 else {}


def next_categories(
    customers: pd.DataFrame, keys: Sequence[str], others: pd.DataFrame | None = None
) -> list[str | None]:
    """The next best category of each customer, None where it cannot be told.

    It is learnt from `others`, or from the customers themselves; both have a segment_id.
    """
    if len(keys) < 2:
        return [None] * len(customers)
    pairs = [
        (rows[[SHARE_PREFIX + key for key in keys]].to_numpy(dtype=float),
         rows["segment_id"].to_numpy(dtype=np.int64))
        for rows in (customers, customers if others is None else others)
    ]  # fmt: skip
    size = int(max(segment.max(initial=0) for _, segment in pairs)) + 1
    return [keys[i] for i in next_best(*pairs[0], learn_habits(*pairs[1], size))]


def collect_lines(
    engine: Engine,
    *,
    sales: Lines,
    returned_units: Lines,
    segments: Lines,
    categories: Lines,
    day: date,
) -> FromLines:
    """Return what only the lines know until `day`, aggregated by the engine."""
    lines = engine.keep(lines_until(sales, returned_units, day))
    members = engine.keep(
        segments.filter(nw.col("snapshot_date") == nw.lit(day)).select("customer_id", "segment_id")
    )
    first = engine.keep(first_orders(lines))
    months = engine.keep(customer_months(lines))
    reach = engine.collect(span(lines))
    events = engine.collect(order_events(lines, returned_units, day))
    return FromLines(
        countries=engine.collect(order_countries(lines)),
        customer_months=engine.collect(months),
        gaps=engine.collect(gap_counts(lines, members)),
        months=engine.collect(segment_months(months, members)),
        money=engine.collect(segment_money(lines, members)),
        first_orders=engine.collect(first),
        first_categories=engine.collect(first_order_categories(lines, first, categories)),
        purchases=Purchases.of(events.assign(amount=events["amount"] / 10_000)),
        bought=Bought.of(engine.collect(first_days(lines))),
        first_day=pd.Timestamp(reach["first"].iloc[0]).date(),
        last_day=pd.Timestamp(reach["last"].iloc[0]).date(),
    )


def with_country(shop: Shop, lines: FromLines) -> Shop:
    """The shop with each customer's country at the last snapshot."""
    country = shop.last["customer_id"].map(home_countries(lines.countries)).fillna("unknown")
    return replace(shop, last=shop.last.assign(country=country))


def months_of_segments(shop: Shop, lines: FromLines) -> pd.DataFrame:
    """Return one row per segment and month of the file, zeros included."""
    first, end = lines.first_day, lines.last_day
    months = pd.date_range(first.replace(day=1), end, freq="MS")
    # A month is whole if the file shows sales up to its last three days: Sundays may be closed.
    whole = {
        m: m.date() >= first.replace(day=1)
        and (m.date() > first or first.day <= 3)
        and (m + pd.offsets.MonthEnd(0)).date() - timedelta(days=3) <= end
        for m in months
    }
    grid = pd.MultiIndex.from_product(
        [np.unique(shop.segment), months], names=["segment_id", "month"]
    )
    given = lines.months.assign(
        month=pd.to_datetime(lines.months[["year", "month"]].assign(day=1))
    ).set_index(["segment_id", "month"])
    found = given[["orders", "buyers", "spend"]].reindex(grid, fill_value=0).reset_index()
    total = found.groupby("segment_id")["spend"].transform("sum")
    month_total = found.groupby("month")["spend"].transform("sum")
    rest, rest_total = month_total - found["spend"], found["spend"].sum() - total
    exact: Any = [_decimal(v) for v in found["spend"]]
    return found.assign(
        is_whole=found["month"].map(whole),
        spend=exact,
        spend_share=(found["spend"] / total.where(total > 0)).fillna(0.0).round(6),
        rest_share=(rest / rest_total.where(rest_total > 0)).fillna(0.0).round(6),
        month=found["month"].dt.date,
    )


def segment_facts(
    shop: Shop,
    lines: FromLines,
    *,
    forecast: ShopForecast,
    judged: pd.DataFrame,
    moves: pd.DataFrame,
    retention: pd.DataFrame,
    goods: pd.DataFrame,
    months: pd.DataFrame,
) -> pd.DataFrame:
    """Return one row per segment that has customers, with everything measured about it."""
    last = shop.last
    names = shop.names.set_index("segment_id")
    stay = mean_retention(retention)
    rise, fall = where_risers_go(moves), where_fallers_go(moves)
    money = lines.money.set_index("segment_id")
    revenue = sum(last["monetary"], Decimal(0))
    expected: dict[Any, Any] = {
        row["segment_id"]: row for row in forecast.by_segment.to_dict("records")
    }
    total_expected = sum(row["spend"] for row in expected.values())
    home = last["country"].mode().iloc[0]
    openings = first_order_facts(shop, lines)
    rows = []
    for number, members in last.groupby("segment_id"):
        name = names.loc[number]
        gross, net = int(money["gross"].get(number, 0)), int(money["net"].get(number, 0))
        own_revenue = sum(members["monetary"], Decimal(0))
        rising, falling = (way.get(int(str(number)), (None, None)) for way in (rise, fall))
        rows.append(
            {
                "segment_id": number,
                "segment": name["segment"],
                "group": name["group"],
                "play": name["play"],
                "snapshot_date": shop.day,
                "customers": len(members),
                "customer_share": len(members) / len(last),
                "revenue": own_revenue,
                "revenue_share": float(own_revenue / revenue) if revenue else 0.0,
                "orders": int(members["frequency"].sum()),
                "median_recency_days": members["recency_days"].median(),
                "median_frequency": members["frequency"].median(),
                "median_monetary": float(np.median(members["monetary"].to_numpy(dtype=float))),
                "median_tenure_days": members["tenure_days"].median(),
                "median_order_value": members["average_order_value"].median(),
                "units_per_line": members["units_per_line"].median(),
                **gap_facts(lines.gaps[lines.gaps["segment_id"] == number]),
                "gap_customers": int(members["days_between_orders"].notna().sum()),
                "return_rate": (gross - net) / gross if gross else 0.0,
                "mean_confidence": members["confidence"].mean(),
                "retention": stay.get(int(str(number)), np.nan),
                "rise_to": rising[0],
                "rise_share": rising[1],
                "fall_to": falling[0],
                "fall_share": falling[1],
                "top_country": members["country"].mode().iloc[0],
                "abroad_share": float((members["country"] != home).mean()),
                **peak_facts(months[months["segment_id"] == number], shop.day),
                **segment_rule(judged, int(str(number))),
                **openings[int(str(number))],
                **goods_facts(goods, members, int(str(number)), shop),
                **forecast_facts(expected.get(number), len(members), total_expected),
            }
        )
    found = pd.DataFrame(rows)
    gain = found["segment_id"].map(rise_gains(shop.customers, shop.later)).astype("float64")
    found["rise_gain"] = gain.where(gain > 0)
    return found.round(6)


def first_order_facts(shop: Shop, lines: FromLines) -> dict[int, dict[str, Any]]:
    """The typical first order of each segment's members."""
    first = lines.first_orders.merge(
        shop.last[["customer_id", "segment_id"]], on="customer_id", how="inner"
    )
    led: pd.DataFrame = pd.DataFrame(columns=["segment_id", "category"])
    if shop.titles:
        ordered = lines.first_categories.sort_values(
            ["customer_id", "gross", "category"], ascending=[True, False, True]
        )
        led = ordered.drop_duplicates("customer_id").merge(
            shop.last[["customer_id", "segment_id"]], on="customer_id", how="inner"
        )
        led = led[led["category"] != REST]
    found: dict[int, dict[str, Any]] = {}
    for number, size in shop.last.groupby("segment_id").size().items():
        mine = first[first["segment_id"] == number]
        counts = led.loc[led["segment_id"] == number, "category"].value_counts().sort_index()
        best = None if counts.empty else str(counts.idxmax())
        found[int(str(number))] = {
            "first_order_value": float(mine["value"].median()) / 10_000,
            "first_order_units": float(mine["units"].median()),
            "first_order_products": float(mine["products"].median()),
            "first_order_category": best,
            "first_order_category_title": None if best is None else shop.titles[best],
            "first_order_category_share": None if best is None else float(counts.max() / size),
        }
    return found


def gap_facts(gaps: pd.DataFrame) -> dict[str, float]:
    """Median and upper quartile of the gaps between order days, from gap and times."""
    ordered = gaps.sort_values("gap")
    reached = ordered["times"].cumsum().to_numpy()
    if not len(reached):
        return {"gap": np.nan, "quiet_days": np.nan}
    at = np.searchsorted(reached, np.array([0.5, 0.75]) * reached[-1])
    middle, late = ordered["gap"].to_numpy(dtype=float)[at]
    return {"gap": float(middle), "quiet_days": float(late)}


def goods_facts(
    goods: pd.DataFrame, members: pd.DataFrame, number: int, shop: Shop
) -> dict[str, Any]:
    """The categories that a segment spends most on, leans to and may try next.

    What is offered is in season: out of it stand only the two that took most of the spend.
    """
    found: dict[str, Any] = dict.fromkeys(
        (
            "top_category_title", "second_category_title", "offer_category",
            "offer_category_title", "over_category_title", "over_lift", "next_category",
            "next_category_title",
        )
    )  # fmt: skip
    if goods.empty:
        return found
    mine = goods[(goods["segment_id"] == number) & (goods["category"] != REST)]
    mine = mine[mine["spend"] > 0].sort_values("rank")
    for place, name in enumerate(("top_category_title", "second_category_title")):
        if len(mine) > place:
            found[name] = mine["category_title"].iloc[place]
    offered = mine[mine["category"].isin(shop.in_season)]
    if len(offered):
        found["offer_category"] = offered["category"].iloc[0]
        found["offer_category_title"] = offered["category_title"].iloc[0]
    over = offered[offered["verdict"] == "over"].sort_values("lift", ascending=False)
    if len(over):
        found["over_category_title"] = over["category_title"].iloc[0]
        found["over_lift"] = float(over["lift"].iloc[0])
    following = members["next_category"].dropna().value_counts().sort_index()
    lead = {found["offer_category_title"], found["over_category_title"]}
    following = following[[shop.titles[str(key)] not in lead for key in following.index]]
    if len(following):
        found["next_category"] = str(following.idxmax())
        found["next_category_title"] = shop.titles[found["next_category"]]
    return found


def forecast_facts(
    expected: Mapping[str, Any] | None, customers: int, total: float
) -> dict[str, Any]:
    """The segment's forecast with its intervals; NaN where there is none."""
    found: dict[str, Any] = {}
    for source, target, ends in (
        ("buyers", "buying_rate", ("", "_low", "_high")),
        ("orders", "expected_orders", ("", "_low", "_high")),
        ("spend", "expected_spend", ("", "_low", "_high", "_low80", "_high80")),
        ("spend_year", "expected_spend_year", ("", "_low", "_high")),
    ):
        for end in ends:
            value = np.nan if expected is None else float(expected[source + end])
            found[target + end] = value / customers if source == "buyers" else round(value, 2)
    found["expected_spend_per_customer"] = round(found["expected_spend"] / customers, 2)
    found["expected_spend_share"] = found["expected_spend"] / total if total else np.nan
    return found


def peak_month(months: pd.DataFrame) -> int | None:
    """The calendar month in which a segment spent most, over whole months; None in a short file."""
    whole = months[months["is_whole"]]
    if len(whole) < SEASON_MONTHS or not sum(whole["spend"]):
        return None
    number = [m.month for m in whole["month"]]
    spend = pd.Series(whole["spend"].to_numpy(dtype=float)).groupby(number).mean()
    return int(str(spend.idxmax()))


def peak_facts(months: pd.DataFrame, day: date) -> dict[str, int | None]:
    """The month of most spend, and the days from `day` until it begins; 0 within it."""
    peak = peak_month(months)
    if peak is None:
        return {"peak_month": None, "days_to_peak": None}
    year = day.year + (day.month > peak)
    return {
        "peak_month": peak,
        "days_to_peak": max((date(year, peak, 1) - day).days, 0),
    }


def fitted(table: Table, rows: pd.DataFrame, names: Mapping[int, str]) -> pd.DataFrame:
    """The rows with exactly the table's columns; segment names and exact money are put in."""
    wanted = table.schema.names
    if rows.empty:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in wanted})
    found = rows
    if "segment" in wanted and "segment" not in found:
        found = found.assign(segment=found["segment_id"].map(names))
    columns: dict[str, Any] = {}
    for field in table.schema:
        values = found[field.name]
        if field.type == MONEY and pd.api.types.is_float_dtype(values):
            columns[field.name] = [Decimal(str(round(value, 2))) for value in values]
        elif pa.types.is_floating(field.type):
            columns[field.name] = np.round(pd.to_numeric(values).to_numpy(dtype=float), 6)
        elif pa.types.is_integer(field.type) and values.isna().any():
            columns[field.name] = values.astype("Int64")
        else:
            columns[field.name] = values.to_numpy()
    return pd.DataFrame(columns)


def _decimal(ten_thousandths: int) -> Decimal:
    return Decimal(int(ten_thousandths)).scaleb(-4)


def month_rows(months: pd.DataFrame) -> pd.DataFrame:
    """Return the customers' months with the month as a date and exact money."""
    return pd.DataFrame(
        {
            "customer_id": months["customer_id"],
            "month": pd.to_datetime(months[["year", "month"]].assign(day=1)).dt.date,
            "orders": months["orders"],
            "spend": [_decimal(value) for value in months["spend"]],
        }
    )

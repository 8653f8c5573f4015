"""What is known of every segment, put together from the tables and from the lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
    first_days,
    first_order_categories,
    first_orders,
    lines_until,
    money_spent,
    order_countries,
    order_events,
)
from pipeline.profile_segments.migration import mean_retention, rise_gains, where_most_go
from pipeline.profile_segments.next_category import next_best
from pipeline.profile_segments.next_products import Bought
from pipeline.profile_segments.profiles import SHARE_PREFIX, home_countries, top_category
from pipeline.profile_segments.purchases import Known, Purchases
from pipeline.profile_segments.rules_in_words import segment_rule

Lines = nw.LazyFrame[Any]

REST = "other"  # the category of what nothing is known about is nothing to advertise
FEW, MOST_OF_ONE = 20, 1 / 3  # members, and a customer's share of the revenue, that decide figures
SEASON_MONTHS = 6  # whole months below which no month can be called the strongest
FROM_SEGMENTS = (
    "snapshot_date", "customer_id", "segment_id", "play", "confidence", "previous_segment", "since",
    "months_in_segment", "moved_by",
)  # fmt: skip
PRICES = ("costed_revenue", "margin", "cost_known_share", "discounted_share")
OUT_OF_SEASON = 0.6  # of its usual share of the sales, in the days ahead, a year before
FORECAST = {
    "orders": ("expected_orders", ("", "_low", "_high")),
    "spend": ("expected_spend", ("", "_low", "_high", "_low80", "_high80")),
    "spend_year": ("expected_spend_year", ("", "_low", "_high")),
}


@dataclass(frozen=True)
class FromLines:
    """What only the lines know until a day, at the scale of customers and orders."""

    countries: pd.DataFrame
    money: pd.DataFrame
    first_orders: pd.DataFrame
    first_categories: pd.DataFrame
    purchases: Purchases
    bought: Bought


@dataclass(frozen=True)
class Shop:
    """What the stage reads: every snapshot's customers with segment_id, and the last one apart.

    `names` has one row per segment with its play; `titles` maps the keys of categories
    to their names, and is empty where the shop's lines know no products; `in_season` are the keys
    that may be offered in the horizon ahead, and the products `unseasonal` may not.
    """

    customers: pd.DataFrame
    last: pd.DataFrame
    later: pd.DataFrame
    names: pd.DataFrame
    titles: dict[str, str]
    in_season: frozenset[str]
    products: dict[str, str]
    unseasonal: frozenset[str]
    lines: FromLines

    @property
    def day(self) -> date:
        """The last snapshot."""
        day: date = self.last["snapshot_date"].iloc[0]
        return day

    @property
    def first_day(self) -> date:
        """The day of the first order of a known customer."""
        return date.fromordinal(self.lines.purchases.first)

    @property
    def last_day(self) -> date:
        """The day of the last one."""
        return date.fromordinal(int(self.lines.purchases.day.max()))

    @property
    def segment(self) -> NDArray[np.int64]:
        """The segment_id of each customer at the last snapshot."""
        return self.last["segment_id"].to_numpy(dtype=np.int64)

    @property
    def name_of(self) -> dict[int, str]:
        """The name of each segment_id."""
        return dict(zip(self.names["segment_id"].astype(int), self.names["segment"], strict=True))


def collect_lines(
    engine: Engine, *, sales: Lines, returned_units: Lines, categories: Lines, day: date
) -> FromLines:
    """Return what only the lines know until `day`, aggregated by the engine."""
    lines = engine.keep(lines_until(sales, returned_units, day))
    first = engine.keep(first_orders(lines))
    events = engine.collect(order_events(lines, returned_units, day))
    return FromLines(
        countries=engine.collect(order_countries(lines)),
        money=engine.collect(money_spent(lines)),
        first_orders=engine.collect(first),
        first_categories=engine.collect(first_order_categories(lines, first, categories)),
        purchases=Purchases.of(events.assign(amount=events["amount"] / 10_000)),
        bought=Bought.of(engine.collect(first_days(lines))),
    )


def join_shop(
    customers: pd.DataFrame,
    segments: pd.DataFrame,
    lines: FromLines,
    *,
    names: pd.DataFrame,
    later: pd.DataFrame,
    categories: pd.DataFrame,
    category_months: pd.DataFrame,
    prices: pd.DataFrame,
    horizon_days: int,
) -> Shop:
    """Return the shop's tables joined, with country, categories and prices of the last snapshot.

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
    day = last["snapshot_date"].iloc[0]
    out = out_of_season(category_months, day, horizon_days)
    in_season = frozenset(keys) - out
    offered = [key for key in keys if key in in_season]
    found = {
        "top_category": top_category(last, keys),
        "offer_category": top_category(last, offered),
        "next_category": next_categories(last, offered, last),
    }
    titled = {f"{name}_title": [titles.get(str(k)) for k in each] for name, each in found.items()}
    country = last["customer_id"].map(home_countries(lines.countries)).fillna("unknown")
    described = categories[categories["description"].notna()]
    products = dict(zip(described["stock_code"], described["description"], strict=True))
    unseasonal = frozenset(categories.loc[categories["category"].isin(out), "stock_code"])
    last = with_prices(last.assign(**found, **titled, country=country), prices)
    return Shop(joined, last, later, names, titles, in_season, products, unseasonal, lines)


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
    customers: pd.DataFrame, keys: Sequence[str], others: pd.DataFrame
) -> list[str | None]:
    """The next best category of each customer, by the shares of `others`; None where none is."""
    columns = [SHARE_PREFIX + key for key in keys]
    shares, usual = (rows[columns].to_numpy(dtype=float) for rows in (customers, others))
    return [keys[i] if i >= 0 else None for i in next_best(shares, usual)]


def customer_months(purchases: Purchases, day: date) -> pd.DataFrame:
    """Return one row per customer and month of orders kept by `day`: orders and exact spend."""
    known = purchases.at(day.toordinal())
    since_epoch = known.day - date(1970, 1, 1).toordinal()
    orders = pd.DataFrame(
        {
            "customer_id": purchases.ids[known.customers][known.customer],
            "month": since_epoch.astype("datetime64[D]").astype("datetime64[M]").astype(object),
            "spend": (known.amount * 10_000).round().astype(np.int64),
        }
    )
    found = orders.groupby(["customer_id", "month"], as_index=False)["spend"].agg(["size", "sum"])
    exact: Any = [Decimal(int(value)).scaleb(-4) for value in found["sum"]]
    return found.rename(columns={"size": "orders"}).assign(spend=exact)


def months_of_segments(shop: Shop, months: pd.DataFrame) -> pd.DataFrame:
    """Return one row per segment and month of the file, zeros included, from `customer_months`."""
    first, end = shop.first_day, shop.last_day
    days = [m.date() for m in pd.date_range(first.replace(day=1), end, freq="MS")]
    members = shop.last[["customer_id", "segment_id"]]
    given = months.merge(members, on="customer_id").groupby(["segment_id", "month"])
    sums = given.agg(orders=("orders", "sum"), buyers=("orders", "size"), spend=("spend", "sum"))
    grid = pd.MultiIndex.from_product([np.unique(shop.segment), days], names=sums.index.names)
    found = sums.reindex(grid).reset_index()
    found = found.fillna({"orders": 0, "buyers": 0, "spend": Decimal(0)})
    spend = found["spend"].astype(float)
    total = spend.groupby(found["segment_id"]).transform("sum")
    rest = spend.groupby(found["month"]).transform("sum") - spend
    # A month is whole if the file shows sales up to its last three days: Sundays may be closed.
    margin = timedelta(days=3)
    is_whole = [
        (m > first or first.day <= margin.days)
        and (pd.Timestamp(m) + pd.offsets.MonthEnd(0)).date() - margin <= end
        for m in found["month"]
    ]
    return found.assign(
        is_whole=is_whole,
        spend_share=(spend / total.where(total > 0)).fillna(0.0),
        rest_share=(rest / (spend.sum() - total).where(total < spend.sum())).fillna(0.0),
    )


def segment_facts(
    shop: Shop,
    *,
    forecast: ShopForecast,
    judged: pd.DataFrame,
    moved: pd.DataFrame,
    retention: pd.DataFrame,
    goods: pd.DataFrame,
    months: pd.DataFrame,
) -> pd.DataFrame:
    """Return one row per segment that has customers, with everything measured about it."""
    last, lines = shop.last, shop.lines
    names = shop.names.set_index("segment_id")
    stay, gains = mean_retention(retention), rise_gains(shop.customers, shop.later)
    rises, falls = where_most_go(moved, "rose"), where_most_go(moved, "fell")
    money = last.merge(lines.money, on="customer_id").groupby("segment_id")[["gross", "net"]].sum()
    known = lines.purchases.at(shop.day.toordinal())
    segment_of = last.set_index("customer_id")["segment_id"]
    ids = pd.Index(lines.purchases.ids[known.customers])
    gaps = order_gaps(known, segment_of.loc[ids].to_numpy(dtype=np.int64))
    revenue = sum(last["monetary"], Decimal(0))
    home = last["country"].mode().iloc[0]
    rows = []
    for key, members in last.groupby("segment_id"):
        number = int(str(key))
        gross, net = (int(money[name].get(number, 0)) for name in ("gross", "net"))
        own_revenue = sum(members["monetary"], Decimal(0))
        gap, quiet_days = gaps.get(number, (np.nan, np.nan))
        rise_to, rise_share = rises.get(number, (None, None))
        fall_to, fall_share = falls.get(number, (None, None))
        rows.append(
            {
                "segment_id": number,
                **names.loc[number, ["segment", "group", "play"]],
                "snapshot_date": shop.day,
                "customers": len(members),
                "customer_share": len(members) / len(last),
                "revenue": own_revenue,
                "revenue_share": float(own_revenue / revenue) if revenue else 0.0,
                **largest_facts(members["monetary"], own_revenue),
                **price_facts(members),
                "orders": int(members["frequency"].sum()),
                "median_recency_days": members["recency_days"].median(),
                "median_frequency": members["frequency"].median(),
                "median_monetary": float(np.median(members["monetary"].to_numpy(dtype=float))),
                "median_order_value": members["average_order_value"].median(),
                "units_per_line": members["units_per_line"].median(),
                "gap": gap,
                "quiet_days": quiet_days,
                "gap_customers": int(members["days_between_orders"].notna().sum()),
                "return_rate": (gross - net) / gross if gross else 0.0,
                "mean_confidence": members["confidence"].mean(),
                "retention": stay.get(number, np.nan),
                "rise_to": rise_to,
                "rise_share": rise_share,
                "rise_gain": max(gains.get(number, 0.0), 0.0) or np.nan,
                "fall_to": fall_to,
                "fall_share": fall_share,
                "top_country": members["country"].mode().iloc[0],
                "abroad_share": float((members["country"] != home).mean()),
                **peak_facts(months[months["segment_id"] == number], shop.day),
                **segment_rule(judged, number),
                **first_order_facts(shop, members),
                **goods_facts(goods, members, number, shop),
                **forecast_facts(forecast.by_segment, number, len(members)),
            }
        )
    return pd.DataFrame(rows).round(6)


def with_prices(customers: pd.DataFrame, prices: pd.DataFrame) -> pd.DataFrame:
    """The customers with what CUSTOMER_PRICES knows of their margin and discounts."""
    known = customers[["customer_id"]].merge(prices, on="customer_id", how="left")
    figures = known[list(PRICES)].astype(float).fillna({"cost_known_share": 0.0})
    return customers.assign(
        **figures,
        full_price_share=1 - figures["discounted_share"],
        buys_on_promotion=known["buys_on_promotion"].eq(True),
    )


def largest_facts(spend: pd.Series, revenue: Decimal) -> dict[str, Any]:
    """The largest customer's share of a segment's revenue, and whether few decide its figures."""
    if revenue <= 0:
        return {"largest_customer_share": 0.0, "is_decided_by_few": False}
    largest = float(max(spend) / revenue)
    is_few = len(spend) < FEW or largest > MOST_OF_ONE
    return {"largest_customer_share": largest, "is_decided_by_few": is_few}


def price_facts(members: pd.DataFrame) -> dict[str, Any]:
    """Margin and discounts; what is unknown is null, never zero."""
    costed, revenue = members["costed_revenue"].sum(), float(sum(members["monetary"]))
    knows_discounts = members["full_price_share"].notna().any()
    return {
        "margin": members["margin"].sum() if costed > 0 else np.nan,
        "margin_rate": members["margin"].sum() / costed if costed > 0 else np.nan,
        "cost_known_share": min(costed / revenue, 1.0) if revenue > 0 else 0.0,
        "full_price_share": members["full_price_share"].mean(),
        "promotion_share": members["buys_on_promotion"].mean() if knows_discounts else np.nan,
    }


def first_order_facts(shop: Shop, members: pd.DataFrame) -> dict[str, Any]:
    """The typical first order of a segment's members."""
    lines, mine = shop.lines, members["customer_id"]
    first = lines.first_orders[lines.first_orders["customer_id"].isin(mine)]
    found: dict[str, Any] = {
        "first_order_value": float(first["value"].median()) / 10_000,
        "first_order_units": float(first["units"].median()),
        "first_order_products": float(first["products"].median()),
        "first_order_category_title": None,
        "first_order_category_share": None,
    }
    spent = lines.first_categories[lines.first_categories["customer_id"].isin(mine)].sort_values(
        ["customer_id", "gross", "category"], ascending=[True, False, True]
    )
    led = spent.drop_duplicates("customer_id")["category"]
    counts = led[(led != REST) & led.isin(list(shop.titles))].value_counts().sort_index()
    if len(counts):
        found["first_order_category_title"] = shop.titles[str(counts.idxmax())]
        found["first_order_category_share"] = float(counts.max() / len(mine))
    return found


def order_gaps(known: Known, segment: NDArray[np.int64]) -> dict[int, tuple[float, float]]:
    """Of each segment: median and upper quartile of the days between two order days of a member."""
    days = np.unique(np.column_stack([known.customer, known.day]), axis=0)
    is_next = days[1:, 0] == days[:-1, 0]
    gaps = pd.Series(np.diff(days[:, 1])[is_next].astype(float))
    found = {}
    for number, mine in gaps.groupby(segment[days[1:, 0][is_next]]):
        middle, late = np.quantile(mine, [0.5, 0.75], method="inverted_cdf")
        found[int(str(number))] = (float(middle), float(late))
    return found


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
    titles = mine["category_title"].tolist()
    found |= dict(zip(("top_category_title", "second_category_title"), titles, strict=False))
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


def forecast_facts(by_segment: pd.DataFrame, number: int, customers: int) -> dict[str, Any]:
    """The segment's forecast with its intervals; NaN where there is none."""
    rows = by_segment[by_segment["segment_id"] == number] if len(by_segment) else by_segment
    row: dict[Any, Any] = rows.iloc[0].to_dict() if len(rows) else {}
    found = {
        f"buying_rate{end}": row.get(f"buyers{end}", np.nan) / customers
        for end in ("", "_low", "_high")
    }
    for source, (target, ends) in FORECAST.items():
        found |= {target + end: round(row.get(source + end, np.nan), 2) for end in ends}
    each = round(found["expected_spend"] / customers, 2)
    return found | {"expected_spend_per_customer": each}


def peak_facts(months: pd.DataFrame, day: date) -> dict[str, int | None]:
    """The calendar month in which a segment spent most, and the days until it; 0 within it.

    Over whole months; None in a short file.
    """
    whole = months[months["is_whole"]]
    if len(whole) < SEASON_MONTHS or not sum(whole["spend"]):
        return {"peak_month": None, "days_to_peak": None}
    spend = whole["spend"].astype(float).groupby([m.month for m in whole["month"]]).mean()
    peak = int(str(spend.idxmax()))
    begins = date(day.year + (day.month > peak), peak, 1)
    return {"peak_month": peak, "days_to_peak": max((begins - day).days, 0)}


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

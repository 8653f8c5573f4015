"""How the shop is doing: its last days against the days before and the same days a year before."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import narwhals as nw
import pandas as pd

from pipeline.core.engines.base import Engine
from pipeline.core.engines.expressions import ten_thousandths

Lines = nw.LazyFrame[Any]

KNOWN_BEFORE_NEW = 180  # days of file before a first order is likely to be a customer's first
LEAST_COMPARED = 7  # fewer days tell next to nothing


def shop_periods(
    engine: Engine, sales: Lines, first: date, last: date, horizon_days: int
) -> pd.DataFrame:
    """Return one row per period that the file covers: money, orders, customers.

    `first` and `last` are the days of the first and the last sale. The orders are those of which
    anything was kept, by known customers and others; money is net of returns.
    """
    day = nw.col("sold_at").dt.date()
    orders = engine.keep(
        sales.filter(nw.col("quantity") > nw.col("quantity_returned"))
        .with_columns(day.alias("day"), ten_thousandths("net_amount").alias("amount"))
        .group_by("customer_id", "invoice_id", "day")
        .agg(nw.col("amount").sum())
    )
    known = orders.filter(~nw.col("customer_id").is_null())
    firsts = engine.keep(known.group_by("customer_id").agg(nw.col("day").min()))
    rows = []
    for name, start, end in periods(first, last, horizon_days):
        inside = nw.col("day").is_between(nw.lit(start), nw.lit(end))
        every = engine.collect(
            orders.filter(inside).select(nw.col("amount").sum(), nw.col("invoice_id").n_unique())
        )
        buyers = engine.collect(
            known.filter(inside).select(nw.col("amount").sum(), nw.col("customer_id").n_unique())
        )
        new = engine.collect(firsts.filter(inside).select(nw.len().alias("new")))["new"].iloc[0]
        can_be_new = start >= first + timedelta(days=KNOWN_BEFORE_NEW)
        rows.append(
            {
                "period": name,
                "first_day": start,
                "last_day": end,
                "days": (end - start).days + 1,
                "revenue": _money(every["amount"].iloc[0]),
                "known_revenue": _money(buyers["amount"].iloc[0]),
                "orders": int(every["invoice_id"].iloc[0]),
                "customers": int(buyers["customer_id"].iloc[0]),
                "new_customers": int(new) if can_be_new else None,
            }
        )
    return pd.DataFrame(rows)


def periods(first: date, last: date, horizon_days: int) -> Iterator[tuple[str, date, date]]:
    """Yield name, first and last day of each period that lies within the file."""
    length = timedelta(days=horizon_days - 1)
    a_day = timedelta(days=1)
    start = max(last - length, first)
    yield "latest", start, last
    found = [
        ("before", start - a_day - length, start - a_day),
        ("year_before", a_year_earlier(start), a_year_earlier(last)),
        ("ahead_year_before", a_year_earlier(last + a_day), a_year_earlier(last + a_day + length)),
    ]
    inside = [period for period in found if period[1] >= first]
    yield from inside
    if "year_before" not in {name for name, _, _ in inside}:
        begin = next((d for d in _days(start, last) if a_year_earlier(d) >= first), None)
        if begin and (last - begin).days + 1 >= LEAST_COMPARED:
            yield "comparable", begin, last
            yield "comparable_year_before", a_year_earlier(begin), a_year_earlier(last)


def a_year_earlier(day: date) -> date:
    """The same day a year before; of 29 February the 28th."""
    try:
        return day.replace(year=day.year - 1)
    except ValueError:
        return day.replace(year=day.year - 1, day=28)


def _days(start: date, end: date) -> Iterator[date]:
    for number in range((end - start).days + 1):
        yield start + timedelta(days=number)


def _money(ten_thousandths_of_it: Any) -> float:
    return 0.0 if pd.isna(ten_thousandths_of_it) else int(ten_thousandths_of_it) / 10_000

"""From the small aggregates of the sales to the rows of `exploration` and the figures."""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pandas as pd

from pipeline.explore.concentration import top_shares

MONTHS = 12
MONEY = ("amount", "returned_amount")
COUNTS = ("lines", "orders", "customers", "units")
CENSORED_MONTHS = 3


def rows_of(pattern: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a pattern in the frame's order; what it does not measure is null.

    The frame has `bucket`, `share` and any of `sub_bucket`, counts and money (ten-thousandths).
    """
    columns: dict[str, Any] = {
        "pattern": pattern,
        "position": range(1, len(frame) + 1),
        "bucket": list(frame["bucket"]),
        "sub_bucket": list(frame["sub_bucket"]) if "sub_bucket" in frame else "",
    }
    for name in COUNTS:
        counts: list[Any] = list(frame[name]) if name in frame else [None] * len(frame)
        columns[name] = pd.array(counts, dtype="Int64")
    for name in MONEY:
        amounts: list[Any] = list(frame[name]) if name in frame else [None] * len(frame)
        exact = [None if v is None else money(int(v)) for v in amounts]
        columns[name] = pd.Series(exact, dtype=object, index=range(len(frame)))
    columns["share"] = [float(share) for share in frame["share"]]
    return pd.DataFrame(columns, index=range(len(frame)))


def money(ten_thousandths: int) -> Decimal:
    """Return an exact amount from a whole number of ten-thousandths."""
    return Decimal(ten_thousandths).scaleb(-4)


def shares(values: pd.Series[int]) -> pd.Series[float]:
    """Return each value's share of their sum, 0 where the sum is 0."""
    total = int(values.sum())
    return values / total if total else values * 0.0


def ratio(part: float, whole: float) -> float:
    """Return part / whole, 0 where there is no whole."""
    return part / whole if whole else 0.0


def month_name(number: int) -> str:
    """Return 2011-11 for the month with this number (months since the year 0)."""
    year, month = divmod(int(number), MONTHS)
    return f"{year:04d}-{month + 1:02d}"


def every_month(months: pd.DataFrame) -> pd.DataFrame:
    """Return the months in order, those without a sale with zeros."""
    span = range(int(months["month"].min()), int(months["month"].max()) + 1)
    return months.set_index("month").reindex(span, fill_value=0).rename_axis("month").reset_index()


def whole_months(first: date, last: date) -> set[int]:
    """Return the numbers of the months that the days from `first` to `last` cover whole."""
    start = first.year * MONTHS + first.month - 1 + (first.day > 1)
    is_end = last.day == calendar.monthrange(last.year, last.month)[1]
    end = last.year * MONTHS + last.month - 1 + is_end
    return set(range(start, end))


def bin_names(edges: Sequence[int], *, whole: bool) -> list[str]:
    """Return a name for each bin that starts at an edge: 2-5 for whole numbers, else 2-6."""
    names = []
    for low, high in pairwise(edges):
        top = high - 1 if whole else high
        names.append(str(low) if top == low else f"{low}-{top}")
    return [*names, f"{edges[-1]}+"]


def binned(bins: pd.DataFrame, edges: Sequence[int], *, whole: bool) -> pd.DataFrame:
    """Return every bin in order, empty ones too, with its name as `bucket`."""
    every = bins.set_index("bin").reindex(range(1, len(edges) + 1), fill_value=0)
    return every.assign(bucket=bin_names(edges, whole=whole)).reset_index(drop=True)


def concentration_rows(customers: pd.DataFrame, percents: Sequence[int]) -> pd.DataFrame:
    """Return the points of the Lorenz curve, best customers first."""
    amounts = customers["amount"].to_numpy(dtype="int64")
    points = top_shares(amounts, list(percents))
    total = int(amounts.sum())
    return pd.DataFrame(
        {
            "bucket": [f"{percent:03d}" for percent, _, _ in points],
            "customers": [n for _, n, _ in points],
            "amount": [amount for _, _, amount in points],
            "share": [ratio(amount, total) for _, _, amount in points],
        }
    )


def cohort_rows(activity: pd.DataFrame, last_month: int) -> pd.DataFrame:
    """Return every cohort's months up to the last, with zeros where nobody came."""
    cohorts = sorted(int(cohort) for cohort in set(activity["cohort"]))
    if not cohorts:
        return activity
    places = [(c, since) for c in cohorts for since in range(last_month - c + 1)]
    index = pd.MultiIndex.from_tuples(places, names=["cohort", "since"])
    found = activity.rename(columns={"months_since": "since"}).set_index(["cohort", "since"])
    rows = found.reindex(index, fill_value=0).reset_index()
    size = rows.groupby("cohort")["customers"].transform("first")
    return rows.assign(
        bucket=rows["cohort"].map(month_name),
        sub_bucket=rows["since"].map("{:02d}".format),
        share=rows["customers"] / size,
    )


def retention(cohorts: pd.DataFrame, since: int, whole: set[int]) -> float | None:
    """Return the share of customers who ordered again `since` months after their first.

    Only cohorts count whose own month and whose month in question are whole in the data, and not
    those of the file's first CENSORED_MONTHS, whose "new" customers have mostly bought before it
    begins; None where there is none.
    """
    new = cohorts["cohort"] >= cohorts["cohort"].min() + CENSORED_MONTHS
    seen = cohorts[new & cohorts["cohort"].isin(whole) & (cohorts["cohort"] + since).isin(whole)]
    size = int(seen.loc[seen["since"] == 0, "customers"].sum())
    back = int(seen.loc[seen["since"] == since, "customers"].sum())
    return back / size if size else None

"""Expressions that every engine computes alike."""

from __future__ import annotations

import narwhals as nw


def day_number(day: nw.Expr) -> nw.Expr:
    """Days since 0001-01-01 plus one (Python's `date.toordinal`) for a date expression."""
    before = day.dt.year().cast(nw.Int64) - 1
    leap_days = before // 4 - before // 100 + before // 400
    return before * 365 + leap_days + day.dt.ordinal_day().cast(nw.Int64)


def ten_thousandths(column: str) -> nw.Expr:
    """Money of four decimal places as a whole number."""
    return (nw.col(column) * 10_000).cast(nw.Int64)


def whole_numbers(*columns: str) -> nw.Expr:
    """The columns as 64-bit integers again: engines widen sums."""
    return nw.col(*columns).cast(nw.Int64)

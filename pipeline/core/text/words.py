"""Figures as people write them: £1.36m, 34%, 9 December 2011; English but for another `Style`."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

from pydantic import BaseModel, ConfigDict

NOTHING = "–"
SPACE = "\u00a0"  # a number and its noun stay on one line
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def is_missing(value: Any) -> bool:
    """Whether there is nothing to write: None, NaN or NaT."""
    return value is None or bool(value != value)  # noqa: PLR0124 - only NaN and NaT differ from themselves


class Style(BaseModel):
    """How a language writes figures; the defaults are English."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decimal: str = "."
    thousands: str = ","
    percent: str = "%"
    money_pattern: str = "{sign}{currency}{amount}"
    scales: tuple[str, str, str] = ("k", "m", "bn")
    between: str = "{low} to {high}"
    under: str = "under {share}"
    months: tuple[str, ...] = MONTHS
    short_months: tuple[str, ...] = tuple(month[:3] for month in MONTHS)
    day: str = "{day} {month} {year}"
    days: tuple[str, str] = ("day", "days")

    def count(self, value: Any) -> str:
        """A whole number with thousands separators."""
        return NOTHING if is_missing(value) else self._digits(value, 0)

    def number(self, value: Any, digits: int = 3) -> str:
        """A number to so many significant digits, plain, with thousands separators."""
        if is_missing(value):
            return NOTHING
        if isinstance(value, int) or value == 0:
            return self.count(value)
        value = float(value)
        decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
        text = self._digits(value, decimals)
        return text.rstrip("0").rstrip(self.decimal) if self.decimal in text else text

    def money(self, value: Any, currency: str, *, is_tick: bool = False) -> str:
        """Money in short: £1.23m, £45.6k, £780, £4.50; on an axis £10k and not £10.0k."""
        if is_missing(value):
            return NOTHING
        size = abs(float(value))
        # From what size a scale is used: 999.6m is 1.00bn; below 10,000 money is written out.
        for scale, least, word in zip(
            (1e9, 1e6, 1e3), (0.9995e9, 0.9995e6, 1e4), reversed(self.scales), strict=True
        ):
            if size >= least:
                scaled = size / scale
                decimals = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
                decimals = 0 if is_tick and scaled == round(scaled) else decimals
                return self._money(value, currency, self._digits(scaled, decimals) + word)
        is_small = 0 < size < 10 and size != round(size)
        return self._money(value, currency, self._digits(size, 2 if is_small else 0))

    def money_exact(self, value: Any, currency: str, digits: int = 2) -> str:
        """Money to the cent, or whole with `digits` 0."""
        if is_missing(value):
            return NOTHING
        return self._money(value, currency, self._digits(abs(float(value)), digits))

    def money_between(self, low: Any, high: Any, currency: str) -> str:
        """An interval of money: £299k to £1.20m."""
        if is_missing(low) or is_missing(high):
            return NOTHING
        return self.between.format(low=self.money(low, currency), high=self.money(high, currency))

    def share(self, value: Any, digits: int | None = None) -> str:
        """A share as a percentage: 34%, 3.4%, under 0.1%; `digits` fixes the decimals of a column.

        Rounding makes it neither nothing nor all.
        """
        if is_missing(value):
            return NOTHING
        percent = float(value) * 100
        if digits is not None:
            return self._digits(percent, digits) + self.percent
        if 0 < percent < 0.1:
            return self.under.format(share=f"0{self.decimal}1{self.percent}")
        if 99.5 <= percent < 100:
            return self._digits(math.floor(percent * 10) / 10, 1) + self.percent
        text = self._digits(percent, 1 if abs(percent) < 9.95 else 0)
        return text.removesuffix(f"{self.decimal}0") + self.percent

    def share_between(self, low: Any, high: Any) -> str:
        """An interval of shares: 31% to 37%."""
        if is_missing(low) or is_missing(high):
            return NOTHING
        return self.between.format(low=self.share(low), high=self.share(high))

    def change(self, value: Any, before: Any) -> str:
        """What a figure grew or shrank by: +13%; nothing where there was nothing before."""
        if is_missing(value) or is_missing(before) or not before:
            return NOTHING
        grown = float(value) / float(before) - 1
        return ("+" if grown > 0 else "") + self._digits(grown * 100, 0) + self.percent

    def date(self, value: Any) -> str:
        """A date: 9 December 2011."""
        if is_missing(value):
            return NOTHING
        when = value if isinstance(value, date) else date.fromisoformat(str(value)[:10])
        return self.day.format(day=when.day, month=self.months[when.month - 1], year=when.year)

    def month(self, value: Any) -> str:
        """A month from a date or from `2011-11`: Nov 2011."""
        year, month = str(value).split("-")[:2]
        return f"{self.short_months[int(month) - 1]} {int(year)}"

    def span(self, value: Any) -> str:
        """A number of days: 1 day, 12 days."""
        if is_missing(value):
            return NOTHING
        whole = round(float(value))
        return f"{self.count(whole)}{SPACE}{self.days[whole != 1]}"

    def quantity(self, value: Any, unit: str, currency: str) -> str:
        """A figure in the unit that a contract declares."""
        if unit == "currency":
            return self.money(value, currency)
        if unit == "share":
            return self.share(value)
        if unit == "days":
            return self.span(value)
        if unit in ("orders", "products"):
            return self.count(value)
        return NOTHING if is_missing(value) else self.number(float(value))

    def _digits(self, value: Any, decimals: int) -> str:
        text = f"{round(value):,}" if decimals == 0 else f"{float(value):,.{decimals}f}"
        swapped = text.translate({ord(","): self.thousands, ord("."): self.decimal})
        return "0" if swapped in ("-0", "0") else swapped.replace("-", "−")

    def _money(self, value: Any, currency: str, amount: str) -> str:
        pattern = self.money_pattern
        if currency[-1:].isalpha():  # a code, such as EUR, stands apart
            pattern = pattern.replace("{currency}{amount}", f"{{currency}}{SPACE}{{amount}}")
        return pattern.format(sign="−" if value < 0 else "", currency=currency, amount=amount)


ENGLISH = Style()
count, number, money = ENGLISH.count, ENGLISH.number, ENGLISH.money
share, day = ENGLISH.share, ENGLISH.date


def plural(value: Any, one: str, many: str) -> str:
    """A count with its noun: 1 order, 12 orders."""
    return f"{count(value)}{SPACE}{one if value == 1 else many}"

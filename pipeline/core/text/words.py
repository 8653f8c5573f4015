"""Numbers as people write them: £1.2 million, 34 %, 9 December 2011."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

NOTHING = "–"
SPACE = "\u00a0"  # a number and its unit stay on one line
# From what size a word is used: 999.6 million is a billion; below 10,000 money is written out.
SCALES = ((1e9, 0.9995e9, "billion"), (1e6, 0.9995e6, "million"), (1e3, 1e4, "thousand"))


def is_missing(value: Any) -> bool:
    """Whether there is nothing to write: None, NaN or NaT."""
    return value is None or bool(value != value)  # noqa: PLR0124 - only NaN and NaT differ from themselves


def count(value: Any) -> str:
    """A whole number with thousands separators."""
    return NOTHING if is_missing(value) else f"{round(value):,}".replace("-", "−")


def number(value: Any, digits: int = 3) -> str:
    """A number to so many significant digits, plain, with thousands separators."""
    if is_missing(value):
        return NOTHING
    if isinstance(value, int):
        return count(value)
    value = float(value)
    if value == 0:
        return "0"
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−")


def money(value: Any, currency: str) -> str:
    """Money in short: £1.23 million, £45.6 thousand, £780, £4.50."""
    if is_missing(value):
        return NOTHING
    value = float(value)
    sign, size = "−" if value < 0 else "", abs(value)
    for scale, least, word in SCALES:
        if size >= least:
            return f"{sign}{currency}{number(size / scale)}{SPACE}{word}"
    if 0 < size < 10 and size != round(size):
        return f"{sign}{currency}{size:.2f}"
    return f"{sign}{currency}{size:,.0f}"


def money_exact(value: Any, currency: str) -> str:
    """Money to the cent."""
    if is_missing(value):
        return NOTHING
    return f"{'−' if value < 0 else ''}{currency}{abs(value):,.2f}"


def money_between(low: Any, high: Any, currency: str) -> str:
    """An interval of money: £1.2 to 1.5 million; £291 to £670,000."""
    if is_missing(low) or is_missing(high):
        return NOTHING
    texts = money(low, currency), money(high, currency)
    words = [text.partition(SPACE)[2] for text in texts]
    if words[0] and words[0] == words[1]:
        return f"{texts[0].partition(SPACE)[0]} to {texts[1].replace(currency, '', 1)}"
    if words[1] and not words[0]:  # else the word would seem to be said of both
        return f"{texts[0]} to {currency}{float(f'{float(high):.3g}'):,.0f}"
    return f"{texts[0]} to {texts[1]}"


def share(value: Any) -> str:
    """A share as a percentage: 34 %, 3.4 %, under 0.1 %."""
    if is_missing(value):
        return NOTHING
    percent = float(value) * 100
    if percent == 0:
        return f"0{SPACE}%"
    if 0 < percent < 0.1:
        return f"under{SPACE}0.1{SPACE}%"
    text = f"{percent:.1f}" if abs(percent) < 9.95 and percent < 99.95 else f"{percent:.0f}"
    if 99.5 <= percent < 100:
        text = f"{math.floor(percent * 10) / 10:.1f}"
    return f"{text.removesuffix('.0')}{SPACE}%".replace("-", "−")


def share_between(low: Any, high: Any) -> str:
    """An interval of shares: 31 to 37 %."""
    if is_missing(low) or is_missing(high):
        return NOTHING
    return f"{share(low).removesuffix(f'{SPACE}%')} to {share(high)}"


def day(value: Any) -> str:
    """A date: 9 December 2011."""
    if is_missing(value):
        return NOTHING
    when = value if isinstance(value, date) else date.fromisoformat(str(value)[:10])
    return f"{when.day} {when:%B} {when.year}"


def month(value: Any) -> str:
    """A month from a date or from `2011-11`: Nov 2011."""
    year, number_of_month = str(value).split("-")[:2]
    return f"{date(int(year), int(number_of_month), 1):%b} {year}"


def days(value: Any) -> str:
    """A span: 1 day, 12 days."""
    if is_missing(value):
        return NOTHING
    return f"1{SPACE}day" if value == 1 else f"{number(float(value))}{SPACE}days"


def plural(value: Any, one: str, many: str) -> str:
    """A count with its noun: 1 order, 12 orders."""
    return f"{count(value)}{SPACE}{one if value == 1 else many}"


def quantity(value: Any, unit: str, currency: str) -> str:
    """A figure in the unit that a contract declares."""
    if unit == "currency":
        return money(value, currency)
    if unit == "share":
        return share(value)
    if unit == "days":
        return days(value)
    return number(value if is_missing(value) else float(value))


def plain(key: str) -> str:
    """A key of params or metrics as words: not_goods becomes not goods."""
    return key.replace("_", " ")

"""Figures as the report writes them."""

from __future__ import annotations

from datetime import date

import pytest

from pipeline.core.text import words

NAN = float("nan")


def test_a_figure_that_is_missing_is_a_dash():
    style = words.ENGLISH
    writes = (style.count, style.number, style.share, style.date, style.span)
    assert {write(value) for write in writes for value in (None, NAN)} == {"–"}
    assert style.money(NAN, "£") == style.money_exact(None, "£") == "–"
    assert style.money_between(1.0, None, "£") == style.money_between(NAN, 1.0, "£") == "–"
    assert style.share_between(0.1, NAN) == style.quantity(None, "units", "£") == "–"


@pytest.mark.parametrize(
    ("write", "value", "text"),
    [
        (words.number, 1234567, "1,234,567"), (words.number, -3, "−3"), (words.number, 0.0, "0"),
        (words.number, -0.012345, "−0.0123"), (words.number, 12.0, "12"),
        (words.number, 98765.4, "98,765"),
        (words.share, 0.0, "0%"), (words.share, 0.0004, "under 0.1%"), (words.share, 0.03, "3%"),
        (words.share, 0.034, "3.4%"), (words.share, 0.344, "34%"), (words.share, 0.9996, "99.9%"),
        (words.share, 1.0, "100%"), (words.share, -0.05, "−5%"),
    ],
)  # fmt: skip
def test_a_number_has_three_digits_and_a_share_is_neither_none_nor_all_by_rounding(
    write, value, text
):
    assert write(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "£0"), (4.5, "£4.50"), (4.0, "£4"), (-4.5, "−£4.50"), (780.4, "£780"),
        (9999.4, "£9,999"), (10_000, "£10.0k"), (999_400, "£999k"), (999_500, "£1.00m"),
        (-1_234_567, "−£1.23m"), (999_600_000, "£1.00bn"), (2.5e9, "£2.50bn"),
    ],
)  # fmt: skip
def test_money_is_scaled_by_its_rounded_size(value, text):
    assert words.money(value, "£") == text
    assert words.money(value, "EUR") == text.replace("£", f"EUR{words.SPACE}")


def test_days_and_months_are_read_from_dates_and_from_text():
    assert words.day(date(2011, 12, 9)) == words.day("2011-12-09 12:50") == "9 December 2011"
    assert words.ENGLISH.month(date(2011, 11, 1)) == words.ENGLISH.month("2011-11") == "Nov 2011"
    assert [words.ENGLISH.span(1), words.ENGLISH.span(12)] == ["1\u00a0day", "12\u00a0days"]
    assert words.plural(1, "order", "orders") == "1\u00a0order"
    assert words.plural(1200, "order", "orders") == "1,200\u00a0orders"


def test_growth_has_a_sign_and_needs_a_base():
    assert [words.ENGLISH.change(v, 100) for v in (113, 87, 100)] == ["+13%", "−13%", "0%"]
    assert words.ENGLISH.change(5, 0) == words.ENGLISH.change(5, None) == "–"


def test_another_language_writes_its_own_figures():
    german = words.Style(
        decimal=",", thousands=".", percent=" %", money_pattern="{sign}{amount} {currency}",
        scales=(" Tsd.", " Mio.", " Mrd."), between="{low} bis {high}", day="{day}. {month} {year}",
    )  # fmt: skip
    assert german.money(-1_234_567, "€") == "−1,23 Mio. €"
    assert german.share_between(0.034, 0.5) == "3,4 % bis 50 %"
    assert german.count(4334) == "4.334"
    assert german.number(0.5) == "0,5"
    assert german.date("2011-12-09") == "9. December 2011"


def test_a_figure_is_written_in_its_contracts_unit():
    texts = {"currency": "£12", "share": "1,200%", "days": "12\u00a0days", "products": "12"}
    assert {unit: words.ENGLISH.quantity(12.0, unit, "£") for unit in texts} == texts

"""Figures as the report writes them."""

from __future__ import annotations

from datetime import date

import pytest

from pipeline.core.text import words

NAN = float("nan")


@pytest.mark.parametrize(
    "text",
    [
        words.count(None),
        words.number(NAN),
        words.money(NAN, "£"),
        words.money_exact(None, "£"),
        words.money_between(1.0, None, "£"),
        words.money_between(NAN, 1.0, "£"),
        words.share(NAN),
        words.share_between(0.1, NAN),
        words.day(None),
        words.days(NAN),
        words.quantity(None, "units", "£"),
    ],
)
def test_a_figure_that_is_missing_is_a_dash(text):
    assert text == "–"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1,234,567"),
        (-3, "−3"),
        (0.0, "0"),
        (-0.012345, "−0.0123"),
        (12.0, "12"),
        (98765.4, "98,765"),
    ],
)
def test_a_number_has_three_digits_that_count_and_a_whole_one_all(value, text):
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "£0"),
        (4.5, "£4.50"),
        (4.0, "£4"),
        (-4.5, "−£4.50"),
        (780.4, "£780"),
        (9999.4, "£9,999"),
        (10_000, "£10.0k"),
        (999_400, "£999k"),
        (999_500, "£1.00m"),
        (-1_234_567, "−£1.23m"),
        (999_600_000, "£1.00bn"),
        (2.5e9, "£2.50bn"),
    ],
)
def test_money_takes_the_scale_that_its_rounded_size_asks_for(value, text):
    assert words.money(value, "£") == text
    assert words.money(value, "EUR") == text.replace("£", f"EUR{words.SPACE}")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0%"),
        (0.0004, "under 0.1%"),
        (0.034, "3.4%"),
        (0.03, "3%"),
        (0.344, "34%"),
        (0.9996, "99.9%"),
        (1.0, "100%"),
        (-0.05, "−5%"),
    ],
)
def test_a_share_is_neither_none_nor_all_by_rounding(value, text):
    assert words.share(value) == text


def test_an_interval_of_shares_has_a_percent_sign_at_both_ends():
    assert words.share_between(0.31, 0.37) == "31% to 37%"


def test_days_and_months_are_read_from_dates_and_from_text():
    assert words.day(date(2011, 12, 9)) == words.day("2011-12-09 12:50") == "9 December 2011"
    assert words.month(date(2011, 11, 1)) == words.month("2011-11") == "Nov 2011"
    assert [words.days(1), words.days(12)] == ["1\u00a0day", "12\u00a0days"]
    assert words.plural(1, "order", "orders") == "1\u00a0order"
    assert words.plural(1200, "order", "orders") == "1,200\u00a0orders"


def test_a_growth_has_its_sign_and_needs_something_to_grow_from():
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


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("currency", "£12"),
        ("share", "1,200%"),
        ("days", "12\u00a0days"),
        ("units", "12"),
    ],
)
def test_a_figure_is_written_in_its_contracts_unit(unit, text):
    assert words.quantity(12, unit, "£") == text

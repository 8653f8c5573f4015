"""Days and times as people write them, with the names of months in seven languages."""

from __future__ import annotations

import datetime as dt

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.run.errors import InputError
from pipeline.ingest.dates import USUAL_DATES, date_sql, english_month

moment = dt.datetime  # as Parquet has them: the shop's time, without a zone
# Names and short forms of CLDR 46, by language; how a day is written with a time, and without.
MONTHS = """
January February March April May June July August September October November December
Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec | {m} {d}, {y} at {t} | {d}-{m}-{yy}
Januar Februar März April Mai Juni Juli August September Oktober November Dezember
Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez. | {d}. {m} {y} um {t} Uhr | {d}.{m} {yy}
janvier février mars avril mai juin juillet août septembre octobre novembre décembre
janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc. | {d} {m} {y} à {t} | {d:02}-{m}-{yy}
enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
ene feb mar abr may jun jul ago sept oct nov dic | {d} de {m} de {y}, {t} | {d}-{m}-{yy}
gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre
gen feb mar apr mag giu lug ago set ott nov dic | {d} {m} {y} alle ore {t} | {d}/{m}/{yy}
januari februari maart april mei juni juli augustus september oktober november december
jan feb mrt apr mei jun jul aug sep okt nov dec | {d} {m} {y} om {t} | {d} {m}. {yy}
janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro
jan. fev. mar. abr. mai. jun. jul. ago. set. out. nov. dez. | {d} de {m} de {y} às {t} | {y}-{m}-{d}
"""


def readings(*cells: str) -> list[set[dt.datetime]]:
    """What the usual formats make of each cell."""
    columns = ", ".join(date_sql("cell", f, english="english") for f in USUAL_DATES)
    rows = f"select cell, {english_month('cell')} as english from (select unnest(?) as cell)"
    rows = duckdb.execute(f"select {columns} from ({rows})", [list(cells)])
    return [set(row) - {None} for row in rows.fetchall()]


@settings(max_examples=30, deadline=None, derandomize=True)
@given(at=st.datetimes(moment(1980, 1, 1), moment(2068, 12, 31)), capital=st.booleans())
def test_any_day_written_in_any_of_these_languages_comes_back(at, capital):
    at = at.replace(second=0, microsecond=0)
    cells, expected = [], []
    whole, short = MONTHS.splitlines()[1::2], MONTHS.splitlines()[2::2]
    for names, others in zip(whole, short, strict=True):
        abbreviated, with_time, without = others.split(" | ")
        for month in (names.split()[at.month - 1], abbreviated.split()[at.month - 1]):
            said = month.upper() if capital else month.lower()
            of = {"d": at.day, "m": said, "y": at.year, "yy": f"{at:%y}", "t": f"{at:%H:%M}"}
            cells += [with_time.format(**of), without.format(**of)]
            expected += [{at}, {at.replace(hour=0, minute=0)}]
    assert readings(*cells) == expected


@pytest.mark.parametrize(
    ("cell", "day"),
    [
        ("3. März 2024", "2024-03-03"),
        ("3. Ma\u0308rz 2024", "2024-03-03"),
        ("03.Mrz.24", "2024-03-03"),
        ("12 mars 2024", "2024-03-12"),
        ("1er août 2024", "2024-08-01"),
        ("3 de marzo del 2024", "2024-03-03"),
        ("1º de março de 2024", "2024-03-01"),
        ("1° dicembre 2024", "2024-12-01"),
        ("March 3rd, 2024", "2024-03-03"),
        ("2024 déc. 31", "2024-12-31"),
        ("05DEZ2024", "2024-12-05"),
        ("Sep-27-26", "2026-09-27"),
        ("Montag, den 4. März 2024", "2024-03-04"),
        ("mar. 12 mars 2024", "2024-03-12"),
        ("Monday, March 4, 2024", "2024-03-04"),
        ("4/13/2024, 2:05:06\u202fPM", "2024-04-13 14:05:06"),
        ("13/4/2024 2:05 p. m.", "2024-04-13 14:05"),
        ("13.04.2024 2:05pm", "2024-04-13 14:05"),
    ],
)
def test_days_and_times_are_read_as_people_write_them(cell, day):
    assert readings(cell) == [{moment.fromisoformat(day)}]


def test_hours_of_twelve_and_offsets_may_follow_a_month_in_letters(shop):
    shop.write('customer,date,amount\nann,"3 mai 2024, 2:05 pm",10\nbob,"4 Dez 2024 11:00 am",5\n')
    rows = shop.read(layout="order_log")
    assert [row["sold_at"] for row in rows] == [moment(2024, 5, 3, 14, 5), moment(2024, 12, 4, 11)]
    shop.write("customer,date,amount\nann,03 mai 2024 14:05 +0200,10\n")
    (row,) = shop.read(layout="order_log", time_zone="Europe/London")
    assert row["sold_at"] == moment(2024, 5, 3, 13, 5)


def test_a_declared_format_knows_the_names_too(shop):
    shop.write("customer,date,amount\nann,3. Oktober 2024,10\nbob,4. Mai 2024,5\n")
    rows = shop.read(layout="order_log", date_format="%d. %B %Y")
    assert [row["sold_at"] for row in rows] == [moment(2024, 10, 3), moment(2024, 5, 4)]


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        ("3 jui 2024", "the month can be Jun or Jul; write its whole name, or figures"),
        ("3 srpna 2024", "no month that is known; add its name to months in pipeline/settings/"),
        ("30 Februar 2024", "set source.date_format"),
        ("3 März 2024 noon", "set source.date_format"),
    ],
)
def test_a_month_that_cannot_be_told_is_an_error_with_what_helps(shop, cell, problem):
    shop.write(f"customer,date,amount\nann,3. März 2024,10\nbob,{cell},5\n")
    with pytest.raises(InputError, match=rf"row 3, column date: '{cell}' is not.*{problem}"):
        shop.read(layout="order_log")

"""SQL that reads days and times as people write them, with the names of months in any language."""

from __future__ import annotations

import re
import unicodedata

from pipeline.ingest.layouts import month_names, quoted

FIRST_DAY, LAST_DAY = "1980-01-01", "2100-01-01"
ISO = (
    r"^\s*(\d{4}-\d{1,2}-\d{1,2}(?:[T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?)"
    r"\s?(Z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?\s*$"
)
OFFSET = r" [+-]\d\d:?\d\d\s*$"
# The usual ways to write a day, and a time after it: tried where the layout's own do not fit.
NAMED_DAYS = ("%d %b %Y", "%d %b %y", "%b %d %Y", "%b %d %y", "%Y %b %d")  # as _NAMED leaves them
DAYS = (
    "%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y", "%d-%m-%Y", "%m-%d-%Y",
    "%d-%m-%y", "%m-%d-%y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", *NAMED_DAYS,
)  # fmt: skip
TIMES = (
    "", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", ", %I:%M %p", ", %I:%M:%S %p",
    ", %H:%M", ", %H:%M:%S", "T%H:%M:%S", " %H:%M %z", " %H:%M:%S %z", " at %I:%M %p",
)  # fmt: skip
USUAL_DATES = tuple(
    d + t for d in DAYS for t in TIMES if d not in NAMED_DAYS or t[:2] in {"", " %"}
)
# Montag, 3. März 2024, 3 de marzo de 2024, 1er mars 2024 à 14:05, March 3rd, 2024, Sep-27-26, and
# formats for them: {w} is a day's name, {d} its number or a year, {m} a month, {t} a time's begin.
_NAMED = (
    r"^\s*(?:{w}[.,]*\s+){{0,2}}(?:({d})(?:er|st|nd|rd|th|[º°ª])?[\s,./-]*)?(?:(?:de|of)\s)?({m})[\s,./-]*(?:del?\s)?({d})"
    r"(?:st|nd|rd|th)?(?:[\s,./-]+({d}))??"
    r"(?:[\s,]+(?:(?:at|um|om|as|alle(?: ore)?|a(?: las)?)\s)?({t}.*?))?(?: uhr)?\s*$"
)
_CELL = _NAMED.format(w="[a-z]{2,}", d=r"\d{1,4}", m="[a-z]{3,}", t=r"\d{1,2}:")
_FORMAT = _NAMED.format(w="%[aA]", d="%[dyY]", m="%[bB]", t="%[HI]:")
_HALF = r"[\s\x{a0}\x{202f}]*([AaPp])\.?[\s\x{a0}\x{202f}]?[Mm]\b\.?"  # 2:05 p. m., 2:05PM


def date_sql(
    cell: str, date_format: str, zone: str | None = None, english: str | None = None
) -> str:
    """SQL for the cell as a timestamp of this format, null where it is none or not of our time.

    An offset is converted to the shop's zone where that is known; else the time counts as written.
    `english` is SQL for what `english_month` makes of the cell, where many formats are tried.
    """
    date = _date(cell, date_format, zone, english)  # %Y reads 10 as the year 10
    span = f"timestamp '{FIRST_DAY}' and timestamp '{LAST_DAY}'"
    return f"case when {date} between {span} then {date} end"


def _date(cell: str, date_format: str, zone: str | None, english: str | None) -> str:
    if date_format != "iso":
        if found := re.match(_FORMAT, _without_accents(date_format), re.IGNORECASE):
            date_format = " ".join(filter(None, found.groups())).replace("%B", "%b")
            cell = english or english_month(cell)
        if "%p" in date_format:
            cell = f"regexp_replace({cell}, {quoted(_HALF)}, ' \\1m')"
            date_format = date_format.replace(" %p", "%p").replace("%p", " %p")
        if "%z" not in date_format:
            return f"try_strptime({cell}, {quoted(date_format)})"
        if zone:
            return f"timezone({quoted(zone)}, try_strptime({cell}, {quoted(date_format)}))"
        local = f"regexp_replace({cell}, {quoted(OFFSET)}, '')"
        return f"try_strptime({local}, {quoted(date_format.removesuffix(' %z'))})"
    local = f"regexp_extract({cell}, {quoted(ISO)}, 1)"
    written = f"try_cast(nullif({local}, '') as timestamp)"
    if zone is None:
        # The cast alone is faster, and reads plain cells alike.
        is_plain = f"length({cell}) <= 19 and not regexp_matches({cell}, '[A-SU-Za-z+]')"
        return f"case when {is_plain} then try_cast({cell} as timestamp) else {written} end"
    offset = f"replace(replace(regexp_extract({cell}, {quoted(ISO)}, 2), 'GMT', 'Z'), 'UTC', 'Z')"
    moment = f"timezone({quoted(zone)}, try_cast({local} || {offset} as timestamptz))"
    return f"case when {offset} = '' then {written} else {moment} end"


def english_month(cell: str) -> str:
    """SQL for `3. März 2024, 14:05` as `3 Mar 2024 14:05`, of which strptime knows the month."""
    names = ", ".join(f"'{name}': '{m[0]}'" for name, m in month_names().items() if len(m) == 1)
    parts = (
        f"regexp_extract(strip_accents({cell}), {quoted(_CELL)}, ['a', 'm', 'b', 'c', 't'], 'i')"
    )
    month = f"map {{{names}}}[lower({parts}.m)]"
    first, *rest = (f"nullif({parts}.{part}, '')" for part in "abct")
    return f"concat_ws(' ', {first}, {month}, {', '.join(rest)})"


def month_problem(value: str) -> str:
    """What is wrong with a date's name of a month: it is unknown or means two; '' if neither."""
    found = re.match(_CELL, _without_accents(value), re.IGNORECASE)
    means = month_names().get(found[2].lower(), ()) if found else ("",)
    if len(means) == 1:
        return ""
    if means:
        return f": the month can be {' or '.join(means)}; write its whole name, or figures"
    return (
        ": no month that is known; add its name to months in pipeline/settings/layouts.yaml, or "
        "write dates in figures"
    )


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))

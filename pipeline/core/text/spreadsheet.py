"""CSV that a spreadsheet or a mailing tool opens without executing anything."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

# A cell that starts so is a formula to Excel, LibreOffice or Google Sheets (OWASP, "CSV
# Injection"); the full-width forms are what Excel takes for the same in Japanese and Chinese.
FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
# A lone carriage return ends a row to some readers, a tab begins a formula: no cell needs them.
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
GUARD = "'"


def safe_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return the rows as CSV (comma, Unix line ends); texts that would execute get a leading '."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([safe_cell(value) for value in row] for row in rows)
    return text.getvalue()


def safe_cell(value: Any) -> Any:
    """The value; a text that would execute is guarded, control characters become a space."""
    if value is None:
        return ""
    if not isinstance(value, str):
        return "" if value != value else value  # noqa: PLR0124 - only NaN differs from itself
    plain = CONTROLS.sub(" ", value)
    return GUARD + plain if plain.lstrip().startswith(FORMULA_STARTS) else plain

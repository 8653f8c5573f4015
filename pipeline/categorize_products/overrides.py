"""Corrections by hand: stock codes whose category the shop decides."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

from pipeline.core.run.errors import InputError

COLUMNS = ["stock_code", "category"]


def read_overrides(
    path: Path, categories: Collection[str], stock_codes: Collection[str]
) -> dict[str, str]:
    """Stock code → category from a CSV file with the columns stock_code and category.

    Raises InputError that names file, row, value and remedy for another header, a category that
    does not exist, a stock code that was never sold, and a code that stands twice.
    """
    if not path.exists():
        raise InputError(
            f"{path} is missing (categorize.overrides); make it with the header "
            f"`{','.join(COLUMNS)}`, or set the parameter to null"
        )
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != COLUMNS:
            raise InputError(f"{path}: expected the header {COLUMNS}, found {reader.fieldnames}")
        rows = [(reader.line_num, row) for row in reader]
    overrides: dict[str, str] = {}
    for line, row in rows:
        code, category = (row["stock_code"] or "").strip(), (row["category"] or "").strip()
        where = f"{path}, line {line}"
        if category not in categories:
            raise InputError(
                f"{where}, column category: {category!r} is no category; expected one of "
                f"{', '.join(categories)}"
            )
        if code not in stock_codes:
            raise InputError(
                f"{where}, column stock_code: {code!r} was never sold; mend or remove the line"
            )
        if overrides.setdefault(code, category) != category:
            raise InputError(
                f"{where}, column stock_code: {code!r} stands twice, with {overrides[code]!r} "
                f"and {category!r}; keep one"
            )
    return overrides

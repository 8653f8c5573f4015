"""Print the data dictionary, made from the contracts: `make docs` keeps it current.

Example: python -m pipeline.core.tables > docs/data_dictionary.md
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from pipeline.core.tables.contract import Column, Table

TYPES = {
    "string": "text",
    "bool": "true or false",
    "double": "number",
    "date32[day]": "date",
    "timestamp[us]": "date and time",
}


def main() -> None:
    """Print every contract, in the order of their names."""
    sys.stdout.write(data_dictionary())


def tables() -> list[Table]:
    """Every contract of this folder, by name."""
    stages = [file.stem for file in Path(__file__).parent.glob("[a-z]*.py")]
    found = [table for stage in stages if stage != "contract" for table in tables_of(stage)]
    return sorted(found, key=lambda table: table.name)


def tables_of(stage: str) -> list[Table]:
    """The contracts of what a stage writes."""
    module = importlib.import_module(f"pipeline.core.tables.{stage}")
    names = re.findall(r"(?m)^([A-Z_]+) = ", Path(str(module.__file__)).read_text(encoding="utf-8"))
    return [value for name in names if isinstance(value := vars(module)[name], Table)]


def data_dictionary() -> str:
    """The contracts as a page of Markdown."""
    lines = [
        "# Data dictionary",
        "",
        "Made from `pipeline/core/tables/` by `make docs`; not to be edited by hand.",
        "Every table is checked against its contract when it is written and when it is read.",
        "",
    ]
    for table in tables():
        lines += _page(table)
    return "\n".join(lines)


def _page(table: Table) -> Iterator[str]:
    yield f"## {table.name}"
    yield ""
    yield f"`{table.path}`: one row is {table.row}."
    if table.key:
        yield f"Key: {', '.join(f'`{k}`' for k in table.key)}."
    yield f"Order: {', '.join(f'`{k}`' for k in table.order)}."
    yield ""
    yield "| column | type | unit | null | meaning | rule |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for column in table.columns:
        yield _row(column)
    yield ""
    if table.rules:
        yield "Every row: " + "; ".join(f"`{rule}`" for rule in table.rules) + "."
        yield ""


def _row(column: Column) -> str:
    cells = (
        f"`{column.name}`",
        _type(column.type),
        column.unit,
        "may be null" if column.nullable else "",
        column.doc,
        f"`{column.rule}`" if column.rule else "",
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(arrow_type: pa.DataType) -> str:
    if pa.types.is_integer(arrow_type):
        return "whole number"
    if pa.types.is_decimal(arrow_type):
        return f"decimal, {arrow_type.scale} places, exact"
    return TYPES.get(str(arrow_type), str(arrow_type))


if __name__ == "__main__":
    main()

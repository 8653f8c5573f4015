"""Print the data dictionary, made from the contracts: `make docs` keeps it current.

Example: python -m pipeline.tables > docs/data_dictionary.md
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table

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
    """Every contract of this folder."""
    found: dict[str, Table] = {}
    for file in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        module = importlib.import_module(f"pipeline.tables.{file.stem}")
        found |= {v.name: v for v in vars(module).values() if isinstance(v, Table)}
    return [found[name] for name in sorted(found)]


def data_dictionary() -> str:
    """The contracts as a page of Markdown."""
    lines = [
        "# Data dictionary",
        "",
        "Made from the contracts in `pipeline/tables/` by `make docs`; not to be edited by hand.",
        "Every table is held against its contract when it is written and when it is read.",
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

"""Layouts: what a file's columns are called, and how its numbers and dates are written."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipeline.shared.errors import InputError

LAYOUTS_FILE = Path(__file__).parents[1] / "layouts.yaml"
CANONICAL = (
    "invoice_id",
    "stock_code",
    "description",
    "quantity",
    "sold_at",
    "unit_price",
    "customer_id",
    "country",
)
USUAL = "order_lines"  # the layout of the usual names of columns
BESIDE = ("amount", "refunded_quantity", "status", "cancelled_at")
FIELDS = (*CANONICAL, *BESIDE)


class Layout(BaseModel):
    """One layout of pipeline/layouts.yaml, whose head says what each key means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    columns: Mapping[str, tuple[str, ...]]
    optional: tuple[str, ...] = ()
    constants: Mapping[str, str] = Field(default_factory=dict)
    fallbacks: Mapping[str, str] = Field(default_factory=dict)
    order_level: tuple[str, ...] = ()
    encodings: tuple[str, ...]
    delimiter: str | None = None
    decimal: str = "."
    thousands: str | None = None
    dates: tuple[str, ...]
    overlapping: bool = False
    invoice_per_row: bool = False
    adjustment_prefix: str | None = None
    adjustment_code: str | None = None
    returned_statuses: tuple[str, ...] = ()
    partly_returned_statuses: tuple[str, ...] = ()

    @field_validator("columns", mode="before")
    @classmethod
    def _as_lists(cls, columns: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        unknown = set(columns) - set(FIELDS)
        if unknown:
            raise ValueError(f"{sorted(unknown)} are no columns; there are {', '.join(FIELDS)}")
        return {
            field: (names,) if isinstance(names, str) else tuple(names)
            for field, names in columns.items()
        }

    def with_own_columns(self, own: Mapping[str, str]) -> Layout:
        """The layout with these header names in place of its own, and needed in the file.

        Raises InputError for a name that is no canonical column.
        """
        for field in own:
            if field not in FIELDS:
                raise InputError(
                    f"source.columns: {field!r} is no column; there are {', '.join(FIELDS)}"
                )
        return self.model_copy(
            update={
                "columns": {**self.columns, **{field: (name,) for field, name in own.items()}},
                "optional": tuple(field for field in self.optional if field not in own),
                "constants": {f: v for f, v in self.constants.items() if f not in own},
            }
        )

    def missing(self, header: Sequence[str]) -> list[str]:
        """The fields that the layout needs and the header lacks."""
        found = self.positions(header)
        missing = [f for f in self.columns if f not in found and f not in self.optional]
        for one, other in (("unit_price", "amount"), ("description", "stock_code")):
            if not {one, other} & (found.keys() | self.constants.keys() | set(missing)):
                missing.append(one)
        return missing

    def positions(self, header: Sequence[str]) -> dict[str, int]:
        """Each field's position in the header, for those that it has.

        Case makes no difference; blanks, _, - and . make none where nothing fits with them.
        """
        found: dict[str, int] = {}
        for read in (_plain, _letters):
            places = {read(name): place for place, name in reversed(list(enumerate(header)))}
            for field, names in self.columns.items():
                if field not in found and (fitting := [n for n in names if read(n) in places]):
                    found[field] = places[read(fitting[0])]
        return found


def load_layouts(path: Path = LAYOUTS_FILE) -> dict[str, Layout]:
    """Return all layouts by name."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {name: Layout(name=name, **values) for name, values in content.items()}


def named_layout(name: str, layouts: Mapping[str, Layout]) -> Layout:
    """Return the layout of that name. Raises InputError that names the closest one."""
    if name in layouts:
        return layouts[name]
    close = difflib.get_close_matches(name, layouts, n=1, cutoff=0.4)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise InputError(f"source.layout: {name!r} is no layout; there are {', '.join(layouts)}{hint}")


def fit(name: str, header: Sequence[str], layout: Layout) -> dict[str, int]:
    """Return each field's position in the header of the file `name`.

    Raises InputError where a needed column is missing or stands there twice: it says what was
    found and expected, and which layout and which header names come closest.
    """
    if layout.missing(header):
        raise InputError(_misfit(name, header, layout))
    positions = layout.positions(header)
    times = Counter(_plain(column) for column in header)
    for field, place in positions.items():
        if times[_plain(header[place])] > 1:
            raise InputError(
                f"{name}, row 1: the column {header[place]!r} ({field}) stands there "
                f"{times[_plain(header[place])]} times; which one counts cannot be guessed: "
                "rename or delete the others"
            )
    return positions


def closest_layout(header: Sequence[str], layouts: Mapping[str, Layout]) -> Layout:
    """Return the layout of which the header lacks the smallest share."""
    return min(layouts.values(), key=lambda y: len(y.missing(header)) / max(1, len(y.columns)))


def _misfit(name: str, header: Sequence[str], layout: Layout) -> str:
    missing = layout.missing(header)
    wanted = [_names(layout.columns.get(field, (field,))) for field in missing]
    lines = [
        f"{name} does not fit the layout {layout.name}: no column {', '.join(wanted)}",
        f"  found:    {', '.join(_short(column) for column in header) or 'nothing'}",
        f"  expected: {', '.join(map(_names, layout.columns.values()))}",
    ]
    layouts = load_layouts()
    closest = closest_layout(header, layouts)
    lacking = len(closest.missing(header))
    if closest.name != layout.name and lacking < len(missing):
        how = "it fits" if not lacking else f"it lacks {lacking} of {len(closest.columns)}"
        lines.append(f"  closest layout: {closest.name} ({how}); set source.layout: {closest.name}")
    usual = layouts[USUAL].columns
    own = {
        field: _closest_column((*layout.columns.get(field, ()), *usual.get(field, ())), header)
        for field in missing
    }
    named = ", ".join(f"{field}: {column or '…'}" for field, column in own.items())
    lines.append(f"  or name your own columns: source.columns: {{{named}}}")
    return "\n".join(lines)


def _closest_column(names: Sequence[str], header: Sequence[str]) -> str | None:
    letters = {_letters(column): column for column in header}
    for cutoff in (1.0, 0.7):
        for name in names:
            if close := difflib.get_close_matches(_letters(name), letters, n=1, cutoff=cutoff):
                return _short(letters[close[0]])
    return None


def _names(names: Sequence[str]) -> str:
    return " or ".join([*names[:8], *("…" for _ in names[8:9])])


def _plain(name: str) -> str:
    return " ".join(name.replace("\ufeff", "").split()).casefold()


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"

"""Layouts: what a file's columns are called, and how its numbers and dates are written."""

from __future__ import annotations

import difflib
import functools
import itertools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipeline.core.run.errors import AmbiguousError, InputError, MisfitError
from pipeline.core.run.params import StageParams
from pipeline.core.run.yaml_text import YAMLError, load_yaml, read_yaml

LAYOUTS_FILE = Path(__file__).parents[1] / "settings" / "layouts.yaml"
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
BUILT = ("=row", "=customer+day")  # an order number where there is none
GENERIC = ("order_lines", "order_log")
USUAL = "order_lines"  # the layout of the usual names of columns
# Figures of the line, of the order (on its first line, or on each), and what says who and whether.
MONEY = (
    "amount", "line_price", "discount", "refund", "unit_cost",
    "order_amount", "order_discount", "order_refund", "total", "shipping", "tax", "tip",
)  # fmt: skip
BESIDE = (
    *MONEY, "refunded_quantity", "status", "status_2", "cancelled_at", "test", "currency", "email",
    "phone", "category", "channel", "store", "consent", "sold_time", "line_key",
)  # fmt: skip
FIELDS = (*CANONICAL, *BESIDE)


class Layout(BaseModel):
    """One layout of pipeline/settings/layouts.yaml, whose head says what each key means."""

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
    overlapping: bool | Literal["orders"] = "orders"
    is_plain: bool = False
    states: Mapping[str, Literal["sale", "no_sale", "refunded", "unknown"]] = Field(
        default_factory=dict
    )
    price_is: Literal["unit", "line"] | None = None
    header: tuple[str, ...] = ()
    repeats: Literal["drop", "keep"] = "keep"
    invoice_per_row: bool = False
    adjustment_prefix: str | None = None
    adjustment_code: str | None = None

    @property
    def needed(self) -> set[str]:
        """The fields whose columns were meant, and not found by a usual name."""
        return set(self.columns) - (set(self.optional) if self.name in GENERIC else set())

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

        A column that is named so is no longer another one that the file may lack.
        Raises InputError for a name that is no canonical column.
        """
        constants = {f: v if v in BUILT else v[1:] for f, v in own.items() if v.startswith("=")}
        for field in own:
            if field not in FIELDS:
                raise InputError(
                    f"source.columns: {field!r} is no column; there are {', '.join(FIELDS)}"
                )
        own = {f: v for f, v in own.items() if f not in constants}
        optional = {*self.optional, *(("unit_price",) if "amount" in own else ())}
        taken = {_letters(name) for name in own.values()}
        others = {
            field: tuple(n for n in names if _letters(n) not in taken or field not in optional)
            for field, names in self.columns.items()
        }
        return self.model_copy(
            update={
                "columns": {
                    **{f: names for f, names in others.items() if f not in constants},
                    **{field: (name,) for field, name in own.items()},
                },
                "optional": tuple(field for field in optional if field not in own),
                "constants": {
                    **{f: v for f, v in self.constants.items() if f not in own},
                    **constants,
                },
            }
        )

    def missing(self, header: Sequence[str]) -> list[str]:
        """The fields that the layout needs and the header lacks."""
        found = self.positions(header)
        missing = [f for f in self.columns if f not in found and f not in self.optional]
        for any_of in (
            ("unit_price", "amount", "line_price", "total"),
            ("description", "stock_code"),
            ("customer_id", "email", "phone"),
        ):
            if not set(any_of) & (found.keys() | self.constants.keys() | set(missing)):
                missing.append(any_of[0])
        return missing

    def positions(self, header: Sequence[str]) -> dict[str, int]:
        """Each field's position in the header, for those that it has."""
        return {field: places[0] for field, places in self.places(header).items()}

    def places(self, header: Sequence[str]) -> dict[str, list[int]]:
        """Where the first of each field's names stands that the header has: once, or several times.

        Case makes no difference; accents, blanks, _, - and . make none where the name does not
        stand there with them.
        """
        readings = [(read, [read(name) for name in header]) for read in (_plain, _letters)]
        found: dict[str, list[int]] = {}
        taken: set[int] = set()  # one column is one field
        for field, names in self.columns.items():
            for name, (read, columns) in itertools.product(names, readings):
                places = [p for p, column in enumerate(columns) if column == read(name)]
                if places and (places[0] not in taken or len(names) == 1):
                    found[field] = places
                    taken.add(places[0])
                    break
        return found


def load_layouts(path: Path = LAYOUTS_FILE) -> dict[str, Layout]:
    """Return all layouts by name."""
    content = read_yaml(path)
    return {n: Layout(name=n, **v) for n, v in content.items() if n not in {"states", "months"}}


def order_states() -> dict[str, str]:
    """Return the states that orders have in any shop: sale, no_sale or refunded."""
    content = read_yaml(LAYOUTS_FILE)["states"]
    return {state: kind for kind, states in content.items() for state in states}


@functools.cache
def month_names() -> dict[str, tuple[str, ...]]:
    """Return the names of months in plain letters, and which month each means, or can mean."""
    content = read_yaml(LAYOUTS_FILE)["months"]
    names: dict[str, tuple[str, ...]] = {}
    for month, name in ((month, _letters(n)) for month, ns in content.items() for n in ns):
        names[name] = tuple(dict.fromkeys((*names.get(name, ()), month)))
    return names


def named_layout(name: str, layouts: Mapping[str, Layout]) -> Layout:
    """Return the layout of that name. Raises InputError that names the closest one."""
    if name in layouts:
        return layouts[name]
    close = difflib.get_close_matches(name, layouts, n=1, cutoff=0.4)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise InputError(f"source.layout: {name!r} is no layout; there are {', '.join(layouts)}{hint}")


class Reading(StageParams):
    """How a source is read: section `source` of params.yaml.

    What is not said is as the layout says, so that the lines of `check` are a whole section.
    """

    path: Path
    layout: str
    columns: dict[str, str] = Field(default_factory=dict)
    files: str | None = None
    sheets: tuple[str, ...] | None = None
    encoding: str | None = None
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    decimal: Literal[".", ","] | None = None
    thousands: Literal[",", ".", " ", "'"] | None = None
    date_format: str | None = None
    overlapping: bool | Literal["orders"] | None = None
    store_pattern: str | None = None
    time_zone: str | None = None
    states: dict[str, Literal["sale", "no_sale", "refunded"]] = Field(default_factory=dict)
    currency_rates: Path | None = None
    customer_aliases: Path | None = None
    header: tuple[str, ...] = ()
    days: tuple[date, date] | None = None
    on_bad_rows: Literal["fail", "quarantine"] = "fail"


def setting(text: str) -> tuple[str, Any]:
    """One KEY=VALUE of a command line, for a Reading; no value unsets the key."""
    key, equals, value = text.partition("=")
    if not equals or key == "path":
        raise InputError(f"--set {text}: expected KEY=VALUE, of a key other than path")
    if value in {"", "null"}:
        return key, None
    # A comma or a percent sign alone is no YAML, and a format with a colon would be a mapping.
    if key in {"date_format", "delimiter", "decimal", "thousands", "encoding", "files"}:
        return key, value.strip("\"'") if len(value) > 1 else value
    try:
        return key, load_yaml(value)
    except YAMLError:
        return key, value


def layout_of(params: Reading) -> Layout:
    """The named layout with the parameters' own columns, marks and formats over it."""
    layout = named_layout(params.layout, load_layouts()).with_own_columns(params.columns)
    own = {
        "delimiter": params.delimiter,
        "decimal": params.decimal,
        "thousands": params.thousands,
        "dates": (params.date_format,) if params.date_format else None,
        "overlapping": params.overlapping,
        "header": params.header or None,
    }
    layout = layout.model_copy(update={k: v for k, v in own.items() if v is not None})
    if layout.decimal == layout.thousands:
        raise InputError(f"source.decimal and source.thousands are both {layout.decimal!r}")
    return layout


def fit(name: str, header: Sequence[str], layout: Layout) -> dict[str, int]:
    """Return each field's position in the header of the file `name`.

    Raises MisfitError where a needed column is missing: it says what was found and expected, and
    which layout and which header names come closest. Raises AmbiguousError where one stands there
    twice.
    """
    if missing := layout.missing(header):
        has = len(layout.positions(header))
        error = MisfitError(_misfit(name, header, layout), has, len(missing))
        error.header = tuple(header)
        raise error
    for field, places in layout.places(header).items():
        if len(places) > 1:
            alike = " and ".join(dict.fromkeys(repr(header[place]) for place in places))
            raise AmbiguousError(
                f"{name}, row 1: the column {alike} ({field}) stands there {len(places)} times; "
                "which one counts cannot be guessed: rename or delete the others"
            )
    return layout.positions(header)


def closest_layout(header: Sequence[str], layouts: Mapping[str, Layout]) -> Layout:
    """Return the layout of which the header lacks the smallest share, and has the most columns."""

    def order(layout: Layout) -> tuple[float, int]:
        lacks, has = len(layout.missing(header)), len(layout.positions(header))
        return lacks / max(1, len(layout.columns)), -has

    return min(layouts.values(), key=order)


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
    reads_less = len(closest.positions(header)) < len(layout.positions(header))
    is_like = bool(closest.positions(header)) and not reads_less
    if closest.name != layout.name and lacking < len(missing) and is_like:
        how = "it fits" if not lacking else f"it lacks {lacking} of {len(closest.columns)}"
        lines.append(f"  closest layout: {closest.name} ({how}); set source.layout: {closest.name}")
    usual = layouts[USUAL].columns
    fields = [*layout.positions(header).items(), *layouts[USUAL].positions(header).items()]
    own: dict[str, str | None] = {}
    for field in missing:
        names = (*layout.columns.get(field, ()), *usual.get(field, ()))
        theirs = {place for other, place in fields if other != field}
        free = [column for place, column in enumerate(header) if place not in theirs]
        own[field] = _closest_column(names, free)
    named = ", ".join(f"{field}: {column or '…'}" for field, column in own.items())
    lines.append(f"  or name your own columns: source.columns: {{{named}}}")
    if not layouts[USUAL].positions(header):
        lines.append("  or delete what stands above the header, if row 1 is none")
    return "\n".join(lines)


def _closest_column(names: Sequence[str], header: Sequence[str]) -> str | None:
    letters = {_letters(column): column for column in header}
    for cutoff in (1.0, 0.7):
        for name in names:
            if close := difflib.get_close_matches(_letters(name), letters, n=1, cutoff=cutoff):
                return _short(letters[close[0]])
    return None


def quoted(value: str) -> str:
    """A text in SQL."""
    return "'" + value.replace("'", "''") + "'"


def _names(names: Sequence[str]) -> str:
    return " or ".join([*names[:4], *("…" for _ in names[4:5])])


def _plain(name: str) -> str:
    return " ".join(name.replace("\ufeff", "").split()).casefold()


def _letters(name: str) -> str:
    letters = unicodedata.normalize("NFKD", re.sub(r"#\s*$", "no", name))
    return re.sub(r"[\W_]+", "", letters).casefold()


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"

"""docs/metrics.md explains every metric of every run, and none that is gone."""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from conftest import ROOT

A_ROW = re.compile(r"\| `(?P<name>[^`]+)` \| (?P<meaning>.+) \| (?P<better>.+) \|")
A_BLANK = re.compile(r"<[^>]+>")
Keys = tuple[str, ...]


class Row(NamedTuple):
    """One line of a table: `file` is the heading that it stands under."""

    file: str
    name: str
    meaning: str
    better: str

    def explains(self, file: str, keys: Keys) -> bool:
        parts = self.name.split(".")
        return (
            (file, len(keys)) == (self.file, len(parts))
            # A segment's name may hold a dot, so keys are compared one by one.
            and all(
                re.fullmatch(".+".join(map(re.escape, A_BLANK.split(part))), key)
                for part, key in zip(parts, keys, strict=True)
            )
        )

    def is_in_code(self) -> bool:
        """Whether the code has the last key as a string, up to a placeholder."""
        before, *blank = A_BLANK.split(self.name.split(".")[-1])
        return any(f"{quote}{before}{'{' if blank else quote}" in CODE for quote in "\"'")


def rows_of(page: str) -> Iterator[Row]:
    file = ""
    for line in page.splitlines():
        if line.startswith("## "):
            file = line.removeprefix("## ")
        elif row := A_ROW.fullmatch(line):
            yield Row(file, **row.groupdict())


def keys_of(figures: dict[str, Any], above: Keys = ()) -> Iterator[Keys]:
    for key, value in figures.items():
        yield from keys_of(value, (*above, key)) if isinstance(value, dict) else [(*above, key)]


def committed_metrics() -> Iterator[tuple[str, Keys]]:
    """The file and the keys of every metric."""
    for file in sorted((ROOT / "metrics").glob("*.json")):
        read = json.loads(file.read_text(encoding="utf-8"))
        for keys in keys_of(read[0] if isinstance(read, list) else read):
            yield f"metrics/{file.name}", keys


PAGE = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
CODE = "\n".join(f.read_text(encoding="utf-8") for f in sorted((ROOT / "pipeline").rglob("*.py")))
ROWS, METRICS = list(rows_of(PAGE)), list(committed_metrics())


def test_every_metric_is_explained():
    assert METRICS
    missing = [m for m in METRICS if not any(row.explains(*m) for row in ROWS)]
    assert not missing, "docs/metrics.md has no row for these"


def test_every_row_has_a_metric():
    """Where a metric is not in every run ("Only …"), the code must know its name."""
    gone = [
        row
        for row in ROWS
        if not any(row.explains(*metric) for metric in METRICS)
        and not (row.meaning.startswith("Only ") and row.is_in_code())
    ]
    assert not gone, "docs/metrics.md explains metrics that are gone"


def test_no_metric_is_explained_twice():
    assert len({(row.file, row.name) for row in ROWS}) == len(ROWS)


def test_every_row_is_one_sentence_and_says_which_way_is_better():
    assert [row for row in ROWS if row.better not in {"higher", "lower", "neither"}] == []
    assert [row for row in ROWS if not re.fullmatch(r"[A-Z`].+[^.]\.", row.meaning)] == []
    tables = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(tables) == len(ROWS), "a row of a table is not written as the others are"

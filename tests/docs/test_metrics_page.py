"""docs/metrics.md explains every metric of every run, and none that is gone."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
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

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"

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


def rows_of(page: str) -> list[Row]:
    found, file = [], ""
    for line in page.splitlines():
        if line.startswith("## "):
            file = line.removeprefix("## ")
        elif row := A_ROW.fullmatch(line):
            found.append(Row(file, **row.groupdict()))
    return found


def keys_of(figures: dict[str, Any], above: Keys = ()) -> Iterator[Keys]:
    for key, value in figures.items():
        yield from keys_of(value, (*above, key)) if isinstance(value, dict) else [(*above, key)]


def unexplained(page: str, metrics: dict[str, dict[str, Any]]) -> list[str]:
    """The metrics without a row."""
    rows = rows_of(page)
    return [
        f"{file}: {'.'.join(keys)}"
        for file, figures in metrics.items()
        for keys in keys_of(figures)
        if not any(row.explains(file, keys) for row in rows)
    ]


def without_a_metric(page: str, metrics: dict[str, dict[str, Any]], code: str) -> list[str]:
    """The rows without a metric; of one that is not in every run, the code must know the name."""
    there = [(file, keys) for file, figures in metrics.items() for keys in keys_of(figures)]
    return [
        str(row)
        for row in rows_of(page)
        if not any(row.explains(file, keys) for file, keys in there)
        and not (row.meaning.startswith("Only ") and _is_in(code, row))
    ]


def _is_in(code: str, row: Row) -> bool:
    """Whether the last key stands in the code as a text, up to what is filled in."""
    before, *blank = A_BLANK.split(row.name.split(".")[-1])
    return any(f"{quote}{before}{'{' if blank else quote}" in code for quote in "\"'")


def committed_page() -> str:
    return (ROOT / "docs/metrics.md").read_text(encoding="utf-8")


def committed_metrics() -> dict[str, dict[str, Any]]:
    files = sorted((ROOT / "metrics").glob("*.json"))
    assert files
    read = {f"metrics/{f.name}": json.loads(f.read_text(encoding="utf-8")) for f in files}
    return {name: f[0] if isinstance(f, list) else f for name, f in read.items()}


def code() -> str:
    files: list[Path] = sorted((ROOT / "pipeline").rglob("*.py"))
    return "\n".join(f.read_text(encoding="utf-8") for f in files)


def test_every_metric_is_explained():
    missing = unexplained(committed_page(), committed_metrics())
    assert not missing, f"docs/metrics.md has no row for {'; '.join(missing)}"


def test_every_row_has_a_metric():
    gone = without_a_metric(committed_page(), committed_metrics(), code())
    assert not gone, f"docs/metrics.md has rows without a metric: {'; '.join(gone)}"


def test_no_metric_is_explained_twice():
    rows = [str(row) for row in rows_of(committed_page())]
    assert [row for row in rows if rows.count(row) > 1] == []


def test_every_row_is_one_sentence_and_says_which_way_is_better():
    rows = rows_of(committed_page())
    assert [
        f"{r}: {r.better}" for r in rows if r.better not in {"higher", "lower", "neither"}
    ] == []
    assert [str(r) for r in rows if not re.fullmatch(r"[A-Z`].+[^.]\.", r.meaning)] == []
    tables = [line for line in committed_page().splitlines() if line.startswith("| `")]
    assert len(tables) == len(rows), "a row of a table is not written as the others are"

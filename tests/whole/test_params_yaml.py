"""params.yaml: commented, complete by its schema, and in the form that DVC itself writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

from pipeline.commands.schema import SECTIONS, parameters, schema

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
PARAMS = yaml.safe_load(TEXT)
SCHEMA = ROOT / "params.schema.json"


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key that holds no further keys, with its value."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


SPEAKING = ("not_goods_codes", "not_goods_patterns")
LEAVES = dict(leaves(PARAMS))


def test_the_schema_is_current_and_editors_find_it():
    assert TEXT.startswith(f"# yaml-language-server: $schema={SCHEMA.name}\n")
    assert SCHEMA.read_text(encoding="utf-8") == schema(), "run `make docs`"
    parameters().model_validate(PARAMS)
    assert set(SECTIONS) == set(PARAMS)


def other(value: Any) -> str:
    """Another value as `dvc exp run -S` takes it."""
    match value:
        case bool():
            return str(not value).lower()
        case int() | float():
            return str(value + 1)
        case list():
            return "[1, 2]"
        case _:
            return "another"


@pytest.mark.parametrize("key", LEAVES)
def test_setting_a_key_by_dvc_changes_its_line_alone(key: str, tmp_path: Path):
    """Of a list its lines; nothing else is written otherwise, and no comment is lost."""
    from dvc.utils.hydra import apply_overrides

    file = tmp_path / "params.yaml"
    file.write_text(TEXT, encoding="utf-8")
    is_empty_mapping = LEAVES[key] == {}
    change = f"+{key}.a=b" if is_empty_mapping else f"{key}={other(LEAVES[key])}"
    apply_overrides(file, [change])
    before, after = TEXT.splitlines(), file.read_text(encoding="utf-8").splitlines()
    changed = before[alike(before, after) : len(before) - alike(before[::-1], after[::-1])]
    if LEAVES[key] and isinstance(LEAVES[key], list):
        assert changed
        assert all(line.lstrip().startswith("- ") for line in changed)
    else:
        assert [line.split(":")[0].strip() for line in changed] == [key.rpartition(".")[2]]


def alike(these: list[str], those: list[str]) -> int:
    """How many lines are the same at the beginning of both."""
    pairs = enumerate(zip(these, those, strict=False))
    return next(number for number, (this, that) in pairs if this != that)


def test_every_key_has_a_comment_above_it():
    """The lists of a section stand at its end, under one comment; a named code is its own."""
    bare, key = [], ""
    for above, line in pairwise(TEXT.splitlines()):
        if re.match(r"^  \w+:", line):
            key = line.split(":")[0].strip()
        spoken = above.lstrip().startswith(("#", "- ")) or key in {"feature_sets", *SPEAKING}
        if re.match(r"^ +\w+:", line) and not spoken:
            bare.append(line.strip())
    assert not bare

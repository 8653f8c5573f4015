"""params.yaml: commented, complete by its schema, and in the form that DVC itself writes."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import yaml
from conftest import ROOT

from pipeline.commands.schema import SECTIONS, parameters, schema

TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
PARAMS = yaml.safe_load(TEXT)
SCHEMA = ROOT / "params.schema.json"


SPEAKING = ("not_goods_codes", "not_goods_patterns")


def test_the_schema_is_current_and_editors_find_it():
    assert TEXT.startswith(f"# yaml-language-server: $schema={SCHEMA.name}\n")
    assert SCHEMA.read_text(encoding="utf-8") == schema(), "run `make docs`"
    parameters().model_validate(PARAMS)
    assert set(SECTIONS) == set(PARAMS)


def test_a_key_set_by_dvc_changes_its_own_line_only(tmp_path: Path):
    """DVC writes the whole file again: every other line and every comment must survive."""
    from dvc.utils.hydra import apply_overrides

    file = tmp_path / "params.yaml"
    file.write_text(TEXT, encoding="utf-8")
    apply_overrides(file, ["report.top_rows=1234"])
    pairs = zip(TEXT.splitlines(), file.read_text(encoding="utf-8").splitlines(), strict=True)
    assert [after.strip() for before, after in pairs if before != after] == ["top_rows: 1234"]


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

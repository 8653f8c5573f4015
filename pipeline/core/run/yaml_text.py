"""YAML as DVC reads it: version 1.2, in which NO is a word, 010 is ten and 3e-2 a number."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.core.run.errors import InputError

__all__ = ["YAMLError", "dump_yaml", "load_yaml", "read_yaml"]


def load_yaml(text: str) -> Any:
    """Return what a YAML text says, in plain Python. Raises YAMLError."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (ValueError, KeyError) as error:  # of a day that there is not, of a tag
        raise YAMLError(str(error)) from None


def read_yaml(path: Path) -> Any:
    """Return what the YAML file at `path` says. Raises InputError where it is not valid."""
    try:
        return load_yaml(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {error}") from None


def dump_yaml(values: Any) -> str:
    """Return values as YAML that reads as the same values; keys stay in their order."""
    yaml = YAML()
    yaml.width = 1 << 16
    text = io.StringIO()
    yaml.dump(values, text)
    return text.getvalue()

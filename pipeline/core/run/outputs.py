"""Outputs appear whole or not at all."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.run.errors import InputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it takes the place of `path` if all went well.

    What a killed process left half written is removed. The name is this process's own: were it
    shared, two processes at once could put one's half of a file in place as the other's whole.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for remains in path.parent.glob(f".{glob.escape(path.name)}.*unfinished"):
        remains.unlink(missing_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        yield unfinished
        # DVC may have left a read-only link to its cache at `path`: replace, never write through.
        _replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 with Unix line ends, whole or not at all."""
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="\n")


def _replace(unfinished: Path, path: Path) -> None:
    try:
        unfinished.replace(path)
    except FileNotFoundError:
        raise InputError(
            f"{path}: another process began to write it; let that one end, then run this again"
        ) from None

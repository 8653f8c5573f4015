"""Notice a parameter that was edited after a stage had ended, before DVC looked at it.

DVC records parameters as they stand after the run, a moment after the stage's own last look
(shared/unchanged.py). So each stage writes those that it used into an output of its own. DVC
records that output beside the parameters: where the two differ, the next stage and the commands
that read a run refuse, here and wherever the record was pulled to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.shared.errors import InputError
from pipeline.shared.outputs import write_text

PARAMS, LOCK = "params.yaml", Path("dvc.lock")


def used_file(stage: str) -> Path:
    """Where a stage says which parameters it used, for its list of outputs in dvc.yaml."""
    return Path("data") / f"{stage}_parameters.yaml"


def write_used(stage: str, used: Mapping[str, Any]) -> None:
    """Write the values of each section or key of params.yaml that the stage began with."""
    text = yaml.safe_dump(dict(used), sort_keys=False, allow_unicode=True)
    write_text(used_file(stage), text)


def refuse_misrecorded(needed_by: Mapping[str, Any] | None = None) -> None:
    """Raise InputError if dvc.lock holds other parameters than an output was made with.

    Of any stage, or of those whose outputs are among the dependencies of the stage `needed_by`.
    """
    for stage, entry in mapping_in(LOCK).get("stages", {}).items():
        made = {out["path"]: out.get("md5") for out in entry.get("outs", ())}
        if needed_by is not None and not made.keys() & set(needed_by.get("deps", ())):
            continue
        if edited := list(_misrecorded(entry, used_file(stage), made)):
            raise InputError(
                f"{PARAMS}: {', '.join(edited)}: edited in the moment when {stage} ended: {LOCK} "
                "holds the new values beside outputs made with the old; run "
                f"`dvc repro --force --single-item {stage}`, then `dvc repro`"
            )


def listed(entries: Iterable[Any]) -> Iterator[str]:
    """The names in a list of dvc.yaml, where some have settings."""
    for entry in entries:
        yield next(iter(entry)) if isinstance(entry, Mapping) else str(entry)


def as_text(value: Any) -> str:
    """The same for what is read from params.yaml here and, after DVC wrote it, from dvc.lock.

    DVC reads 3e-2 as a number, which for YAML 1.1 is a word.
    """
    if isinstance(value, Mapping):
        return f"{{{', '.join(sorted(f'{key}: {as_text(each)}' for key, each in value.items()))}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(as_text, value))}]"
    try:
        return repr(float(value))
    except (TypeError, ValueError):
        return str(value)


def stamp_of(file: Path) -> tuple[int, int] | None:
    """Size and time of a file; None where it cannot be looked at."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def mapping_in(path: Path) -> dict[str, Any]:
    """What stands in a YAML file now; nothing where it cannot be read, which is a change too."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _misrecorded(
    entry: Mapping[str, Any], file: Path, made: Mapping[str, str | None]
) -> Iterator[str]:
    """The parameters that dvc.lock holds otherwise than the stage used, if the file is its own."""
    if not file.exists():
        return
    digest = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    if digest == made.get(file.as_posix()):
        recorded = entry.get("params", {}).get(PARAMS, {})
        for name, value in mapping_in(file).items():
            if as_text(recorded.get(name)) != as_text(value):
                yield name

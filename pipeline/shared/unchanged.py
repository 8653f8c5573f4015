"""Notice what is edited while a stage runs.

DVC records parameters, code and inputs as they stand after the run. Without this, a parameter
edited meanwhile would stand in dvc.lock beside an output made with the old one, and be restored
from the run cache for ever. Between the end of a stage and DVC's look there is a moment more; an
edit that falls into it is noticed by the next stage, and by the commands that read what a run gave.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from pipeline import FILES_AT_START, PARENT_AT_START
from pipeline.shared.errors import InputError
from pipeline.shared.outputs import write_text
from pipeline.shared.params import PARAMS_FILE

DAG, LOCK = Path("dvc.yaml"), Path("dvc.lock")
USED = Path(".dvc") / "tmp" / "used_params"  # by stage: its parameters and outputs as it ended
A_PARAMETER = re.compile(r"\$\{([\w.]+)\}")


@contextmanager
def unchanged_meanwhile() -> Iterator[None]:
    """Raise InputError at the end if what DVC will record is not what stood here at the start.

    Only where DVC runs the stage (it sets DVC_STAGE): by hand, nothing is recorded.
    """
    name = os.environ.get("DVC_STAGE", "").rpartition(":")[2]
    if not name or not DAG.exists():
        yield
        return
    declared = _mapping(DAG).get("stages", {}).get(name, {})
    refuse_misrecorded(needed_by=declared)
    before = dict(_state(declared))
    code = {os.path.relpath(file): stamp for file, stamp in FILES_AT_START.items()}
    before.update((file, stamp) for file, stamp in code.items() if file in before)
    yield
    now = dict(_state(declared))
    edited = sorted(what for what in before | now if before.get(what) != now.get(what))
    if edited:
        raise InputError(
            f"{', '.join(edited)}: edited while {name} ran, which began with what stood there "
            "before; nothing is recorded: run `dvc repro` again"
        )
    sections = {str(s): _text(before[f"{PARAMS_FILE}: {s}"]) for s in declared.get("params", ())}
    outs = {path: _stamp(Path(path)) for path in _outputs(declared)}
    write_text(USED / f"{name}.json", json.dumps({"params": sections, "outs": outs}))


def refuse_misrecorded(needed_by: Mapping[str, Any] | None = None) -> None:
    """Raise InputError if dvc.lock holds other parameters than an output was made with.

    Of every stage, or of those whose outputs are among the dependencies of `needed_by`. Outputs
    that have been brought from elsewhere since (checked out, pulled) are not of that run.
    """
    recorded = _mapping(LOCK).get("stages", {})
    for file in sorted(USED.glob("*.json")):
        used = json.loads(file.read_text(encoding="utf-8"))
        is_needed = needed_by is None or set(used["outs"]) & set(needed_by.get("deps", ()))
        is_of_that_run = all(_stamp(Path(p)) == tuple(s or ()) for p, s in used["outs"].items())
        if file.stem not in recorded or not is_needed or not is_of_that_run:
            continue
        now = recorded[file.stem].get("params", {}).get(str(PARAMS_FILE), {})
        if edited := [s for s, text in used["params"].items() if _text(now.get(s)) != text]:
            raise InputError(
                f"{PARAMS_FILE}: {', '.join(edited)}: edited in the moment when {file.stem} ended: "
                f"{LOCK} holds the new values beside outputs made with the old; run "
                f"`dvc repro --force --single-item {file.stem}`, then `dvc repro`"
            )


def _outputs(declared: Mapping[str, Any]) -> Iterator[str]:
    for kind in ("outs", "metrics", "plots"):
        for out in declared.get(kind, ()):
            yield str(next(iter(out)) if isinstance(out, dict) else out)


def _text(value: Any) -> str:
    """The same for what is read from params.yaml here and, after DVC wrote it, from dvc.lock.

    DVC reads 3e-2 as a number, which for YAML 1.1 is a word.
    """
    if isinstance(value, Mapping):
        return f"{{{', '.join(sorted(f'{key}: {_text(each)}' for key, each in value.items()))}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    try:
        return repr(float(value))
    except (TypeError, ValueError):
        return str(value)


def end_with_parent() -> None:
    """Where DVC runs the stage, end when DVC was killed.

    An orphan would go on beside the next `dvc repro` and put its outputs in place of what that
    one has recorded.
    """
    if "DVC_STAGE" in os.environ:
        threading.Thread(target=_watch_parent, daemon=True).start()


def _watch_parent() -> None:
    while os.getppid() == PARENT_AT_START:
        time.sleep(0.1)
    os._exit(1)


def _state(declared: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Each dependency's files with their size and time, each parameter section's values."""
    params = _mapping(PARAMS_FILE)
    for entry in declared.get("deps", ()):
        path = Path(A_PARAMETER.sub(lambda found: _value(params, found[1]), str(entry)))
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if "__pycache__" not in file.parts and not file.is_dir():
                yield os.path.relpath(file), _stamp(file)
    for section in declared.get("params", ()):
        yield f"{PARAMS_FILE}: {section}", params.get(str(section))


def _stamp(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _mapping(path: Path) -> dict[str, Any]:
    """What stands in a YAML file now; nothing where it cannot be read, which is a change too."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _value(params: dict[str, Any], name: str) -> str:
    value: Any = params
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return str(value)

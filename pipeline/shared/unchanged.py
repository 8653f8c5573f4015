"""Notice what is edited while a stage runs.

DVC records parameters, code and inputs as they stand after the run. Without this, a parameter
edited meanwhile would stand in dvc.lock beside an output made with the old one, and be restored
from the run cache for ever. What is edited after this look is noticed by shared/recorded.py.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline import FILES_AT_START, PARENT_AT_START
from pipeline.shared.errors import InputError
from pipeline.shared.params import PARAMS_FILE
from pipeline.shared.recorded import (
    listed,
    mapping_in,
    refuse_misrecorded,
    stamp_of,
    used_file,
    write_used,
)

DAG = Path("dvc.yaml")
A_PARAMETER = re.compile(r"\$\{([\w.]+)\}")


@contextmanager
def unchanged_meanwhile() -> Iterator[None]:
    """Raise InputError at the end if what DVC will record is not what stood here at the start.

    Only where DVC runs the stage (it sets DVC_STAGE): by hand, nothing is recorded. Either way,
    the parameters that were used are written down if dvc.yaml lists their file.
    """
    run_by_dvc = "DVC_STAGE" in os.environ
    name = os.environ["DVC_STAGE"].rpartition(":")[2] if run_by_dvc else _by_hand()
    declared = mapping_in(DAG).get("stages", {}).get(name, {})
    if run_by_dvc:
        refuse_misrecorded(needed_by=declared)
    before = dict(_state(declared))
    code = {os.path.relpath(file): stamp for file, stamp in FILES_AT_START.items()}
    before.update((file, stamp) for file, stamp in code.items() if file in before)
    yield
    now = dict(_state(declared))
    edited = sorted(what for what in before | now if before.get(what) != now.get(what))
    if edited and run_by_dvc:
        raise InputError(
            f"{', '.join(edited)}: edited while {name} ran, which began with what stood there "
            "before; nothing is recorded: run `dvc repro` again"
        )
    if used_file(name).as_posix() in listed(declared.get("outs", ())):
        params = listed(declared.get("params", ()))
        write_used(name, {each: before[f"{PARAMS_FILE}: {each}"] for each in params})


def _by_hand() -> str:
    """The stage that is run as `python -m pipeline.<stage>`."""
    module = sys.modules["__main__"].__spec__
    return module.name.rpartition(".")[2] if module else ""


def end_with_parent() -> None:
    """Where DVC runs the stage, end when DVC was killed.

    An orphan would go on beside the next `dvc repro` and put its outputs in place of what that
    one has recorded.
    """
    if "DVC_STAGE" in os.environ:
        end_with(PARENT_AT_START)


def end_with(parent: int) -> None:
    """End this process when its parent has ended, however that came."""
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(1)


def _state(declared: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Each dependency's files with their size and time, each parameter section's values."""
    params = mapping_in(PARAMS_FILE)
    for entry in declared.get("deps", ()):
        path = Path(A_PARAMETER.sub(lambda found: str(_value(params, found[1])), str(entry)))
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if "__pycache__" not in file.parts and not file.is_dir():
                yield os.path.relpath(file), stamp_of(file)
    for name in listed(declared.get("params", ())):
        yield f"{PARAMS_FILE}: {name}", _value(params, name)


def _value(params: dict[str, Any], name: str) -> Any:
    value: Any = params
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value

"""Fail where what DVC is about to record was edited while the stage ran.

DVC records parameters, code and inputs as they are after the run. Without this check, a parameter
edited meanwhile would be in dvc.lock beside an output made with the old one. To edit while a run
goes on, run it on a copy: `dvc exp run --temp`.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

from pipeline.core.run.errors import InputError
from pipeline.core.run.params import PARAMS_FILE
from pipeline.core.run.yaml_text import YAMLError, load_yaml

DAG = Path("dvc.yaml")


@contextmanager
def unchanged_meanwhile() -> Iterator[None]:
    """Raise InputError at the end if a declared dependency or parameter is not what it was.

    Only where DVC runs the stage (it sets DVC_STAGE): by hand, nothing is recorded.
    """
    name = os.environ.get("DVC_STAGE", "").rpartition(":")[2]
    stage = _content(DAG).get("stages", {}).get(name, {})
    before = dict(_declared(stage))
    yield
    now = dict(_declared(stage))
    if edited := sorted(what for what in before | now if before.get(what) != now.get(what)):
        raise InputError(
            f"{', '.join(edited)}: edited while {name} ran; nothing was recorded: run `dvc repro` "
            "again (`dvc exp run --temp` runs on a copy, so that you can edit meanwhile)"
        )


def end_with(parent: int) -> None:
    """End this process when its parent has ended, however that came.

    A stage that outlived `dvc repro` would write its outputs beside the next run's.
    """
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.1)
    os._exit(1)


def _declared(stage: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Size and time of each file that the stage depends on, and the value of each parameter."""
    params = _content(PARAMS_FILE)
    for entry in stage.get("deps", ()):
        path = Path(re.sub(r"\$\{([\w.]+)\}", lambda key: str(_value(params, key[1])), entry))
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts:
                yield str(file), (file.stat().st_size, file.stat().st_mtime_ns)
    for key in stage.get("params", ()):
        is_whole_file = not isinstance(key, str)  # `- params.yaml:`
        yield f"{PARAMS_FILE}: {key}", params if is_whole_file else _value(params, key)


def _content(path: Path) -> dict[str, Any]:
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, YAMLError):  # a file that is being edited: a change too
        return {}
    return content if isinstance(content, dict) else {}


def _value(params: Mapping[str, Any], key: str) -> Any:
    return reduce(lambda at, part: at.get(part, {}), key.split("."), params)

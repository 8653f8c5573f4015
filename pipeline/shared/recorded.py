"""Notice a parameter that was edited after a stage had ended, before DVC looked at it.

DVC records parameters as they stand after the run, a moment after the stage's own last look
(shared/unchanged.py). So each stage leaves this module behind as a process that looks at what DVC
records, once it has. Where that is not what the stage used, it says so in a file that the next
stage and the commands that read a run refuse, for as long as dvc.lock says the same.
"""

from __future__ import annotations

import json
import os
import subprocess  # nosec B404
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline import PARENT_AT_START
from pipeline.shared.errors import InputError

PARAMS, LOCK = "params.yaml", Path("dvc.lock")
MISRECORDED = Path(".dvc") / "tmp" / "misrecorded"
POLL = 0.05  # seconds


def watch_record(stage: str, used: Mapping[str, Any]) -> None:
    """Leave a process behind that compares what DVC records of `stage` with what it `used`."""
    sections = json.dumps({name: as_text(values) for name, values in used.items()})
    command = [
        sys.executable,
        "-m",
        __name__,
        stage,
        sections,
        str(PARENT_AT_START),
        str(stamp_of(LOCK)),
    ]
    nothing = subprocess.DEVNULL
    # A list of our own words, and no shell.
    subprocess.Popen(  # noqa: S603 # nosec B603
        command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
    )


def refuse_misrecorded(needed_by: Mapping[str, Any] | None = None) -> None:
    """Raise InputError if dvc.lock holds other parameters than an output was made with.

    Of any stage, or of those whose outputs are among the dependencies of the stage `needed_by`.
    """
    recorded = _recorded()
    for file in sorted(MISRECORDED.glob("*.json")):
        found, entry = json.loads(file.read_text(encoding="utf-8")), recorded.get(file.stem)
        made = {out["path"] for out in (entry or {}).get("outs", ())}
        is_needed = needed_by is None or made & set(needed_by.get("deps", ()))
        if entry and as_text(entry) == found["entry"] and is_needed:
            raise InputError(
                f"{PARAMS}: {', '.join(found['edited'])}: edited in the moment when {file.stem} "
                f"ended: {LOCK} holds the new values beside outputs made with the old; run "
                f"`dvc repro --force --single-item {file.stem}`, then `dvc repro`"
            )


def main(stage: str, used: Mapping[str, str], dvc: int, stamp: str) -> None:
    """Wait until DVC has written dvc.lock or has ended, and compare."""
    while str(stamp_of(LOCK)) == stamp and _is_alive(dvc):
        time.sleep(POLL)
    while not (entry := _recorded().get(stage)) and _is_alive(dvc):
        time.sleep(POLL)
    now = (entry or {}).get("params", {}).get(PARAMS, {})
    file = MISRECORDED / f"{stage}.json"
    file.unlink(missing_ok=True)
    if entry and (
        edited := [name for name, text in used.items() if as_text(now.get(name)) != text]
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished")
        unfinished.write_text(json.dumps({"edited": edited, "entry": as_text(entry)}), "utf-8")
        unfinished.replace(file)


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


def _recorded() -> dict[str, Any]:
    stages: dict[str, Any] = mapping_in(LOCK).get("stages", {})
    return stages


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), sys.argv[4])

"""Notice a parameter that was edited after a stage had ended, before DVC looked at it.

DVC records parameters as they stand after the run, a moment after the stage's own last look
(shared/unchanged.py). So each stage writes those that it used into an output of its own. DVC
records that output beside the parameters: where the two differ, the next stage and the commands
that read a run refuse, here and wherever the record was pulled to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.shared.errors import InputError
from pipeline.shared.outputs import write_text
from pipeline.shared.yaml_text import YAMLError, dump_yaml, load_yaml

PARAMS, LOCK = "params.yaml", Path("dvc.lock")


def used_file(stage: str) -> Path:
    """Where a stage says which parameters it used, for its list of outputs in dvc.yaml."""
    return Path("data") / f"{stage}_parameters.yaml"


def write_used(stage: str, used: Mapping[str, Any]) -> None:
    """Write the values of each section or key of params.yaml that the stage began with."""
    text = dump_yaml(dict(used))
    write_text(used_file(stage), text)


def refuse_misrecorded(needed_by: Mapping[str, Any] | None = None) -> None:
    """Raise InputError if dvc.lock holds other parameters than an output was made with.

    Of any stage, or of those whose outputs are among the dependencies of the stage `needed_by`.
    """
    refuse_late_edits(mapping_in(LOCK), lambda path: Path(path).read_bytes(), needed_by)


def refuse_late_edits(
    lock: Mapping[str, Any],
    read: Callable[[str], bytes],
    needed_by: Mapping[str, Any] | None = None,
) -> None:
    """As above, of the dvc.lock and the files that `read` gives, which may be an earlier version's.

    `read` raises FileNotFoundError for what is not at hand; that is not held against anyone.
    """
    for stage, entry in lock.get("stages", {}).items():
        made = {out["path"]: out.get("md5") for out in entry.get("outs", ())}
        if needed_by is not None and not made.keys() & set(needed_by.get("deps", ())):
            continue
        if edited := list(_edited(entry, used_file(stage).as_posix(), made, read)):
            raise InputError(
                f"{PARAMS}: {', '.join(edited)}: edited in the moment when {stage} ended (or put "
                f"down by `dvc commit`): {LOCK} holds the new values beside outputs made with the "
                f'old; run `rm -rf "$(dvc cache dir)/runs"` (it remembers them so), '
                f"`dvc repro --force --single-item {stage}`, then `dvc repro`"
            )


def listed(entries: Iterable[Any]) -> Iterator[str]:
    """The names in a list of dvc.yaml, where some have settings."""
    for entry in entries:
        yield next(iter(entry)) if isinstance(entry, Mapping) else str(entry)


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
        content = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _edited(
    entry: Mapping[str, Any],
    file: str,
    made: Mapping[str, str | None],
    read: Callable[[str], bytes],
) -> Iterator[str]:
    """The parameters that dvc.lock holds otherwise than the stage used, if the file is its own."""
    try:
        content = read(file)
    except FileNotFoundError:
        return
    if hashlib.md5(content, usedforsecurity=False).hexdigest() == made.get(file):
        recorded = entry.get("params", {}).get(PARAMS, {})
        for name, value in load_yaml(content.decode()).items():
            if recorded.get(name) != value:
                yield name

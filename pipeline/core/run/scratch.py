"""Folders for what does not fit in memory: removed at the end, or by the next run after a kill."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "customer-segments-"


@contextmanager
def scratch_folder(parent: str | Path | None = None) -> Iterator[Path]:
    """Yield a new folder in `parent` (default: PIPELINE_SPILL, else the system's for such).

    The system drops a process's lock when the process dies, however it dies: a folder that is
    not locked was left by a kill, and may hold as much as the lines themselves.
    """
    parent = Path(parent or os.environ.get("PIPELINE_SPILL") or tempfile.gettempdir())
    _remove_remains(parent)
    folder, lock = _locked_folder(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_folder(parent: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        # Before it is locked, another process may take it for remains: then once more.
        try:
            lock = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.exists():
            return folder, lock
        os.close(lock)


def _remove_remains(parent: Path) -> None:
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            lock = os.open(folder, os.O_RDONLY)
        except OSError:  # gone meanwhile, or another's
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:  # of a process that lives
            pass
        finally:
            os.close(lock)

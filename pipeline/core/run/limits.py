"""The machine's limits in plain words: no room, no memory, no right to write."""

from __future__ import annotations

import errno
from concurrent.futures import BrokenExecutor

import duckdb
import pyarrow as pa

LIMITS = (OSError, MemoryError, BrokenExecutor, duckdb.Error, pa.ArrowException)
NO_ROOM = (
    "no room is left on the disk; free some and run again "
    "(PIPELINE_SPILL=FOLDER puts what does not fit in memory on another disk)"
)
NO_MEMORY = (
    "memory ran out; close other programs, or let the lines take less "
    "(PIPELINE_MEMORY=2GB, PIPELINE_THREADS=1, LOKY_MAX_CPU_COUNT=1), and run again"
)
BY_NUMBER = {
    errno.ENOSPC: NO_ROOM,
    errno.EDQUOT: NO_ROOM.replace("on the disk", "in the quota"),
    errno.EFBIG: "the file is larger than this system allows (ulimit -f); raise it and run again",
    errno.EROFS: "the folder is read-only; make it writable and run again",
    errno.EACCES: "permission is missing; give it and run again",
    errno.EPERM: "permission is missing; give it and run again",
    errno.ENOMEM: NO_MEMORY,
}


def limit_reached(error: Exception) -> str | None:
    """Return what to tell of an error of the machine's limits; None if it is of another kind."""
    if isinstance(error, OSError):
        remedy = BY_NUMBER.get(error.errno or 0)
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{remedy}" if remedy else None
    if isinstance(error, MemoryError):
        return NO_MEMORY
    if isinstance(error, BrokenExecutor):
        return f"a worker process was killed: most likely {NO_MEMORY}"
    if isinstance(error, pa.ArrowException):
        return NO_MEMORY if "launch worker thread" in str(error) else None
    return _limit_of_duckdb(error)


def _limit_of_duckdb(error: Exception) -> str | None:
    said = str(error)
    if "No space left" in said or "max_temp_directory_size" in said:
        return NO_ROOM
    if isinstance(error, duckdb.OutOfMemoryException) or "bad_alloc" in said:
        return NO_MEMORY
    if "Read-only file system" in said or "Permission denied" in said:
        return f"{said.splitlines()[0]}; make it writable and run again"
    return None

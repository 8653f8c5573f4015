"""The machine's limits in plain words: no room, no memory, no right to write."""

from __future__ import annotations

import errno
from concurrent.futures import BrokenExecutor

import duckdb

LIMITS = (OSError, MemoryError, BrokenExecutor, duckdb.Error)
NO_ROOM = "free some, or put what does not fit in memory on another disk (PIPELINE_SPILL=FOLDER)"
NO_MEMORY = "close other programs or use less memory (PIPELINE_MEMORY=2GB, PIPELINE_THREADS=1)"
NO_RIGHT = "make it writable"
OUT_OF_MEMORY = (MemoryError, BrokenExecutor, duckdb.OutOfMemoryException)
TOLD = {
    "No space left": NO_ROOM,
    "max_temp_directory_size": NO_ROOM,
    "quota exceeded": NO_ROOM,
    "Permission denied": NO_RIGHT,
    "Read-only file system": NO_RIGHT,
    "bad_alloc": NO_MEMORY,
    "Cannot allocate memory": NO_MEMORY,
    "File too large": "raise the limit on a file's size (ulimit -f)",
}


def limit_reached(error: Exception) -> str | None:
    """Return what to tell of an error of the machine's limits; None if it is of another kind."""
    said = str(error).partition("\n")[0] or type(error).__name__
    if isinstance(error, OUT_OF_MEMORY):
        return f"{said}; {NO_MEMORY} and run again"
    if isinstance(error, OSError) and error.errno == errno.EPERM:
        return f"{said}; {NO_RIGHT} and run again"
    remedy = next((remedy for text, remedy in TOLD.items() if text in said), None)
    return remedy and f"{said}; {remedy} and run again"

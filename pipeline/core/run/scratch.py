"""Folders for what does not fit in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_folder(parent: str | Path | None = None) -> Iterator[Path]:
    """Yield a new folder in `parent` (default: PIPELINE_SPILL, else the system's for such).

    It is removed at the end. What a killed process leaves is named segmentation-….
    """
    parent = parent or os.environ.get("PIPELINE_SPILL")
    with tempfile.TemporaryDirectory(prefix="segmentation-", dir=parent) as folder:
        yield Path(folder)

"""From order lines to customer segments: the stages, in the order in which data flows.

make_sample → ingest → clean → explore, categorize_products → aggregate_rfm
→ select_model → assign_segments → profile_segments → render_report

Beside the DAG: score_lines (new lines → segments) and compare_runs (two versions → who moved).
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

# As `python -m pipeline.…` begins, before anything is imported that may be missing.
if sys.argv[0] == "-m" and not all(map(find_spec, ("duckdb", "narwhals", "skops"))):
    sys.exit(
        f"error: {sys.executable} has not the packages of this project: run `make` once, then "
        "`source .venv/bin/activate`"
    )

# Taken here because Python runs this before it reads any other file of the project: what is edited
# and who dies from now on is noticed (shared/unchanged.py).
PARENT_AT_START = os.getppid()
FILES_AT_START = {
    file: (file.stat().st_size, file.stat().st_mtime_ns)
    for file in Path(__file__).parent.rglob("*.*")
    if file.is_file()
}

"""Bad and odd inputs: what was declared to come of each file, and what came.

Some hundreds of files are made from lines of the embedded sample (`sample`) and of the real shop
(`real`); bench/inputs/mutations.py has the table. Each is read with the real stage, in a folder
that holds the outputs of the file before it.

Example: python -m bench.mutations sample
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from bench.inputs.mutations import ROOT, made_up_shop, outcomes, quiet, real_shop

REAL_DATA = ROOT.parent / "shared" / "data" / "online_retail.zip"
WIDTH = 150


def main() -> None:
    """Print a line for each mutation; exit with 1 where one was not as declared."""
    wrong = 0
    for name in sys.argv[1:] or ["sample", "real"]:
        if name not in {"sample", "real"}:
            sys.exit(f"error: no part {name}; there are sample and real")
        print(f"\n-- {name}", flush=True)
        if name == "real" and not REAL_DATA.exists():
            print("   not tried: ../shared/data/online_retail.zip is missing")
            continue
        spill = os.environ.get("PIPELINE_SPILL")
        with tempfile.TemporaryDirectory(prefix="bench-", dir=spill) as folder, quiet():
            wrong += try_all(name, Path(folder))
    if wrong:
        sys.exit(f"error: {wrong} not as declared")


def try_all(name: str, folder: Path) -> int:
    """Print each mutation with its outcome; return how many were not as declared."""
    start, count, wrong = time.perf_counter(), 0, 0
    shop = made_up_shop(folder) if name == "sample" else real_shop(REAL_DATA)
    for mutation, outcome in outcomes(shop, folder):
        count += 1
        wrong += bool(outcome.wrong)
        shown = outcome.text if len(outcome.text) <= WIDTH else f"{outcome.text[:WIDTH]}…"
        print(f"{'!!' if outcome.wrong else 'ok'}  {mutation.name:<55} {shown}", flush=True)
        if outcome.wrong:
            print(f"      {outcome.wrong}")
    seconds = time.perf_counter() - start
    print(f"{count - wrong} of {count} as declared (limit: all), {seconds:.0f} s")
    return wrong


if __name__ == "__main__":
    main()

"""Every benchmark in turn: cost and quality, each figure beside its limit and its rival.

Example: make bench, or python -m bench lines categories
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    """Run the named benchmarks, or all of them, each in a process of its own."""
    known = sorted(file.stem for file in HERE.glob("[a-z]*.py"))
    chosen = sys.argv[1:] or known
    if unknown := set(chosen) - set(known):
        sys.exit(f"error: no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    failed = []
    for name in chosen:
        print(f"\n== {name} ==", flush=True)
        done = subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False)
        if done.returncode:
            failed.append(name)
    if failed:
        sys.exit(f"error: {', '.join(failed)} did not finish")


if __name__ == "__main__":
    main()

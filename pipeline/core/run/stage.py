"""How a stage runs: as a command with --help and --debug, logging what it did."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from typing import TypeVar

import duckdb
from rich.console import Console
from rich.progress import track

from pipeline.core.run.errors import InputError
from pipeline.core.run.unchanged import end_with, unchanged_meanwhile

GOING_BACK = (
    "or go back to the last commit, without the edits of params.yaml since: "
    "git checkout params.yaml dvc.lock metrics && dvc checkout"
)

# The machine's: no room, no memory, no right to write.
LIMITS = (
    OSError, MemoryError, BrokenExecutor, duckdb.IOException, duckdb.OutOfMemoryException
)  # fmt: skip
REMEDY = (
    "free some room or memory, or bound what is used (PIPELINE_SPILL=FOLDER on another disk, "
    "PIPELINE_MEMORY=2GB, PIPELINE_THREADS=1); a file must be writable; then run again"
)

T = TypeVar("T")

console = Console(stderr=True, highlight=False)


def run_stage(main: Callable[[], None], doc: str | None, argv: Sequence[str] | None = None) -> None:
    """Run `main` as a command without arguments; a user's mistake is one message and exit code 1.

    `--debug` (or PIPELINE_DEBUG=1) brings the traceback back.
    """
    parser = command_parser(doc)
    arguments = parser.parse_args(argv)
    if "DVC_STAGE" in os.environ:
        end_with(os.getppid())
    run_command(unchanged_meanwhile()(main), debug=arguments.debug)


def command_parser(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser whose --help is the module's docstring and that knows --debug."""
    spec = sys.modules["__main__"].__spec__
    module = spec.name.removesuffix(".__main__") if spec else ""
    parser = argparse.ArgumentParser(
        prog=f"python -m {module.replace('.commands.', ' ')}" if module else None,
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def run_command(command: Callable[[], None], *, debug: bool = False) -> None:
    """Run `command`; an InputError or a limit of the machine is one message and exit code 1."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        command()
    except (InputError, *LIMITS) as error:
        if debug or os.environ.get("PIPELINE_DEBUG") == "1":
            raise
        said = str(error).partition("\n")[0] or type(error).__name__
        told = str(error) if isinstance(error, InputError) else f"{said}; {REMEDY}"
        notes = "".join(f"\n{note}" for note in getattr(error, "__notes__", ()))
        print(f"error: {told}{notes}", file=sys.stderr)
        if "DVC_STAGE" in os.environ:
            print(GOING_BACK, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


@contextmanager
def stage(name: str) -> Iterator[logging.Logger]:
    """Yield the stage's logger; say at the end how long it took."""
    log = logging.getLogger(name)
    start = time.perf_counter()
    yield log
    log.info("%s: done in %.1f s", name, time.perf_counter() - start)


def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Yield `items` while a bar shows what is left; silent where no one watches."""
    quiet = not console.is_terminal
    yield from track(items, what, total, console=console, transient=True, disable=quiet)

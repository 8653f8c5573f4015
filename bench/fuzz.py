"""Coverage-guided fuzzing of the parsers: whatever the bytes, lines that add up or one message.

atheris takes real files of every kind (CSV, ZIP, gzip, workbook, Parquet) apart, guided by which
branches of the modules that read sources were reached, and each is read with the real code.
Anything but an InputError ends it, and so do lines that were lost. The bytes that did it are kept
in bench-crash-*; `python -m bench.fuzz FILE` reads them again.

atheris has no wheels for some Pythons, so no lock holds it: install it by `pip install atheris`.

Example: python -m bench.fuzz --minutes 10
"""

from __future__ import annotations

import argparse
import csv
import gzip
import importlib
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bench.inputs.mutations import (
    ROOT,
    Shop,
    as_order_log,
    as_retail_ii,
    made_up_shop,
    mutations,
    quiet,
)
from pipeline.methods.layouts import load_layouts

LAYOUTS = ("online_retail", "online_retail_ii", "order_log", "shopify_orders", "order_lines")
PARSERS = ("sources", "layouts", "line_parsing", "canonical_lines")
SEED_BYTES = 1 << 16
FUZZING = "--fuzzing"


def main() -> None:
    """Fuzz for some minutes in a process of its own, or read one file again."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("file", nargs="?", type=Path, help="bytes that a run kept")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.file:
        with quiet(), tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            print(read_bytes(arguments.file.read_bytes(), Path(folder)))
        return
    try:
        importlib.import_module("atheris")
    except ImportError:
        print("   not run: atheris is missing (pip install atheris, where there is a wheel)")
        return
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        corpus = Path(folder)
        count = write_corpus(corpus)
        print(f"   {count} files to begin with, {arguments.minutes:g} minutes", flush=True)
        command = [sys.executable, "-m", "bench.fuzz", FUZZING, str(corpus)]
        command += [f"-max_total_time={round(arguments.minutes * 60)}", f"-seed={arguments.seed}"]
        # The child's messages are libFuzzer's: what was covered, and what ended it.
        command += ["-rss_limit_mb=4096", f"-max_len={SEED_BYTES}", "-artifact_prefix=bench-crash-"]
        done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit("error: ended early; bench-crash-* holds the bytes")


def write_corpus(corpus: Path) -> int:
    """Write small files of every kind and layout, each behind the byte that names its layout."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        whole = made_up_shop(Path(folder))
        few = slice(whole.picked - 3, whole.picked + 3)
        shop = Shop(whole.layout, whole.header, whole.fields, whole.rows[few], whole.lines[few], 3)
        for number, mutation in enumerate(mutations(shop)):
            below = Path(folder) / str(number)
            below.mkdir()
            file = below / mutation.write(below)
            try:
                content = file.read_bytes() if file.is_file() else b""
            except OSError:  # a name too long is no food for a parser
                continue
            if not 0 < len(content) < SEED_BYTES:
                continue
            layout = str(mutation.source.get("layout", "online_retail"))
            first = LAYOUTS.index(layout) if layout in LAYOUTS else 0
            (corpus / str(number)).write_bytes(bytes([first]) + content)
        for place, other in enumerate((shop, as_retail_ii(shop), as_order_log(shop))):
            text = other.text().encode()
            (corpus / f"packed {place}").write_bytes(bytes([place]) + gzip.compress(text))
    return len(list(corpus.iterdir()))


def read_bytes(data: bytes, folder: Path) -> str:
    """Read the bytes behind the first as a file of the layout that the first names.

    Raises whatever is no InputError, and AssertionError where lines were lost.
    """
    # ruff: noqa: PLC0415 - imported here, after atheris has put its counters into them
    from pipeline.engines.duckdb import open_duckdb
    from pipeline.methods.canonical_lines import write_lines
    from pipeline.methods.line_parsing import count_rows, open_source
    from pipeline.shared.errors import InputError

    first = data[0] if data else 0
    layout = load_layouts()[LAYOUTS[(first & 0x7F) % len(LAYOUTS)]]
    apart = bool(first & 0x80)
    file = folder / "x.csv"
    file.write_bytes(data[1:])
    target = folder / "lines.parquet"
    with tempfile.TemporaryDirectory(dir=folder) as below, open_duckdb() as engine:
        scratch = Path(below)
        try:
            source = open_source(engine.database, file, layout, scratch, set_apart=apart)
            source, bad = write_lines(engine.database, source, target, scratch, quarantine=apart)
        except InputError as error:
            return f"refused: {error}"
        kept = pq.read_metadata(target).num_rows
        read = count_rows(engine.database, source, kept, bad)["lines_read"]
        parts = source.parts
        if len(parts) == 1 and parts[0].part.kind == "text":
            expected = _records(parts[0].file, *(parts[0].row_lookup or ("", "", 0))[:2])
            if read != expected:
                raise AssertionError(f"{read} lines read, {expected} in the file")
        return f"read: {kept} lines, {len(bad)} set apart"


def _records(file: Path, encoding: str, delimiter: str) -> int:
    """The lines after the header, counted by another reader."""
    text = file.read_bytes().decode(encoding, errors="replace").removeprefix("\ufeff")
    csv.field_size_limit(1 << 30)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return sum(bool(cells) for cells in rows) - 1


def fuzz(arguments: list[str]) -> None:
    """Run atheris in this process; libFuzzer ends it."""
    atheris: Any = importlib.import_module("atheris")
    for name in PARSERS:
        sys.modules.pop(f"pipeline.methods.{name}", None)
    with atheris.instrument_imports(include=[f"pipeline.methods.{n}" for n in PARSERS]):
        for name in PARSERS:
            importlib.import_module(f"pipeline.methods.{name}")
    os.environ.setdefault("PIPELINE_THREADS", "1")
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))

    def one(data: bytes) -> None:
        with quiet():
            read_bytes(data, folder)

    atheris.Setup(["fuzz", *arguments], one)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == [FUZZING]:
        fuzz(sys.argv[2:])
    else:
        main()

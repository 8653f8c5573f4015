"""Forget a customer: find the id in the workspace and in DVC's cache, remove it, list the rest.

Without --remove it lists only. With it, rows of the customer leave CSV sources, campaign lists and
exports; outputs and cached files that hold the id are deleted, and `dvc repro` makes the outputs
anew without the customer. What a program cannot reach is listed: other sources, git's history,
remotes, the tools that lists were uploaded to.

Reads   the source, data/, reports/, metrics/, campaigns/, exports/, DVC's cache, git's history
Writes  the same

Example: python -m pipeline forget 17850
         python -m pipeline forget 17850 --remove && dvc repro
"""

from __future__ import annotations

import argparse
import csv
import gzip
import hashlib
import io
import re
import subprocess  # nosec B404 - git and dvc, no shell
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.commands.campaign.__main__ import EXPORTS
from pipeline.core.run.errors import InputError
from pipeline.core.run.outputs import whole_file
from pipeline.core.run.params import load_params
from pipeline.core.run.stage import command_parser, progress, run_command
from pipeline.core.text import words
from pipeline.ingest.__main__ import Params as SourceParams
from pipeline.ingest.layouts import layout_of
from pipeline.read_campaigns.plans import CAMPAIGNS_FOLDER, plan_file, read_campaign, write_plan

OUTPUTS = tuple(map(Path, ("data", "reports", "metrics")))
ROWS = frozenset((".csv", ".tsv", ".txt"))


def main() -> None:
    """List where the customer is, or remove what can be removed."""
    parser = command_parser(__doc__)
    parser.add_argument("customer", help="the customer's id, as in the order lines")
    parser.add_argument("--remove", action="store_true", help="do it")
    arguments = parser.parse_args()
    run_command(lambda: forget(arguments), debug=arguments.debug)


def forget(arguments: argparse.Namespace) -> None:
    """Find, remove where asked, and say what is left to do."""
    customer = arguments.customer.strip()
    if not customer:
        raise InputError("the customer's id is empty")
    params = load_params("source", SourceParams)
    source, layout = Path(params.path), layout_of(params)
    word = re.compile(rb"(?<![\w.-])" + re.escape(customer.encode()) + rb"(?![\w-]|\.[1-9])")
    found = list(progress(traces(word, source), "looking for the id"))
    lists = [file.stem for file in found if CAMPAIGNS_FOLDER in file.parents]
    found += [f for name in lists for f in sorted((EXPORTS / name).glob("*")) if f not in found]
    by_hand = [f for f in found if _is_in(f, source) and f.suffix.casefold() not in ROWS]
    for file in found:
        if file in by_hand:
            continue
        if arguments.remove and _is_in(file, source):
            drop_rows(file, customer, layout.positions)
        elif arguments.remove and CAMPAIGNS_FOLDER in file.parents:
            drop_rows(file, customer, lambda header: {name: n for n, name in enumerate(header)})
            plan = read_campaign(file.stem).plan
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            write_plan(plan.model_copy(update={"list_sha256": digest}), plan_file(file.stem))
        elif arguments.remove:
            file.unlink()  # an output, a cached file or an export: made anew without the customer
        print(f"{'removed from' if arguments.remove else 'in'} {file}")
    if not found:
        print(f"{customer}: no trace in the workspace and in the cache")
    print(*left_to_do(customer, by_hand), sep="\n")


def traces(word: re.Pattern[bytes], source: Path) -> Iterator[Path]:
    """The files of the workspace, the source and DVC's cache that hold the id."""
    seen: set[Path] = set()
    for place in (source, CAMPAIGNS_FOLDER, EXPORTS, *OUTPUTS, cache_folder()):
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file() and file not in seen and holds(file, word):
                yield file
            seen.add(file)


def holds(file: Path, word: re.Pattern[bytes]) -> bool:
    """Whether the file has the id as a word; Parquet and ZIP are looked into."""
    data = file.read_bytes()
    if data.startswith(b"PAR1"):
        return any(word.search(value.encode()) for value in _texts(file))
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(file) as archive:
            return any(word.search(archive.read(name)) for name in archive.namelist())
    if data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)
    return bool(word.search(data))


def _texts(file: Path) -> Iterator[str]:
    """The different values of a Parquet file's columns of text."""
    parquet = pq.ParquetFile(file)
    names = [field.name for field in parquet.schema_arrow if pa.types.is_string(field.type)]
    for group in range(parquet.num_row_groups if names else 0):
        for column in parquet.read_row_group(group, columns=names).columns:
            yield from filter(None, column.unique().to_pylist())


def drop_rows(
    file: Path, customer: str, positions: Callable[[Sequence[str]], Mapping[str, int]]
) -> None:
    """Write the file without the customer's rows, every other byte as it was."""
    ids = {customer.encode(code, "replace").decode("latin-1") for code in ("utf-8", "latin-1")}
    ids |= {f"{name}.0" for name in ids}
    lines = list(io.StringIO(file.read_bytes().decode("latin-1"), newline=""))
    reader = csv.reader(lines, delimiter=max(",;\t|", key=lines[0].count))
    header = [cell.encode("latin-1").decode("utf-8-sig", "replace") for cell in next(reader)]
    at = positions(header).get("customer_id")
    if at is None:
        raise InputError(f"{file}: no column of customers in {', '.join(header)}")
    kept, first = lines[: reader.line_num], reader.line_num
    for cells in reader:  # a row may have several lines
        if "".join(cells[at : at + 1]).strip() not in ids:
            kept += lines[first : reader.line_num]
        first = reader.line_num
    with whole_file(file) as unfinished:
        unfinished.write_bytes("".join(kept).encode("latin-1"))


def _is_in(file: Path, place: Path) -> bool:
    return file == place or place in file.parents


def left_to_do(customer: str, sources: list[Path]) -> Iterator[str]:
    """What only people can do."""
    yield "Left to do by hand:"
    yield from (f"- {file}: remove the customer's rows; it is no plain CSV" for file in sources)
    commits = _said(
        "git", "log", "--all", "--format=%h", f"-S{customer}", "--", str(CAMPAIGNS_FOLDER)
    )
    if commits:
        yield (
            f"- git's history holds the id in {words.plural(len(commits), 'commit', 'commits')} of "
            f"campaign lists ({', '.join(commits[:5])}): rewrite it with git filter-repo"
        )
    for name in (line.split()[0] for line in _said("dvc", "remote", "list")):
        yield f"- DVC's remote: dvc gc --workspace --cloud --remote {name}, after `dvc repro`"
    yield "- where the lines come from, contacts and opt-outs files, backups"
    yield "- tools that a list was uploaded to (exports/)"


def cache_folder() -> Path:
    """DVC's cache of files."""
    said = _said("dvc", "cache", "dir")
    return Path(said[0]) if said else Path(".dvc/cache")


def _said(*command: str) -> list[str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # nosec B603
    except FileNotFoundError:
        return []
    return done.stdout.split("\n")[:-1] if done.returncode == 0 else []


if __name__ == "__main__":
    main()

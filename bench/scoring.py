"""What scoring is worth and costs: segments from first orders against the end, and many lines.

`time` trains on the first ten months of the real shop and scores the customers of the last two:
how often is the segment given from their first order the one they are in at the end? `lines`
scores ten million made-up lines within 2 GB; other sizes by `lines=1000000`.

Example: python -m bench.scoring time lines
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml
from scipy.stats import binomtest

from pipeline.make_sample.__main__ import write_sample

ROOT = Path(__file__).resolve().parents[1]
REAL_DATA = ROOT.parent / "shared" / "data" / "online_retail.zip"
CUT = pd.Timestamp("2011-10-01")  # ten months before it, two and nine days after
MIDWAY = "2011-10-31"
END = "2011-12-10"
BEST_NOTEBOOK = 0.755  # its classifier, from all lines of its last two months
STAGES = (
    "ingest", "clean", "categorize_products", "aggregate_rfm", "select_model", "assign_segments",
    "profile_segments",
)  # fmt: skip
LINES, MEMORY, SECONDS_PER_MILLION, PEAK_GB = 10_000_000, "2GB", 15.0, 3.0


def main() -> None:
    """Run the parts that are named, or all."""
    for name in sys.argv[1:] or ["time", "lines"]:
        print(f"\n-- {name}", flush=True)
        part, _, size = name.partition("=")
        with tempfile.TemporaryDirectory(
            prefix="bench-", dir=os.environ.get("PIPELINE_SPILL")
        ) as folder:
            if part == "time":
                by_time(Path(folder))
            elif part == "lines":
                by_lines(Path(folder), int(size or LINES))
            else:
                sys.exit(f"error: no part {name}; there are time and lines")


def by_time(folder: Path) -> None:
    """Train on ten months, score the customers of the rest, compare with where they end."""
    if not REAL_DATA.exists():
        print("   not measured: ../shared/data/online_retail.zip is missing")
        return
    with zipfile.ZipFile(REAL_DATA) as archive, archive.open("online_retail.csv") as file:
        lines = pd.read_csv(file, dtype=str, encoding="iso-8859-1", keep_default_na=False)
    sold_at = pd.to_datetime(lines["InvoiceDate"], format="%m/%d/%Y %H:%M")
    there = lines[sold_at >= CUT]
    files = {
        "training": lines[sold_at < CUT],
        "there": there,
        "first orders": first_orders(there, sold_at),
        "october": there[sold_at[there.index] < pd.Timestamp(MIDWAY) + pd.Timedelta(days=1)],
    }
    for name, rows in files.items():
        rows.to_csv(folder / f"{name}.csv", index=False, encoding="iso-8859-1")
    train(folder, "training.csv")
    for known, options in (
        ("from their lines there alone", ()),
        ("with all that the shop knew before", ("--with-history",)),
    ):
        print(f"\n   {known}")
        end = score(folder, "there", END, options)["segment"]
        first = score(folder, "first orders", END, options)
        midway = score(folder, "october", MIDWAY, options)["segment"]
        show("from the first order", first["segment"], end)
        if options:
            is_new = first["segment_before"].isna()
            show("  of these, new customers", first.loc[is_new, "segment"], end)
            show("  of these, known customers", first.loc[~is_new, "segment"], end)
            show("  (the segment they had before)", first.loc[~is_new, "segment_before"], end)
        show(f"all of October, as of {MIDWAY}", midway, end)
    print(f"\n   beside it: the best-known notebook, from all lines there: {BEST_NOTEBOOK:.1%}")


def first_orders(lines: pd.DataFrame, sold_at: pd.Series) -> pd.DataFrame:
    """The lines of each customer's first invoice that is no return."""
    sales = lines[
        (lines["CustomerID"] != "")
        & ~lines["InvoiceNo"].str.startswith("C")
        & lines["StockCode"].str.match(r"\d|DCGS")
        & (lines["UnitPrice"].astype(float) > 0)
    ]
    earliest = sales.assign(at=sold_at[sales.index]).sort_values(["at", "InvoiceNo"])
    first = earliest.drop_duplicates("CustomerID")["InvoiceNo"]
    return lines[lines["InvoiceNo"].isin(first)]


def train(folder: Path, source: str) -> None:
    """Run the stages on a file, with the parameters as they stand."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["source"]["path"] = source
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (folder / "pipeline").symlink_to(ROOT / "pipeline")
    for stage in STAGES:
        command(folder, [f"pipeline.{stage}"])


def command(folder: Path, arguments: Sequence[str], **environment: str) -> str:
    """Run a module in the folder; return what it said."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"error: {' '.join(arguments)}: {done.stderr}")
    return done.stderr


def score(folder: Path, name: str, as_of: str, options: Sequence[str]) -> pd.DataFrame:
    """The scored customers of a file, by customer_id."""
    asked = [f"{name}.csv", "--as-of", as_of, "--out", "out.csv", *options]
    command(folder, ["pipeline.commands.score.__main__", *asked])
    return pd.read_csv(folder / "out.csv", dtype=str).set_index("customer_id")


def show(what: str, given: pd.Series, end: pd.Series) -> None:
    """Print how often the given segment is the one at the end, and the majority's rate."""
    both = pd.DataFrame({"given": given, "end": end}).loc[given.index].dropna()
    right = binomtest(int((both["given"] == both["end"]).sum()), len(both))
    low, high = right.proportion_ci(method="wilson")
    majority = both["end"].value_counts(normalize=True).iloc[0]
    print(
        f"   {what:<34} {right.statistic:6.1%} [{low:.1%}, {high:.1%}] of {len(both)} customers; "
        f"naming the largest segment for all: {majority:.1%}"
    )


def by_lines(folder: Path, lines: int) -> None:
    """Score made-up lines with the model of a small made-up shop: seconds and peak memory."""
    write_sample(folder / "training.csv", 60_000, 1)
    train(folder, "training.csv")
    write_sample(folder / "many.csv", lines, 2)
    start = time.perf_counter()
    said = command(
        folder,
        ["pipeline.commands.score.__main__", "many.csv", "--out", "out.csv"],
        PIPELINE_MEMORY=MEMORY,
    )
    seconds = time.perf_counter() - start
    # The largest of all children: training on 60,000 lines takes less.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    size = (folder / "many.csv").stat().st_size / 1e9
    scored = next(line for line in said.splitlines() if " scored as of " in line)
    print(f"   {lines:,} lines ({size:.2f} GB of CSV): {scored.split(',')[0]}")
    print(
        f"   {seconds:.0f} s, {seconds / lines * 1e6:.1f} s a million "
        f"(limit {SECONDS_PER_MILLION:.0f}); {peak:.2f} GB at most with PIPELINE_MEMORY={MEMORY} "
        f"(limit {PEAK_GB:.0f} GB)"
    )


if __name__ == "__main__":
    main()

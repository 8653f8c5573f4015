"""What scoring is worth: segments from first orders against those at the end.

Trains on the first ten months of the real shop and scores the customers of the last two: how often
is the segment given from their first order the one they are in at the end?

Example: python -m bench.scoring
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import yaml
from scipy.stats import binomtest

from bench.lines import ROOT, run, run_stage

REAL_DATA = ROOT.parent / "shared" / "data" / "online_retail.zip"
CUT = pd.Timestamp("2011-10-01")  # ten months before it, two and nine days after
MIDWAY = "2011-10-31"
END = "2011-12-10"
BEST_NOTEBOOK = 0.755  # its classifier, from all lines of its last two months
STAGES = (
    "ingest", "clean", "categorize_products", "aggregate_rfm", "select_model", "assign_segments",
    "measure_prices", "read_campaigns", "profile_segments",
)  # fmt: skip


def main() -> None:
    """Train on ten months, score the customers of the rest, compare with where they end."""
    if not REAL_DATA.exists():
        print("   not measured: ../shared/data/online_retail.zip is missing")
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        by_time(Path(folder))


def by_time(folder: Path) -> None:
    """Measure in this folder."""
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


def train(folder: Path, source: str, stages: Sequence[str] = STAGES) -> None:
    """Run the stages on a file, with the project's parameters."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["source"]["path"] = source
    (folder / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (folder / "pipeline").symlink_to(ROOT / "pipeline")
    for stage in stages:
        run_stage(folder, stage)


def score(folder: Path, name: str, as_of: str, options: Sequence[str]) -> pd.DataFrame:
    """The scored customers of a file, by customer_id."""
    asked = [f"{name}.csv", "--as-of", as_of, "--out", "out.csv", *options]
    run(folder, ["-m", "pipeline.commands.score", *asked])
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


if __name__ == "__main__":
    main()

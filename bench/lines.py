"""What the stages over lines cost, beside what the same work costs at the least.

For each number of lines (in millions; default 1, 10 and 108, which is 200 times the real shop) a
shop is made and every stage is run as a command of its own. Limits are measured in the same run on
the same files with the same memory and threads: ingest beside DuckDB's own read_csv to Parquet,
clean beside a copy of its Parquet, aggregate_rfm beside a bare group by customer. `loop` times the
textbook way of netting returns, which visits each return and searches its purchases.

Example: python -m bench.lines 1 10 108 loop
"""

from __future__ import annotations

import itertools
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
MEMORY = "8GB"
SIZES = (1, 10, 108)
REPEATS = 3  # of what ends within SHORT; the median counts
SHORT = 20.0  # seconds
REAL_SHOP = ROOT / "data/raw/online_retail.zip"

CSV, LINES = "data/raw/sample.csv", "data/invoice_lines.parquet"
SALES = "data/sales.parquet"
BY_CUSTOMER = "from '{}' where customer_id is not null group by customer_id"
RIVALS = {
    "ingest": {
        "read_csv to Parquet": (
            f"select * from read_csv('{CSV}', header = true, encoding = 'latin-1')"
        )
    },
    "clean": {"copy of its Parquet": f"select * from '{LINES}'"},
    "aggregate_rfm": {
        "bare group by customer": (
            "select customer_id, count(distinct invoice_id), max(sold_at), sum(net_amount) "
            f"{BY_CUSTOMER.format(SALES)}"
        ),
        "and its distinct products": (
            "select customer_id, count(distinct invoice_id), max(sold_at), sum(net_amount), "
            f"count(distinct stock_code) {BY_CUSTOMER.format(SALES)}"
        ),
    },
}
GOALS = {"ingest": 1.3, "clean": 2.5, "aggregate_rfm last": 3.0, "aggregate_rfm": 6.0}
STAGES = (
    "ingest",
    "clean",
    "explore",
    "categorize_products",
    "aggregate_rfm last",
    "aggregate_rfm",
)


@dataclass(frozen=True)
class Cost:
    """Seconds (the median of the runs) and the greatest peak memory in GB of one command."""

    seconds: float
    peak_gb: float


def main() -> None:
    """Run the sizes and parts that are named, or all."""
    named = sys.argv[1:]
    sizes = [float(word) for word in named if word != "loop"] or ([] if named else list(SIZES))
    costs = {millions: measure(millions) for millions in sizes}
    if len(sizes) > 1:
        growth(costs)
    if not named or "loop" in named:
        textbook_loop()


def measure(millions: float) -> dict[str, float]:
    """Print the cost of each stage and of its rival on so many million lines; return seconds."""
    seconds = {}
    with tempfile.TemporaryDirectory(prefix="lines-", dir=os.environ.get("PIPELINE_SPILL")) as at:
        shop = Path(at)
        prepare(shop, round(millions * 1_000_000))
        made = run_stage(shop, "make_sample")
        print(f"\n-- {millions:g} million lines, made in {made.seconds:.0f} s; at most {MEMORY}")
        print(f"{'stage':<22}{'seconds':>9}{'peak GB':>9}{'rival s':>9}{'ratio':>7}{'goal':>6}")
        for stage in STAGES:
            module, _, last = stage.partition(" ")
            set_params(shop, "rfm", snapshots="last" if last else "month_ends")
            cost = median_of(partial(run_stage, shop, module))
            print(f"{stage:<22}{cost.seconds:9.2f}{cost.peak_gb:9.2f}", end="", flush=True)
            goal = f"{GOALS[stage]:6.1f}" if stage in GOALS else ""
            for number, (what, query) in enumerate(RIVALS.get(module, {}).items()):
                rival = median_of(partial(run_rival, shop, query))
                beside = f"{rival.seconds:9.2f}{cost.seconds / rival.seconds:7.2f}"
                indent = " " * 40 if number else ""
                newline = "\n" if number else ""
                print(f"{newline}{indent}{beside}{'' if number else goal:6}  ({what})", end="")
            print(flush=True)
            seconds[stage] = cost.seconds
    return seconds


def prepare(shop: Path, lines: int) -> None:
    """Put params.yaml for so many lines into the empty folder."""
    shutil.copy(ROOT / "params.yaml", shop / "params.yaml")
    shutil.copytree(ROOT / "pipeline/settings/taxonomies", shop / "pipeline/settings/taxonomies")
    set_params(shop, "sample", lines=lines)


def set_params(shop: Path, section: str, **values: object) -> None:
    """Change keys of one section of the shop's params.yaml."""
    path = shop / "params.yaml"
    params = yaml.safe_load(path.read_text(encoding="utf-8"))
    params[section].update(values)
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def median_of(run: Callable[[], Cost]) -> Cost:
    """Run once, or REPEATS times where it is short, and return the median seconds."""
    costs = [run()]
    if costs[0].seconds < SHORT:
        costs += [run() for _ in range(REPEATS - 1)]
    middle = sorted(cost.seconds for cost in costs)[len(costs) // 2]
    return Cost(middle, max(cost.peak_gb for cost in costs))


def run_stage(shop: Path, module: str) -> Cost:
    """Run one stage in the shop's folder, start-up included."""
    return run(shop, ["-m", f"pipeline.{module}"])


def run_rival(shop: Path, query: str) -> Cost:
    """Write the query's rows as Parquet by DuckDB alone, with the memory that the stages have."""
    statement = f"copy ({query}) to 'rival.parquet' (compression zstd)"
    code = (
        "import duckdb\n"
        f"db = duckdb.connect(config={{'memory_limit': {MEMORY!r}, 'temp_directory': 'spill'}})\n"
        "db.execute('set enable_progress_bar = false')\n"
        f"db.execute({statement!r})\n"
    )
    cost = run(shop, ["-c", code])
    (shop / "rival.parquet").unlink()
    return cost


def run(shop: Path, arguments: list[str]) -> Cost:
    """Run Python once, wait for it, and say what it took; raise where it fails."""
    settings = {"PYTHONPATH": str(ROOT), "PIPELINE_MEMORY": MEMORY, "PIPELINE_SPILL": str(shop)}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=shop,
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = process.stderr.read() if process.stderr else ""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"error: {' '.join(arguments)} failed:\n{said}")
    return Cost(seconds, usage.ru_maxrss / 1_048_576)


def growth(costs: dict[float, dict[str, float]]) -> None:
    """Print the exponent of each stage's growth: 1 is linear, below it start-up still weighs."""
    print("\n-- growth: seconds ~ lines ** exponent (goal: at most linear, 1.0)")
    steps = list(itertools.pairwise(sorted(costs)))
    for stage in STAGES:
        exponents = [
            f"{a:g} to {b:g} million: "
            f"{math.log(costs[b][stage] / costs[a][stage]) / math.log(b / a):.2f}"
            for a, b in steps
        ]
        print(f"{stage:<22}{'; '.join(exponents)}")


def textbook_loop() -> None:
    """Time the loop over returns beside clean, on the real shop where it is present."""
    source = next((p for p in (REAL_SHOP, *real_shops()) if p.exists()), None)
    if source is None:
        print("\n-- textbook loop: not measured, no real data; say make online_retail first")
        return
    with tempfile.TemporaryDirectory(prefix="loop-") as at:
        shop = Path(at)
        prepare(shop, 100)
        set_params(shop, "source", path=str(source.resolve()))
        run_stage(shop, "ingest")
        clean = median_of(partial(run_stage, shop, "clean"))
        with duckdb.connect() as database:
            lines = database.read_parquet(str(shop / LINES)).df()
        began = time.perf_counter()
        matched = loop_over_returns(lines)
        seconds = time.perf_counter() - began
    print(
        f"\n-- textbook loop over {len(lines):,} lines of the real shop: {seconds:.1f} s for "
        f"{matched:,} returns alone; clean as a whole: {clean.seconds:.1f} s "
        f"({seconds / clean.seconds:.0f} times)"
    )


def real_shops() -> list[Path]:
    """Return where the real data may lie beside a checkout."""
    return [ROOT.parent / "shared/data/online_retail.zip"]


def loop_over_returns(lines: pd.DataFrame) -> int:
    """Visit each return and search its customer's earlier purchases; return how many found one."""
    known = lines[lines["customer_id"].notna()].drop_duplicates(
        [c for c in lines.columns if c != "line_id"]
    )
    left = known["quantity"].clip(lower=0).to_dict()
    matched = 0
    for _, line in known[known["quantity"] < 0].iterrows():
        bought = known[
            (known["customer_id"] == line["customer_id"])
            & (known["stock_code"] == line["stock_code"])
            & (known["quantity"] > 0)
            & (known["sold_at"] <= line["sold_at"])
        ]
        to_take, found = -int(line["quantity"]), False
        for index in bought.sort_values("sold_at", ascending=False).index:
            taken = min(left[index], to_take)
            left[index] -= taken
            to_take -= taken
            found = found or taken > 0
            if not to_take:
                break
        matched += found
    return matched


if __name__ == "__main__":
    main()

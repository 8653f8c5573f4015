"""What the stages over lines cost, beside what the same work costs at the least.

For each number of lines (in millions; default 1, 10 and 108, which is 200 times the real shop) a
shop is made and every stage is run as a command of its own. Its rival runs in the same minutes, on
the same files, with the same memory and threads: the least that DuckDB can do with such work. One
table is printed and, without options, kept in docs/performance.md and bench/results/lines.json.

Example: python -m bench.lines 1 10 108
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb

from pipeline.core.run.yaml_text import dump_yaml, load_yaml

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench/results/lines.json"
PAGE = ROOT / "docs/performance.md"
MEMORY = "8GB"
SIZES = (1, 10, 108)
REPEATS = 3  # of what ends within SHORT; the median counts
SHORT = 20.0  # seconds

CSV, LINES, SALES = "data/sample/sample.csv", "data/invoice_lines.parquet", "data/sales.parquet"
CATEGORIES = "data/product_categories.parquet"
CUSTOMERS = f"""
select customer_id, count(distinct invoice_id), count(distinct stock_code), max(sold_at),
    sum(net_amount), {{sums}}
from '{SALES}' join '{CATEGORIES}' using (stock_code)
where customer_id is not null group by customer_id
"""
SCAN = f"""
select max(invoice_id), max(customer_id), max(country), max(sold_at), max(stock_code),
    sum(quantity), sum(quantity_returned), sum(amount), sum(net_amount)
from '{SALES}'
"""
# Each stage: its rival (what it does, in SQL) and the goal, how many times as long it may take.
READ = f"from read_csv('{CSV}', header = true, encoding = 'latin-1')"
RIVALS = {
    "ingest": ("read_csv to Parquet", READ, 1.3),
    "clean": ("a copy of its Parquet", f"from '{LINES}'", 2.5),
    "explore": ("one scan of its columns", SCAN, 2.0),
    "categorize_products": None,
    "aggregate_rfm": ("orders, products and categories by customer", CUSTOMERS, 4.0),
}
SPARK = ("clean", "explore", "aggregate_rfm")
BECOME_SUBREAPER = 36  # of Linux' prctl: a descendant whose parent has ended is ours
VARIANTS = """
copy (
    select * exclude variant replace (
        StockCode || variant as StockCode,
        Description || ' ' || translate(md5(variant)[:5], '0123456789', 'ghijklmnop')
            as Description
    )
    from (
        select *, '/' || ({variants} * (hash(InvoiceNo || StockCode) % 1e4 / 1e4) ** 2)::int variant
        from read_csv('{lines}', all_varchar = true, encoding = 'latin-1')
    )
) to '{lines}.new'
"""
HEADS = (
    *("stage", "million lines", "seconds", "rival", "seconds", "ratio", "goal"),
    *("ratio of processor time", "peak GB", "growth"),
)
INTRODUCTION = """# What the line stages cost

Measured on {date}: {machine}; at most {memory} for each command.
`python -m bench lines` measures again and writes this page.

A ratio is the stage's time over that of its rival: the least that DuckDB alone takes for such
work, in the same run, on the same files. Processor time is what other work on the machine changes
least. Growth is the exponent of seconds over lines since the size before: 1 is linear. {met} of
{goals} goals are met.
"""


@dataclass(frozen=True)
class Cost:
    """Seconds and processor seconds (medians of the runs), and the greatest peak memory in GB."""

    seconds: float
    processor: float
    peak_gb: float


def main() -> None:
    """Measure the sizes that are named, or all; print the table, and keep it."""
    parser = argparse.ArgumentParser(description="What the stages over lines cost.")
    parser.add_argument("millions", type=float, nargs="*", default=SIZES)
    parser.add_argument("--variants", type=int, help="of each product, for a shop of very many")
    parser.add_argument("--spark", action="store_true", help="on a Spark cluster, beside DuckDB")
    chosen = parser.parse_args()
    before = machine()
    rows = [row for millions in sorted(chosen.millions) for row in measure(chosen, millions)]
    run = {"date": f"{datetime.now(UTC):%-d %B %Y}", "machine": before, "rows": rows}
    if not (chosen.variants or chosen.spark):
        RESULTS.write_text(json.dumps(run, indent=1) + "\n", encoding="utf-8")
        PAGE.write_text(page(run), encoding="utf-8")
    print(page(run))


def machine() -> str:
    """Return what the figures were measured on, in words."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    busy = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {gigabytes:.0f} GB, {platform.system()} on {platform.machine()}, "
        f"Python {platform.python_version()}, DuckDB {duckdb.__version__}; "
        f"a load of {busy:.1f} when it began"
    )


def measure(chosen: argparse.Namespace, millions: float) -> Iterator[dict[str, Any]]:
    """Yield the cost of each stage on so many million lines, beside that of its rival."""
    with tempfile.TemporaryDirectory(prefix="lines-", dir=os.environ.get("PIPELINE_SPILL")) as at:
        shop = Path(at)
        prepare(shop, round(millions * 1_000_000))
        run_stage(shop, "make_sample")
        if chosen.variants:
            with duckdb.connect() as database:
                database.execute(VARIANTS.format(lines=shop / CSV, variants=chosen.variants))
            (shop / f"{CSV}.new").replace(shop / CSV)
        on_spark = cluster(shop) | {"PIPELINE_ENGINE": "spark"} if chosen.spark else {}
        for stage, rival in RIVALS.items():
            cost = median_of(partial(run_stage, shop, stage))
            what, query, goal = rival or ("", "", None)
            least = median_of(partial(run_rival, shop, query)) if query else None
            yield _row(stage, millions, cost, what, least) | {"goal": goal}
            if on_spark and stage in SPARK:
                spark = run_stage(shop, stage, **on_spark)
                yield _row(f"{stage} on Spark", millions, spark, "DuckDB", cost)


def _row(stage: str, millions: float, cost: Cost, rival: str, least: Cost | None) -> dict[str, Any]:
    print(f"{millions:g} million lines, {stage}: {cost.seconds:.1f} s", file=sys.stderr)
    row = {"stage": stage, "millions": millions, "cost": asdict(cost)}
    return row | {"rival": rival, "least": least and asdict(least), "goal": None}


def cluster(folder: Path) -> dict[str, str]:
    """Return the settings of a Spark cluster here: a master, two workers of one core and 1 GB.

    Executors are processes of their own and share nothing with the driver but the folder. Workers
    keep a folder for each in Spark's home, which is made of links therefore.
    """
    ctypes.CDLL(None).prctl(BECOME_SUBREAPER, 1)
    home = folder / "home"
    home.mkdir()
    for part in files("pyspark").iterdir():
        (home / part.name).symlink_to(str(part))
    address = {"SPARK_MASTER": "local-cluster[2,1,1024]", "SPARK_LOCAL_IP": "127.0.0.1"}
    return {"PIPELINE_MEMORY": "1GB", "SPARK_HOME": str(home)} | address


def prepare(shop: Path, lines: int) -> None:
    """Put params.yaml for so many lines into the empty folder."""
    params = load_yaml((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["sample"]["lines"] = lines
    (shop / "params.yaml").write_text(dump_yaml(params), encoding="utf-8")
    shutil.copytree(ROOT / "pipeline/settings/taxonomies", shop / "pipeline/settings/taxonomies")


def median_of(run: Callable[[], Cost]) -> Cost:
    """Run once, or REPEATS times where it is short, and return the medians."""
    costs = [run()]
    if costs[0].seconds < SHORT:
        costs += [run() for _ in range(REPEATS - 1)]
    middle = len(costs) // 2
    return Cost(
        sorted(cost.seconds for cost in costs)[middle],
        sorted(cost.processor for cost in costs)[middle],
        max(cost.peak_gb for cost in costs),
    )


def run_stage(shop: Path, module: str, **settings: str) -> Cost:
    """Run one stage in the shop's folder, start-up included."""
    return run(shop, ["-m", f"pipeline.{module}"], **settings)


def run_rival(shop: Path, query: str) -> Cost:
    """Write the query's rows as Parquet by DuckDB alone, with the memory that the stages have."""
    keys = ""
    if "{sums}" in query:
        with duckdb.connect() as database:
            found = database.sql(f"select distinct category from '{shop / CATEGORIES}'").fetchall()
        keys = ", ".join(f"sum(net_amount) filter (category = '{key}')" for (key,) in sorted(found))
    statement = f"copy ({query.format(sums=keys)}) to 'rival.parquet' (compression zstd)"
    code = (
        "import duckdb\n"
        f"db = duckdb.connect(config={{'memory_limit': {MEMORY!r}, 'temp_directory': 'spill'}})\n"
        "db.execute('set enable_progress_bar = false')\n"
        f"db.execute({statement!r})\n"
    )
    cost = run(shop, ["-c", code])
    (shop / "rival.parquet").unlink()
    return cost


def run(shop: Path, arguments: list[str], **settings: str) -> Cost:
    """Run Python once, wait for it, and say what it took; raise where it fails."""
    bounds = {"PYTHONPATH": str(ROOT), "PIPELINE_MEMORY": MEMORY, "PIPELINE_SPILL": str(shop)}
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=shop,
        env=os.environ | bounds | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0 if settings else None,
    )
    said = process.stderr.read() if process.stderr else ""
    _, status, usage = os.wait4(process.pid, 0)
    seconds, usages = time.perf_counter() - began, [usage]
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"error: {' '.join(arguments)} failed:\n{said}")
    if settings:  # Spark's processes outlive the one that began them: they become ours
        with suppress(ChildProcessError):
            while True:
                usages.append(os.wait4(-process.pid, 0)[2])
    processor = sum(one.ru_utime + one.ru_stime for one in usages)
    return Cost(seconds, processor, max(one.ru_maxrss for one in usages) / 1_048_576)


def page(run: dict[str, Any]) -> str:
    """Return docs/performance.md for a run of this benchmark."""
    rows = run["rows"]
    goals = [row for row in rows if row["goal"]]
    met = [row for row in goals if row["cost"]["seconds"] <= row["goal"] * row["least"]["seconds"]]
    told = {"met": len(met), "goals": len(goals), "memory": MEMORY}
    introduction = INTRODUCTION.format(date=run["date"], machine=run["machine"], **told)
    return "\n".join([introduction, *_markdown([_cells(row, rows) for row in rows]), ""])


def _cells(row: dict[str, Any], rows: Sequence[dict[str, Any]]) -> list[str]:
    cost, least = row["cost"], row["least"]
    rival = ["", "", "", "", ""]
    if least:
        rival = [
            row["rival"],
            f"{least['seconds']:.2f}",
            f"{cost['seconds'] / least['seconds']:.1f}",
            f"{row['goal']:.1f}" if row["goal"] else "",
            f"{cost['processor'] / least['processor']:.1f}",
        ]
    before = [r for r in rows if r["stage"] == row["stage"] and r["millions"] < row["millions"]]
    growth = ""
    if before:
        times = cost["seconds"] / before[-1]["cost"]["seconds"]
        growth = f"{math.log(times) / math.log(row['millions'] / before[-1]['millions']):.2f}"
    size, seconds = f"{row['millions']:g}", f"{cost['seconds']:.2f}"
    return [row["stage"], size, seconds, *rival, f"{cost['peak_gb']:.2f}", growth]


def _markdown(table: Sequence[Sequence[str]]) -> list[str]:
    marks = ["---", *["---:"] * 2, "---", *["---:"] * 6]
    return [f"| {' | '.join(cells)} |" for cells in (HEADS, marks, *table)]


if __name__ == "__main__":
    main()

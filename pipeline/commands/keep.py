"""Keep the last run's own definition of the segments for the runs to come, or switch to it.

While a definition is kept, names and borders stay and everything else is refreshed; each run
still chooses a challenger and says whether to switch. A switch is the same command.

Reads   data/challenger.yaml, data/customers.parquet, params.yaml, pipeline/settings/playbook.yaml
Writes  pipeline/settings/definitions/kept.yaml, and its name to select.definition in params.yaml

Examples:
  python -m pipeline keep && dvc repro
  python -m pipeline keep --dry-run           whom a switch would rename
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from dvc.utils.serialize import modify_yaml
from rich.console import Console

from pipeline.assign_segments.names import segment_names
from pipeline.core.model.definition import Definition, assign, load_definition, save_definition
from pipeline.core.model.naming import read_playbook
from pipeline.core.run.params import PARAMS_FILE, load_params
from pipeline.core.run.stage import command_parser, run_command
from pipeline.core.tables.aggregate_rfm import CUSTOMERS
from pipeline.core.tables.contract import check
from pipeline.render_report.conditions import condition_in_words
from pipeline.render_report.sentences import read_writer
from pipeline.select_model.__main__ import CHALLENGER, Params

KEPT = Path("pipeline/settings/definitions/kept.yaml")


def main() -> None:
    """Parse the command line, keep or switch, say what that changes."""
    parser = command_parser(__doc__)
    parser.add_argument("--dry-run", action="store_true", help="only show whom it would rename")
    arguments = parser.parse_args()

    def command() -> None:
        for line in keep(dry_run=arguments.dry_run):
            Console(highlight=False, soft_wrap=True).print(line)

    run_command(command, debug=arguments.debug)


def keep(*, dry_run: bool) -> list[str]:
    """Keep the challenger of the last run; return what to say."""
    before = load_params("select", Params).definition
    challenger = load_definition(CHALLENGER)
    target = before or KEPT
    said = [f"{challenger.candidate}, made on {challenger.snapshot_date}:"]
    if before is not None:
        said += translation(load_definition(before), challenger, last_customers())
    else:
        names = segment_names(challenger, read_playbook())
        writer = read_writer()
        said += [
            f"  {name}: {condition_in_words(condition, writer) or 'no condition in words'}"
            for name, condition in zip(names["segment"], names["condition"], strict=True)
        ]
    if dry_run:
        return said
    save_definition(challenger, target)
    with modify_yaml(PARAMS_FILE) as params:
        params["select"]["definition"] = target.as_posix()
    said.append(
        f"kept as {target}, which params.yaml names in select.definition: `dvc repro`, then "
        f"`git add {target} params.yaml dvc.lock metrics && git commit`"
    )
    return said


def last_customers() -> pd.DataFrame:
    """The customers of the last snapshot."""
    check(CUSTOMERS)
    days = pq.read_table(CUSTOMERS.path, columns=["snapshot_date"])["snapshot_date"]
    day = pa.compute.max(days).as_py()
    rows: pd.DataFrame = pq.read_table(
        CUSTOMERS.path, filters=[("snapshot_date", "=", day)]
    ).to_pandas()
    return rows


def translation(before: Definition, after: Definition, customers: pd.DataFrame) -> list[str]:
    """Which old name becomes which new one, and for how many customers, as lines."""
    playbook = read_playbook()
    old, new = (
        assign(each, customers)["segment_id"].map(segment_names(each, playbook)["segment"])
        for each in (before, after)
    )
    table = pd.crosstab(old, new)
    stay = int((old == new).sum())
    lines = [f"  {stay:,} of {len(customers):,} customers keep their name"]
    for name in table.index:
        goes = table.loc[name][lambda each: each > 0].sort_values(ascending=False, kind="stable")
        told = ", ".join(f"{other} {number:,}" for other, number in goes.items())
        lines.append(f"  {name} -> {told}")
    return lines


if __name__ == "__main__":
    main()

"""Show the last run as a letter: alerts, what pays most, the segments, what campaigns brought.

Alerts are told by the rules of section `alerts` of params.yaml, changes since the snapshot before.
What is piped is Markdown. With --digest a broken rule ends with exit code 3.

Reads   data/profiles, data/segments.parquet, data/sales.parquet, data/campaigns.parquet,
        params.yaml

Example: python -m pipeline show
         python -m pipeline show --digest
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.markdown import Markdown

from pipeline.commands.digest import AlertParams, alerts, digest, read_run
from pipeline.core.engines.base import open_engine
from pipeline.core.run.params import ShopParams, load_params
from pipeline.core.run.stage import command_parser, run_command

ALERTED = 3  # exit code


def main() -> None:
    """Print the digest."""
    parser = command_parser(__doc__)
    parser.add_argument("--digest", action="store_true", help="as Markdown; exit code 3 on alerts")
    arguments = parser.parse_args()
    run_command(lambda: show(is_digest=arguments.digest), debug=arguments.debug)


def show(*, is_digest: bool) -> None:
    """Print the digest; as such end with ALERTED where a rule is broken."""
    shop, rules = load_params("shop", ShopParams), load_params("alerts", AlertParams)
    with open_engine() as engine:
        run = read_run(engine)
    found = alerts(run, max(run.members), rules, shop.horizon_days)
    text = digest(run, found, shop)
    if sys.stdout.isatty() and not is_digest:
        Console(highlight=False).print(Markdown(text))
    else:
        print(text)
    if found and is_digest:
        sys.exit(ALERTED)


if __name__ == "__main__":
    main()

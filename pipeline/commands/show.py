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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import mean

import narwhals as nw
import pandas as pd
from pydantic import Field
from rich.console import Console
from rich.markdown import Markdown

from pipeline.core.engines.base import Engine, open_engine
from pipeline.core.run.params import ShopParams, StageParams, load_params
from pipeline.core.run.stage import command_parser, run_command
from pipeline.core.tables.assign_segments import SEGMENTS
from pipeline.core.tables.clean import SALES
from pipeline.core.tables.contract import read_table
from pipeline.core.tables.profile_segments import DRIFT, FORECAST_CHECK, PROFILES, STRATEGIES
from pipeline.core.tables.read_campaigns import CAMPAIGNS
from pipeline.core.text import words
from pipeline.render_report.campaigns import campaigns as in_words
from pipeline.render_report.rows import rows_of
from pipeline.render_report.sentences import read_writer

ALERTED = 3  # exit code
A_WEEK = timedelta(days=7)
USUAL_WEEKS = 8  # that show on which weekdays the shop sells
USUAL = 0.75  # of those weeks
LEAST_WEEKS = 2
USUAL_DAYS = 90  # with which lines per day are compared
LEAST_MOVED = 20  # customers by which a segment must change to be worth a word
SETTLED = timedelta(days=180)  # customers of a younger file drift by its age
MOST_DECISIONS = 3
AGES = "tenure_days"  # drifts by itself


class AlertParams(StageParams):
    """Section `alerts` of params.yaml."""

    drift: float = Field(gt=0)
    segment: float = Field(gt=0)
    missing_days: int = Field(ge=1)
    missing_lines: float = Field(gt=0, lt=1)
    forecast: float = Field(gt=0)
    closed: tuple[str, ...] = ()

    def is_closed(self, day: date) -> bool:
        """Whether the shop is declared closed on this day, such as 12-24/01-03."""
        at = f"{day:%m-%d}"
        spans = (span.partition("/")[::2] for span in self.closed)
        return any(
            (first <= at <= last) if first <= last else (at >= first or at <= last)
            for first, last in spans
        )


@dataclass(frozen=True)
class Run:
    """What the alerts look at; `lines` has no entry for a day without lines."""

    members: Mapping[date, Mapping[str, int]]  # of each segment at each snapshot
    lines: Mapping[date, int]
    drift: pd.DataFrame
    checks: pd.DataFrame


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


def read_run(engine: Engine) -> Run:
    """The last run."""
    sold = engine.scan(SALES).select(nw.col("sold_at").dt.date().alias("day"))
    lines = engine.collect(sold.group_by("day").agg(nw.len().alias("lines")))
    drift, checks, segments = (read_table(table) for table in (DRIFT, FORECAST_CHECK, SEGMENTS))
    names = segments["segment"].unique()
    members = {
        day: {name: int((rows["segment"] == name).sum()) for name in names}
        for day, rows in segments.groupby("snapshot_date")
    }
    return Run(
        members={date.fromisoformat(str(day)): sizes for day, sizes in members.items()},
        lines={day.date(): int(n) for day, n in zip(pd.to_datetime(lines["day"]), lines["lines"],
                                                    strict=True)},
        drift=drift[drift["reference"] == "previous"],
        checks=checks[checks["grouping"] == "all"],
    )  # fmt: skip


def snapshot_before(run: Run, day: date) -> date | None:
    """The newest snapshot at least a week before; None where there is none."""
    earlier = [d for d in run.members if d <= day - A_WEEK]
    return max(earlier) if earlier else None


def alerts(run: Run, day: date, rules: AlertParams, horizon_days: int) -> list[str]:
    """What breaks a rule at the snapshot of `day` against the one before, a sentence each."""
    before = snapshot_before(run, day)
    if before is None:
        return []
    found = list(_missing(run.lines, before, day, rules))
    horizon = timedelta(days=horizon_days)
    is_over = [before < since + horizon <= day for since in run.checks["snapshot_date"]]
    found += _off(run.checks[is_over], rules.forecast)
    if min(run.lines) + SETTLED <= before:
        drift = run.drift[(run.drift["snapshot_date"] == day) & (run.drift["measure"] != AGES)]
        found += _drifted(drift, rules.drift)
        found += _moved(run.members[before], run.members[day], rules.segment)
    return found


def _drifted(drift: pd.DataFrame, limit: float) -> Iterator[str]:
    broken = drift[drift["psi"] >= limit]
    for title, psi in zip(broken["measure_title"], broken["psi"], strict=True):
        yield f"Drift: {title} (index {psi:.2f}, limit {limit:g})."


def _moved(before: Mapping[str, int], now: Mapping[str, int], limit: float) -> Iterator[str]:
    """Segments whose share of the customers changed by more than the limit."""
    growth = sum(now.values()) / sum(before.values())
    for segment, customers in now.items():
        usual = before[segment] * growth
        is_far = not usual / (1 + limit) <= customers <= usual * (1 + limit)
        if is_far and abs(customers - usual) > LEAST_MOVED:
            yield (
                f"Segment “{segment}”: {words.count(customers)} customers, "
                f"{words.count(usual)} at its share of the snapshot before."
            )


def _missing(
    lines: Mapping[date, int], before: date, day: date, rules: AlertParams
) -> Iterator[str]:
    """Days on which the shop usually sells, without a line; days with too few lines."""
    first, end = min(lines), min(day, max(lines))

    def is_usual(when: date) -> bool:
        nearest = before - timedelta(days=(before - when).days % 7)  # of the same weekday
        weeks = [nearest - number * A_WEEK for number in range(USUAL_WEEKS)]
        known = [d for d in weeks if d >= first and not rules.is_closed(d)]
        return len(known) >= LEAST_WEEKS and sum(d in lines for d in known) >= USUAL * len(known)

    span = [before + timedelta(days=n) for n in range(1, (end - before).days + 1)]
    gone = [d for d in span if d not in lines and not rules.is_closed(d) and is_usual(d)]
    if len(gone) >= rules.missing_days:
        yield (
            f"Missing days: no line on {words.plural(len(gone), 'day', 'days')} on which the shop "
            f"usually sells, from {words.day(gone[0])} to {words.day(gone[-1])}."
        )
    now = [lines[d] for d in span if d in lines]
    usual = [n for d, n in lines.items() if before - timedelta(days=USUAL_DAYS) < d <= before]
    if now and usual and mean(now) < (1 - rules.missing_lines) * mean(usual):
        yield (
            f"Missing lines: {words.count(mean(now))} lines per day since {words.day(before)}, "
            f"{words.count(mean(usual))} in the {USUAL_DAYS} days before."
        )


def _off(checks: pd.DataFrame, limit: float) -> Iterator[str]:
    """The forecasts whose time has ended since, against what was spent."""
    ratios = checks["actual_spend"] / checks["expected_spend"]
    for day, ratio in zip(checks["snapshot_date"], ratios, strict=True):
        if not 1 / (1 + limit) <= ratio <= 1 + limit:
            yield f"Forecast of {words.day(day)}: actual spend was {words.share(ratio)} of it."


def digest(run: Run, found: list[str], shop: ShopParams) -> str:
    """The digest in Markdown, as a mail that is read from top to bottom."""
    writer = read_writer()
    title, play = writer.language.title, writer.language.play
    day = max(run.members)
    before = snapshot_before(run, day)
    profiles = read_table(PROFILES)
    plans = read_table(STRATEGIES)
    lines = [f"# {title(shop.name)}: your customers on {words.day(day)}", ""]
    if found:
        lines += ["## Look at this first", "", *(f"- {alert}" for alert in found)]
    else:
        lines += ["Nothing needs a look: no alert rule is broken."]
    first = plans[plans["decision"] <= MOST_DECISIONS].sort_values("decision")
    if len(first):
        lines += ["", f"## What pays most in the next {shop.horizon_days} days", ""]
        lines += [
            f"{int(row['decision'])}. {play(row['play'], row['segment']).action}: "
            f"{title(row['segment'])}, {words.plural(row['customers'], 'customer', 'customers')}. "
            f"If it works as {'planned' if row['measured_lift'] is None else 'campaigns measured'} "
            f"it brings {writer.money(row['value_at_stake'])}."
            for row in rows_of(first)
        ]
    since = f" since {words.day(before)}" if before else ""
    ahead = f"next {shop.horizon_days} days"
    lines += ["", f"## The segments{since}", ""]
    lines += [f"| segment | customers | change | of revenue | {ahead} | what to do |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | --- |"]
    for row in rows_of(profiles):
        segment, now = row["segment"], row["customers"]
        change = now - run.members[before][segment] if before else 0
        cells = (
            title(segment), words.count(now),
            f"{change:+,}".replace("-", "−").replace("+0", "0") if before else "–",
            words.share(row["revenue_share"]), writer.money(row["expected_spend"]),
            play(row["play"], segment).action,
        )  # fmt: skip
        lines += [f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"]
    campaigns = read_table(CAMPAIGNS)
    if len(campaigns):
        lines += ["", "## Campaigns", ""]
        lines += [f"- {' '.join([c['head'], *c['texts']])}" for c in in_words(campaigns, writer)]
    return "\n".join([*lines, "", "More: reports/segments.html", ""])


if __name__ == "__main__":
    main()

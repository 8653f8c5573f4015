"""Campaigns from segment to list to measured effect: draw, export, read, hold-out.

draw      choose who is treated and who is held out, at random within spend and recency
export    write the files that mailing and advertising tools import
read      what the treated did beyond the held out
hold-out  declare customers whom no campaign ever addresses

Reads   data/segments.parquet, data/customers.parquet, data/sales.parquet, campaigns/
Writes  campaigns/NAME.yaml and NAME.csv (draw), exports/NAME/ (export)

Example: python -m pipeline campaign draw spring --segment "cannot lose" --contacts contacts.csv
         python -m pipeline campaign export spring --contacts contacts.csv --for klaviyo
         dvc repro && python -m pipeline campaign read spring
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pandas as pd

from pipeline.commands.campaign.draw import (
    assign,
    best_kpi,
    eligible,
    held_out_of,
    in_running,
    never_addressed,
    power_of,
    rehearse,
    smallest_hold_out,
    strata,
)
from pipeline.commands.campaign.exports import FORMATS, addressed, file_for, read_contacts, why_not
from pipeline.core.engines.base import open_engine
from pipeline.core.run.errors import InputError
from pipeline.core.run.outputs import write_text
from pipeline.core.run.params import ShopParams, load_params, parse_params
from pipeline.core.run.stage import command_parser, run_command
from pipeline.core.tables.aggregate_rfm import CUSTOMERS
from pipeline.core.tables.assign_segments import SEGMENT_NAMES, SEGMENTS
from pipeline.core.tables.contract import read_table
from pipeline.core.tables.read_campaigns import CAMPAIGNS
from pipeline.core.text import words
from pipeline.profile_segments.__main__ import Params as ProfileParams
from pipeline.read_campaigns.plans import (
    HELD_OUT,
    SHOP_HOLD_OUT,
    Plan,
    Power,
    ShopHoldOut,
    list_text,
    plan_file,
    read_campaign,
    read_campaigns,
    read_shop_hold_out,
    write_plan,
)
from pipeline.read_campaigns.purchases import read_purchases
from pipeline.render_report.campaigns import campaigns as in_words
from pipeline.render_report.sentences import read_writer

MAILING_LIST = Path("reports/segments.csv")
EXPORTS = Path("exports")
LEAST_DRAWN = 10  # customers below which nothing can be drawn by lot


def main() -> None:
    """Run the action that is named."""
    parser = command_parser(__doc__)
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add_draw(actions.add_parser("draw", help="choose who is treated and who is held out"))
    export = actions.add_parser("export", help="write the files that tools import")
    export.add_argument("name")
    add_contacts(export, required=True)
    export.add_argument("--for", dest="tools", nargs="+", choices=FORMATS, default=list(FORMATS))
    read = actions.add_parser("read", help="what the treated did beyond the held out")
    read.add_argument("name", nargs="?", help="one campaign (all)")
    hold_out = actions.add_parser("hold-out", help="declare customers who are never addressed")
    hold_out.add_argument("share", help="such as 5%%")
    hold_out.add_argument("--seed", type=int, default=1)
    for action in actions.choices.values():  # --debug after the action, too
        action.add_argument("--debug", action="store_true", default=argparse.SUPPRESS)
    arguments = parser.parse_args()
    chosen = {"draw": draw, "export": export_files, "read": show_results, "hold-out": declare}
    run_command(lambda: chosen[arguments.action](arguments), debug=arguments.debug)


def add_contacts(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """The options that say who may be addressed."""
    parser.add_argument("--contacts", type=Path, required=required, metavar="CSV",
                        help="customer_id, email, consent, …")  # fmt: skip
    parser.add_argument("--opt-outs", type=Path, metavar="CSV", help="email or customer_id")
    parser.add_argument("--assume-consent", action="store_true",
                        help="address those of unknown consent, too")  # fmt: skip


def add_draw(parser: argparse.ArgumentParser) -> None:
    """The options of a draw."""
    parser.add_argument("name", help="small letters, digits, - and _")
    parser.add_argument("--segment", action="append", required=True, help="may be given again")
    parser.add_argument("--size", type=int, help="customers (all who are eligible)")
    parser.add_argument("--hold-out", metavar="N or %", help="of them left alone (as few as show "
                        "the lift; half where no number does)")  # fmt: skip
    parser.add_argument("--kpi", choices=("buyers", "spend"), help="(buyers, where it can rise)")
    parser.add_argument("--start", type=date.fromisoformat, metavar="DAY",
                        help="first day that counts (the day after the last snapshot)")  # fmt: skip
    parser.add_argument("--length", type=int, help="days that count (shop.horizon_days)")
    parser.add_argument("--lift", type=float, help="rise to show (profile.power.lift)")
    parser.add_argument("--cost-per-contact", type=float, default=0.0)
    parser.add_argument("--fixed-cost", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--allow-overlap", action="store_true",
                        help="draw customers of running campaigns, too")  # fmt: skip
    add_contacts(parser, required=False)


def draw(arguments: argparse.Namespace) -> None:
    """Draw a campaign, write its plan and list, and say what it shows."""
    name = arguments.name
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name) or name == SHOP_HOLD_OUT:
        raise InputError(f"{name!r}: a campaign's name has small letters, digits, - and _ only")
    params, shop = load_params("profile", ProfileParams), load_params("shop", ShopParams)
    segments, customers = read_table(SEGMENTS), read_table(CUSTOMERS)
    snapshot = segments["snapshot_date"].max()
    last = segments[segments["snapshot_date"] == snapshot]
    chosen = segments_named(arguments.segment, last)
    start = arguments.start or snapshot + timedelta(days=1)
    if start <= snapshot:
        raise InputError(
            f"--start {start}: orders up to {snapshot} are known, so a campaign drawn from them "
            f"starts on {snapshot + timedelta(days=1)} at the earliest"
        )
    length = arguments.length or shop.horizon_days
    end = start + timedelta(days=length - 1)
    rules = [never_addressed(read_shop_hold_out())]
    if not arguments.allow_overlap:
        rules.append(in_running((c for c in read_campaigns() if c.plan.name != name), start, end))
    if arguments.contacts:
        rules.append(why_not(contacts_of(arguments)))
    members = last.loc[last["segment"].isin(chosen), "customer_id"].tolist()
    able, left_out = eligible(members, rules)
    size = arguments.size or len(able)
    if not LEAST_DRAWN <= size <= len(able):
        raise InputError(
            f"{words.count(len(able))} of {words.count(len(members))} members can be drawn"
            f"{reasons(left_out)}; --size {size}: expected {LEAST_DRAWN} to {len(able)}"
        )
    with open_engine() as engine:
        purchases = read_purchases(engine)
    power = params.power
    wanted = {"lift": arguments.lift or power.lift, "alpha": power.alpha, "wanted": power.power}
    plan = parse_params("power", Power, wanted, Path("--lift"))
    rehearsed = rehearse(purchases, segments, chosen, length)
    kpi = arguments.kpi or best_kpi(rehearsed, plan.lift)
    held_out = held_out_of(arguments.hold_out, size) or smallest_hold_out(
        rehearsed.get(kpi), size, plan
    )
    now = customers[customers["snapshot_date"] == snapshot].set_index("customer_id").loc[able]
    rows = assign(name, arguments.seed, strata(now), size, held_out)
    text = list_text(rows)
    # The file's MD5, by which DVC knows it.
    md5 = hashlib.md5(SEGMENTS.path.read_bytes(), usedforsecurity=False).hexdigest()
    if size < len(able):
        left_out["not drawn (--size)"] = len(able) - size
    values = {
        "name": name, "segments": chosen, "play": play_of(chosen), "kpi": kpi, "start": start,
        "length_days": length, "cost_per_contact": arguments.cost_per_contact,
        "fixed_cost": arguments.fixed_cost, "members": len(members), "left_out": left_out,
        "treated": size - held_out, "held_out": held_out,
        "power": power_of(rehearsed.get(kpi), size - held_out, held_out, plan),
        "seed": arguments.seed, "snapshot": snapshot, "segments_md5": md5,
        "list_sha256": hashlib.sha256(text.encode()).hexdigest(),
    }  # fmt: skip
    campaign = parse_params("campaign", Plan, values, plan_file(name))
    keep(campaign, text)
    print(plan_in_words(campaign, shop.currency))


def segments_named(names: list[str], last: pd.DataFrame) -> list[str]:
    """The segments of these names, however they are capitalised."""
    known = {str(name).casefold(): str(name) for name in sorted(last["segment"].unique())}
    if unknown := [name for name in names if name.casefold() not in known]:
        raise InputError(
            f"--segment {unknown[0]!r}: no such segment; there are {', '.join(known.values())}"
        )
    return list(dict.fromkeys(known[name.casefold()] for name in names))


def play_of(segments: list[str]) -> str | None:
    """The one play of these segments; None where they have several."""
    named = read_table(SEGMENT_NAMES)
    plays = set(named.loc[named["segment"].isin(segments), "play"])
    return str(plays.pop()) if len(plays) == 1 else None


def keep(plan: Plan, text: str) -> None:
    """Write plan and list; a campaign that was drawn stays as it was drawn."""
    file = plan_file(plan.name)
    if not file.exists():
        write_text(file.with_suffix(".csv"), text)
        write_plan(plan, file)
        return
    if plan != read_campaign(plan.name).plan:
        raise InputError(
            f"{file}: drawn before, from other orders or with other options; its list stays as it "
            "is. Choose another name for a new draw"
        )


def export_files(arguments: argparse.Namespace) -> None:
    """Write each tool's file of the treated who may be addressed."""
    campaign, hold_out = read_campaign(arguments.name), read_shop_hold_out()
    if not campaign.is_list_as_drawn:
        raise InputError(
            f"{plan_file(arguments.name).with_suffix('.csv')} was changed after the draw: "
            "`git checkout` it, so that nobody held out is addressed"
        )
    people, left_out = addressed(
        campaign.members, contacts_of(arguments), never_addressed(hold_out)
    )
    people = people.merge(about(), on="customer_id", how="left").fillna("")
    people = people.assign(campaign=campaign.plan.name)
    for tool in arguments.tools:
        file = EXPORTS / arguments.name / f"{tool}.csv"
        write_text(file, file_for(tool, people))
        print(f"{file}: {words.plural(len(people), 'person', 'people')}")
    print(
        f"{words.count(len(people))} of {words.count(campaign.plan.treated)} treated can be "
        f"addressed{reasons(left_out)}; {words.count(campaign.plan.held_out)} held out are "
        "in no file"
    )


def contacts_of(arguments: argparse.Namespace) -> pd.DataFrame:
    """The contacts that the options name."""
    return read_contacts(
        arguments.contacts, arguments.opt_outs, assume_consent=arguments.assume_consent
    )


def about() -> pd.DataFrame:
    """What the last run says of each customer, as reports/segments.csv has it."""
    if not MAILING_LIST.exists():
        raise InputError(f"{MAILING_LIST} is missing; `dvc repro` makes it")
    rows = pd.read_csv(MAILING_LIST, dtype=str, keep_default_na=False)
    names = ["customer_id", "segment", "next_best_category", "suggested_action"]
    rows["customer_id"] = rows["customer_id"].str.removeprefix("'")
    return rows[[name for name in names if name in rows]]


def show_results(arguments: argparse.Namespace) -> None:
    """Print what each campaign, or one, has changed."""
    if arguments.name:
        read_campaign(arguments.name)  # an unknown name is an error
    rows = read_table(CAMPAIGNS)
    chosen = [c.plan.name for c in read_campaigns() if arguments.name in (None, c.plan.name)]
    if missing := set(chosen) - set(rows["campaign"]):
        raise InputError(f"{', '.join(sorted(missing))}: not read yet; run `dvc repro`")
    writer = read_writer()
    for told in in_words(rows[rows["campaign"].isin(chosen)], writer):
        print("\n  ".join([told["head"], *told["texts"]]))
    if not chosen:
        print("No campaign was drawn yet: python -m pipeline campaign draw NAME --segment …")


def declare(arguments: argparse.Namespace) -> None:
    """Declare the shop-wide hold-out, once."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)%", arguments.share)
    share = float(found[1]) / 100 if found else 0.0
    if not 0 < share <= 0.5:
        raise InputError(f"{arguments.share}: expected a share up to 50%, such as 5%")
    hold_out, before = ShopHoldOut(share=share, seed=arguments.seed), read_shop_hold_out()
    if before and before != hold_out:
        raise InputError(
            f"{plan_file(SHOP_HOLD_OUT)}: {words.share(before.share)} with seed {before.seed} were "
            "declared before; others would have been addressed already, so it stays. Delete the "
            "file to begin anew"
        )
    write_plan(hold_out, plan_file(SHOP_HOLD_OUT))
    ids = read_table(SEGMENTS)["customer_id"].unique()
    print(
        f"{words.count(sum(map(hold_out.holds, ids)))} of {words.count(len(ids))} customers are "
        "never drawn and in no file, and so is that share of new ones"
    )


def plan_in_words(plan: Plan, currency: str) -> str:
    """What was drawn and what it can show."""
    power = plan.power
    whole = f"{words.count(plan.members)} in {', '.join(plan.segments)}"
    groups = f"{words.count(plan.treated)} treated, {words.count(plan.held_out)} {HELD_OUT}"
    lines = [
        f"{plan_file(plan.name)}: {groups}, of {whole}{reasons(plan.left_out)}.",
        f"Counts from {words.day(plan.start)} to {words.day(plan.end)}.",
    ]
    days = plan.length_days
    if power.base is None or power.chance is None or power.detectable_lift is None:
        lines.append(
            f"How large a rise {days} days can show is not known: too few of these customers "
            f"ordered in an earlier {days} days, or the data are not that old."
        )
    else:
        is_share, raised = plan.kpi == "buyers", power.base * (1 + power.lift)
        values = (power.base, min(raised, 1)) if is_share else (power.base, raised)
        usual, hoped = (words.share(v) if is_share else words.money(v, currency) for v in values)
        what = f"{usual} of them order" if is_share else f"each of them spends {usual}"
        lines.append(
            f"Without a campaign, {what} in {days} days. If this one raises that by "
            f"{words.share(power.lift)}, to {hoped}, the chance that the test shows it is "
            f"{words.share(power.chance)}.\nFor a chance of "
            f"{words.share(power.wanted)} the rise must be {words.share(power.detectable_lift)} "
            "or more."
        )
    return "\n".join(lines)


def reasons(left_out: Mapping[str, int]) -> str:
    """Why customers were left out, in brackets."""
    told = ", ".join(f"{words.count(n)} {why}" for why, n in left_out.items())
    return f" (left out: {told})" if told else ""


if __name__ == "__main__":
    main()

"""Say what differs between two versions of the method, whether it is better, whom it moved.

A version is any git revision or DVC experiment; without a second one, the workspace.

Every move has one cause: a changed definition (under the old one the customer would not have
moved), time passing (the customer would have moved without ordering or returning anything), or the
customer's own behaviour.

Reads   params.yaml, metrics/, dvc.lock, data/definition.yaml, data/segment_names.parquet,
        data/segments.parquet and data/customers.parquet of both
Writes  nothing, or the page named by --html

Examples:
  python -m pipeline compare                 HEAD against the workspace
  python -m pipeline compare bold-lark       an experiment against the workspace
  python -m pipeline compare v1 main --md    for a pull request
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from rich.console import Console
from rich.table import Table as RichTable
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm
from scmrepo.exceptions import SCMError
from sklearn.metrics import adjusted_rand_score

from pipeline.core.model.definition import DEFINITION, Definition, aged, assign, parse_definition
from pipeline.core.run.errors import InputError
from pipeline.core.run.metrics import flat, parse_metrics
from pipeline.core.run.outputs import write_text
from pipeline.core.run.stage import command_parser, run_command
from pipeline.core.run.yaml_text import load_yaml
from pipeline.core.tables.aggregate_rfm import CUSTOMERS
from pipeline.core.tables.assign_segments import SEGMENT_NAMES, SEGMENTS

WORKSPACE = "workspace"
TOP_MOVES = 10
LONGEST = 40  # rows that a terminal is shown
SOURCE = "ingest.source.sha256"
ERROR = 0.05  # chance that any of the figures looks different where none is
SAME_SHOP = 0.1  # share of common customers with a common order, below which it is another shop
CAUSES = ("changed definition", "time passing", "own behaviour")
# What makes a method better, more of each being better; `<key>_se` is its standard error.
HEADLINES = {
    "select.chosen.eta_squared": "later spend explained",
    "select.chosen.top20_capture": "later spend of the top fifth",
    "select.chosen.auc": "repeat-purchase AUC",
    "select.chosen.jaccard": "stability of the least stable",
    "select.chosen.prediction_strength": "split-half agreement",
    "profile.rules.fidelity": "rule fidelity",
    "profile.next_category.hit_rate": "next category predicted",
    "categorize.coherence_npmi": "coherence of categories",
    "categorize.held_out_copurchase_lift": "categories bought together",
}


@dataclass(frozen=True)
class Run:
    """What one version of the method gave: parameters and metrics by dotted key, and segments."""

    name: str
    params: dict[str, Any]
    metrics: dict[str, Any]
    stages: dict[str, Any]
    customers: pd.DataFrame  # of the last snapshot, with `segment`
    snapshot: str
    definition: Definition | None = None
    names: dict[int, str] = field(default_factory=dict)  # by segment_id

    def segment_of(self, customers: pd.DataFrame) -> pd.Series[str]:
        """The name that each customer has by this version's definition."""
        if self.definition is None:
            raise ValueError(f"{self.name} has no definition")
        return assign(self.definition, customers)["segment_id"].map(self.names)


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side; `moves` is a matrix with matched segments on its diagonal."""

    before: Run
    after: Run
    params: pd.DataFrame  # key, before, after
    verdicts: pd.DataFrame  # figure, key, before, after, change, error, verdict
    is_same_data: bool  # whether both were judged on the same order lines and days
    metrics: pd.DataFrame  # key, before, after, change
    stages: pd.DataFrame  # stage, reason
    matched: dict[str, str]  # segment before → the segment after that it became
    moves: pd.DataFrame  # customers, by segment before (rows) and after (columns)
    customers: dict[str, int]  # in both, only before, only after, moved, of these renamed
    adjusted_rand_index: float
    top_moves: pd.DataFrame  # customer_id, before, after, monetary
    causes: pd.DataFrame  # segment before, segment after, cause, customers


def main() -> None:
    """Parse the command line, compare, and print or write."""
    parser = command_parser(__doc__)
    parser.add_argument("revisions", nargs="*", metavar="REV", help="one or two versions")
    parser.add_argument("--md", action="store_true", help="print Markdown")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write an HTML page")
    arguments = parser.parse_args()

    def command() -> None:
        if len(arguments.revisions) > 2:
            raise InputError("two versions at most: python -m pipeline compare REV [REV]")
        before, after = [*(arguments.revisions or ["HEAD"]), WORKSPACE][:2]
        runs = load_run(before), load_run(after)
        refuse_other_shop(*runs)
        comparison = compare_runs(*runs)
        if arguments.html:
            write_text(arguments.html, as_html(comparison))
            print(arguments.html)
        if arguments.json:
            print(as_json(comparison))
        elif arguments.md:
            print(as_markdown(comparison))
        elif not arguments.html:
            print_tables(comparison)

    run_command(command, debug=arguments.debug)


def load_run(revision: str) -> Run:
    """Return what `revision` gave; InputError says what to run where its data is not at hand."""
    rev = None if revision == WORKSPACE else revision
    try:
        files = DVCFileSystem(rev=rev)
        metrics = {
            Path(name).stem: parse_metrics(files.read_text(name, encoding="utf-8"))
            for name in sorted(files.find("metrics", detail=False))
            if name.endswith(".json") and Path(name).stem != "summary"
        }
        params = load_yaml(files.read_text("params.yaml", encoding="utf-8"))
        lock = load_yaml(files.read_text("dvc.lock", encoding="utf-8"))
        segments = _table(files, SEGMENTS.path, ["snapshot_date", "customer_id", "segment"])
        customers = _table(files, CUSTOMERS.path)
        definition = parse_definition(files.read_text(DEFINITION.as_posix(), encoding="utf-8"))
        names = _table(files, SEGMENT_NAMES.path, ["segment_id", "segment"])
    except InputError as error:
        raise InputError(f"{revision}: {error}") from None
    except (DvcException, SCMError) as error:
        raise InputError(
            f"{revision!r} is no version that can be read: {error}; `git log` and `dvc exp show` "
            "list versions and experiments"
        ) from error
    except FileNotFoundError as error:
        where = "" if rev is None else f"git checkout {revision} && "
        raise InputError(
            f"{revision}: {error}: its data is not at hand; bring it with `dvc pull`, or make it "
            f"with `{where}dvc repro`"
        ) from error
    last = segments["snapshot_date"].max()
    now = segments[segments["snapshot_date"] == last].merge(
        customers, on=["snapshot_date", "customer_id"], validate="one_to_one"
    )
    return Run(
        name=revision,
        params=flat(params),
        metrics=flat(metrics),
        stages=lock["stages"],
        customers=now,
        snapshot=str(last),
        definition=definition,
        names=dict(zip(names["segment_id"], names["segment"], strict=True)),
    )


def _table(files: DVCFileSystem, path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    with files.open(path.as_posix(), mode="rb") as content:
        rows: pd.DataFrame = pq.read_table(content, columns=columns).to_pandas()
    return rows


def refuse_other_shop(before: Run, after: Run) -> None:
    """Raise InputError where the customers of the two versions are not of one shop.

    Of a customer in both, the first or the last order must be of the same day in one shop's data,
    however it was cleaned and cut.
    """
    orders = []
    for run in (before, after):
        day = pd.Timestamp(run.snapshot)
        found = run.customers.set_index("customer_id")[["tenure_days", "recency_days"]]
        orders.append(found.apply(lambda days, day=day: day - pd.to_timedelta(days, unit="D")))
    one, other = orders[0].align(orders[1], join="inner", axis=0)
    share = float((one == other).any(axis=1).mean()) if len(one) else 0.0
    if share < SAME_SHOP:
        raise InputError(
            f"{before.name} and {after.name} are not of the same shop: of {len(one)} customers in "
            f"both, {share:.0%} have their first or last order on the same day; compare versions "
            "that read the same source (source.path)"
        )


def compare_runs(before: Run, after: Run) -> Comparison:
    """Lay two runs side by side.

    Who has another name has moved. Of these, who is in the segment that his became was renamed with
    it: where a method draws the same groups under other names, all who moved were renamed.
    """
    columns = ["customer_id", "segment", "monetary"]
    both = before.customers[columns].merge(
        after.customers[columns], on="customer_id", suffixes=("_before", "_after"), how="inner"
    )
    counts = pd.crosstab(both["segment_before"], both["segment_after"])
    matched = match_segments(counts)
    moved = both[both["segment_before"] != both["segment_after"]]
    is_renamed = moved["segment_before"].map(matched) == moved["segment_after"]
    top = moved[~is_renamed].rename(columns={"monetary_after": "monetary"})
    top = top.astype({"monetary": float})
    top = top.sort_values(["monetary", "customer_id"], ascending=[False, True], kind="stable")
    rows = sorted(counts.index, key=lambda name: (-counts.loc[name].sum(), name))
    diagonal = [matched[name] for name in rows if name in matched]
    metrics = differences(before.metrics, after.metrics)
    change = [
        y - x if _is_number(x) and _is_number(y) else None
        for x, y in zip(metrics["before"], metrics["after"], strict=True)
    ]
    return Comparison(
        before=before,
        after=after,
        params=differences(before.params, after.params),
        verdicts=verdicts(before.metrics, after.metrics),
        is_same_data=before.snapshot == after.snapshot
        and before.metrics.get(SOURCE) == after.metrics.get(SOURCE),
        metrics=metrics.assign(change=pd.Series(change, index=metrics.index, dtype=object)),
        stages=changed_stages(before.stages, after.stages),
        matched=matched,
        moves=counts.loc[rows, diagonal + sorted(set(counts.columns) - set(diagonal))],
        customers={
            "in_both": len(both),
            "only_before": len(before.customers) - len(both),
            "only_after": len(after.customers) - len(both),
            "moved": len(moved),
            "renamed": int(is_renamed.sum()),
        },
        adjusted_rand_index=float(
            adjusted_rand_score(both["segment_before"], both["segment_after"])
        )
        if len(both)
        else 0.0,
        top_moves=top[["customer_id", "segment_before", "segment_after", "monetary"]]
        .head(TOP_MOVES)
        .reset_index(drop=True),
        causes=causes_of_moves(before, after),
    )


def causes_of_moves(before: Run, after: Run) -> pd.DataFrame:
    """Return how many customers went from where to where, by one cause each.

    They sum up to the moves of `compare_runs` between segments of different names.
    """
    columns = ["segment_before", "segment_after", "cause"]
    then = before.customers.set_index("customer_id")
    now = after.customers.set_index("customer_id")
    then, now = then.align(now, join="inner", axis=0)
    now = now[now["segment"] != then["segment"]]
    then = then.loc[now.index]
    if now.empty or before.definition is None:
        return pd.DataFrame(columns=[*columns, "customers"])
    days = (pd.Timestamp(after.snapshot) - pd.Timestamp(before.snapshot)).days
    is_defined = before.segment_of(now) == then["segment"]
    is_time = after.segment_of(aged(then, days)) == now["segment"]
    cause = np.select([is_defined, is_time & (days > 0)], CAUSES[:2], CAUSES[2])
    found = pd.DataFrame(dict(zip(columns, (then["segment"], now["segment"], cause), strict=True)))
    return found.groupby(columns).size().rename("customers").reset_index()


def match_segments(counts: pd.DataFrame) -> dict[str, str]:
    """Pair each segment before with one after so that the most customers stay.

    An equal name breaks ties. Segments of the longer side that are left over have no partner.
    """
    if counts.empty:
        return {}
    is_same_name = counts.index.to_numpy()[:, None] == counts.columns.to_numpy()
    weight = counts.to_numpy(dtype=float) + 0.5 * is_same_name
    rows, columns = linear_sum_assignment(weight, maximize=True)
    return {
        str(counts.index[i]): str(counts.columns[j])
        for i, j in zip(rows, columns, strict=True)
        if weight[i, j] > 0
    }


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> pd.DataFrame:
    """Return key, before and after of every key whose value differs; None where it is absent."""
    keys = [*before, *(key for key in after if key not in before)]
    rows = [(k, before.get(k), after.get(k)) for k in keys if before.get(k) != after.get(k)]
    return pd.DataFrame(rows, columns=["key", "before", "after"], dtype=object)


def verdicts(before: Mapping[str, Any], after: Mapping[str, Any]) -> pd.DataFrame:
    """Return for each headline figure of both sides whether it became better.

    `error` is the standard error of the difference, as if the two were judged on different
    customers; on the same customers it is less, so that "no clear difference" is said rather too
    often than too seldom. A difference is clear from so many errors on that, of all the figures
    compared, one in twenty comparisons shows any by chance (Bonferroni), and from two at least. Of
    a figure without a standard error only the direction is said.
    """
    judged = sum(f"{key}_se" in before and f"{key}_se" in after for key in HEADLINES)
    clear = max(2.0, float(norm.ppf(1 - ERROR / 2 / max(judged, 1))))
    rows = []
    for key, figure in HEADLINES.items():
        if not (_is_number(before.get(key)) and _is_number(after.get(key))):
            continue
        one, other = float(before[key]), float(after[key])
        errors = [side[f"{key}_se"] for side in (before, after) if f"{key}_se" in side]
        error = math.hypot(*errors) if len(errors) == 2 else None
        change = float(f"{other - one:.4g}")
        if change == 0:
            verdict = "equal"
        elif error is None:
            verdict = "higher" if change > 0 else "lower"
        elif abs(change) < clear * error:
            verdict = "no clear difference"
        else:
            verdict = "better" if change > 0 else "worse"
        error = None if error is None else float(f"{error:.2g}")
        rows.append((figure, key, one, other, change, error, verdict))
    columns = ["figure", "key", "before", "after", "change", "error", "verdict"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def changed_stages(before: Mapping[str, Any], after: Mapping[str, Any]) -> pd.DataFrame:
    """Return each stage that differs and why: code, inputs, parameters, or only outputs."""
    rows = []
    made_by = {
        o["path"]: name
        for run in (before, after)
        for name, s in run.items()
        for o in s.get("outs", [])
    }
    for stage in [*before, *(s for s in after if s not in before)]:
        if stage not in before or stage not in after:
            rows.append((stage, "only before" if stage in before else "only after"))
        elif reasons := _reasons(before[stage], after[stage], made_by):
            rows.append((stage, "; ".join(reasons)))
    return pd.DataFrame(rows, columns=["stage", "why"])


def _reasons(
    before: Mapping[str, Any], after: Mapping[str, Any], made_by: Mapping[str, str]
) -> list[str]:
    sides = [before, after]
    deps, outs = (
        differences(*({f["path"]: f.get("md5") for f in side.get(kind, [])} for side in sides))[
            "key"
        ]
        for kind in ("deps", "outs")
    )
    params = differences(*(flat(side.get("params", {}).get("params.yaml", {})) for side in sides))
    code = sorted(path for path in deps if path.startswith("pipeline"))
    changed = {
        "code": code,
        "input": sorted(path for path in deps if path not in code and path not in made_by),
        "outputs of": list(dict.fromkeys(made_by[path] for path in deps if path in made_by)),
        "parameters": list(params["key"]),
    }
    reasons = [f"{what} {', '.join(names)}" for what, names in changed.items() if names]
    if not reasons and len(outs):
        reasons.append("other outputs from the same inputs: not reproducible")
    return reasons


def tables(comparison: Comparison) -> list[tuple[str, pd.DataFrame]]:
    """Return the comparison as titled frames of text, in reading order."""
    c, n = comparison, comparison.customers
    versions = [c.before.name, c.after.name]
    share = f"{(n['in_both'] - n['moved']) / max(n['in_both'], 1):.1%}"
    summary = [
        ("last snapshot", c.before.snapshot, c.after.snapshot),
        ("customers only here", f"{n['only_before']:,}", f"{n['only_after']:,}"),
        ("customers in both", f"{n['in_both']:,}", ""),
        ("stayed in their segment", f"{n['in_both'] - n['moved']:,}", share),
        ("have another name", f"{n['moved']:,}", f"{n['renamed']:,} with their whole segment"),
        ("adjusted Rand index", f"{c.adjusted_rand_index:.3f}", "1 = the same groups"),
        ("kept where chance draws other customers", *map(_resampled, (c.before, c.after))),
    ]
    causes = c.causes.groupby("cause")["customers"].sum().reindex(CAUSES, fill_value=0)
    names = [f"{a} → {b}" for a, b in c.matched.items() if a != b]
    moves = c.moves.astype(str).rename_axis(None, axis=1).reset_index(names="from \\ to")
    top = c.top_moves.assign(monetary=[f"{m:,.2f}" for m in c.top_moves["monetary"]])
    judged = c.verdicts.drop(columns="key")
    better = "Is it better?" if c.is_same_data else "Is it better? (other data: judge with care)"
    told = causes.map("{:,}".format).rename_axis("").reset_index() if len(c.causes) else c.causes
    found = [
        ("Customers", pd.DataFrame(summary, columns=["", *versions])),
        (better, judged.set_axis(["", *versions, "change", "standard error", "verdict"], axis=1)),
        ("Segments with another name", pd.DataFrame({"matched by their customers": names})),
        ("Who moved where (customers)", moves),
        ("Why they have another name", told),
        ("Moved with the most money", top.set_axis(["customer", "from", "to", "spend"], axis=1)),
        ("Stages that differ", c.stages),
        ("Parameters", c.params.set_axis(["key", *versions], axis=1)),
        ("Metrics", c.metrics.set_axis(["key", *versions, "change"], axis=1)),
    ]
    return [(title, rows.map(_text)) for title, rows in found if len(rows)]


def _resampled(run: Run) -> str:
    found = run.metrics.get("select.chosen.jaccard_mean")
    return f"{found:.1%}" if _is_number(found) else "–"


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def print_tables(comparison: Comparison) -> None:
    """Print the comparison to the terminal; of long lists only how long they are."""
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 160)
    for title, rows in tables(comparison):
        if len(rows) > LONGEST:
            console.print(f"{title}: {len(rows)} differ; --md, --json and --html FILE list them")
            continue
        table = RichTable(title=title, title_justify="left", title_style="bold")
        for name in rows.columns:
            table.add_column(str(name), overflow="fold")
        for row in rows.itertuples(index=False):
            table.add_row(*row)
        console.print(table)


def as_markdown(comparison: Comparison) -> str:
    """Return the comparison as Markdown."""
    parts = [f"# {comparison.before.name} → {comparison.after.name}"]
    for title, rows in tables(comparison):
        head = [str(name) for name in rows.columns]
        lines = [head, ["---"] * len(head), *rows.to_numpy().tolist()]
        cells = [[c.replace("|", "\\|").replace("\n", " ") for c in line] for line in lines]
        body = "\n".join(f"| {' | '.join(line)} |" for line in cells)
        parts.append(f"## {title}\n\n{body}")
    return "\n\n".join(parts)


def as_json(comparison: Comparison) -> str:
    """Return the comparison as JSON."""
    c = comparison
    records = {
        name: json.loads(getattr(c, name).to_json(orient="records", double_precision=15))
        for name in ("params", "verdicts", "metrics", "stages", "top_moves", "causes")
    }
    content = {
        "before": c.before.name,
        "after": c.after.name,
        "snapshots": [c.before.snapshot, c.after.snapshot],
        "is_same_data": c.is_same_data,
        "customers": c.customers,
        "adjusted_rand_index": c.adjusted_rand_index,
        "matched": c.matched,
        "moves": c.moves.to_dict(orient="index"),
        **records,
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def as_html(comparison: Comparison) -> str:
    """Return the comparison as one page that needs no network; every text is escaped."""
    body = "\n".join(
        f"<section><h2>{escape(title)}</h2>\n{rows.to_html(index=False, border=0)}</section>"
        for title, rows in tables(comparison)
    )
    title = escape(f"{comparison.before.name} → {comparison.after.name}")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{PAGE_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


PAGE_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}"
    "section{overflow-x:auto}table{border-collapse:collapse}"
    "th,td{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #c9ced6}"
)


if __name__ == "__main__":
    main()

"""Say what differs between two versions of the method, whether it is better, whom it moved.

A version is any git revision or DVC experiment; without a second one, the workspace.

Reads   params.yaml, metrics/, dvc.lock, data/segments.parquet and data/customers.parquet of both
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from dvc.api import DVCFileSystem
from dvc.exceptions import DvcException
from rich.console import Console
from rich.table import Table as RichTable
from scipy.optimize import linear_sum_assignment
from scmrepo.exceptions import SCMError
from sklearn.metrics import adjusted_rand_score

from pipeline.core.run.errors import InputError
from pipeline.core.run.metrics import parse_metrics
from pipeline.core.run.outputs import write_text
from pipeline.core.run.stage import command_parser, run_command
from pipeline.core.run.yaml_text import load_yaml
from pipeline.core.tables.aggregate_rfm import CUSTOMERS
from pipeline.core.tables.assign_segments import SEGMENTS

WORKSPACE = "workspace"
TOP_MOVES = 10
LONGEST = 40  # rows that a terminal is shown
SOURCE = "ingest.source.sha256"
# What makes a method better, more of each being better; `<key>_se` is its standard error.
HEADLINES = {
    "select.chosen.eta_squared": "later spend explained",
    "select.chosen.top20_capture": "later spend of the top fifth",
    "select.chosen.auc": "telling who buys again",
    "select.chosen.jaccard": "stability of the least stable",
    "select.chosen.prediction_strength": "agreement of two halves",
    "profile.rules.fidelity": "retold by rules in words",
    "profile.next_category.hit_rate": "next category foretold",
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
    customers: pd.DataFrame  # customer_id, segment, monetary of the last snapshot
    snapshot: str


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side; `moves` is a matrix with matched segments on its diagonal."""

    before: str
    after: str
    snapshots: tuple[str, str]
    params: pd.DataFrame  # key, before, after
    verdicts: pd.DataFrame  # figure, key, before, after, change, error, verdict
    is_same_data: bool  # whether both were judged on the same order lines and days
    metrics: pd.DataFrame  # key, before, after, change
    stages: pd.DataFrame  # stage, reason
    matched: dict[str, str]  # segment before → the segment after that it became
    moves: pd.DataFrame  # customers, by segment before (rows) and after (columns)
    customers: dict[str, int]  # in both, only before, only after, moved
    adjusted_rand_index: float
    top_moves: pd.DataFrame  # customer_id, before, after, monetary


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
        comparison = compare_runs(load_run(before), load_run(after))
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
        names = files.find("metrics", detail=False) if files.exists("metrics") else []
        metrics = {
            Path(name).stem: parse_metrics(files.read_text(name, encoding="utf-8"))
            for name in sorted(names)
            if name.endswith(".json") and Path(name).stem != "summary"
        }
        params = load_yaml(files.read_text("params.yaml", encoding="utf-8"))
        lock = load_yaml(files.read_text("dvc.lock", encoding="utf-8"))
        segments = _table(files, SEGMENTS.path, ["snapshot_date", "customer_id", "segment"])
        customers = _table(files, CUSTOMERS.path, ["snapshot_date", "customer_id", "monetary"])
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
        customers=now[["customer_id", "segment", "monetary"]],
        snapshot=str(last),
    )


def _table(files: DVCFileSystem, path: Path, columns: list[str]) -> pd.DataFrame:
    with files.open(path.as_posix(), mode="rb") as content:
        rows: pd.DataFrame = pq.read_table(content, columns=columns).to_pandas()
    return rows


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dotted keys."""
    pairs: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            pairs |= flat(value, f"{prefix}{key}.")
        else:
            pairs[f"{prefix}{key}"] = value
    return pairs


def compare_runs(before: Run, after: Run) -> Comparison:
    """Lay two runs side by side.

    A customer stayed in the segment that his became, or in one of the same name: where two
    segments merge, only one of them has a partner, and the other's members may keep their name.
    """
    both = before.customers.merge(
        after.customers, on="customer_id", suffixes=("_before", "_after"), how="inner"
    )
    counts = pd.crosstab(both["segment_before"], both["segment_after"])
    matched = match_segments(counts)
    stayed = (both["segment_before"].map(matched) == both["segment_after"]) | (
        both["segment_before"] == both["segment_after"]
    )
    moved = both[~stayed]
    top = moved.assign(monetary=moved["monetary_after"].astype(float)).sort_values(
        ["monetary", "customer_id"], ascending=[False, True], kind="stable"
    )
    rows = sorted(counts.index, key=lambda name: (-counts.loc[name].sum(), name))
    diagonal = [matched[name] for name in rows if name in matched]
    columns = diagonal + sorted(set(counts.columns) - set(diagonal))
    return Comparison(
        before=before.name,
        after=after.name,
        snapshots=(before.snapshot, after.snapshot),
        params=differences(before.params, after.params),
        verdicts=verdicts(before.metrics, after.metrics),
        is_same_data=before.snapshot == after.snapshot
        and before.metrics.get(SOURCE) == after.metrics.get(SOURCE),
        metrics=with_change(differences(before.metrics, after.metrics)),
        stages=changed_stages(before.stages, after.stages),
        matched=matched,
        moves=counts.loc[rows, columns],
        customers={
            "in_both": len(both),
            "only_before": len(before.customers) - len(both),
            "only_after": len(after.customers) - len(both),
            "moved": len(moved),
        },
        adjusted_rand_index=float(
            adjusted_rand_score(both["segment_before"], both["segment_after"])
        )
        if len(both)
        else 0.0,
        top_moves=top[["customer_id", "segment_before", "segment_after", "monetary"]]
        .head(TOP_MOVES)
        .reset_index(drop=True),
    )


def match_segments(counts: pd.DataFrame) -> dict[str, str]:
    """Pair each segment before with one after so that the most customers stay.

    An equal name breaks ties. Segments of the longer side that are left over have no partner.
    """
    if counts.empty:
        return {}
    weight = counts.to_numpy(dtype=float).copy()
    for i, row in enumerate(counts.index):
        for j, column in enumerate(counts.columns):
            weight[i, j] += 0.5 * (row == column)
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


def with_change(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the change of each figure that is a number on both sides."""
    change = [
        after - before if _is_number(before) and _is_number(after) else None
        for before, after in zip(rows["before"], rows["after"], strict=True)
    ]
    return rows.assign(change=pd.Series(change, dtype=object, index=rows.index))


def verdicts(before: Mapping[str, Any], after: Mapping[str, Any]) -> pd.DataFrame:
    """Return for each headline figure of both sides whether it became better.

    `error` is the standard error of the difference, as if the two were judged on different
    customers; on the same customers it is less, so that "no clear difference" is said rather too
    often than too seldom. Of a figure without a standard error only the direction is said.
    """
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
        elif abs(change) < error:
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
    reasons = []
    sums = [{d["path"]: d.get("md5") for d in side.get("deps", [])} for side in (before, after)]
    changed = sorted(
        path for path in {*sums[0], *sums[1]} if sums[0].get(path) != sums[1].get(path)
    )
    code = [p for p in changed if p.startswith("pipeline")]
    given = [p for p in changed if p not in code and p not in made_by]
    stages = dict.fromkeys(name for p, name in made_by.items() if p in changed)
    for what, names in (("code", code), ("input", given), ("outputs of", list(stages))):
        if names:
            reasons.append(f"{what} {', '.join(names)}")
    params = [flat(side.get("params", {}).get("params.yaml", {})) for side in (before, after)]
    keys = differences(*params)["key"]
    if len(keys):
        reasons.append(f"parameters {', '.join(keys)}")
    outs = [{o["path"]: o.get("md5") for o in side.get("outs", [])} for side in (before, after)]
    if not reasons and outs[0] != outs[1]:
        reasons.append("other outputs from the same inputs: not reproducible")
    return reasons


def tables(comparison: Comparison) -> list[tuple[str, pd.DataFrame]]:
    """Return the comparison as titled frames of text, in reading order."""
    c = comparison
    stayed = c.customers["in_both"] - c.customers["moved"]
    share = f"{stayed / c.customers['in_both']:.1%}" if c.customers["in_both"] else "–"
    summary = [
        ("last snapshot", *c.snapshots),
        (
            "customers only here",
            f"{c.customers['only_before']:,}",
            f"{c.customers['only_after']:,}",
        ),
        ("customers in both", f"{c.customers['in_both']:,}", ""),
        ("stayed in their segment", f"{stayed:,}", share),
        ("adjusted Rand index", f"{c.adjusted_rand_index:.3f}", "1 = the same groups"),
    ]
    names = [f"{a} → {b}" for a, b in c.matched.items() if a != b]
    moves = c.moves.astype(str).rename_axis(None, axis=1).reset_index(names="from \\ to")
    top = c.top_moves.assign(monetary=[f"{m:,.2f}" for m in c.top_moves["monetary"]])
    judged = c.verdicts.drop(columns="key")
    better = "Is it better?" if c.is_same_data else "Is it better? (other data: judge with care)"
    found = [
        ("Customers", pd.DataFrame(summary, columns=["", c.before, c.after])),
        (
            better,
            judged.set_axis(["", c.before, c.after, "change", "its error", "verdict"], axis=1),
        ),
        ("Segments with another name", pd.DataFrame({"matched by their customers": names})),
        ("Who moved where (customers)", moves),
        ("Moved with the most money", top.set_axis(["customer", "from", "to", "spend"], axis=1)),
        ("Stages that differ", c.stages),
        ("Parameters", c.params.set_axis(["key", c.before, c.after], axis=1)),
        ("Metrics", c.metrics.set_axis(["key", c.before, c.after, "change"], axis=1)),
    ]
    return [(title, rows.map(_text)) for title, rows in found if len(rows)]


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def print_tables(comparison: Comparison) -> None:
    """Print the comparison to the terminal; of long lists only how long they are."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
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
    parts = [f"# {comparison.before} → {comparison.after}"]
    for title, rows in tables(comparison):
        head = [str(name) for name in rows.columns]
        lines = [head, ["---"] * len(head), *rows.to_numpy().tolist()]
        body = "\n".join(f"| {' | '.join(_cell(c) for c in line)} |" for line in lines)
        parts.append(f"## {title}\n\n{body}")
    return "\n\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def as_json(comparison: Comparison) -> str:
    """Return the comparison as JSON."""
    c = comparison
    records = {
        name: json.loads(getattr(c, name).to_json(orient="records", double_precision=15))
        for name in ("params", "verdicts", "metrics", "stages", "top_moves")
    }
    content = {
        "before": c.before,
        "after": c.after,
        "snapshots": list(c.snapshots),
        "is_same_data": c.is_same_data,
        "customers": c.customers,
        "adjusted_rand_index": c.adjusted_rand_index,
        "matched": c.matched,
        "moves": {str(row): c.moves.loc[row].to_dict() for row in c.moves.index},
        **records,
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def as_html(comparison: Comparison) -> str:
    """Return the comparison as one page that needs no network; every text is escaped."""
    body = "\n".join(
        f"<section><h2>{_escaped(title)}</h2>\n{rows.to_html(index=False, border=0)}</section>"
        for title, rows in tables(comparison)
    )
    title = _escaped(f"{comparison.before} → {comparison.after}")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{PAGE_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


PAGE_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;color:#1d2129;background:#fff;margin:2rem auto;"
    "max-width:70rem;padding:0 1rem}section{overflow-x:auto}"
    "table{border-collapse:collapse;margin-bottom:2rem}"
    "th,td{text-align:left;padding:.3rem .8rem;border-bottom:1px solid #c9ced6;"
    "font-variant-numeric:tabular-nums}"
)


if __name__ == "__main__":
    main()

"""Who moved: since the last month end, month by month, over a year; and whether customers drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.core.text import words
from pipeline.render_report.charts import REST
from pipeline.render_report.flow import Column, Flow, Stop, flow_picture
from pipeline.render_report.inputs import Inputs
from pipeline.render_report.rows import Row, rows_of, title

NEW = -1
LARGEST = 6  # moves that are listed
COLUMNS = 13  # snapshots that are drawn: a year of months
ARROWS = {"rose": "↑", "fell": "↓"}


def changes(inputs: Inputs, currency: str) -> Row | None:
    """What changed since the last month end; None where there is one snapshot alone."""
    figures = inputs.metrics.get("profile", {}).get("changes", {"is_known": False})
    if not figures["is_known"] or inputs.segment_changes.empty:
        return None
    moved = inputs.latest_moves[inputs.latest_moves["direction"].isin(list(ARROWS))]
    by_count = _largest(moved, "customers")
    return {
        **figures,
        "news": _news(figures, moved, currency),
        "verdict": _verdict(inputs, figures["from"]),
        "sizes": rows_of(inputs.segment_changes),
        "largest": (
            ("by number of customers", by_count),
            ("by their money", _largest(moved, "spend")),
        ),
    }


def _largest(moved: pd.DataFrame, figure: str) -> list[Row]:
    keys = [figure, "from_segment_id", "to_segment_id"]
    found = moved.sort_values(keys, ascending=[False, True, True]).head(LARGEST)
    way = "{arrow} {start} → {end}"
    return [
        row
        | {
            "text": way.format(
                arrow=ARROWS[row["direction"]],
                start=title(row["from_segment"]),
                end=row["to_segment"],
            )
        }
        for row in rows_of(found)
    ]


def _news(figures: Row, moved: pd.DataFrame, currency: str) -> list[str]:
    """What changed, in a few sentences for the first screen."""
    ordered = words.plural(figures["ordered"], "customer", "customers")
    newcomers = words.count(figures["new"]) if figures["new"] else "none"
    came = (
        f"{ordered} ordered, {words.money(figures['spend'], currency)} in all; "
        f"{newcomers} of them for the first time."
    )
    went = (
        f"{words.count(figures['rose'])} rose to a better segment, "
        f"{words.count(figures['fell'])} fell, {words.count(figures['stayed'])} stayed."
    )
    news = [came, went]
    rose, fell = (
        _largest(moved[moved["direction"] == direction], figure)[:1]
        for direction, figure in (("rose", "customers"), ("fell", "spend"))
    )
    news += [
        f"Most rose from {row['from_segment']} to {row['to_segment']} "
        f"({words.count(row['customers'])})."
        for row in rose
    ]
    news += [
        f"Look after {words.plural(row['customers'], 'customer', 'customers')} who fell from "
        f"{row['from_segment']} to {row['to_segment']}: they have spent "
        f"{words.money(row['spend'], currency)}."
        for row in fell
    ]
    return news


def _verdict(inputs: Inputs, since: str) -> str:
    """What the drift since then says about the segments' shares."""
    rows = inputs.drift[
        (inputs.drift["reference"] == "previous") & (inputs.drift["measure"] == "segment_shares")
    ]
    same = [r for r in rows_of(rows) if str(r["reference_date"]) == since]
    if not same:
        return ""
    index = f"population stability index {same[-1]['psi']:.2f}"
    if same[-1]["verdict"] == "stable":
        return f"The segments' shares of the customers are as they were ({index})."
    return f"The segments' shares of the customers have changed: {same[-1]['verdict']} ({index})."


def moves(inputs: Inputs, segments: Sequence[Row]) -> Row:
    """The flow through the months, the matrices of the months and of the year, and the drift."""
    whole = inputs.migration[inputs.migration["span"] == "whole"]
    months = inputs.migration[inputs.migration["span"] == "month"]
    marks = {segment["segment_id"]: segment for segment in segments}
    return {
        "from_date": whole["from_date"].iloc[0] if len(whole) else None,
        "to_date": whole["to_date"].iloc[0] if len(whole) else None,
        "flow": _flow(months, marks) if len(months) else None,
        "matrix": _matrix(whole),
        "months": [
            {"from_date": start, "to_date": end, "matrix": _matrix(step)}
            for (start, end), step in months.groupby(["from_date", "to_date"])
        ][::-1],
        "retention": _retention(inputs),
        "drift": _drift(inputs),
    }


def _flow(months: pd.DataFrame, marks: Mapping[int, Row]) -> Any:
    """The segments at each snapshot as columns, and those who went from one to the next."""
    days = sorted({*months["from_date"], *months["to_date"]})[-COLUMNS:]
    months = months[months["from_date"] >= days[0]]
    stops = [
        Stop(int(number), title(name), marks[number]["colour"] if number in marks else REST)
        for number, name in sorted(_names(months).items())
        if number != NEW
    ]
    columns = []
    for day in days:
        came = rows_of(months[months["to_date"] == day])
        columns.append(Column(_short(day), [_flow_of(row) for row in came]))
    leave = months[(months["from_date"] == days[0]) & (months["from_segment_id"] != NEW)]
    return flow_picture(stops, columns, [_flow_of(row) for row in rows_of(leave)])


def _flow_of(row: Row) -> Flow:
    return Flow(
        int(row["from_segment_id"]),
        int(row["to_segment_id"]),
        int(row["customers"]),
        f"{title(row['from_segment'])} → {title(row['to_segment'])} by "
        f"{words.day(row['to_date'])}: {words.count(row['customers'])}, "
        f"{words.share(row['share'])}",
    )


def _short(day: Any) -> str:
    return f"{day:%b}"


def _names(rows: pd.DataFrame) -> dict[int, str]:
    """The name of each segment_id that customers came from or went to."""
    found: dict[int, str] = {}
    for side in ("from", "to"):
        pairs = rows[[f"{side}_segment_id", f"{side}_segment"]].drop_duplicates()
        found |= {int(number): name for number, name in pairs.itertuples(index=False)}
    return found


def _in_order(numbers: Any) -> list[int]:
    """Segments by value; those who were not customers yet stand below the others."""
    return sorted({int(n) for n in numbers}, key=lambda number: (number == NEW, number))


def _matrix(whole: pd.DataFrame) -> Row:
    starts, ends = _in_order(whole["from_segment_id"]), _in_order(whole["to_segment_id"])
    names = {number: title(name) for number, name in _names(whole).items()}
    cells = {(row["from_segment_id"], row["to_segment_id"]): row for row in rows_of(whole)}
    return {
        "ends": [{"segment_id": end, "title": names[end]} for end in ends],
        "rows": [
            {
                "segment_id": start,
                "title": names[start],
                "cells": [
                    {"end": end, "is_same": start == end, "row": cells.get((start, end))}
                    for end in ends
                ],
            }
            for start in starts
        ],
    }


def _retention(inputs: Inputs) -> Row:
    rows = rows_of(inputs.segment_retention)
    dates = sorted({row["to_date"] for row in rows})
    numbers = list(dict.fromkeys(row["segment_id"] for row in rows))
    cells = {(row["segment_id"], row["to_date"]): row for row in rows}
    names = {row["segment_id"]: title(row["segment"]) for row in rows}
    return {
        "dates": [{"day": day, "short": f"{day.day} {day:%b %Y}"} for day in dates],
        "rows": [
            {
                "segment_id": number,
                "title": names[number],
                "cells": [cells.get((number, day)) for day in dates],
            }
            for number in numbers
        ],
    }


def _drift(inputs: Inputs) -> list[Row]:
    """The last snapshot against the one before, and the first against the last, worst first."""
    parts = []
    for reference, which, heading in (
        ("previous", "max", "Since the snapshot before"),
        ("training", "min", "From the first snapshot to the last"),
    ):
        rows = inputs.drift[inputs.drift["reference"] == reference]
        if len(rows):
            day = rows["snapshot_date"].agg(which)
            shown = rows_of(
                rows[rows["snapshot_date"] == day].sort_values(
                    ["psi", "measure"], ascending=[False, True]
                )
            )
            parts.append(
                {
                    "title": heading,
                    "day": day,
                    "reference_day": shown[0]["reference_date"],
                    "rows": shown,
                    "verdict": _in_short(shown),
                }
            )
    return parts


def _in_short(rows: Sequence[Row]) -> str:
    """The verdicts of `rows`, worst first, in a few words."""
    drifted = [row["measure_title"] for row in rows if row["verdict"] != "stable"]
    if not drifted:
        return "nothing has drifted"
    return f"{len(drifted)} of {len(rows)} have drifted, most of all {drifted[0]}"

"""What changed since the last month end: who is new, who moved, and each segment's size."""

from __future__ import annotations

import pandas as pd

from pipeline.render_report.inputs import Inputs
from pipeline.render_report.rows import Row, anchor, rows_of
from pipeline.render_report.sentences import Writer

LARGEST = 8  # moves that are listed


def changes(inputs: Inputs, writer: Writer) -> Row | None:
    """What changed since the last month end; None where there is one snapshot alone."""
    figures = inputs.metrics["profile"].get("changes", {"is_known": False})
    if not figures["is_known"] or inputs.segment_changes.empty:
        return None
    moved = inputs.latest_moves[inputs.latest_moves["direction"].isin(["rose", "fell"])]
    return {
        **figures,
        "news": _news(figures, moved, writer),
        "sizes": [
            row | {"title": writer.language.title(row["segment"]), "text": _size(row, writer)}
            for row in rows_of(inputs.segment_changes)
            if row["customers"] or row["customers_before"]
        ],
        "moves": [
            row
            | {
                "anchor": move_anchor(row["from_segment"], row["to_segment"]),
                "from": writer.language.title(row["from_segment"]),
                "to": writer.language.title(row["to_segment"]),
            }
            for row in _largest(moved)
        ],
    }


def move_anchor(start: str, end: str) -> str:
    """The address of the list of those who went from one segment to another."""
    return f"{anchor(start)}-to-{anchor(end)}"


def _largest(moved: pd.DataFrame, most: int = LARGEST) -> list[Row]:
    keys = ["customers", "from_segment_id", "to_segment_id"]
    return rows_of(moved.sort_values(keys, ascending=[False, True, True]).head(most))


def _news(figures: Row, moved: pd.DataFrame, writer: Writer) -> list[Row]:
    """What changed, in a few sentences, each with the address of its list where it has one."""
    say, title = writer.language, writer.language.title
    counts = {name: writer.style.count(figures[name]) for name in ("new", "fell", "stayed")}
    counts |= {name: say.plural(figures[name], "customer") for name in ("ordered", "rose")}
    news = [{"text": say(f"changes.{key}", **counts)} for key in ("ordered", "moved")]
    for row in _largest(moved[moved["direction"] == "rose"], 1):
        start, end = row["from_segment"], row["to_segment"]
        customers = say.plural(row["customers"], "customer")
        text = say("changes.rose", start=title(start), end=title(end), customers=customers)
        news.append({"text": text, "list": move_anchor(start, end)})
    return news


def _size(row: Row, writer: Writer) -> str:
    """How a segment's size came about, in words."""
    counts = {
        name: row[name] for name in ("newcomers", "rose_in", "fell_in", "rose_out", "fell_out")
    }
    joined = row["newcomers"] + row["rose_in"] + row["fell_in"]
    left = row["rose_out"] + row["fell_out"]
    counts |= {"joined": joined, "left": left}
    told = {name: writer.style.count(value) for name, value in counts.items()}
    return writer.language("changes.size", **told, came=joined + left)

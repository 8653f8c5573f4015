"""What changed since the last month end: who is new, who moved, and each segment's size."""

from __future__ import annotations

import pandas as pd

from pipeline.render_report.inputs import Inputs
from pipeline.render_report.rows import Row, anchor, rows_of
from pipeline.render_report.sentences import Writer

NEW = -1
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
        ],
        "moves": [
            row
            | {
                "anchor": move_anchor(row["from_segment"], row["to_segment"]),
                "from": writer.language.title(row["from_segment"]),
                "to": writer.language.title(row["to_segment"]),
            }
            for row in _largest(moved, "customers")
        ],
    }


def move_anchor(start: str, end: str) -> str:
    """The address of the list of those who went from one segment to another."""
    return f"{anchor(start)}-to-{anchor(end)}"


def _largest(moved: pd.DataFrame, figure: str, most: int = LARGEST) -> list[Row]:
    keys = [figure, "from_segment_id", "to_segment_id"]
    return rows_of(moved.sort_values(keys, ascending=[False, True, True]).head(most))


def _news(figures: Row, moved: pd.DataFrame, writer: Writer) -> list[Row]:
    """What changed, in a few sentences, each with the address of its list where it has one."""
    say, style = writer.language, writer.style
    news = [
        {
            "text": say(
                "changes.ordered",
                customers=say.plural(figures["ordered"], "customer"),
                new=style.count(figures["new"]),
            )
        },
        {
            "text": say(
                "changes.moved",
                rose=say.plural(figures["rose"], "customer"),
                fell=style.count(figures["fell"]),
                stayed=style.count(figures["stayed"]),
            )
        },
    ]
    for direction, figure in (("rose", "customers"), ("fell", "spend")):
        news += [
            {
                "text": say(
                    f"changes.{direction}",
                    start=say.title(row["from_segment"]),
                    end=say.title(row["to_segment"]),
                    customers=say.plural(row["customers"], "customer"),
                    spend=writer.money(row["spend"]),
                ),
                "list": move_anchor(row["from_segment"], row["to_segment"]),
            }
            for row in _largest(moved[moved["direction"] == direction], figure, 1)
        ]
    return news


def _size(row: Row, writer: Writer) -> str:
    """How a segment's size came about, in words."""
    style = writer.style
    joined = row["newcomers"] + row["rose_in"] + row["fell_in"]
    left = row["rose_out"] + row["fell_out"]
    return writer.language(
        "changes.size",
        joined=style.count(joined), new=style.count(row["newcomers"]),
        rose_in=style.count(row["rose_in"]), fell_in=style.count(row["fell_in"]),
        left=style.count(left), rose_out=style.count(row["rose_out"]),
        fell_out=style.count(row["fell_out"]), came=joined + left,
    )  # fmt: skip

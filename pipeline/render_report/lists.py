"""The customers behind every name: for the page compact, for a mailing tool as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from pipeline.core.text.spreadsheet import safe_csv
from pipeline.core.text.words import SPACE
from pipeline.render_report.changes import move_anchor
from pipeline.render_report.inputs import Inputs
from pipeline.render_report.rows import Row, rows_of
from pipeline.render_report.sentences import Writer

MAILING_LIST_COLUMNS = (
    "customer_id", "segment", "previous_segment", "segment_since", "months_in_segment", "moved_by",
    "recency_days", "frequency", "monetary", "recency_score", "frequency_score", "monetary_score",
    "top_category", "next_best_category", "next_products", "buying_probability", "expected_spend",
    "expected_spend_low", "expected_spend_high", "expected_spend_year", "next_order_from",
    "next_order_until", "play", "suggested_action", "margin", "cost_known_share",
    "full_price_share", "buys_on_promotion", "held_out_of",
)  # fmt: skip
COLUMN_OF = {
    "segment_since": "since", "top_category": "top_category_title",
    "next_best_category": "next_category_title",
}  # fmt: skip


def mailing_list(customers: pd.DataFrame, writer: Writer) -> str:
    """The last snapshot as CSV for a mailing tool, safe to open in a spreadsheet."""
    return safe_csv(
        MAILING_LIST_COLUMNS,
        (
            [_cell(name, row, writer) for name in MAILING_LIST_COLUMNS]
            for row in rows_of(customers.sort_values("customer_id"))
        ),
    )


def _cell(name: str, row: Row, writer: Writer) -> Any:
    value = row.get(COLUMN_OF.get(name, name))
    if name == "suggested_action":
        return writer.customer_action(row).replace(SPACE, " ")
    if name == "recency_days":
        return _whole(value)
    if name == "monetary":
        return f"{value:.2f}"
    return round(value, 2) if isinstance(value, float) else value


def lists(inputs: Inputs, segments: Sequence[Row], writer: Writer, most: int) -> Row:
    """The customers that the page holds, column by column, and the lists that they make up.

    Texts that many share stand once, in `words`. Where the shop has more than `most` customers,
    those of whom most is expected (or who spent most) are on the page.
    """
    customers = inputs.customer_forecasts
    worth = customers["expected_spend"].fillna(customers["monetary"].astype("float64"))
    order = customers.assign(worth=worth.astype("float64")).sort_values(
        ["worth", "customer_id"], ascending=[False, True]
    )
    held = rows_of(order.head(most))
    known, plays = {"": 0}, {s["segment_id"]: s["play"] for s in segments}

    def words(text: str | None) -> int:
        """The text's number; what is missing is 0."""
        return known.setdefault(text or "", len(known))

    days = sorted(inputs.segments["snapshot_date"].unique())
    months = sorted(inputs.customer_months["month"].unique())
    past = _past(inputs.segments, [row["customer_id"] for row in held], days)
    spent = _spent(inputs.customer_months, {row["customer_id"] for row in held}, months)
    return {
        "is_whole": len(held) == len(customers),
        "held": len(held),
        "all": len(customers),
        "moves": _moves(inputs, writer),
        "data": {
            "all": len(customers),
            "id": [row["customer_id"] for row in held],
            "segment": [row["segment_id"] for row in held],
            "before": [words(row["segment_before"]) for row in held],
            "previous": [words(row["previous_segment"]) for row in held],
            "since": [days.index(row["since"]) for row in held],
            "reason": [words(_reason(row, days, writer)) for row in held],
            "recency": [_whole(row["recency_days"]) for row in held],
            "tenure": [_whole(row["tenure_days"]) for row in held],
            "orders": [row["frequency"] for row in held],
            "spend": [round(float(row["monetary"]), 2) for row in held],
            "chance": [_rounded(row["buying_probability"], 3) for row in held],
            "forecast": [_rounded(row["expected_spend"]) for row in held],
            "country": [words(row["country"]) for row in held],
            "top": [words(row["top_category_title"]) for row in held],
            "offer": [words(row["offer_category_title"]) for row in held],
            "next": [words(row["next_category_title"]) for row in held],
            "own": [int(row["play"] != plays[row["segment_id"]]) for row in held],
            "action": [words(writer.customer_words(row)[0]) for row in held],
            "past": past,
            "months": [spent.get(row["customer_id"], []) for row in held],
            "words": list(known),
            "names": {
                name: writer.language.title(name)
                for name in sorted(inputs.segments["segment"].unique())
            },
            "days": [writer.style.date(day) for day in days],
            "monthNames": [writer.style.month(month) for month in months],
            "segments": {
                s["segment_id"]: {"title": s["title"], "colour": s["colour"], "shape": s["shape"]}
                for s in segments
            },
        },
    }


def _moves(inputs: Inputs, writer: Writer) -> list[Row]:
    """The lists of those who rose or fell since the day compared with, largest first."""
    moved = inputs.latest_moves[inputs.latest_moves["direction"].isin(["rose", "fell", "new"])]
    ordered = moved.sort_values(
        ["customers", "from_segment_id", "to_segment_id"], ascending=[False, True, True]
    )
    return [
        {
            "anchor": move_anchor(row["from_segment"], row["to_segment"]),
            "title": writer.language(
                "lists.move",
                start=writer.language.title(row["from_segment"]),
                end=writer.language.title(row["to_segment"]),
            ),
            "from": "" if row["direction"] == "new" else row["from_segment"],
            "to": row["to_segment_id"],
            "customers": row["customers"],
        }
        for row in rows_of(ordered)
    ]


def _reason(row: Row, days: Sequence[Any], writer: Writer) -> str:
    """Why the customer is in another segment than at the snapshot before; empty where not."""
    if row["moved_by"]:
        return writer.language(f"lists.{row['moved_by']}")
    return writer.language("lists.first") if row["since"] == days[-1] else ""


def _past(segments: pd.DataFrame, held: Sequence[str], days: Sequence[Any]) -> list[list[int]]:
    """The segment of each customer at each snapshot; −1 before the first order."""
    wide = segments.pivot_table("segment_id", "customer_id", "snapshot_date")
    known = wide.reindex(index=list(held), columns=list(days)).fillna(-1).astype(int)
    rows: list[list[int]] = known.to_numpy().tolist()
    return rows


def _spent(months: pd.DataFrame, held: set[str], every: Sequence[Any]) -> dict[str, list[int]]:
    """Of each customer the months with an order: number, spend, number, spend and so on."""
    place = {month: number for number, month in enumerate(every)}
    found: dict[str, list[int]] = {}
    for row in months[months["customer_id"].isin(held)].itertuples():
        found.setdefault(str(row.customer_id), []).extend(
            (place[row.month], round(float(str(row.spend))))
        )
    return found


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _rounded(value: Any, digits: int = 2) -> float | None:
    return None if value is None else round(float(value), digits)

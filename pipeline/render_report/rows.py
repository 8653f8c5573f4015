"""Frames as plain rows, and the segments that the whole page speaks of."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

import pandas as pd

from pipeline.core.text.words import is_missing
from pipeline.render_report.language import Language
from pipeline.render_report.marks import mark_of

Row = dict[str, Any]


def rows_of(frame: pd.DataFrame) -> list[Row]:
    """Return one dict per row; what is missing is None."""
    return [
        {str(k): None if is_missing(v) else v for k, v in row.items()}
        for row in frame.to_dict("records")
    ]


def segments_of(profiles: pd.DataFrame, language: Language) -> list[Row]:
    """Return the rows of `profiles`, each with its mark, title and the address of its section."""
    return [
        row
        | {
            **asdict(mark_of(row["segment_id"])),
            "anchor": anchor(row["segment"]),
            "title": language.title(row["segment"]),
        }
        for row in rows_of(profiles)
    ]


def anchor(name: str) -> str:
    """A segment's name as an address that lasts: near-champions."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "segment"


def of_segment(frame: pd.DataFrame, segment_id: int) -> list[Row]:
    """Return the rows of one segment."""
    return rows_of(frame[frame["segment_id"] == segment_id])

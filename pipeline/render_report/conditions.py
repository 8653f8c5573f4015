"""Conditions in words: what a segment asks of a customer, what a gate asks of a candidate."""

from __future__ import annotations

import re
from typing import Any

from pipeline.render_report.language import Language
from pipeline.render_report.sentences import Writer

BOUNDS = {">=": "least", ">": "above", "<=": "most", "<": "below", "=": "equal"}
BOUND = r"(<=|>=|<|>|=)\s*(\d+(?:\.\d+)?)"
PART = re.compile(rf"(\w+) ({BOUND}(?: and {BOUND})?)")
GATE = re.compile(r"(\w+) ([\d.]+)(?: - ([\d.]+))? ([<>]) ([\d.]+)")
MONEY = {"monetary", "average_order_value"}
WHOLE = {"recency_days", "tenure_days", "frequency", "distinct_products"}
SHARES = {"smallest_share", "same_stage", "rises_by_ageing"}


def condition_in_words(text: str, writer: Writer) -> str:
    """`recency_days <= 60, frequency >= 4 or frequency = 0` in words; what is none stays."""
    ways = [[PART.fullmatch(part) for part in way.split(", ")] for way in text.split(" or ")]
    if not text or not all(part for way in ways for part in way):
        return text
    return writer.language("conditions.or").join(
        both(writer.language, [_part(found, writer) for found in way if found]) for way in ways
    )


def both(say: Language, texts: list[str]) -> str:
    """The texts as a list: a, b and c."""
    *most, last = texts
    return say("said.and", most=", ".join(most), last=last) if most else last


def _part(found: re.Match[str], writer: Writer) -> str:
    say, column = writer.language, found[1]
    bounds: dict[str, Any] = {}
    for sign, value in re.findall(BOUND, found[2]):
        bound, step = float(value), {">": 1, "<": -1}.get(sign, 0)
        is_next = column in WHOLE and step != 0 and bound.is_integer()  # 91 to 180, not 90 to 180
        kind = BOUNDS[f"{sign}=" if is_next else sign]
        bounds[kind] = _written(column, bound + step * is_next, writer)
    if column in WHOLE and bounds.get("least") == bounds.get("most", ""):
        bounds = {"equal": bounds["most"]}
    if column == "rank" and "most" not in bounds:
        bounds["rest"] = writer.style.share(1 - float(found[4]))
    key = column if column in say.texts["conditions"] else "other"
    name = say.terms.get(f"feature {column}", column.replace("_", " "))
    return say(f"conditions.{key}", name=name, range=say("conditions.range", **bounds), **bounds)


def _written(column: str, value: float, writer: Writer) -> str:
    if column == "rank":
        return writer.style.share(value)
    if column in MONEY:
        return writer.style.money_exact(value, writer.currency, 0 if value.is_integer() else 2)
    return writer.style.number(value)


def gates_in_words(text: str, writer: Writer) -> str:
    """`jaccard 0.700 - 0.020 < 0.75; segments 9 > 8` in words; what is none stays."""
    return "; ".join(_gate(each, writer) for each in text.split("; "))


def _gate(text: str, writer: Writer) -> str:
    if not (found := GATE.fullmatch(text)):
        return text
    figure, value, error, sign, limit = found.groups()
    write = writer.style.share if figure in SHARES else writer.style.number
    figures = {"value": value, "error": error, "limit": limit}
    told = {name: each and write(float(each)) for name, each in figures.items()}
    return writer.language(f"gates.{figure}", sign=sign, **told)

"""A shop's own segments, declared by conditions over the customers' columns.

Every customer must fit exactly one: gaps and overlaps are found before anything runs, because a
condition only cuts a column at the values that it names.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from pipeline.core.model.clusterings import BEYOND, RFM_GROUPS, Boxes, Clustering, RfmRules
from pipeline.core.model.definition import Segment
from pipeline.core.model.transforms import MONEY
from pipeline.core.run.errors import InputError
from pipeline.core.run.params import StageParams, parse_params
from pipeline.core.run.yaml_text import read_yaml

CONDITION = re.compile(r"(<=|>=|<|>|=)\s*(\d+(?:\.\d+)?)")
RFM = ("recency_days", "frequency", "monetary")

Cuts = tuple[float, float, float, float]


class OwnSegment(StageParams):
    """One segment: the play that it follows, and any of which conditions its members meet."""

    play: str
    when: tuple[dict[str, str], ...] = Field(min_length=1)


class CutPoints(StageParams):
    """Where the scores 2 to 5 begin, from the least value up; few days of recency score high."""

    recency_days: Cuts
    frequency: Cuts
    monetary: Cuts


class Declared(StageParams):
    """The file: own segments by their names, or fixed cut points of the RFM groups."""

    segments: dict[str, OwnSegment] = Field(default_factory=dict)
    rfm_cut_points: CutPoints | None = None


@dataclass(frozen=True)
class Own:
    """What a file declares: a clustering of these columns, and the segment of each cluster."""

    columns: tuple[str, ...]
    clustering: Clustering
    segments: list[Segment]


def read_own_rules(path: Path, unit: float) -> Own:
    """Return what a file declares, with money in `unit`.

    Raises InputError where a condition cannot be read, or a customer could fit none or two.
    """
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise InputError(f"params.yaml: select.own_rules: {path} is missing") from None
    declared = parse_params("own_rules", Declared, content, path)
    if declared.rfm_cut_points is not None:
        cuts = declared.rfm_cut_points.model_dump()
        scaled = [np.array(cuts[c]) / (unit if c in MONEY else 1.0) for c in RFM]
        return Own(
            RFM, RfmRules(np.array(scaled)), [Segment(g, n) for n, g in enumerate(RFM_GROUPS)]
        )
    columns = tuple(
        dict.fromkeys(c for s in declared.segments.values() for box in s.when for c in box)
    )
    segments, boxes, cluster = [], [], []
    for number, (name, segment) in enumerate(declared.segments.items()):
        words = " or ".join(", ".join(f"{c} {t}" for c, t in box.items()) for box in segment.when)
        segments.append(Segment(segment.play, number, condition=words, name=name))
        for box in segment.when:
            where = f"{path}: segments.{name}"
            boxes.append([_interval(box.get(c, ""), c, where, unit) for c in columns])
            cluster.append(number)
    if not segments:
        raise InputError(f"{path}: declare segments or rfm_cut_points")
    rules = Boxes(np.array(boxes), np.array(cluster), np.zeros((len(boxes), len(columns))))
    _check(rules, [segment.name for segment in segments], columns, path, unit)
    return Own(columns, rules, segments)


def _interval(text: str, column: str, where: str, unit: float) -> tuple[float, float]:
    """The values from the first up to below the second."""
    low, high = -1.0, BEYOND
    for part in filter(None, (p.strip() for p in text.split(" and "))):
        found = CONDITION.fullmatch(part)
        if found is None:
            raise InputError(
                f"{where}: {column}: {part!r} is no condition; such as '>= 90', '< 180' or "
                "'>= 90 and < 180'"
            )
        sign, value = found[1], float(found[2]) / (unit if column in MONEY else 1.0)
        after = float(np.nextafter(value, np.inf))
        if sign in (">=", ">", "="):
            low = max(low, after if sign == ">" else value)
        if sign in ("<=", "<", "="):
            high = min(high, value if sign == "<" else after)
    return low, high


def _check(
    rules: Boxes, names: list[str], columns: tuple[str, ...], path: Path, unit: float
) -> None:
    """Raise InputError with a customer who would fit none of the segments, or two."""
    values = []
    for number in range(len(columns)):
        edges = np.unique(rules.boxes[:, number])
        inner = edges[(edges >= 0) & (edges < BEYOND)]
        values.append(np.unique(np.concatenate([[0.0], inner])))
    for figures in itertools.product(*values):
        inside = rules.fits(np.array([figures]))[0]
        fitting = [names[n] for n in np.unique(rules.cluster[inside])]
        if len(fitting) != 1:
            shown = ", ".join(
                f"{c} {v * (unit if c in MONEY else 1.0):.6g}"
                for c, v in zip(columns, figures, strict=True)
            )
            what = " and ".join(fitting) if fitting else "no segment"
            raise InputError(f"{path}: a customer with {shown} fits {what}; it must be exactly one")

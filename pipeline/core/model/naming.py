"""Names of segments: one rule table over recency, frequency and monetary, kept in playbook.yaml.

A segment's level in a dimension says where its median stands among all customers who kept
anything: low, mid or high, by its mid-rank. Recency moves by itself from day to day, so a segment
is called late or early only if most of its members are; else it is mid. The 27 cells of levels
belong to rules, each cell to exactly one; a rule has its names in order, so that two segments of
one rule are still told apart.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from pipeline.core.run.errors import InputError
from pipeline.core.run.params import StageParams, parse_params
from pipeline.core.run.yaml_text import YAMLError, load_yaml

PLAYBOOK = Path(__file__).parents[2] / "settings" / "playbook.yaml"
DIMENSIONS = ("recency", "frequency", "monetary")
LEVELS = ("low", "mid", "high")

Level = Literal["low", "mid", "high"]
Cell = tuple[str, str, str]


class Thresholds(StageParams):
    """Where low ends and high begins, as a standing among all customers from 0 to 1."""

    low_below: float = Field(gt=0, lt=1)
    high_from: float = Field(gt=0, lt=1)
    recency_shared_by: float = Field(gt=0, le=1)


class Box(StageParams):
    """The cells of a block of levels: every combination of those that it lists."""

    recency: tuple[Level, ...] = Field(min_length=1)
    frequency: tuple[Level, ...] = Field(min_length=1)
    monetary: tuple[Level, ...] = Field(min_length=1)

    def cells(self) -> Iterator[Cell]:
        """Each cell once."""
        yield from itertools.product(self.recency, self.frequency, self.monetary)


class Strategy(StageParams):
    """What to do, as sentences with {figures}; after " | " stands what to say without them."""

    action: str
    for_customer: tuple[str, ...] = Field(min_length=1)
    goal: tuple[str, ...] = Field(min_length=1)
    offer: tuple[str, ...] = Field(min_length=1)
    channel: tuple[str, ...] = Field(min_length=1)
    cadence: tuple[str, ...] = Field(min_length=1)
    cost_class: Literal["none", "low", "medium", "high"]
    kpi: tuple[str, ...] = Field(min_length=1)
    do_not: tuple[str, ...] = Field(min_length=1)


class Change(StageParams):
    """What a segment of this name does otherwise than its rule says."""

    action: str | None = None
    goal: tuple[str, ...] = ()
    offer: tuple[str, ...] = ()
    channel: tuple[str, ...] = ()
    cadence: tuple[str, ...] = ()
    kpi: tuple[str, ...] = ()
    do_not: tuple[str, ...] = ()


class Rule(StageParams):
    """Which segments a play is for, what they are called, and what to do."""

    names: tuple[str, ...] = Field(min_length=1)
    about: str
    when: tuple[Box, ...] = ()
    strategy: Strategy
    otherwise: dict[str, Change] = Field(default_factory=dict)

    def strategy_of(self, name: str) -> Strategy:
        """The strategy for the segment of this name."""
        change = self.otherwise.get(name, Change())
        return self.strategy.model_copy(
            update={key: value for key, value in change.model_dump().items() if value}
        )


class Playbook(StageParams):
    """Names and strategies of a shop."""

    levels: Thresholds
    cost_classes: dict[str, str]
    rules: dict[str, Rule]
    groups: dict[str, Rule]

    @property
    def plays(self) -> dict[str, Rule]:
        """Every rule and group by its key."""
        return {**self.rules, **self.groups}


def read_playbook(path: Path = PLAYBOOK) -> Playbook:
    """Return the playbook at `path`.

    Raises InputError where it is no YAML, has unknown or missing keys, where a cell of levels
    belongs to no rule or to two, or where two plays share a name.
    """
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise InputError(f"{path.name} is not valid YAML: {error}") from None
    playbook = parse_params("playbook", Playbook, content, Path(path.name))
    problems = [*_cell_problems(playbook.rules), *_name_problems(playbook.plays)]
    if playbook.levels.low_below >= playbook.levels.high_from:
        problems.append("levels.low_below must be less than levels.high_from")
    if problems:
        raise InputError("\n".join(f"{path.name}: {problem}" for problem in problems))
    return playbook


def rule_of_cell(playbook: Playbook) -> dict[Cell, str]:
    """The rule's key for each of the 27 cells (recency, frequency, monetary)."""
    return {
        cell: key
        for key, rule in playbook.rules.items()
        for box in rule.when
        for cell in box.cells()
    }


def name_segments(
    segments: pd.DataFrame,
    customers: pd.DataFrame,
    playbook: Playbook,
    members: pd.Series[int] | None = None,
) -> pd.DataFrame:
    """Return `segments` with `<dimension>_level` (3 columns), `play` and the unique `segment`.

    `segments` has segment_id, group (a declared group's key, empty where the model decides) and
    the members' medians recency_days, frequency, monetary; `customers` are the rows to stand
    among, all of one snapshot. Within a rule the most valuable segment (least segment_id) takes
    the first name, the next the second; beyond the list names are numbered.
    """
    named = segments.copy()
    for dimension, levels in segment_levels(segments, customers, playbook.levels).items():
        named[f"{dimension}_level"] = levels
    if members is not None:
        share = _share_of_recency(named, customers, members, playbook.levels)
        is_shared = share >= playbook.levels.recency_shared_by
        named["recency_level"] = named["recency_level"].where(is_shared, "mid")
    cells = rule_of_cell(playbook)
    columns = [named[f"{dimension}_level"] for dimension in DIMENSIONS]
    named["play"] = [
        group if group in playbook.groups else cells[cell]
        for group, *cell_parts in zip(named["group"], *columns, strict=True)
        if (cell := _cell(cell_parts))
    ]
    ranks = named["segment_id"].groupby(named["play"]).rank(method="first").astype(int)
    named["segment"] = [
        _nth_name(playbook.plays[play].names, rank)
        for play, rank in zip(named["play"], ranks, strict=True)
    ]
    return named


def segment_levels(
    segments: pd.DataFrame, customers: pd.DataFrame, thresholds: Thresholds
) -> Mapping[str, list[str]]:
    """The level of each segment's median in each dimension; high recency = bought lately.

    A segment without a median (nobody kept anything) is low.
    """
    kept = customers[customers["frequency"] > 0]
    found = {}
    for dimension, column, sign in (
        ("recency", "recency_days", -1.0),
        ("frequency", "frequency", 1.0),
        ("monetary", "monetary", 1.0),
    ):
        shop = sign * kept[column].to_numpy(dtype=float)
        medians = sign * segments[column].to_numpy(dtype=float)
        found[dimension] = [_level(value, thresholds) for value in standing(medians, shop)]
    return found


def own_plays(
    customers: pd.DataFrame, segment_plays: Sequence[str], playbook: Playbook, shop: pd.DataFrame
) -> list[str]:
    """The play for each customer: the segment's, but their own cell's where recency contradicts it.

    Who ordered last week is not to be treated as asleep because the spend is that of those who
    are, nor who has been silent for a year as a champion. Declared groups keep their play. `shop`
    are the customers to stand among, all of one snapshot.
    """
    levels = segment_levels(customers, shop, playbook.levels)
    cells = rule_of_cell(playbook)
    recency_of = {
        play: {box_level for box in rule.when for box_level in box.recency}
        for play, rule in playbook.rules.items()
    }
    found = []
    for play, *parts in zip(segment_plays, *(levels[d] for d in DIMENSIONS), strict=True):
        usual = recency_of.get(play, set(LEVELS))
        is_contrary = (parts[0] == "high" and "high" not in usual) or (
            parts[0] == "low" and "low" not in usual and "high" in usual
        )
        found.append(cells[_cell(parts)] if is_contrary else play)
    return found


def standing(values: NDArray[np.float64], shop: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mid-rank of each value among the shop's, 0 to 1: the share below and half of the equal.

    A missing value stands at 0; in an empty shop everything stands in the middle.
    """
    if len(shop) == 0:
        return np.full(len(values), 0.5)
    ordered = np.sort(shop)
    below = np.searchsorted(ordered, values, side="left")
    upto = np.searchsorted(ordered, values, side="right")
    return np.where(np.isnan(values), 0.0, (below + upto) / (2 * len(ordered)))


def _share_of_recency(
    named: pd.DataFrame, customers: pd.DataFrame, members: pd.Series[int], thresholds: Thresholds
) -> pd.Series[float]:
    """The share of each segment's members who have its level of recency; 1 where it has none."""
    own = pd.Series(segment_levels(customers, customers, thresholds)["recency"])
    level_of = named.set_index("segment_id")["recency_level"]
    is_same = (own == level_of.reindex(members).reset_index(drop=True)).astype("float64")
    shares = is_same.groupby(members.reset_index(drop=True)).mean()
    return shares.reindex(named["segment_id"]).fillna(1.0).set_axis(named.index)


def _level(value: float, thresholds: Thresholds) -> str:
    if value < thresholds.low_below:
        return "low"
    return "high" if value >= thresholds.high_from else "mid"


def _cell(parts: list[Any]) -> Cell:
    recency, frequency, monetary = parts
    return recency, frequency, monetary


def _nth_name(names: tuple[str, ...], rank: int) -> str:
    return names[rank - 1] if rank <= len(names) else f"{names[0]} {rank}"


def _cell_problems(rules: Mapping[str, Rule]) -> Iterator[str]:
    for cell in itertools.product(LEVELS, repeat=3):
        owners = [
            key for key, rule in rules.items() for box in rule.when if cell in set(box.cells())
        ]
        if len(owners) == 1:
            continue
        where = ", ".join(f"{d} {level}" for d, level in zip(DIMENSIONS, cell, strict=True))
        found = f"belongs to {' and to '.join(owners)}" if owners else "belongs to no rule"
        yield f"the cell {where} {found}; give it to exactly one rule under rules.*.when"


def _name_problems(plays: Mapping[str, Rule]) -> Iterator[str]:
    owner: dict[str, str] = {}
    for key, rule in plays.items():
        for name in rule.names:
            if name in owner:
                yield f"the name {name!r} stands in {owner[name]} and in {key}; names are unique"
            owner[name] = key
        for name in set(rule.otherwise) - set(rule.names):
            yield f"{key}.otherwise: {name!r} is none of its names ({', '.join(rule.names)})"

"""Names and plays of segments, kept in playbook.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.core.model.grid import NAMES
from pipeline.core.model.groups import KEPT_NOTHING, WHOLESALE
from pipeline.core.run.errors import InputError
from pipeline.core.run.params import StageParams, parse_params
from pipeline.core.run.yaml_text import YAMLError, load_yaml

PLAYBOOK = Path(__file__).parents[2] / "settings" / "playbook.yaml"
# What is called in the groups of two shop systems, the nearest where they have none.
KLAVIYO = {
    "champions": "Champions",
    "loyal": "Loyal",
    "potential_loyalists": "Recent",
    "promising": "Recent",
    "new": "Recent",
    "need_attention": "Needs Attention",
    "about_to_sleep": "Needs Attention",
    "cannot_lose": "At Risk",
    "at_risk": "At Risk",
    "hibernating": "Inactive",
    "lost": "Inactive",
}
SHOPIFY = {
    "champions": "Champions",
    "loyal": "Loyal",
    "potential_loyalists": "Active",
    "promising": "Promising",
    "new": "New",
    "need_attention": "Needs attention",
    "about_to_sleep": "Almost lost",
    "cannot_lose": "Previously loyal",
    "at_risk": "At risk",
    "hibernating": "Dormant",
    "lost": "Dormant",
}


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
    """What a play's segments are called, and what to do."""

    names: tuple[str, ...] = Field(min_length=1)
    about: str
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

    cost_classes: dict[str, str]
    rules: dict[str, Rule]
    groups: dict[str, Rule]

    @property
    def plays(self) -> dict[str, Rule]:
        """Every rule and group by its key."""
        return {**self.rules, **self.groups}


def read_playbook(path: Path = PLAYBOOK) -> Playbook:
    """Return the playbook at `path`.

    Raises InputError where it is no YAML, has unknown or missing keys, lacks a play that segments
    are named by, or where two plays share a name.
    """
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise InputError(f"{path.name} is not valid YAML: {error}") from None
    playbook = parse_params("playbook", Playbook, content, Path(path.name))
    problems = list(_name_problems(playbook.plays))
    for where, there, wanted in (
        ("rules", playbook.rules, NAMES[max(NAMES)]),
        ("groups", playbook.groups, (WHOLESALE, KEPT_NOTHING)),
    ):
        problems += [f"{where}.{key} is missing" for key in wanted if key not in there]
    if problems:
        raise InputError("\n".join(f"{path.name}: {problem}" for problem in problems))
    return playbook


def _name_problems(plays: Mapping[str, Rule]) -> Iterator[str]:
    owner: dict[str, str] = {}
    for key, rule in plays.items():
        for name in rule.names:
            if name in owner:
                yield f"the name {name!r} stands in {owner[name]} and in {key}; names are unique"
            owner[name] = key
        for name in set(rule.otherwise) - set(rule.names):
            yield f"{key}.otherwise: {name!r} is none of its names ({', '.join(rule.names)})"

"""Names and plays of segments, kept in playbook.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.core.model.grid import NAMES
from pipeline.core.model.groups import RETURNED_EVERYTHING, WHOLESALE
from pipeline.core.run.errors import InputError
from pipeline.core.run.params import StageParams, parse_params
from pipeline.core.run.yaml_text import read_yaml

PLAYBOOK = Path(__file__).parents[2] / "settings" / "playbook.yaml"


class Rule(StageParams):
    """What a play's segments are called, here and elsewhere, what a contact costs, what is tested.

    Its sentences are in pipeline/settings/words, in every language of the report.
    """

    names: tuple[str, ...] = Field(min_length=1)
    cost_class: Literal["none", "low", "medium", "high"]
    test: Literal["buyers", "spend", "none"]
    test_of: dict[str, Literal["buyers", "spend", "none"]] = Field(default_factory=dict)
    elsewhere: dict[Literal["klaviyo", "shopify"], str] = Field(default_factory=dict)


class Playbook(StageParams):
    """Names and plays of a shop."""

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
    playbook = parse_params("playbook", Playbook, read_yaml(path), Path(path.name))
    problems = list(_name_problems(playbook.plays))
    for where, there, wanted in (
        ("rules", playbook.rules, NAMES[max(NAMES)]),
        ("groups", playbook.groups, (WHOLESALE, RETURNED_EVERYTHING)),
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
        for name in set(rule.test_of) - set(rule.names):
            yield f"{key}.test_of: {name!r} is none of its names ({', '.join(rule.names)})"

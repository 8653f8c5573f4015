"""The words of a language: labels, sentences with the conditions under which they are true.

A sentence is a text with {figures}, a mapping of `say` and its guards (`needs`: conditions that
must hold; `contradicts`: conditions that must not), or a list of such: the first that holds and
whose figures are known is said. A condition is `figure < 3`, `figure >= other_figure` or
`figure == word`; about a figure that is not known none holds.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from pipeline.core.run.errors import InputError
from pipeline.core.run.params import StageParams, parse_params
from pipeline.core.run.yaml_text import read_yaml
from pipeline.core.text.words import SPACE, Style, is_missing

WORDS = Path(__file__).parents[1] / "settings" / "words"
PLACEHOLDER = re.compile(r"\{(\w+)\}")
CONDITION = re.compile(r"(\w+) (<=|>=|==|!=|<|>) (\S+)")
OPERATORS = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
FIELDS = ("about", "goal", "offer", "channel", "cadence", "kpi", "do_not")


class Alternative(BaseModel):
    """A text and what must and what must not be so for it to be said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    say: str
    needs: tuple[str, ...] = ()
    contradicts: tuple[str, ...] = ()

    def holds(self, figures: Mapping[str, Any]) -> bool:
        """Whether every figure is known and every guard lets it be said."""
        return (
            all(not is_missing(figures.get(name)) for name in PLACEHOLDER.findall(self.say))
            and all(holds(condition, figures) for condition in self.needs)
            and not any(holds(condition, figures) for condition in self.contradicts)
        )


def holds(condition: str, figures: Mapping[str, Any]) -> bool:
    """Whether a condition is true of the figures; what is not known is not true."""
    if not (found := CONDITION.fullmatch(condition)):
        raise InputError(f"words: {condition!r} is no condition such as: orders >= 3")
    name, sign, other = found.groups()
    value, limit = figures.get(name), figures.get(other, other)
    if is_missing(value) or is_missing(limit):
        return False
    if isinstance(value, str):
        return bool(OPERATORS[sign](value, str(limit)))
    try:
        return bool(OPERATORS[sign](float(str(value)), float(str(limit))))
    except ValueError:
        return False  # a figure of this shop that is not known


def _alternatives(value: Any) -> Any:
    many = value if isinstance(value, list) else [value]
    return [{"say": each} if isinstance(each, str) else each for each in many]


Sentence = Annotated[tuple[Alternative, ...], BeforeValidator(_alternatives)]


class Play(StageParams):
    """What to do for a segment: each field is a list of sentences, put together."""

    action: str
    about: tuple[Sentence, ...] = ()
    for_customer: tuple[Sentence, ...] = ()
    goal: tuple[Sentence, ...] = ()
    offer: tuple[Sentence, ...] = ()
    channel: tuple[Sentence, ...] = ()
    cadence: tuple[Sentence, ...] = ()
    kpi: tuple[Sentence, ...] = ()
    do_not: tuple[Sentence, ...] = ()
    otherwise: dict[str, Play] = Field(default_factory=dict)

    def of(self, segment: str) -> Play:
        """The play for the segment of this name."""
        change = self.otherwise.get(segment)
        fields = {} if change is None else {k: v for k, v in dict(change).items() if v}
        return self.model_copy(update=fields)


class Language(StageParams):
    """A file of pipeline/settings/words."""

    language: str
    style: Style
    names: dict[str, str]
    cost_classes: dict[str, str]
    texts: dict[str, dict[str, Sentence]]
    terms: dict[str, str]
    plays: dict[str, Play]

    def __call__(self, key: str, **figures: Any) -> str:
        """The text of this key with the figures in it: `n` chooses between one and many."""
        section, _, name = key.partition(".")
        for alternative in self.texts[section][name]:
            if alternative.holds(figures):
                return alternative.say.format(**figures)
        return ""

    def play(self, key: str, segment: str = "") -> Play:
        """The words of a play for the segment of this name; InputError where there are none."""
        if key not in self.plays:
            raise InputError(
                f"pipeline/settings/words/{self.language}.yaml: plays: {key} of playbook.yaml has "
                "no words"
            )
        return self.plays[key].of(segment)

    def title(self, segment: str) -> str:
        """A segment's name as the page writes it."""
        name = self.names.get(segment, segment)
        return name[:1].upper() + name[1:]

    def plural(self, value: Any, noun: str) -> str:
        """A count with its noun, of the terms such as `n customer: customer|customers`."""
        one, _, many = self.terms[f"n {noun}"].partition("|")
        return f"{self.style.count(value)}{SPACE}{one if value == 1 else many}"


def read_language(name: str, folder: Path = WORDS) -> Language:
    """Return the words of a language; InputError where they are not there or not whole."""
    path = folder / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        raise InputError(f"params.yaml: report.language: {name!r}: there are {known} in {folder}")
    return parse_params("words", Language, read_yaml(path), Path(path.name))


def said(sentences: Sequence[Sentence], figures: Mapping[str, Any]) -> Iterator[Alternative]:
    """Yield of each sentence the first alternative that holds."""
    for sentence in sentences:
        yield from [each for each in sentence if each.holds(figures)][:1]

"""A taxonomy: the categories that a shop sorts its goods into, and the words that name them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.core.run.errors import InputError
from pipeline.core.run.yaml_text import YAMLError, load_yaml

BUILT_IN = Path(__file__).parents[1] / "settings" / "taxonomies"

Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]  # becomes a part of column names


class Category(BaseModel):
    """One category: what people read, and the words and phrases that lead to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    about: str
    always: tuple[str, ...] = ()
    seeds: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


class Taxonomy(BaseModel):
    """The categories by their keys; `rest` takes what nothing is known about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    rest: Key
    categories: dict[Key, Category] = Field(min_length=2)
    spellings: dict[str, str] = {}
    themes: tuple[str, ...] = ()

    def phrases(self) -> Iterator[tuple[str, str, str]]:
        """Every phrase of the file as (kind, category, phrase)."""
        for key, category in self.categories.items():
            for kind in ("always", "seeds", "hints"):
                for phrase in getattr(category, kind):
                    yield kind, key, phrase


def find_taxonomy(name: str) -> Path:
    """The file that `categorize.taxonomy` means: one that ships with the project, or a path."""
    built_in = BUILT_IN / f"{name}.yaml"
    if re.fullmatch(r"[a-z0-9_]+", name) and built_in.exists():
        return built_in
    if not Path(name).exists():
        shipped = ", ".join(sorted(file.stem for file in BUILT_IN.glob("*.yaml")))
        raise InputError(
            f"params.yaml: categorize.taxonomy: {name!r} is neither a file nor one of the "
            f"taxonomies that ship with the project ({shipped})"
        )
    return Path(name)


def read_taxonomy(path: Path) -> Taxonomy:
    """Return the taxonomy in the YAML file at `path`.

    Raises InputError that names the file, the place in it and the remedy.
    """
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {error}") from None
    return parse_taxonomy(content, path)


def parse_taxonomy(content: Any, path: Path) -> Taxonomy:
    """Return `content` as a taxonomy; `path` is named in errors."""
    try:
        taxonomy = Taxonomy.model_validate(content)
    except ValidationError as error:
        raise InputError("\n".join(_problem(path, e) for e in error.errors())) from None
    if taxonomy.rest not in taxonomy.categories:
        raise InputError(
            f"{path}: rest: {taxonomy.rest!r} is no category; expected one of "
            f"{', '.join(taxonomy.categories)}"
        )
    for kind in ("always", "seeds", "hints"):
        places = {(phrase.casefold(), key) for k, key, phrase in taxonomy.phrases() if k == kind}
        for phrase, times in Counter(phrase for phrase, _ in places).items():
            if times > 1:
                keys = ", ".join(sorted(key for p, key in places if p == phrase))
                raise InputError(
                    f"{path}: {phrase!r} stands in `{kind}` of {keys}; a phrase can lead to one "
                    "category only: remove it from all others, or make longer phrases of it"
                )
    return taxonomy


def _problem(path: Path, error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"]) or "the file"
    if error["type"] == "extra_forbidden":
        return f"{path}: {place}: unknown key"
    if error["type"] == "string_pattern_mismatch":
        return (
            f"{path}: {place}: a key has small letters, digits and underscores, and starts with "
            "a letter (it becomes a part of column names)"
        )
    return f"{path}: {place}: {error['msg']}"

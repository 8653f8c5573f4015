"""Each stage's section of params.yaml, as a frozen class that refuses what it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.core.run.errors import InputError
from pipeline.core.run.yaml_text import read_yaml

PARAMS_FILE = Path("params.yaml")

P = TypeVar("P", bound="StageParams")


class StageParams(BaseModel):
    """Base of every stage's parameters: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ShopParams(StageParams):
    """Section `shop`: what several stages need."""

    name: str = Field(min_length=1)
    currency: str
    horizon_days: int = Field(ge=1, le=3660)


def load_params(section: str, schema: type[P], path: Path = PARAMS_FILE) -> P:
    """Return `section` of the parameter file as an instance of `schema`.

    Raises InputError that names the file, the key, the value found and what was expected.
    """
    return parse_params(section, schema, read_params(path).get(section), path)


def parse_params(section: str, schema: type[P], values: Any, path: Path = PARAMS_FILE) -> P:
    """Return `values` as an instance of `schema`; errors name the key as it stands in `path`."""
    if not isinstance(values, dict):
        raise InputError(f"{path}: section {section!r} is missing; every stage has one")
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        problems = "\n".join(_problem(path, section, schema, e) for e in error.errors())
        raise InputError(problems) from None


def read_params(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """Return the parameter file by section; InputError where it is missing or holds none."""
    try:
        content = read_yaml(path)
    except FileNotFoundError:
        raise InputError(
            f"{path} is missing: run from the project's top folder, or `git checkout {path}`"
        ) from None
    if not isinstance(content, dict):
        raise InputError(f"{path} must hold one section per stage, found {type(content).__name__}")
    return content


def _problem(path: Path, section: str, schema: type[StageParams], error: Any) -> str:
    key = ".".join([section, *(str(part) for part in error["loc"])])
    if error["type"] == "extra_forbidden":
        return f"{path}: {key}: unknown key; {section} has {', '.join(schema.model_fields)}"
    if error["type"] == "missing":
        return f"{path}: {key}: missing key; `git checkout {path}` brings the default back"
    return f"{path}: {key}: {error['input']!r}: {error['msg']}"

"""Parameters: what is unknown or out of range is an error that names the key."""

from pathlib import Path

import pytest
from pydantic import Field

from pipeline.core.run.errors import InputError
from pipeline.core.run.params import StageParams, load_params


class Oven(StageParams):
    degrees: int = Field(ge=50, le=300)
    fan: bool


def load(tmp_path: Path, text: str) -> Oven:
    file = tmp_path / "params.yaml"
    file.write_text(text, encoding="utf-8")
    return load_params("oven", Oven, file)


def test_a_section_is_read_into_a_frozen_object(tmp_path):
    oven = load(tmp_path, "oven: {degrees: 180, fan: true}\nother: {}\n")
    assert (oven.degrees, oven.fan) == (180, True)
    with pytest.raises(ValueError, match="frozen"):
        oven.degrees = 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "oven: {degrees: 180, fan: true, fun: 1}",
            r"oven\.fun: unknown key; oven has degrees, fan",
        ),
        ("oven: {degrees: 180}", r"oven\.fan: missing key"),
        ("oven: {degrees: 1000, fan: true}", r"oven\.degrees: 1000: .*less than or equal to 300"),
        ("oven: {degrees: hot, fan: true}", r"oven\.degrees: 'hot': .*valid integer"),
        ("stove: {}", r"section 'oven' is missing"),
        ("- a list", "one section per stage, found list"),
        ("oven: {degrees: [}", "not valid YAML"),
    ],
)
def test_a_bad_section_is_an_error_that_names_the_key(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load(tmp_path, text)


def test_every_problem_is_named_at_once(tmp_path):
    with pytest.raises(InputError) as error:
        load(tmp_path, "oven: {degrees: 1, fan: maybe, fun: 1}")
    assert str(error.value).count("\n") == 2


def test_a_missing_file_says_how_to_get_it_back(tmp_path):
    with pytest.raises(InputError, match="git checkout"):
        load_params("oven", Oven, tmp_path / "params.yaml")

"""A taxonomy file, and what its errors say."""

from pathlib import Path

import pytest

from pipeline.categorize_products.taxonomy import find_taxonomy, parse_taxonomy, read_taxonomy
from pipeline.core.run.errors import InputError

FILE = Path("own.yaml")
CUP = {"title": "Cups", "about": "To drink.", "seeds": ["cup"]}


def content(**changes):
    rest = {"title": "Rest", "about": "All else."}
    return {"title": "Shop", "rest": "rest", "categories": {"cups": CUP, "rest": rest}} | changes


def test_an_unknown_name_says_which_taxonomies_there_are():
    with pytest.raises(InputError, match=r"'toys' is neither a file .*\(gifts\)"):
        find_taxonomy("toys")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rest": "none"}, "rest: 'none' is no category; expected one of cups, rest"),
        ({"colour": 1}, "own.yaml: colour: unknown key"),
        ({"categories": {}}, "own.yaml: categories:"),
        # becomes a part of column names
        ({"categories": {"Big Cups": CUP, "rest": CUP}}, "small letters, digits and underscores"),
        ({"categories": {"cups": CUP, "rest": CUP}}, "'cup' stands in `seeds` of cups, rest"),
    ],
)
def test_errors_name_the_place(changes, message):
    with pytest.raises(InputError, match=message):
        parse_taxonomy(content(**changes), FILE)


def test_broken_yaml_in_an_own_file_names_it(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("a: [")
    with pytest.raises(InputError, match=r"own\.yaml is not valid YAML"):
        read_taxonomy(find_taxonomy(str(path)))

"""Names are unique, the playbook has a play for each, and a shop's edits are checked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import yaml

from pipeline.assign_segments.names import segment_names
from pipeline.core.model.definition import Segment
from pipeline.core.model.grid import NAMES
from pipeline.core.model.naming import PLAYBOOK, read_playbook
from pipeline.core.run.errors import InputError


def named(*plays: str) -> list[str]:
    segments = [Segment(play, number) for number, play in enumerate(plays)]
    return segment_names(SimpleNamespace(segments=segments), read_playbook())["segment"].tolist()


def test_every_name_of_a_grid_has_a_play_and_a_group_in_klaviyo_and_in_shopify():
    rules = read_playbook().rules
    assert set(NAMES[max(NAMES)]) == set(rules)
    assert all(set(rule.elsewhere) == {"klaviyo", "shopify"} for rule in rules.values())


def test_the_most_valuable_of_two_segments_of_one_play_takes_the_first_name():
    names = read_playbook().rules["champions"].names
    assert named("champions", "champions", "lost") == [*names[:2], "lost"]


def test_beyond_the_list_names_are_numbered():
    assert named(*["champions"] * 5)[3:] == ["champions 4", "champions 5"]


def test_a_play_that_the_playbook_lacks_is_named():
    with pytest.raises(InputError, match="a segment 'gold', which is none of its plays"):
        named("gold")


def edited(tmp_path, change):
    content = yaml.safe_load(PLAYBOOK.read_text(encoding="utf-8"))
    change(content)
    path = tmp_path / "playbook.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda book: book["rules"].pop("lost"), r"rules\.lost is missing"),
        (lambda book: book["groups"].pop("wholesale"), r"groups\.wholesale is missing"),
        (
            lambda book: book["rules"]["new"].update(names=["lost"]),
            "'lost' stands in new and in lost",
        ),
        (
            lambda book: book["rules"]["new"].update(test_of={"newest of all": "none"}),
            r"new\.test_of: 'newest of all' is none of its names",
        ),
        (
            lambda book: book["rules"]["new"].update(colour="red"),
            r"rules\.new\.colour: unknown key",
        ),
    ],
)
def test_invalid_playbook_edits_are_named(tmp_path, change, words):
    with pytest.raises(InputError, match=words):
        read_playbook(edited(tmp_path, change))

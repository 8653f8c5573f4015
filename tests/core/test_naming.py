"""Names cover every cell once, are unique, and a shop's edits are checked."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.model.naming import (
    LEVELS,
    PLAYBOOK,
    name_segments,
    own_plays,
    read_playbook,
    rule_of_cell,
    segment_levels,
    standing,
)
from pipeline.core.run.errors import InputError

TRADE = {
    "champions", "loyal", "potential loyalists", "new", "promising", "need attention",
    "about to sleep", "at risk", "cannot lose", "hibernating", "lost", "wholesale", "kept nothing",
}  # fmt: skip


def shop() -> pd.DataFrame:
    """Nine customers; recency 10 to 90 days, 1 to 9 orders, 100 to 900 spent."""
    ranks = np.arange(1, 10)
    return pd.DataFrame({"recency_days": ranks * 10, "frequency": ranks, "monetary": ranks * 100.0})


def segments(*rows: tuple[float, float, float], group: str = "") -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["recency_days", "frequency", "monetary"])
    return frame.assign(segment_id=np.arange(len(rows)), group=group)


def test_every_cell_of_levels_belongs_to_exactly_one_rule():
    playbook = read_playbook()
    cells = [c for rule in playbook.rules.values() for box in rule.when for c in box.cells()]
    assert len(cells) == len(set(cells)) == 27
    assert set(rule_of_cell(playbook)) == set(itertools.product(LEVELS, repeat=3))


def test_the_first_names_are_the_words_of_the_trade():
    assert {rule.names[0] for rule in read_playbook().plays.values()} == TRADE


@pytest.mark.parametrize(
    ("medians", "name"),
    [
        ((10, 9, 900), "champions"),
        ((90, 9, 900), "cannot lose"),
        ((90, 1, 100), "lost"),
        ((10, 1, 100), "new"),
        ((50, 5, 500), "need attention"),
        ((50, 9, 500), "loyal"),
        ((90, 5, 500), "at risk"),
        ((10, 5, 500), "potential loyalists"),
    ],
)
def test_a_segment_is_named_by_where_its_medians_stand(medians, name):
    named = name_segments(segments(medians), shop(), read_playbook())
    assert named["segment"].tolist() == [name]


def test_the_more_valuable_of_two_segments_of_one_rule_takes_the_first_name():
    playbook = read_playbook()
    twice = segments((10, 9, 900), (20, 8, 800), (90, 1, 100))
    named = name_segments(twice, shop(), playbook)
    assert named["segment"].tolist() == [*playbook.rules["champions"].names[:2], "lost"]
    backwards = name_segments(twice.iloc[::-1], shop(), playbook).sort_values("segment_id")
    assert backwards["segment"].tolist() == named["segment"].tolist()


def test_beyond_the_list_names_are_numbered():
    named = name_segments(segments(*[(10, 9, 900)] * 5), shop(), read_playbook())
    assert named["segment"].tolist()[3:] == ["champions 4", "champions 5"]


def test_a_declared_group_keeps_its_name_even_when_it_is_empty():
    empty = segments((np.nan, np.nan, np.nan), group="wholesale")
    assert name_segments(empty, shop(), read_playbook())["segment"].tolist() == ["wholesale"]


def test_where_all_customers_are_alike_every_level_is_mid():
    alike = shop().assign(recency_days=10, frequency=1, monetary=5.0)
    levels = segment_levels(segments((10, 1, 5)), alike, read_playbook().levels)
    assert levels == {"recency": ["mid"], "frequency": ["mid"], "monetary": ["mid"]}


def test_a_segment_whose_members_do_not_share_its_recency_is_neither_early_nor_late():
    frame, playbook = shop(), read_playbook()
    late = segments((80, 2, 150))
    mixed = pd.Series([0] * 9)  # a third of the nine ordered long ago
    assert name_segments(late, frame, playbook, mixed)["segment"].tolist() == ["about to sleep"]
    shared = pd.Series([1, 1, 1, 1, 1, 0, 0, 0, 0])  # three of these four did
    assert name_segments(late, frame, playbook, shared)["segment"].tolist() == ["lost"]
    assert name_segments(late, frame, playbook)["segment"].tolist() == ["lost"]


def test_ties_stand_at_the_middle_of_their_rank():
    assert standing(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 2.0, 3.0])).tolist() == [
        0.25, 0.625, 0.875,
    ]  # fmt: skip


def test_a_customer_whose_recency_contradicts_the_segment_gets_the_play_of_the_own_cell():
    frame = shop()
    plays = own_plays(frame, ["lost"] * 9, read_playbook(), frame)
    assert plays[0] == "new"  # the latest order, the fewest orders, the least spend
    assert plays[4:] == ["lost"] * 5
    asleep = own_plays(frame, ["about_to_sleep"] * 9, read_playbook(), frame)
    assert asleep[0] == "new"
    assert asleep[4:] == ["about_to_sleep"] * 5  # who sleeps is not contrary to it
    assert own_plays(frame, ["loyal"] * 9, read_playbook(), frame)[-1] == "cannot_lose"
    assert own_plays(frame, ["champions"] * 9, read_playbook(), frame)[-1] == "cannot_lose"
    assert own_plays(frame, ["wholesale"] * 9, read_playbook(), frame) == ["wholesale"] * 9


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 50), st.integers(0, 9999)),
        min_size=1, max_size=30,
    )
)  # fmt: skip
def test_whatever_the_medians_every_segment_has_a_name_and_no_two_share_one(medians):
    named = name_segments(segments(*medians), shop(), read_playbook())
    assert named["segment"].is_unique
    assert (named["segment"].str.len() > 0).all()


def edited(tmp_path, change):
    content = yaml.safe_load(PLAYBOOK.read_text(encoding="utf-8"))
    change(content)
    path = tmp_path / "playbook.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def test_a_cell_without_a_rule_is_an_error_that_names_the_cell(tmp_path):
    path = edited(tmp_path, lambda book: book["rules"].pop("lost"))
    with pytest.raises(InputError, match="recency low, frequency low, monetary low belongs to no"):
        read_playbook(path)


def test_a_cell_of_two_rules_is_an_error_that_names_both(tmp_path):
    def change(book):
        book["rules"]["new"]["when"] = book["rules"]["new"]["when"] + book["rules"]["lost"]["when"]

    with pytest.raises(InputError, match="belongs to new and to lost"):
        read_playbook(edited(tmp_path, change))


def test_two_plays_cannot_share_a_name(tmp_path):
    path = edited(tmp_path, lambda book: book["rules"]["new"].update(names=["lost"]))
    with pytest.raises(InputError, match="'lost' stands in new and in lost"):
        read_playbook(path)


def test_a_name_that_the_rule_does_not_have_can_do_nothing_otherwise(tmp_path):
    change = {"otherwise": {"newest of all": {"action": "Wave"}}}
    path = edited(tmp_path, lambda book: book["rules"]["new"].update(change))
    with pytest.raises(InputError, match=r"new\.otherwise: 'newest of all' is none of its names"):
        read_playbook(path)


def test_an_unknown_key_is_an_error_that_names_it(tmp_path):
    path = edited(tmp_path, lambda book: book["rules"]["new"].update(colour="red"))
    with pytest.raises(InputError, match=r"rules\.new\.colour: unknown key"):
        read_playbook(path)


def test_levels_that_cross_are_an_error(tmp_path):
    path = edited(tmp_path, lambda book: book["levels"].update(low_below=0.9))
    with pytest.raises(InputError, match="low_below must be less"):
        read_playbook(path)


def test_broken_yaml_is_an_error(tmp_path):
    path = tmp_path / "playbook.yaml"
    path.write_text("rules: [", encoding="utf-8")
    with pytest.raises(InputError, match="not valid YAML"):
        read_playbook(path)


def test_in_an_empty_shop_everything_stands_in_the_middle():
    assert standing(np.array([1.0, 7.0]), np.array([])).tolist() == [0.5, 0.5]

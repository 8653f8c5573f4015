"""A shop's own rules: every customer fits exactly one, or the file is refused with who does not."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.core.run.errors import InputError
from pipeline.select_model.own_rules import read_own_rules

OWN = """
segments:
  vip:
    play: champions
    when:
    - {monetary: '>= 1000', recency_days: '<= 90'}
  asleep:
    play: lost
    when:
    - {recency_days: '> 90'}
  others:
    play: loyal
    when:
    - {monetary: '< 1000', recency_days: '<= 90'}
"""


def read(tmp_path, text, unit=1.0):
    file = tmp_path / "own.yaml"
    file.write_text(text, encoding="utf-8")
    return read_own_rules(file, unit)


@pytest.mark.parametrize("unit", [1.0, 0.93])
def test_each_customer_is_in_the_segment_whose_conditions_fit(tmp_path, unit):
    own = read(tmp_path, OWN, unit)
    assert own.columns == ("monetary", "recency_days")
    money = np.array([1000, 999.99, 1000, 0]) / unit
    points = np.column_stack([money, [90, 90, 91, 91]])
    names = [own.segments[n].name for n in own.clustering.assign(points)]
    assert names == ["vip", "others", "asleep", "asleep"]
    assert own.segments[0].condition == "monetary >= 1000, recency_days <= 90"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("'> 90'", "'> 120'"), r"a customer with monetary \d+, recency_days 90 fits no segment"),
        (("'> 90'", "'>= 90'"), r"with monetary \d+, recency_days 90 fits (vip and )?asleep"),
        (("'>= 1000'", "'over 1000'"), "segments.vip: monetary: 'over 1000' is no condition"),
        (("play: lost", "colour: red"), r"own_rules\.segments\.asleep\.colour: unknown key"),
    ],
)
def test_gaps_overlaps_and_what_is_no_condition_are_named(tmp_path, change, words):
    with pytest.raises(InputError, match=words):
        read(tmp_path, OWN.replace(*change))


def test_fixed_cut_points_make_the_rfm_groups(tmp_path):
    text = (
        "rfm_cut_points: {recency_days: [30, 60, 120, 240], frequency: [2, 3, 5, 9], "
        "monetary: [100, 300, 800, 2000]}"
    )
    own = read(tmp_path, text, unit=2.0)
    assert own.columns == ("recency_days", "frequency", "monetary")
    found = own.clustering.assign(np.array([[3.0, 12, 1000], [300, 1, 10], [300, 12, 5000]]))
    assert [own.segments[n].play for n in found] == ["champions", "hibernating", "cannot_lose"]


def test_a_missing_file_names_the_key(tmp_path):
    with pytest.raises(InputError, match=r"select\.own_rules: .*own.yaml is missing"):
        read_own_rules(tmp_path / "own.yaml", 1.0)

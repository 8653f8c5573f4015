"""The bench of mutants: a fault that is put in is run, and meets the tests of its lines."""

from __future__ import annotations

import pytest

from bench.mutants import METHODS, ROOT, Mutant, _place, chosen_tests, draw, named, put_in, who_runs
from pipeline.methods.concentration import gini

SOURCE = """\
CONSTANT = 1

class Shop:
    def name(self):
        if CONSTANT:
            return (
                "shop"
            )

def spend(by=2):
    return by
"""


def mutant(lines: range, around: range) -> Mutant:
    return Mutant("value", "", "", "f", lines, around)


def test_a_fault_stands_in_a_statement_of_a_function():
    assert _place(SOURCE, 7) == ("Shop.name", range(6, 9), range(4, 9))
    assert _place(SOURCE, 5) == ("Shop.name", range(5, 6), range(4, 9))
    assert _place(SOURCE, 10) == ("spend", range(10, 11), range(10, 12))


def test_a_fault_reaches_whoever_imported_the_function():
    code = gini.__code__
    source = (ROOT / METHODS / "concentration.py").read_text(encoding="utf-8")
    sick = source.replace("def gini(", "def gini(*_):\n    return 7\n\n\ndef well(")
    assert sick != source
    try:
        put_in(Mutant("concentration", source, sick, "gini", range(1), range(1)))
        assert gini([1, 2]) == 7
    finally:
        gini.__code__ = code


def test_the_tests_of_a_fault_are_those_of_its_statement_or_else_of_its_function():
    learnt = [
        {"lines": {"value": {"4": ["a"], "5": ["b", "c"]}}},
        {"lines": {"other": {"4": ["d"]}}},
    ]
    assert who_runs(mutant(range(4, 5), range(3, 9)), learnt) == {"a"}
    assert who_runs(mutant(range(3, 4), range(3, 9)), learnt) == {"a", "b", "c"}
    assert who_runs(mutant(range(9, 10), range(9, 10)), learnt) == set()


def test_what_ran_in_a_set_up_may_serve_every_test_of_the_file():
    assert named(["a|run", ""], ["a", "b"]) == {"a"}
    assert named(["a|setup"], ["a", "b"]) == {"a", "b"}


def test_the_quickest_tests_come_first_file_by_file_and_slow_ones_not():
    seconds = {"x::1": 1.0, "x::2": 4.0, "y::1": 2.0, "y::2": 6.0}
    assert chosen_tests(seconds, seconds) == ["x::1", "x::2", "y::1"]
    many = {f"x::{n:02}": 4.0 for n in range(20)}
    assert len(chosen_tests(many, many)) == 7  # 30 seconds are enough


@pytest.mark.parametrize(("size", "sizes"), [(5, [1, 1, 3]), (100, [2, 3, 10])])
def test_each_module_is_drawn_from_in_proportion(size, sizes):
    faults = [[f"{module}{n}" for n in range(count)] for module, count in
              (("a", 2), ("b", 3), ("c", 10))]  # fmt: skip
    drawn = draw(faults, size, 1)
    assert [sum(name[0] == module for name in drawn) for module in "abc"] == sizes
    assert len(set(drawn)) == len(drawn)
    assert draw(faults, size, 1) == drawn

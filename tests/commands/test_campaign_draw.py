"""Drawing: exact sizes, fair strata, and the same customers whatever else comes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.commands.campaign.draw import assign, best_kpi, held_out_of, strata
from pipeline.core.run.errors import InputError
from pipeline.read_campaigns.effects import Effect
from pipeline.read_campaigns.plans import HELD_OUT, TREATED, ShopHoldOut


def customers(count: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = {"monetary": rng.lognormal(5, 1, count), "recency_days": rng.integers(0, 365, count)}
    return pd.DataFrame(frame, index=[f"c{n}" for n in range(count)])


@given(st.integers(2, 300), st.data())
def test_groups_have_the_sizes_asked_for_and_every_stratum_its_share(count, data):
    size = data.draw(st.integers(2, count))
    held_out = data.draw(st.integers(1, size - 1))
    stratum = strata(customers(count))
    rows = assign("spring", 1, stratum, size, held_out)
    assert len({customer for customer, _, _ in rows}) == size
    assert Counter(group for _, group, _ in rows) == {
        HELD_OUT: held_out, TREATED: size - held_out
    }  # fmt: skip
    for name, group in pd.DataFrame(rows).groupby(2):
        assert abs(len(group) - (stratum == name).sum() * size / count) <= 1
        assert abs((group[1] == HELD_OUT).sum() - len(group) * held_out / size) <= 1


def test_the_order_of_customers_does_not_matter_and_seed_and_name_do():
    stratum = strata(customers(200))
    rows = assign("spring", 1, stratum, 200, 60)
    assert assign("spring", 1, stratum.sample(frac=1, random_state=2), 200, 60) == rows
    others = (assign("spring", 2, stratum, 200, 60), assign("summer", 1, stratum, 200, 60))
    for other in others:
        same = sum(a == b for a, b in zip(other, rows, strict=True))
        assert 90 < same < 150  # by chance 0.7² + 0.3² of 200


def test_one_customer_more_moves_only_those_at_the_edge_of_a_quota():
    more = customers(301)
    some = more.iloc[:300]
    few = {c: g for c, g, _ in assign("x", 1, strata(some), 300, 100)}
    many = {c: g for c, g, _ in assign("x", 1, strata(more), 301, 100)}
    assert sum(few[c] != many[c] for c in few) <= 9


def test_spend_is_the_kpi_where_nearly_everyone_buys():
    few, many = (Effect(base, base, 0.0, 0.1, 0.1, 2.0) for base in (0.3, 0.9))
    assert best_kpi({"buyers": few, "spend": few}, 0.2) == "buyers"
    assert best_kpi({"buyers": many, "spend": few}, 0.2) == "spend"
    assert best_kpi({"spend": few}, 0.2) == "spend"
    assert best_kpi({}, 0.2) == "buyers"


def test_the_shop_wide_hold_out_keeps_its_share_and_its_members():
    hold_out = ShopHoldOut(share=0.1, seed=1)
    held = [f"c{n}" for n in range(5000) if hold_out.holds(f"c{n}")]
    assert 420 < len(held) < 580
    wider = ShopHoldOut(share=0.2, seed=1)
    assert all(wider.holds(customer) for customer in held)


@pytest.mark.parametrize("text", ["0", "50", "100%", "-3", "1.5", "some"])
def test_a_hold_out_that_leaves_a_group_empty_is_an_error(text: str):
    with pytest.raises(InputError, match=r"--hold-out .*: expected a number of customers from 1"):
        held_out_of(text, 50)
    assert held_out_of("20%", 50) == held_out_of("10", 50) == 10

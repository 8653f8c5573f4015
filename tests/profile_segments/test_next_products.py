"""Offers of products never bought: those whose buyers are the buyers of the own ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.profile_segments.next_products import (
    Bought,
    best_unbought,
    offer_figures,
    offered,
)

DAY = 1000


def baskets(size: int = 300, seed: int = 1) -> pd.DataFrame:
    """Customers of two tastes, products 0-9 and 10-19; both buy more within the last month."""
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(size):
        taste = 10 * (number % 2)
        own = taste + rng.permutation(10)[:6]
        days = DAY - np.array([90, 80, 70, 60, 10, 5])
        rows += [(f"c{number:03}", f"p{p:02}", d) for p, d in zip(own, days, strict=True)]
        rows.append((f"c{number:03}", "p99", DAY - 95))
    return pd.DataFrame(rows, columns=["customer_id", "stock_code", "day"])


def test_each_taste_is_offered_its_own_and_nothing_that_was_bought():
    bought = Bought.of(baskets())
    owned = bought.owned(0, DAY)
    best = best_unbought(owned)
    taste = np.array([int(name[1:]) % 2 for name in bought.customers])
    codes = np.array([int(code[1:]) for code in bought.products])
    assert (codes[best] // 10 == taste[:, None]).all()
    assert not np.take_along_axis(owned.toarray(), best, axis=1).any()


def test_offers_beat_the_popular_ones_where_there_are_tastes():
    found = offer_figures(Bought.of(baskets()), DAY)
    assert found["customers"] == 300
    assert found["hit_rate"] > found["hit_rate_of_the_most_popular"] + 2 * found["error"]
    assert found["beats_the_most_popular"]


def test_without_tastes_the_most_popular_are_offered():
    rows = baskets()
    rng = np.random.default_rng(2)
    rows["stock_code"] = [f"p{p:02}" for p in np.minimum(rng.geometric(0.2, len(rows)), 20)]
    bought = Bought.of(rows.drop_duplicates(["customer_id", "stock_code"]))
    assert not offer_figures(bought, DAY)["beats_the_most_popular"]
    owned = bought.owned(0, DAY)
    (first, *_), *_ = best_unbought(owned, by_neighbours=False)
    mine, buyers = owned.toarray()[0] > 0, owned.toarray().sum(axis=0)
    assert buyers[first] == buyers[~mine].max()


def test_who_bought_all_is_offered_nothing_and_names_are_told():
    rows = [("a", "x", 1), ("a", "y", 1), ("b", "x", 2)]
    bought = Bought.of(pd.DataFrame(rows, columns=["customer_id", "stock_code", "day"]))
    found = offered(bought, DAY, {"x": "LAMP", "y": "HEART MUG"}, by_neighbours=True)
    assert found["next_products"].tolist()[1] == "HEART MUG"
    rest = offered(bought, DAY, {}, by_neighbours=True, left_out={"y"})
    assert rest["next_products"].isna().all()
    assert pd.isna(found["next_products"][0])
    assert offer_figures(bought, DAY) == {"is_checked": False}

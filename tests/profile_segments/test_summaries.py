"""The sentences about segments and customers say the figures, as people write them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pipeline.profile_segments.summaries import (
    customer_actions,
    first_order_text,
    profile_rows,
    segment_figures,
    strategy_rows,
    summary,
    typical_rows,
)

FACT = {
    "segment_id": 3,
    "segment": "thankful",
    "play": "thank",
    "customers": 1200,
    "customer_share": 0.25,
    "revenue": 45_600,
    "revenue_share": 0.5,
    "median_recency_days": 12.0,
    "median_frequency": 1,
    "median_monetary": 780.0,
    "median_order_value": 99.0,
    "gap": 31.4,
    "quiet_days": 62.0,
    "return_rate": 0.034,
    "units_per_line": 9.0,
    "top_category": "bags",
    "top_category_title": "Bags",
    "second_category_title": "Lights",
    "over_category_title": "Party",
    "over_lift": 1.2345,
    "next_category": "toys",
    "next_category_title": "Toys",
    "first_order_category_title": "Craft",
    "first_order_category_share": 0.4,
    "first_order_value": 21.0,
    "first_order_units": 30.0,
    "first_order_products": 1.0,
    "buying_rate": 0.2,
    "expected_spend": 20_000.0,
    "expected_spend_low": 18_000.0,
    "expected_spend_high": 23_000.0,
    "expected_spend_per_customer": 16.67,
    "peak_month": 11,
    "top_country": "France",
    "abroad_share": 0.07,
    "retention": 0.8,
    "rise_to": "loyal",
    "rise_share": 0.06,
    "rise_gain": 250.0,
    "fall_to": "at risk",
    "fall_share": 0.1,
}
UNKNOWN = {
    name: None if isinstance(value, str) else np.nan
    for name, value in FACT.items()
    if name not in ("segment_id", "play", "customers", "customer_share", "revenue",
                    "revenue_share", "return_rate", "units_per_line", "top_country")
}  # fmt: skip


def spaced(text):
    """The text with plain spaces."""
    return text if text is None else text.replace("\u00a0", " ")


def play(**sentences) -> SimpleNamespace:
    fields = dict.fromkeys(("goal", "offer", "channel", "cadence", "kpi", "do_not"), ())
    strategy = {**fields, "action": "Say thanks.", "cost_class": "low", "for_customer": ()}
    own = SimpleNamespace(**{**strategy, **sentences})
    return SimpleNamespace(about="They come often.", strategy=own, strategy_of=lambda _name: own)


def playbook(**sentences) -> SimpleNamespace:
    return SimpleNamespace(plays={"thank": play(**sentences)}, cost_classes={"low": "a mail"})


def test_every_figure_of_a_segment_is_written_as_people_write_it():
    figures = {k: spaced(v) for k, v in segment_figures(FACT, 0.1, 90, "£").items()}
    assert figures == {
        "customers": "1,200",
        "customer_share": "25%",
        "revenue": "£45.6k",
        "revenue_share": "50%",
        "recency": "12",
        "orders": "1",
        "order_value": "£99",
        "gap": "31",
        "quiet_days": "62",
        "return_rate": "3.4%",
        "units_per_line": "9",
        "top_category": "“Bags”",
        "second_category": "“Lights”",
        "over_category": "“Party”",
        "next_category": "“Toys”",
        "first_category": "“Craft”",
        "buying_rate": "20%",
        "target_rate": "22%",
        "lift": "10%",
        "expected_spend": "£20.0k",
        "spend_per_customer": "£17",
        "at_stake": "£2,000",
        "discount_cost": "£1,000",
        "horizon": "90",
        "peak_month": "November",
        "top_country": "France",
        "abroad_share": "7%",
        "retention": "80%",
        "over_lift": "1.2",
        "rise_to": "loyal",
        "rise_share": "6%",
        "rise_gain": "£250",
        "fall_to": "at risk",
        "fall_share": "10%",
    }


def test_a_figure_that_is_not_known_is_none():
    found = segment_figures(FACT | UNKNOWN, 0.1, 90, "£")
    known = {name for name, text in found.items() if text is not None}
    assert known == {
        "customers", "customer_share", "revenue", "revenue_share", "return_rate", "units_per_line",
        "lift", "horizon", "top_country",
    }  # fmt: skip
    assert segment_figures(FACT | {"top_country": None}, 0.1, 90, "£")["top_country"] is None


def test_a_target_never_passes_half_the_way_to_everybody():
    found = segment_figures(FACT | {"buying_rate": 0.9}, 0.5, 90, "£")
    assert found["target_rate"] == segment_figures(FACT, 0.5, 90, "£")["target_rate"].replace(
        "30", "95"
    )


def test_a_segment_is_summed_up_in_three_sentences_or_in_what_is_known():
    assert spaced(summary(FACT, "They come often.", "£")) == (
        "They come often. 1,200 customers (25% of all) who brought 50% of the revenue."
        " In the middle: 1 order, £780 in all, the last 12 days ago."
        " They lean to “Party”: 1.2 times the others' share."
    )
    assert spaced(summary(FACT | UNKNOWN | {"customers": 1}, "", "£")) == (
        " 1 customer (25% of all) who brought 50% of the revenue."
    )


def test_the_first_order_is_told_with_its_category_where_there_is_one():
    plain = "Half of the first orders came to £21 or more, 30 units of 1 product in the middle"
    assert spaced(first_order_text(FACT, "£")) == (
        f"{plain}; “Craft” led 40% of them, more than any other category."
    )
    assert spaced(first_order_text(FACT | {"first_order_category_title": None}, "£")) == (
        f"{plain}."
    )


def test_profiles_carry_their_texts():
    found = profile_rows(pd.DataFrame([FACT]), playbook(), "£").iloc[0]
    assert found["summary"].startswith("They come often. 1,200")
    assert found["action"] == "Say thanks."
    assert found["first_order_text"].startswith("Half of the first orders")


def strategies(spends=None, **changes) -> pd.Series:
    rows = strategy_rows(
        pd.DataFrame([FACT | changes]),
        pd.DataFrame({"segment_id": [3, 3, 9], "play": ["thank", "thank", "else"]}),
        playbook(offer=("Offer {next_category} to {customers}.",)),
        {} if spends is None else {3: spends},
        lift=0.5,
        alpha=0.05,
        power=0.8,
        horizon=90,
        currency="£",
    )
    return rows.iloc[0]


def test_a_strategy_has_the_test_that_shows_it_and_the_money_that_it_would_bring():
    found = strategies()
    assert found[["segment_id", "play", "customers", "alpha", "power"]].tolist() == [
        3, "thank", 1200, 0.05, 0.8,
    ]  # fmt: skip
    assert found["action"] == "Say thanks."
    assert found["cost_class"] == "low: a mail"
    assert found["offer"] == "Offer “Toys” to 1,200."
    assert found["goal"] == "The data does not say enough."
    assert found["exceptions"] == ""
    money = ["value_at_stake", "value_at_stake_low", "value_at_stake_high"]
    assert found[money].tolist() == [10_000, 9_000, 11_500]
    assert found["at_stake"].startswith("£20")
    categories = ["offer_category", "offer_category_title", "next_category", "next_category_title"]
    assert found[categories].tolist() == ["bags", "Bags", "toys", "Toys"]
    assert (found["baseline_rate"], found["target_rate"]) == (0.2, 0.3)
    assert found["is_testable"]
    assert found["holdout_customers"] + found["treated_customers"] == 1200
    assert found["holdout"].startswith(f"Leave {found['holdout_customers']} of the 1,200")
    assert 0.2 < found["detectable_rate"] < 0.3


@pytest.mark.parametrize("rate", [None, np.nan, 0.0])
def test_without_a_rate_there_is_no_size_of_a_test(rate):
    found = strategies(buying_rate=rate, expected_spend=np.nan)
    assert found["holdout"].endswith("leave out a tenth and compare.")
    assert not found["is_testable"]
    unknown = ["baseline_rate", "target_rate", "holdout_customers", "treated_customers",
               "detectable_rate", "value_at_stake"]  # fmt: skip
    assert found[unknown].isna().all()


def test_where_the_share_cannot_rise_so_far_spend_is_tested():
    spends = np.exp(np.random.default_rng(1).normal(5, 0.4, 300))
    found = strategies(spends, customers=400, buying_rate=0.98)
    assert (found["compares"], found["is_testable"]) == ("spend", True)
    assert found["holdout_customers"] + found["treated_customers"] == 400
    assert "so test what they spend: leave" in found["holdout"]
    few = strategies(spends, customers=20, buying_rate=0.98)
    assert (few["compares"], few["is_testable"]) == ("spend", False)
    assert few["test_rounds"] > 1
    assert few["detectable_lift"] > 0.5
    assert f"{few['test_rounds']} rounds of 90 days" in few["holdout"]
    assert strategies(spends, customers=1200)["compares"] == "buyers"


def test_too_few_customers_for_a_test_are_not_testable():
    assert not strategies(customers=20)["is_testable"]


def test_each_customer_gets_the_first_sentence_whose_figures_are_known():
    sentences = (
        "After {recency_days} days and {orders} orders: {next_category} beside {top_category}.",
        "{spend} so far, {expected_spend} to come.",
    )
    known = {
        "play": "thank", "top_category_title": "Bags", "next_category_title": "Toys",
        "recency_days": 1234.0, "frequency": 2, "monetary": 50, "expected_spend": 9.5,
    }  # fmt: skip
    outlook = pd.DataFrame(
        [known, known | {"recency_days": np.nan}, known | {"top_category_title": None},
         known | {"next_category_title": None, "expected_spend": np.nan}]
    )  # fmt: skip
    assert customer_actions(outlook, playbook(for_customer=sentences), "£") == [
        "After 1,234 days and 2 orders: “Toys” beside “Bags”.",
        "£50 so far, £9.50 to come.",
        "£50 so far, £9.50 to come.",
        "Say thanks.",
    ]


def test_typical_customers_are_told_in_a_sentence():
    customers = pd.DataFrame(
        {
            "customer_id": ["a", "b", "c"],
            "tenure_days": [1, 200, 30],
            "country": ["France", "Spain", "Malta"],
            "frequency": [0, 3, 1],
            "monetary": [0, 450, 20],
            "recency_days": [np.nan, 7.0, 30.0],
            "top_category_title": [None, "Bags", None],
        }
    )
    typical = pd.DataFrame({"segment_id": [5, 4, 4], "rank": [1, 1, 2], "row": [0, 1, 2]})
    found = typical_rows(typical, customers.iloc[[0, 1, 2]].set_axis([7, 8, 9]), "£")
    assert found[["customer_id", "segment_id", "rank"]].to_numpy().tolist() == [
        ["a", 5, 1], ["b", 4, 1], ["c", 4, 2],
    ]  # fmt: skip
    assert found["monetary"].dtype == float
    assert [spaced(text) for text in found["sentence"]] == [
        "First ordered 1 day ago from France, and kept nothing.",
        (
            "First ordered 200 days ago from Spain; 3 orders so far for £450, the last 7 days ago, "
            "most of it “Bags”."
        ),
        "First ordered 30 days ago from Malta; 1 order so far for £20, the last 30 days ago.",
    ]

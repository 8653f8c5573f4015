"""Sentences about segments and customers, put together from the figures of the other tables.

`facts` is one row per segment with everything measured about it; see profile_segments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.model.naming import Playbook
from pipeline.core.text import words
from pipeline.profile_segments.strategy import (
    SpendTest,
    Test,
    exceptions_in_words,
    first_that_fits,
    holdout_in_words,
    plan_spend_test,
    plan_test,
    spend_test_in_words,
    stake_in_words,
    strategy_texts,
)

DISCOUNT = 0.05  # the discount whose cost is named where one would be wasted
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
Fact = Mapping[str, Any]


def quoted(title: Any) -> str | None:
    """A category's name within a sentence; None stays None."""
    return None if words.is_missing(title) else f"“{title}”"


def segment_figures(fact: Fact, lift: float, horizon: int, currency: str) -> dict[str, str | None]:
    """The playbook's figures of a segment, as people write them; None where not known."""

    def money(value: Any) -> str | None:
        return None if words.is_missing(value) else words.money(value, currency)

    def share(value: Any) -> str | None:
        return None if words.is_missing(value) else words.share(value)

    def number(value: Any) -> str | None:
        return None if words.is_missing(value) else words.count(value)

    expected, rate = fact["expected_spend"], fact["buying_rate"]
    peak = fact["peak_month"]
    return {
        "customers": words.count(fact["customers"]),
        "customer_share": share(fact["customer_share"]),
        "revenue": money(fact["revenue"]),
        "revenue_share": share(fact["revenue_share"]),
        "recency": number(fact["median_recency_days"]),
        "orders": number(fact["median_frequency"]),
        "order_value": money(fact["median_order_value"]),
        "gap": number(fact["gap"]),
        "quiet_days": number(fact["quiet_days"]),
        "return_rate": share(fact["return_rate"]),
        "units_per_line": number(fact["units_per_line"]),
        "top_category": quoted(fact["top_category_title"]),
        "second_category": quoted(fact["second_category_title"]),
        "over_category": quoted(fact["over_category_title"]),
        "next_category": quoted(fact["next_category_title"]),
        "first_category": quoted(fact["first_order_category_title"]),
        "buying_rate": share(rate),
        "target_rate": None
        if words.is_missing(rate)
        else words.share(min(rate * (1 + lift), (1 + rate) / 2)),
        "lift": words.share(lift),
        "expected_spend": money(expected),
        "spend_per_customer": money(fact["expected_spend_per_customer"]),
        "at_stake": None if words.is_missing(expected) else money(expected * lift),
        "discount_cost": None if words.is_missing(expected) else money(expected * DISCOUNT),
        "horizon": str(horizon),
        "peak_month": None if words.is_missing(peak) else MONTHS[int(peak) - 1],
        "top_country": None if words.is_missing(fact["top_country"]) else str(fact["top_country"]),
        "abroad_share": share(fact["abroad_share"]),
        "retention": share(fact["retention"]),
        "rise_to": None if words.is_missing(fact["rise_to"]) else str(fact["rise_to"]),
        "rise_share": share(fact["rise_share"]),
        "rise_gain": money(fact["rise_gain"]),
        "over_lift": None
        if words.is_missing(fact["over_lift"])
        else words.number(fact["over_lift"], 2),
        "fall_to": None if words.is_missing(fact["fall_to"]) else str(fact["fall_to"]),
        "fall_share": share(fact["fall_share"]),
    }


def summary(fact: Fact, about: str, currency: str) -> str:
    """What the segment is, in two or three sentences."""
    people = words.plural(fact["customers"], "customer", "customers")
    text = (
        f"{about} {people} ({words.share(fact['customer_share'])} of all) who brought "
        f"{words.share(fact['revenue_share'])} of the revenue."
    )
    if not words.is_missing(fact["median_recency_days"]):
        orders = words.plural(fact["median_frequency"], "order", "orders")
        text += (
            f" In the middle: {orders}, {words.money(fact['median_monetary'], currency)} in all, "
            f"the last {words.days(fact['median_recency_days'])} ago."
        )
    if title := quoted(fact["over_category_title"]):
        text += (
            f" They lean to {title}: {words.number(fact['over_lift'], 2)} times the others' share."
        )
    return text


def first_order_text(fact: Fact, currency: str) -> str:
    """The typical first order in a sentence."""
    text = (
        f"Half of the first orders came to {words.money(fact['first_order_value'], currency)} or "
        f"more, {words.plural(fact['first_order_units'], 'unit', 'units')} of "
        f"{words.plural(fact['first_order_products'], 'product', 'products')} in the middle"
    )
    if title := quoted(fact["first_order_category_title"]):
        text += (
            f"; {title} led {words.share(fact['first_order_category_share'])} of them, "
            "more than any other category"
        )
    return f"{text}."


def profile_rows(facts: pd.DataFrame, playbook: Playbook, currency: str) -> pd.DataFrame:
    """`facts` with summary, action and first_order_text."""
    plays = playbook.plays
    return facts.assign(
        summary=[summary(f, plays[f["play"]].about, currency) for f in _records(facts)],
        action=[plays[f["play"]].strategy_of(f["segment"]).action for f in _records(facts)],
        first_order_text=[first_order_text(f, currency) for f in _records(facts)],
    )


def strategy_rows(
    facts: pd.DataFrame,
    customers: pd.DataFrame,
    playbook: Playbook,
    spends: Mapping[int, NDArray[np.float64]],
    *,
    lift: float,
    alpha: float,
    power: float,
    horizon: int,
    currency: str,
) -> pd.DataFrame:
    """Return one row per segment: the filled play, its fair test and the money at stake.

    `customers` has segment_id and the own play of each, at the last snapshot; `spends` what the
    members of each segment spent in the last whole horizon.
    """
    own = customers.groupby(["segment_id", "play"]).size()
    rows = []
    for fact in _records(facts):
        rate, size = fact["buying_rate"], int(fact["customers"])
        test = (
            None
            if words.is_missing(rate) or rate <= 0
            else plan_test(size, float(rate), lift, alpha, power)
        )
        by_spend = (
            plan_spend_test(size, spends[fact["segment_id"]], lift, alpha, power)
            if test is not None and test.holdout is None and fact["segment_id"] in spends
            else None
        )
        if test and by_spend and by_spend.holdout is None and test.detectable is not None:
            by_spend = None  # neither shows it at once, and buyers are the plainer figure
        texts = strategy_texts(
            playbook.plays[fact["play"]],
            fact["segment"],
            playbook,
            segment_figures(fact, lift, horizon, currency),
        )
        rows.append(
            {
                "segment_id": fact["segment_id"],
                "play": fact["play"],
                **texts,
                "exceptions": exceptions_in_words(
                    own.loc[fact["segment_id"]].drop(fact["play"], errors="ignore").to_dict(),
                    size,
                    playbook,
                ),
                "holdout": _holdout(
                    test,
                    by_spend,
                    size,
                    horizon=horizon,
                    alpha=alpha,
                    power=power,
                    currency=currency,
                ),
                "at_stake": stake_in_words(fact, lift, horizon, currency),
                "value_at_stake": _times(fact["expected_spend"], lift),
                "value_at_stake_low": _times(fact["expected_spend_low"], lift),
                "value_at_stake_high": _times(fact["expected_spend_high"], lift),
                "offer_category": fact["top_category"],
                "offer_category_title": fact["top_category_title"],
                "next_category": fact["next_category"],
                "next_category_title": fact["next_category_title"],
                "baseline_rate": None if test is None else test.base,
                "target_rate": None if test is None else round(test.target, 6),
                "alpha": alpha,
                "power": power,
                "customers": size,
                "compares": None if test is None else "spend" if by_spend else "buyers",
                "holdout_customers": (by_spend or test).holdout if test else None,
                "treated_customers": (by_spend or test).treated if test else None,
                "is_testable": test is not None and (by_spend or test).holdout is not None,
                "detectable_rate": None if test is None else test.detectable,
                "detectable_lift": by_spend.detectable if by_spend else None,
                "test_rounds": by_spend.rounds if by_spend else None,
            }
        )
    return pd.DataFrame(rows)


def customer_actions(outlook: pd.DataFrame, playbook: Playbook, currency: str) -> list[str]:
    """The suggested action of each customer: the first sentence of the play that fits."""
    columns = (
        "play", "top_category_title", "next_category_title", "recency_days", "frequency",
        "monetary", "expected_spend",
    )  # fmt: skip
    sentences = {key: rule.strategy.for_customer for key, rule in playbook.plays.items()}
    found = []
    for play, top, following, recency, orders, spend, expected in zip(
        *(outlook[c] for c in columns), strict=True
    ):
        figures = {
            "top_category": quoted(top),
            "next_category": quoted(following),
            "recency_days": None if words.is_missing(recency) else words.count(recency),
            "orders": words.count(orders),
            "spend": words.money(spend, currency),
            "expected_spend": None
            if words.is_missing(expected)
            else words.money(expected, currency),
        }
        found.append(
            first_that_fits(sentences[play], figures) or playbook.plays[play].strategy.action
        )
    return found


def typical_rows(typical: pd.DataFrame, customers: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Each typical customer with what is known of them and a sentence.

    `typical` has segment_id, rank and row, a position in `customers`.
    """
    rows = customers.iloc[typical["row"]].reset_index(drop=True)
    found = rows.assign(
        segment_id=typical["segment_id"].to_numpy(), rank=typical["rank"].to_numpy()
    )
    found["sentence"] = [_customer_sentence(row, currency) for row in _records(found)]
    return found.assign(monetary=found["monetary"].astype("float64"))


def _customer_sentence(row: Fact, currency: str) -> str:
    since = f"{words.days(row['tenure_days'])} ago"
    if not row["frequency"]:
        return f"First ordered {since} from {row['country']}, and kept nothing."
    text = (
        f"First ordered {since} from {row['country']}; "
        f"{words.plural(row['frequency'], 'order', 'orders')} so far for "
        f"{words.money(row['monetary'], currency)}, the last {words.days(row['recency_days'])} ago"
    )
    title = quoted(row["top_category_title"])
    return f"{text}, most of it {title}." if title else f"{text}."


def _holdout(
    test: Test | None,
    by_spend: SpendTest | None,
    customers: int,
    *,
    horizon: int,
    alpha: float,
    power: float,
    currency: str,
) -> str:
    if test is None:
        return (
            "How many of them buy with nothing done is not known, so no size can be computed; "
            "leave out a tenth and compare."
        )
    if by_spend is not None:
        return spend_test_in_words(
            test, by_spend, customers, horizon=horizon, alpha=alpha, power=power, currency=currency
        )
    return holdout_in_words(test, customers, horizon, alpha, power)


def _times(value: Any, factor: float) -> float | None:
    return None if words.is_missing(value) else round(float(value) * factor, 2)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]

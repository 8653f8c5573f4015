"""What is said of a segment or a customer: words and figures put together, where they hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.core.run.params import read_params
from pipeline.core.text.words import is_missing
from pipeline.render_report.language import FIELDS, Language, Sentence, read_language, said
from pipeline.render_report.rows import Row

# The figures that the words may use: of a segment (columns of `profiles` and `strategies`, the
# other customers' medians, those of the shop) and of a customer, with how they are written.
SEGMENT_FIGURES = {
    "customers": "count", "customer_share": "share", "revenue": "money", "revenue_share": "share",
    "recency": "count", "orders": "count", "spend": "money", "order_value": "money",
    "rest_recency": "count", "rest_orders": "count", "rest_spend": "money",
    "gap": "count", "quiet_days": "count", "gap_customers": "count", "return_rate": "share",
    "units_per_line": "count", "top_category": "quoted", "second_category": "quoted",
    "offer_category": "quoted", "over_category": "quoted", "over_lift": "number",
    "next_category": "quoted", "first_category": "quoted", "first_share": "share",
    "first_value": "money", "first_units": "count", "first_products": "count",
    "buying_rate": "share", "target_rate": "share", "forecast": "money",
    "forecast_per_customer": "money", "at_stake": "money", "horizon": "count",
    "peak_month": "month", "days_to_peak": "count", "top_country": "text",
    "abroad_share": "share", "retention": "share", "rise_to": "segment", "rise_share": "share",
    "rise_gain": "money", "fall_to": "segment", "fall_share": "share", "lift": "share",
    "full_price_share": "share", "promotion_share": "share",
}  # fmt: skip
CUSTOMER_FIGURES = {
    "offer_category": "quoted", "next_category": "quoted", "recency_days": "count",
    "orders": "count", "spend": "money", "forecast": "money", "full_price_share": "share",
}  # fmt: skip
COLUMN_OF = {
    "recency": "median_recency_days", "orders": "median_frequency", "spend": "median_monetary",
    "order_value": "median_order_value", "forecast": "expected_spend",
    "forecast_per_customer": "expected_spend_per_customer", "at_stake": "value_at_stake",
    "top_category": "top_category_title", "second_category": "second_category_title",
    "offer_category": "offer_category_title", "over_category": "over_category_title",
    "next_category": "next_category_title", "first_category": "first_order_category_title",
    "first_share": "first_order_category_share", "first_value": "first_order_value",
    "first_units": "first_order_units", "first_products": "first_order_products",
}  # fmt: skip
LONGEST_TEST = 730  # days of rounds; beyond two years nobody waits for a result


class Writer:
    """Writes the sentences of one language with the figures of one shop."""

    def __init__(self, language: Language, currency: str) -> None:
        self.language, self.style, self.currency = language, language.style, currency
        style = language.style
        self._ways: dict[str, Callable[[Any], str]] = {
            "count": style.count,
            "share": style.share,
            "money": lambda value: style.money(value, currency),
            "number": lambda value: style.number(float(value), 2),
            "quoted": lambda value: language("said.quoted", name=value),
            "month": lambda value: style.months[int(value) - 1],
            "segment": language.title,
            "text": str,
        }

    def money(self, value: Any) -> str:
        """Money in short."""
        return self.style.money(value, self.currency)

    def tick(self, value: Any) -> str:
        """Money on an axis."""
        return self.style.money(value, self.currency, is_tick=True)

    def fill(
        self, sentences: Sequence[Sentence], figures: Mapping[str, Any], kinds: Mapping[str, str]
    ) -> list[str]:
        """The sentences that hold, with the figures as people write them."""
        written = self.written(figures, kinds)
        return [each.say.format(**written) for each in said(sentences, figures)]

    def written(self, figures: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, str]:
        """The figures that are known, as people write them."""
        return {
            name: self._ways[kind](figures[name])
            for name, kind in kinds.items()
            if not is_missing(figures.get(name))
        }

    def play(self, segment: Row, strategy: Row, figures: Mapping[str, Any]) -> Row:
        """The fields of a segment's play as texts; a field of which nothing holds is empty."""
        play = self.language.play(segment["play"], segment["segment"])
        texts = {
            field: " ".join(self.fill(getattr(play, field), figures, SEGMENT_FIGURES))
            for field in FIELDS
        }
        prices = self.fill([self.language.texts["prices"]["segment"]], figures, SEGMENT_FIGURES)
        return texts | {
            "offer": " ".join([texts["offer"], *prices]).strip(),
            "action": play.action,
            "cost": self.language.cost_classes[strategy["cost_class"]],
            "cost_class": self.language("cost." + strategy["cost_class"]),
            "test": self.test(strategy, figures),
        }

    def customer_action(self, customer: Row) -> str:
        """What to do for one customer, in a sentence."""
        text, figures = self.customer_words(customer)
        prices = self.fill([self.language.texts["prices"]["customer"]], figures, CUSTOMER_FIGURES)
        return " ".join([text.format(**self.written(figures, CUSTOMER_FIGURES)), *prices])

    def customer_words(self, customer: Row) -> tuple[str, Row]:
        """The first sentence of a customer's play that holds, and the figures for its places."""
        play = self.language.play(customer["play"])
        figures = {
            "offer_category": customer["offer_category_title"],
            "next_category": customer["next_category_title"],
            "recency_days": customer["recency_days"],
            "orders": customer["frequency"],
            "spend": float(customer["monetary"]),
            "forecast": customer["expected_spend"],
            "full_price_share": customer.get("full_price_share"),
            "buys_on_promotion": int(customer.get("buys_on_promotion") or False),
        }
        found = next(said(play.for_customer, figures), None)
        return (found.say if found else play.action), figures

    def test(self, strategy: Row, figures: Mapping[str, Any]) -> str:
        """How to see whether the play works: the size of the hold-out group, or what else to do."""
        if strategy["compares"] is None:
            return self.language("test.none")
        rounds, horizon = strategy["test_rounds"], figures["horizon"]
        key = f"test.{strategy['compares']}"
        if not strategy["is_testable"]:
            key += "_too_small"
            if rounds is not None and rounds * horizon > LONGEST_TEST:
                key = "test.ask"
        counts = {
            "holdout": strategy["holdout_customers"], "treated": strategy["treated_customers"],
            "half": int(strategy["customers"]) // 2, "rounds": rounds, "horizon": horizon,
        }  # fmt: skip
        shares = {
            "base": strategy["baseline_rate"], "target": strategy["target_rate"],
            "detectable": strategy["detectable_rate"], "lift": figures["lift"],
            **{name: strategy[name] for name in ("detectable_lift", "power", "alpha")},
        }  # fmt: skip
        kinds = dict.fromkeys(counts, "count") | dict.fromkeys(shares, "share")
        return self.language(key, **self.written(counts | shares, kinds))

    def note(self, row: Row) -> str:
        """A note of profile_segments in words."""
        figures = {
            name: self.style.date(value)
            if isinstance(value, str) and value[:4].isdigit()
            else value
            for name, value in json.loads(row["figures"]).items()
        }
        if "segments" in figures:
            figures["segments"] = ", ".join(map(self.language.title, figures["segments"]))
        return self.language(f"notes.{row['note']}", **figures)


def segment_figures(segment: Row, strategy: Row, rest: Mapping[str, Any], shop: Row) -> Row:
    """A segment's figures by the names that the words use.

    `rest` are the other customers' medians by feature, `shop` what is the same for all segments.
    """
    found = {**strategy, **segment, **shop}
    figures = {name: found.get(COLUMN_OF.get(name, name)) for name in SEGMENT_FIGURES}
    return figures | {
        "rest_recency": rest.get("recency_days"),
        "rest_orders": rest.get("frequency"),
        "rest_spend": rest.get("monetary"),
    }


def read_writer() -> Writer:
    """The writer of the report's language, for the shop of params.yaml."""
    params = read_params()
    return Writer(read_language(params["report"]["language"]), params["shop"]["currency"])

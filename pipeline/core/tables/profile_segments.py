"""What profile_segments writes: what segments are, are worth, do, and how they move."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.core.tables.contract import (
    Column,
    Table,
    amount,
    count,
    day,
    flag,
    integer,
    money,
    number,
    score,
    share,
    text,
)

FOLDER = Path("data/profiles")
KNOWN = "; null where the file knows no discounts"
YOUNG = "; null, as all that is forecast, where the file is too young"
SEGMENT = (
    integer("segment_id", "0 = whose customers spent most later", least=0),
    text("segment", "the segment's name"),
)


def _table(
    name: str,
    row: str,
    *,
    columns: Sequence[Column],
    key: tuple[str, ...],
    order: tuple[str, ...] = (),
    rules: tuple[str, ...] = (),
) -> Table:
    return Table(name, row, tuple(columns), key, order, rules, path=FOLDER / f"{name}.parquet")


def _interval(
    kind: Callable[..., Column], name: str, doc: str, ends: Sequence[str] = ("_low", "_high")
) -> tuple[Column, ...]:
    return tuple(kind(name + end, doc, null=True) for end in ends)


PROFILES = _table(
    "profiles",
    "one segment that has customers at the last snapshot",
    columns=(
        *SEGMENT,
        text("group", "declared group's key (wholesale, returned_everything), else empty"),
        text("play", "key of the play in pipeline/settings/playbook.yaml"),
        day("snapshot_date", "the last snapshot, that all of this describes"),
        count("customers", "members", least=1),
        share("customer_share", "of all customers"),
        money("revenue", "what its members spent and kept so far"),
        share("revenue_share", "of the revenue with known customers"),
        share("largest_customer_share", "of its revenue, the share of its largest customer"),
        flag("is_decided_by_few", "revenue, and under 20 members or one with over a third of it"),
        amount("margin", "of the revenue of known cost; null where no cost is known", null=True),
        number("margin_rate", "margin / the revenue of known cost", null=True),
        share("cost_known_share", "of the revenue, the share of which the cost is known"),
        share("full_price_share", "members' mean share bought at list price" + KNOWN, null=True),
        share("promotion_share", "members who buy nearly only at a discount" + KNOWN, null=True),
        count("orders", "orders of which anything was kept"),
        number("median_recency_days", "null where nobody kept anything", unit="days", null=True),
        number("median_frequency", "kept orders", unit="orders"),
        amount("median_monetary", "spend so far"),
        amount("median_order_value", "a customer's mean order"),
        number("return_rate", "share of the money spent that was refunded"),
        number("units_per_line", "median over members of their mean units on a line", unit="units"),
        number("gap", "median days between orders of a member", unit="days", null=True),
        number("quiet_days", "upper quartile of those gaps", unit="days", null=True),
        count("gap_customers", "members with two order days"),
        text("top_country", "where most members are"),
        number("abroad_share", "share of members outside the shop's most frequent country"),
        count("peak_month", "calendar month of most spend; null in a short file", null=True),
        count("days_to_peak", "days from the snapshot to that month; 0 within it", null=True),
        text("top_category_title", "category with most spend", null=True),
        text("second_category_title", "category with the next most spend", null=True),
        text("offer_category", "key of the category in season to lead with", null=True),
        text("offer_category_title", "its name", null=True),
        text("over_category_title", "category in season that they buy more of", null=True),
        number("over_lift", "how many times the others' share", null=True),
        text("next_category", "key of the category in season to suggest", null=True),
        text("next_category_title", "its name", null=True),
        text("rise_to", "segment that most of those who rise within a month go to", null=True),
        number("rise_share", "share of members who rise within a month", null=True),
        amount("rise_gain", "what who rose spent more after it than who stayed", null=True),
        text("fall_to", "segment that most of those who fall within a month go to", null=True),
        number("fall_share", "share of members who fall within a month", null=True),
        number("mean_confidence", "how clearly members belong, 0 to 1"),
        text("rule", "the segment's rules, joined by: or"),
        share("rule_precision", "share of the rule's customers that are members"),
        share("rule_recall", "share of the members on whom the rule holds"),
        amount("first_order_value", "median of the first order"),
        number("first_order_units", "median units of the first order", unit="units"),
        number("first_order_products", "median products of the first order"),
        text("first_order_category_title", "category that led most first orders", null=True),
        number("first_order_category_share", "members whose first order it led", null=True),
        number("buying_rate", "expected share of buyers in the horizon" + YOUNG, null=True),
        *_interval(number, "buying_rate", "80 % interval of the shop's level"),
        number("expected_orders", "forecast for all members in the horizon", null=True),
        *_interval(number, "expected_orders", "its 95 % interval"),
        amount("expected_spend", "forecast for all members in the horizon", null=True),
        *_interval(amount, "expected_spend", "its 95 % interval"),
        *_interval(amount, "expected_spend", "its 80 % interval", ("_low80", "_high80")),
        amount("expected_spend_year", "forecast for all members in twelve months", null=True),
        *_interval(amount, "expected_spend_year", "its 95 % interval"),
        amount("expected_spend_per_customer", "expected_spend / customers", null=True),
        number("retention", "of a month's members, share still there a month later", null=True),
    ),
    key=("segment_id",),
)

STRATEGIES = _table(
    "strategies",
    "one segment that has customers at the last snapshot",
    columns=(
        *SEGMENT,
        text("play", "key of the play in pipeline/settings/playbook.yaml"),
        text("cost_class", "what a contact costs", among=("none", "low", "medium", "high")),
        integer("decision", "place by value at stake; null = nothing to win", least=1, null=True),
        count("exceptions", "members with another play, by their own last order"),
        amount(
            "value_at_stake", "what the tested or measured lift brings in the horizon", null=True
        ),
        *_interval(amount, "value_at_stake", "its 95 % interval, that of the expected spend"),
        amount("margin_at_stake", "value_at_stake x margin_rate; null where unknown", null=True),
        number("measured_lift", "of spend, by campaigns of the play: at stake then", null=True),
        number("baseline_rate", "share that buys again with nothing done", null=True),
        number("target_rate", "baseline_rate with the declared lift", null=True),
        number("alpha", "chance of a false alarm, two-sided"),
        number("power", "declared chance to see the lift"),
        count("customers", "members", least=1),
        text("compares", "what the test compares", among=("buyers", "spend"), null=True),
        count("holdout_customers", "to leave out; null where no size suffices", null=True),
        count("treated_customers", "to address; null likewise", null=True),
        flag("is_testable", "the segment is large enough to see the lift"),
        number("detectable_rate", "least rate that halves of the segment would show", null=True),
        number("detectable_lift", "least rise of spend that halves would show", null=True),
        amount("spend_unit", "unit of a test of spend: mean of log(1 + spend / unit)", null=True),
        count("test_rounds", "horizons, halves drawn anew, that together show the lift", null=True),
    ),
    key=("segment_id",),
)

SEGMENT_FEATURES = _table(
    "segment_features",
    "one feature of one segment at the last snapshot",
    columns=(
        *SEGMENT,
        text("feature", "a column of `customers`"),
        text("feature_title", "its name, as people read it"),
        text("unit", "days, orders, currency, units, products or share"),
        count("customers", "members who have a value (two orders for a gap)"),
        number("q05", "5 % of the members lie at or below", null=True),
        number("q25", "lower quartile; null, as its like, if nobody has a value", null=True),
        number("median", "half of the members lie at or below", null=True),
        number("q75", "upper quartile", null=True),
        number("q95", "95 % of the members lie at or below", null=True),
        number("mean", "arithmetic mean", null=True),
        number("rest_median", "median of all other customers", null=True),
        number("cliffs_delta", "P(member > other) - P(member < other)", null=True),
        text("effect", "in words: much higher, higher, slightly higher, like the rest, ..."),
        integer("rank", "1 = sets the segment apart most", least=1),
    ),
    key=("segment_id", "feature"),
    order=("segment_id", "rank"),
)

SEGMENT_CATEGORIES = _table(
    "segment_categories",
    "one category in one segment with spend; empty where the shop's lines know no products",
    columns=(
        *SEGMENT,
        text("category", "the category's key"),
        text("category_title", "its name"),
        money("spend", "what members spent on it and kept"),
        number("spend_share", "of the segment's spend"),
        number("rest_share", "of the other customers' spend"),
        number("lift", "mean share of a member's spend over that of another's", null=True),
        *_interval(number, "lift", "95 % interval over customers (ratio of two means)"),
        text("verdict", "by the interval", among=("over", "under", "like the rest")),
        integer("rank", "1 = takes most of the segment's spend", least=1),
    ),
    key=("segment_id", "category"),
    order=("segment_id", "rank"),
)

SEGMENT_MONTHS = _table(
    "segment_months",
    "one month of the file in one segment (its members at the last snapshot), zeros included",
    columns=(
        *SEGMENT,
        day("month", "first day of the month"),
        flag("is_whole", "the data covers the month from its first to its last day"),
        count("orders", "orders of that month of which anything was kept"),
        count("buyers", "members who ordered"),
        money("spend", "what they spent and kept"),
        number("spend_share", "of the segment's spend in the whole file"),
        number("rest_share", "the same for all other customers"),
    ),
    key=("segment_id", "month"),
)

SEGMENT_RULES = _table(
    "segment_rules",
    "one rule; the first that holds counts, and together they cover every customer",
    columns=(
        integer("rule_id", "number of the rule", least=1),
        integer("segment_id", "the segment that the rule says", least=0),
        text("segment", "the segment's name"),
        text("rule", "such as: recency_days <= 60, frequency >= 4, monetary > 849"),
        count("customers", "customers on whom it holds", least=1),
        number("precision", "share of them that are in the segment"),
        number("recall", "share of the segment on whom it holds"),
    ),
    key=("rule_id",),
    order=("segment_id", "rule_id"),
)

LIKE_OTHERS = "interval that holds 80 % of past customers with such a forecast; null without a past"

CUSTOMER_FORECASTS = _table(
    "customer_forecasts",
    "one customer at the last snapshot",
    columns=(
        text("customer_id", "the customer"),
        *SEGMENT,
        number("confidence", "how clearly the customer belongs there"),
        text("previous_segment", "the segment before this one; null where none", null=True),
        day("since", "the first snapshot in this segment"),
        integer("months_in_segment", "months from it to the last snapshot", least=0),
        text("moved_by", "of a new segment: why", among=("time", "behaviour"), null=True),
        integer("recency_days", "days since the last kept order", unit="days", null=True),
        integer("frequency", "kept orders", unit="orders"),
        money("monetary", "spend so far"),
        score("recency_score", "fifth of the customers by recency, 5 = bought last"),
        score("frequency_score", "fifth by frequency, 5 = most orders"),
        score("monetary_score", "fifth by monetary, 5 = most spend"),
        text("country", "where most of the orders went"),
        text("top_category", "key of the category with most spend", null=True),
        text("top_category_title", "its name", null=True),
        text("next_category", "key of the most popular one never bought", null=True),
        text("next_category_title", "its name", null=True),
        text("next_products", "up to three never bought, as buyers of the own ones did", null=True),
        share("buying_probability", "of an order in the horizon" + YOUNG, null=True),
        *_interval(number, "buying_probability", "80 % interval of the shop's level"),
        number("expected_orders", "within the horizon", rule="expected_orders >= 0", null=True),
        *_interval(number, "expected_orders", LIKE_OTHERS),
        amount("expected_spend", "within the horizon", null=True),
        *_interval(amount, "expected_spend", LIKE_OTHERS),
        share("buying_probability_year", "of an order within twelve months", null=True),
        *_interval(number, "buying_probability_year", "80 % interval of the shop's level"),
        number("expected_orders_year", "within twelve months", null=True),
        *_interval(number, "expected_orders_year", LIKE_OTHERS),
        amount("expected_spend_year", "within twelve months", null=True),
        *_interval(amount, "expected_spend_year", LIKE_OTHERS),
        day("next_order_from", "it comes before with a chance of 10 %; null = not soon", null=True),
        day("next_order_likely", "as likely before as after this day or never", null=True),
        day("next_order_until", "it comes by then with a chance of 90 %", null=True),
        text("offer_category", "key of the category in season with most spend", null=True),
        text("offer_category_title", "its name", null=True),
        integer("tenure_days", "days since the first order", unit="days"),
        text("play", "the play of playbook.yaml for this customer"),
        text("segment_before", "segment at the day compared with; null for a newcomer", null=True),
        amount("margin", "of what was kept; null where no cost is known", null=True),
        share("cost_known_share", "of the spend, the share of which the cost is known"),
        share("full_price_share", "of what was bought, at list price" + KNOWN, null=True),
        flag("buys_on_promotion", "nearly all at a discount, in two orders or more"),
    ),
    key=("customer_id",),
)

MIGRATION = _table(
    "migration",
    "one pair of segments between two snapshots, where at least one customer went that way",
    columns=(
        text(
            "span",
            "month = from one snapshot to the next, whole = from a year back (or the first "
            "snapshot, if later) to the last",
            among=("month", "whole"),
        ),
        day("from_date", "the earlier snapshot"),
        day("to_date", "the later snapshot"),
        integer("from_segment_id", "-1 = not a customer yet", least=-1),
        text("from_segment", "the segment's name, or: not yet a customer"),
        integer("to_segment_id", "where they are later", least=0),
        text("to_segment", "the segment's name"),
        count("customers", "how many went that way", least=1),
        number("share", "of those in from_segment at from_date"),
    ),
    key=("span", "from_date", "from_segment_id", "to_segment_id"),
)

SEGMENT_RETENTION = _table(
    "segment_retention",
    "one segment between one snapshot and the next",
    columns=(
        *SEGMENT,
        day("from_date", "the earlier snapshot"),
        day("to_date", "the later snapshot"),
        integer("days", "between them; fewer than 28 = not a whole month", unit="days"),
        count("customers", "members at from_date", least=1),
        count("stayed", "of them members at to_date"),
        count("rose", "of them in a more valuable segment at to_date"),
        count("fell", "of them in a less valuable segment at to_date"),
        number("retention", "stayed / customers"),
    ),
    key=("segment_id", "from_date"),
    rules=("stayed + rose + fell = customers",),
)

SEGMENT_CHANGES = _table(
    "segment_changes",
    "one segment, with or without customers; empty where there is one snapshot",
    columns=(
        *SEGMENT,
        day("from_date", "the same as in latest_moves"),
        day("to_date", "the last snapshot"),
        count("customers_before", "members at from_date"),
        count("customers", "members at to_date"),
        number("share", "of all customers at to_date"),
        count("newcomers", "members who were no customers at from_date"),
        count("rose_in", "members who came from a less valuable segment"),
        count("fell_in", "members who came from a more valuable segment"),
        count("rose_out", "former members now in a more valuable segment"),
        count("fell_out", "former members now in a less valuable segment"),
        money("spend_since", "what the members of now spent since from_date"),
    ),
    key=("segment_id",),
    rules=("customers_before + newcomers + rose_in + fell_in - rose_out - fell_out = customers",),
)

LATEST_MOVES = _table(
    "latest_moves",
    "one pair of segments between from_date and the last snapshot, where at least one "
    "customer went that way; empty where there is one snapshot",
    columns=(
        day(
            "from_date",
            "the newest snapshot at least a week before the last one (or the one before, where "
            "all are nearer)",
        ),
        day("to_date", "the last snapshot"),
        integer("from_segment_id", "-1 = not a customer yet", least=-1),
        text("from_segment", "the segment's name, or: not yet a customer"),
        integer("to_segment_id", "where they are now", least=0),
        text("to_segment", "the segment's name"),
        text("direction", "rose = more valuable", among=("new", "stayed", "rose", "fell")),
        count("customers", "how many went that way", least=1),
        number("share", "of those in from_segment at from_date"),
        money("spend", "what they have spent in all, net of returns"),
        money("spend_since", "of it since from_date"),
        amount("value_at_stake", "of who fell: what the tested lift would bring", null=True),
        *_interval(amount, "value_at_stake", "its 95 % interval, that of the expected spend"),
        amount("fall_loss", "what who fell so before spent less than who stayed", null=True),
        number("baseline_rate", "share that buys again with nothing done", null=True),
        number("target_rate", "baseline_rate with the declared lift", null=True),
    ),
    key=("from_segment_id", "to_segment_id"),
)

FORECAST_CHECK = _table(
    "forecast_check",
    "one group of customers at one held-out snapshot",
    columns=(
        day("snapshot_date", "the day of the forecast, made from what was known on it"),
        text("grouping", "decile = by expected spend", among=("all", "segment", "decile")),
        integer("position", "segment_id, or 1 (least expected) to 10, or 0 for all"),
        text("label", "the segment's name, or such as: decile 3, or: all"),
        count("customers", "in the group", least=1),
        amount("expected_spend", "per customer"),
        amount("expected_spend_low", "95 % interval, per customer"),
        amount("expected_spend_high", "95 % interval, per customer"),
        amount("actual_spend", "per customer"),
        number("expected_buying_rate", "mean probability of an order"),
        number("actual_buying_rate", "share that ordered"),
        flag("is_within_80", "the actual spend lies in the 80 % interval"),
        flag("is_within_95", "the actual spend lies in the 95 % interval"),
        text("verdict", "of the 95 % interval", among=("held", "too high", "too low")),
    ),
    key=("snapshot_date", "grouping", "position"),
)

DRIFT = _table(
    "drift",
    "one measure at one snapshot against one reference",
    columns=(
        day("snapshot_date", "the snapshot"),
        text(
            "reference",
            "training = the last snapshot (the model was fitted on it), previous = the one before",
            among=("training", "previous"),
        ),
        day("reference_date", "its day"),
        text("measure", "a feature of `customers`, or: segment_shares"),
        text("measure_title", "its name, as people read it"),
        number("psi", "population stability index", rule="psi >= 0"),
        number("noise", "what the index of 95 % of such samples is below without drift"),
        text(
            "verdict",
            "stable (below 0.1 or the noise), some drift (below 0.25), drifted",
            among=("stable", "some drift", "drifted"),
        ),
    ),
    key=("snapshot_date", "reference", "measure"),
    order=("reference", "snapshot_date", "measure"),
)

CUSTOMER_MONTHS = _table(
    "customer_months",
    "one month of one customer in which anything was ordered and kept",
    columns=(
        text("customer_id", "the customer"),
        day("month", "first day of the month"),
        integer("orders", "orders of that month", least=1),
        money("spend", "what was spent and kept"),
    ),
    key=("customer_id", "month"),
)

SHOP_PERIODS = _table(
    "shop_periods",
    "one period that the file covers; the latest is as long as the forecast's horizon",
    columns=(
        text(
            "period",
            "latest; before = as many days before it; year_before = the same days a year before; "
            "comparable = its last days, where only those have a year before them",
            among=(
                "latest",
                "before",
                "year_before",
                "comparable",
                "comparable_year_before",
                "ahead_year_before",
            ),
        ),
        day("first_day", "the first day"),
        day("last_day", "the last day"),
        count("days", "of the period", least=1),
        amount("revenue", "all sales, net of returns"),
        amount("known_revenue", "of it from known customers"),
        count("orders", "orders of which anything was kept"),
        count("customers", "known customers who ordered"),
        count("new_customers", "of them for the first time; null in a young file", null=True),
    ),
    key=("period",),
)

PROFILE_NOTES = _table(
    "profile_notes",
    "one thing that could not be done or needs care; empty where there is none",
    columns=(
        integer("position", "order of reading", least=1),
        text("topic", "profiles, categories, countries, season, forecast or migration"),
        text("note", "key of what is to be said, in pipeline/settings/words"),
        text("figures", "the figures of the note, as a JSON object"),
    ),
    key=("position",),
)

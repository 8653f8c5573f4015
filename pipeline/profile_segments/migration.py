"""Who moved from which segment to which, and how many of each segment stayed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
import pandas as pd

NOT_YET = "not yet a customer"
NOT_YET_ID = -1
A_YEAR = timedelta(days=365)
WHOLE_MONTH = timedelta(days=28)
LEAST_MOVED = 20


def both_days(customers: pd.DataFrame, start: date, end: date) -> pd.DataFrame:
    """Return each customer of the snapshot `end`, as they were at `start` and are then.

    `customers` has snapshot_date, customer_id, segment_id, monetary and recency_days. The rows
    returned have from_segment_id (-1 = no customer yet), to_segment_id, spend (so far, at `end`),
    spend_since, has_ordered (since then, and kept some of it), from_date and to_date.
    """
    columns = ["customer_id", "segment_id", "monetary"]
    now = customers.loc[customers["snapshot_date"] == end, [*columns, "recency_days"]]
    then = customers.loc[customers["snapshot_date"] == start, columns]
    both = now.merge(then, on="customer_id", how="left", suffixes=("", "_before"))
    spend = both["monetary"].astype("float64")
    return pd.DataFrame(
        {
            "customer_id": both["customer_id"],
            "from_segment_id": both["segment_id_before"].fillna(NOT_YET_ID).astype("int64"),
            "to_segment_id": both["segment_id"].astype("int64"),
            "spend": spend,
            "spend_since": spend - both["monetary_before"].astype("float64").fillna(0.0),
            "has_ordered": both["recency_days"].astype("float64") < (end - start).days,
            "from_date": start,
            "to_date": end,
        }
    )


def moves(both: pd.DataFrame, names: Mapping[int, str]) -> pd.DataFrame:
    """Return one row per pair of segments that customers of `both_days` went between."""
    keys = ["from_date", "to_date", "from_segment_id", "to_segment_id"]
    found = both.groupby(keys, as_index=False).agg(
        customers=("customer_id", "size"),
        spend=("spend", "sum"),
        spend_since=("spend_since", "sum"),
    )
    start, end = found["from_segment_id"], found["to_segment_id"]
    named = {**names, NOT_YET_ID: NOT_YET}
    directions = ["new", "stayed", "rose"]  # a lesser segment_id is more valuable
    total = found.groupby("from_segment_id")["customers"].transform("sum")
    return found.assign(
        direction=np.select([start == NOT_YET_ID, start == end, end < start], directions, "fell"),
        from_segment=start.map(named),
        to_segment=end.map(named),
        share=(found["customers"] / total).round(6),
    )


def migration(customers: pd.DataFrame, names: Mapping[int, str]) -> pd.DataFrame:
    """Return the moves from each snapshot to the next, and from a year back to the last.

    Nobody leaves the table: who bought once is in every later snapshot.
    """
    days = sorted(customers["snapshot_date"].unique())
    steps = [("month", a, b) for a, b in itertools.pairwise(days)]
    if not steps:
        return pd.DataFrame()
    steps.append(("whole", a_year_back(days), days[-1]))
    return pd.concat(
        [moves(both_days(customers, a, b), names).assign(span=span) for span, a, b in steps],
        ignore_index=True,
    )


def rise_gains(
    segments: pd.DataFrame, later: pd.DataFrame, *, fell: bool = False
) -> dict[int, float]:
    """What those who rose (or fell) out of a segment spent more later than those who stayed.

    Spend is the mean in the horizon after the move (`later`, by snapshot); segments that fewer
    than LEAST_MOVED left so, or where it is within two standard errors of nothing, are left out.
    """
    if later.empty:
        return {}
    known = segments[["snapshot_date", "customer_id", "segment_id"]]
    known = known.sort_values(["customer_id", "snapshot_date"])
    before = known.groupby("customer_id")["segment_id"].shift()
    joined = known.assign(before=before).dropna().merge(later, on=["snapshot_date", "customer_id"])
    spend = joined["later_spend"].astype(float)
    found = {}
    for number in sorted(set(joined["before"].astype(int))):
        mine = joined["before"] == number
        now = joined["segment_id"]
        left = spend[mine & ((now > number) if fell else (now < number))]
        stayed = spend[mine & (now == number)]
        if len(left) < LEAST_MOVED or len(stayed) < 2:
            continue
        gain = float(left.mean() - stayed.mean())
        squares = [float(s.to_numpy().var(ddof=1)) / len(s) for s in (left, stayed)]
        if abs(gain) > 2 * math.sqrt(sum(squares)):
            found[number] = gain
    return found


def a_year_back(days: Sequence[date]) -> date:
    """The last snapshot a year or more before the last one, or the first of all."""
    old = [day for day in days if day <= days[-1] - A_YEAR]
    return old[-1] if old else days[0]


def segment_retention(moved: pd.DataFrame) -> pd.DataFrame:
    """Return per segment and step of `migration` how many stayed, rose and fell."""
    if moved.empty:
        return pd.DataFrame()
    steps = moved[(moved["span"] == "month") & (moved["from_segment_id"] != NOT_YET_ID)]
    keys = ["from_segment_id", "from_segment", "from_date", "to_date"]
    counts = steps.pivot_table("customers", keys, "direction", "sum", fill_value=0)
    found = counts.reindex(columns=["stayed", "rose", "fell"], fill_value=0).astype("int64")
    found = found.assign(customers=found.sum(axis=1)).reset_index()
    return found.assign(
        segment_id=found["from_segment_id"],
        segment=found["from_segment"],
        days=[(b - a).days for a, b in zip(found["from_date"], found["to_date"], strict=True)],
        retention=(found["stayed"] / found["customers"]).round(6),
    )


def mean_retention(retention: pd.DataFrame) -> dict[int, float]:
    """Each segment's share that stays a member for a month, over all whole months."""
    if retention.empty:
        return {}
    whole = retention[retention["days"] >= WHOLE_MONTH.days].groupby("segment_id")
    sums = whole[["stayed", "customers"]].sum()
    return dict((sums["stayed"] / sums["customers"]).round(6))


def where_most_go(moved: pd.DataFrame, direction: str) -> dict[int, tuple[str, float]]:
    """For each segment: where most who rose (or fell) within a month went, and the share that did.

    The share is of all members, over whole months.
    """
    if moved.empty:
        return {}
    steps = moved[(moved["span"] == "month") & (moved["from_segment_id"] != NOT_YET_ID)]
    steps = steps[steps["to_date"] - steps["from_date"] >= WHOLE_MONTH]
    members = steps.groupby("from_segment_id")["customers"].sum()
    found: dict[int, tuple[str, float]] = {}
    for number, mine in steps[steps["direction"] == direction].groupby("from_segment_id"):
        targets = mine.groupby("to_segment")["customers"].sum()
        found[int(str(number))] = (str(targets.idxmax()), targets.sum() / members.loc[number])
    return found

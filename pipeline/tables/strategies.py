"""What to do for each segment, with this shop's figures in it."""

from pathlib import Path

import pyarrow as pa

from pipeline.tables.contract import Column, Table

STRATEGIES = Table(
    name="strategies",
    path=Path("data/strategies.parquet"),
    row="one segment that has customers at the last snapshot",
    columns=(
        Column("segment_id", pa.int32(), "0 = the most valuable", rule="segment_id >= 0"),
        Column("segment", pa.string(), "the segment's name"),
        Column("play", pa.string(), "key of the play in pipeline/playbook.yaml"),
        Column("action", pa.string(), "the one thing to do, in a few words"),
        Column("goal", pa.string(), "what is to be reached"),
        Column("offer", pa.string(), "what to offer, with categories"),
        Column("channel", pa.string(), "how to reach them"),
        Column("cadence", pa.string(), "how often"),
        Column("cost_class", pa.string(), "none, low, medium or high, and what it means"),
        Column("kpi", pa.string(), "the one figure to watch, with its value today"),
        Column("holdout", pa.string(), "how many to leave out to see the effect, in a sentence"),
        Column("do_not", pa.string(), "what not to do"),
        Column(
            "exceptions",
            pa.string(),
            "members with a play of their own, in a sentence; empty where there are none",
        ),
        Column("at_stake", pa.string(), "the money, in a sentence"),
        Column(
            "value_at_stake",
            pa.float64(),
            "what the lift is worth over the horizon if it comes true",
            nullable=True,
            unit="currency",
        ),
        Column(
            "value_at_stake_low",
            pa.float64(),
            "its 95 % interval, that of the expected spend",
            nullable=True,
            unit="currency",
        ),
        Column(
            "value_at_stake_high",
            pa.float64(),
            "its 95 % interval, that of the expected spend",
            nullable=True,
            unit="currency",
        ),
        Column("offer_category", pa.string(), "key of the category to lead with", nullable=True),
        Column("offer_category_title", pa.string(), "its name", nullable=True),
        Column("next_category", pa.string(), "key of the next best category", nullable=True),
        Column("next_category_title", pa.string(), "its name", nullable=True),
        Column(
            "baseline_rate", pa.float64(), "share that buys again with nothing done", nullable=True
        ),
        Column("target_rate", pa.float64(), "baseline_rate with the declared lift", nullable=True),
        Column("alpha", pa.float64(), "chance of a false alarm, two-sided"),
        Column("power", pa.float64(), "declared chance to see the lift"),
        Column("customers", pa.int64(), "members", rule="customers > 0"),
        Column(
            "compares",
            pa.string(),
            "what the test compares: share of buyers, or spend where their share shows too little",
            nullable=True,
            rule="compares in ('buyers', 'spend')",
        ),
        Column(
            "holdout_customers",
            pa.int64(),
            "to leave out; null where no size suffices",
            nullable=True,
        ),
        Column("treated_customers", pa.int64(), "to address; null likewise", nullable=True),
        Column("is_testable", pa.bool_(), "the segment is large enough to see the lift"),
        Column(
            "detectable_rate",
            pa.float64(),
            "least rate that halves of the segment would show",
            nullable=True,
        ),
        Column(
            "detectable_lift",
            pa.float64(),
            "least rise of spend that halves of the segment would show",
            nullable=True,
        ),
        Column(
            "test_rounds",
            pa.int64(),
            "horizons, each with halves drawn anew, that together show the lift of spend",
            nullable=True,
        ),
    ),
    key=("segment_id",),
    order=("segment_id",),
)

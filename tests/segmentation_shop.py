"""A small made-up shop over time, for the tests of selection: customers with planted habits."""

from decimal import Decimal

import numpy as np
import pandas as pd

from pipeline.core.model.groups import Wholesale
from pipeline.core.tables.aggregate_rfm import CUSTOMERS, LATER_PURCHASES
from pipeline.core.tables.contract import write_table
from pipeline.select_model.candidates import Effort, Setting
from pipeline.select_model.snapshots import Origin, Snapshot

SETTING = Setting(
    seed=1,
    customers=400,
    minimum_share=0.03,
    wholesale=Wholesale(is_apart=True, minimum_units_per_line=100, minimum_orders=3),
    columns={},
    effort=Effort(
        resamples=4,
        splits=2,
        finalists=2,
        final_resamples=6,
        final_splits=3,
        gap_references=1,
        later_resamples=20,
        customers=400,
        quadratic_sample=200,
    ),
)
DATES = [f"2011-{month:02d}-28" for month in range(1, 10)]


def snapshots(dates=DATES, size=400, seed=0):
    """Snapshots of which the last three have no outcomes yet; better customers buy more later."""
    habit = np.random.default_rng(seed).random(size)
    found = []
    for number, date in enumerate(dates):
        rng = np.random.default_rng((seed, number))
        frequency = 1 + rng.poisson(6 * habit)
        recency = rng.integers(1, 100, size) + 100 * (1 - habit)
        monetary = frequency * rng.lognormal(3, 0.3, size)
        group = np.full(size, -1)
        group[:3] = 0
        is_over = number < len(dates) - 3
        later = np.maximum(0, habit - 0.4) * 400 * rng.random(size) if is_over else None
        rhythm = np.column_stack([recency, frequency, monetary, 90 - 80 * habit]).astype(float)
        features = {"rfm": rhythm[:, :3], "rhythm": rhythm, "every": rhythm}
        found.append(Snapshot(date, features, rhythm, group, np.arange(size), later))
    return found


def in_time(found):
    known = [s for s in found if s.spend is not None]
    return found[-1], tuple(known), [Origin(known[n], tuple(known[: n - 2])) for n in (4, 5)]


def write_shop(size=300, seed=0, *, related=True):
    """The same as tables in data/, for whole stages; unrelated: all columns are independent."""
    rng = np.random.default_rng(seed)
    habit = rng.random(size)
    dates = pd.to_datetime([*DATES[:-1], "2011-09-28"]).date
    customers, later = [], []
    for number, date in enumerate(dates):
        luck = np.random.default_rng((seed, number))
        pick = [habit] * 4 if related else luck.random((4, size))
        frequency = 1 + luck.poisson(6 * pick[0])
        frequency[:2] = 0
        recency = (luck.integers(1, 60, size) + 100 * (1 - pick[1])).astype(int)
        monetary = frequency * luck.lognormal(3, 0.3, size) if related else 20 + 900 * pick[2]
        monetary = np.where(frequency == 0, 0.0, monetary).round(2)
        orders = np.maximum(frequency, 1)
        frame = pd.DataFrame(
            {
                "snapshot_date": date,
                "customer_id": [f"c{n:04d}" for n in range(size)],
                "recency_days": pd.array(recency, dtype="Int32"),
                "frequency": frequency.astype("int32"),
                "monetary": monetary,
                "tenure_days": (recency + 30).astype("int32"),
                "average_order_value": monetary / orders,
                "items_per_order": 10.0,
                "days_between_orders": np.where(frequency > 1, 30.0, np.nan),
                "return_rate": 0.0,
                "distinct_products": frequency.astype("int32"),
                "units_per_line": np.where(np.arange(size) < 8, 200.0, 8.0),
                "recency_score": np.int8(3),
                "frequency_score": np.int8(3),
                "monetary_score": np.int8(3),
                "spend_share_party": 0.5,
            }
        )
        frame.loc[frame["frequency"] == 0, "recency_days"] = pd.NA
        frame = frame.assign(**{n: 0 for n in CUSTOMERS.schema.names if n not in frame})
        customers.append(frame)
        if number < len(dates) - 3:
            spend = np.maximum(0, pick[3] - 0.4) * 400 * luck.random(size)
            keys = frame[["snapshot_date", "customer_id"]]
            later.append(
                keys.assign(later_orders=(spend > 0).astype("int32"), later_spend=spend.round(2))
            )
            later[-1].loc[later[-1]["later_spend"] == 0, "later_orders"] = 0
    for table, frames, money in (
        (CUSTOMERS, customers, "monetary"),
        (LATER_PURCHASES, later, "later_spend"),
    ):
        frame = pd.concat(frames, ignore_index=True)
        exact = [Decimal(f"{value:.4f}") for value in frame[money]]
        frame[money] = pd.Series(exact, dtype="object")
        write_table(table, frame)

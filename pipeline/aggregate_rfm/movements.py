"""What moved, and when: a row for each sale and for each return of it, on its own day.

A return is negative and bears the order, the product and the day of its sale. So what a snapshot
or a horizon knows is a filter on `day`, and what was kept is a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import narwhals as nw

from pipeline.aggregate_rfm.calendar import period_of
from pipeline.core.engines.expressions import ten_thousandths

Lines = nw.LazyFrame[Any]
Keep = Callable[[Lines], Lines]  # computes a frame that is used more than once, once


def movements(sales: Lines, returned_units: Lines, snapshots: Sequence[date], keep: Keep) -> Lines:
    """Return the sales to known customers and their returns up to the last snapshot.

    Columns: customer_id, invoice_id, stock_code, sold_day, day, period, units and amount (both in
    ten-thousandths: whole numbers are exact, fast, and the same on every engine), returns (0 or 1).
    """
    known = sales.filter(~nw.col("customer_id").is_null()).with_columns(
        sold_day=nw.col("sold_at").dt.date()
    )
    sold = known.with_columns(
        day=nw.col("sold_day"),
        units=ten_thousandths("quantity"),
        amount=ten_thousandths("amount"),
        returns=nw.lit(0, nw.Int64),
    )
    came_back = returned_units.select(
        "line_id",
        day=nw.col("returned_at").dt.date(),
        units=-ten_thousandths("quantity"),
        amount=-ten_thousandths("amount"),
        returns=nw.lit(1, nw.Int64),
    )
    of_sale = ("customer_id", "invoice_id", "stock_code", "sold_day")
    columns = (*of_sale, "day", "units", "amount", "returns")
    back = came_back.join(known.select("line_id", *of_sale), on="line_id", how="inner")
    both = nw.concat([sold.select(*columns), keep(back.select(*columns))])
    until = both.filter(nw.col("day") <= nw.lit(snapshots[-1]))
    return until.with_columns(period=period_of(nw.col("day"), snapshots))

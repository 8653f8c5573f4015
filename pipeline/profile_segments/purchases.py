"""The orders of known customers as of any day, and the season as a clock to measure time by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.profile_segments.repeat_buying import Histories

Array = NDArray[np.float64]
Whole = NDArray[np.int64]

YEAR = 365
WEEKS = 364  # a year of whole weeks: the same weekdays stand beside each other
YOUNG_DAYS = 90  # in a file's first days most "new" customers are old ones
WHOLE_YEAR = 350  # days of a file from which its season is known, but for a few days
# A shop that opened with the file: its first customers over the next ones, and its next orders.
OPENING, MOST_CAME, MORE_ORDERS = 60, 1.3, 1.7
LEAST_NEW = 0.02  # of the customers, in the second half of a file that new ones still join
SEEN_AGAIN = 450  # days from which a season was seen again for a quarter
SMOOTHED = 31  # days over which the season's daily figures are averaged
LEAST_PACE = 0.05  # of the season's clock: no day stands still
OVERLAP = 7  # days more than a year below which growth is not measured
GROWTH_PRIOR = 30  # days beside themselves a year before for which growth counts half
MOST_GROWTH = 1.5  # of the logarithm a year


@dataclass(frozen=True)
class Purchases:
    """Orders of customers, as events: an `amount` of an `order`, known from a day on.

    Days are ordinals. A return is an event of a negative amount, known when it came back.
    """

    ids: NDArray[np.object_]
    customer: Whole  # of each order
    day: Whole  # of each order
    order: Whole  # of each event, as the next two
    known: Whole
    amount: Array
    first: int  # the file's first day

    @classmethod
    def of(cls, events: pd.DataFrame) -> Purchases:
        """From rows of customer_id, invoice_id, day, known (ordinals) and amount."""
        keys = ["customer_id", "invoice_id", "day"]
        orders = events.groupby(keys, as_index=False).agg(amount=("amount", "sum"))
        # In an order of their figures: what is learnt must not depend on customers' names.
        totals = orders.groupby("customer_id")
        size, first, last = totals.size(), totals["day"].min(), totals["day"].max()
        amount = totals["amount"].sum().to_numpy().round(6)
        ids = size.index.to_numpy(dtype=object)[np.lexsort((amount, size, last, first))]
        place = pd.Series(np.arange(len(ids)), index=ids)
        orders["customer"] = orders["customer_id"].map(place)
        orders = orders.sort_values(["customer", "day", "amount"], kind="stable")
        orders["order"] = np.arange(len(orders))
        joined = events.merge(orders[[*keys, "order"]], on=keys).sort_values(
            ["order", "known", "amount"], kind="stable"
        )
        return cls(
            ids=ids,
            customer=orders["customer"].to_numpy(dtype=np.int64),
            day=orders["day"].to_numpy(dtype=np.int64),
            order=joined["order"].to_numpy(dtype=np.int64),
            known=joined["known"].to_numpy(dtype=np.int64),
            amount=joined["amount"].to_numpy(dtype=np.float64),
            first=int(orders["day"].min()),
        )

    def at(self, day: int) -> Known:
        """What is known at the end of `day`."""
        seen = self.known <= day
        size = len(self.day)
        amount = _sums(self.order[seen], self.amount[seen], size).round(4)
        begun = self.day <= day
        kept = begun & (amount > 0)
        customers, firsts = np.unique(self.customer[begun], return_index=True)
        return Known(
            at=day,
            first=self.first,
            customers=customers,
            began=self.day[begun][firsts],  # the orders of each stand by day
            customer=np.searchsorted(customers, self.customer[kept]),
            day=self.day[kept],
            amount=amount[kept],
        )

    def later(self, known: Known, days: int) -> tuple[Array, Array]:
        """Orders and spend of the known customers in so many days after, less what came back."""
        then = self.at(known.at + days)
        new = then.day > known.at
        place = np.searchsorted(known.customers, then.customers[then.customer[new]])
        mine = np.isin(then.customers[then.customer[new]], known.customers)
        size = len(known.customers)
        orders = np.bincount(place[mine], minlength=size).astype(float)
        return orders, _sums(place[mine], then.amount[new][mine], size)


@dataclass(frozen=True)
class Known:
    """Kept orders of the customers known on a day; `began` is the day of each one's first order."""

    at: int
    first: int
    customers: Whole  # their places in Purchases.ids, ascending
    began: Whole
    customer: Whole  # of each kept order, a place in `customers`; the orders of each by day
    day: Whole
    amount: Array

    def __len__(self) -> int:
        return len(self.customers)

    def total(self, after: int, until: int) -> float:
        """What was spent on the days after `after` until `until`."""
        return float(self.amount[(self.day > after) & (self.day <= until)].sum())

    def spend_since(self, after: int) -> Array:
        """What each customer spent after a day."""
        rows = self.day > after
        return _sums(self.customer[rows], self.amount[rows], len(self))

    def orders_since(self, after: int) -> Array:
        """Kept orders of each customer after a day."""
        return np.bincount(self.customer[self.day > after], minlength=len(self)).astype(float)

    @cached_property
    def last_day(self) -> Whole:
        """The day of each one's last kept order; of the first, where nothing was kept."""
        last = self.began.copy()
        np.maximum.at(last, self.customer, self.day)
        return last

    @cached_property
    def _order_days(self) -> Whole:
        """Customer and day, in order, where the one placed a kept order on the other."""
        return np.unique(np.column_stack([self.customer, self.day]), axis=0)

    @property
    def order_days(self) -> Array:
        """Days on which each customer placed a kept order."""
        return np.bincount(self._order_days[:, 0], minlength=len(self)).astype(float)

    @cached_property
    def growth(self) -> float:
        """Log growth of spend in a year, by the days that stand beside themselves a year before.

        Shrunk to 0 where they are few.
        """
        span = min(self.settled - WEEKS, WEEKS)
        if span <= OVERLAP:
            return 0.0
        now = self.total(self.at - span, self.at)
        before = self.total(self.at - WEEKS - span, self.at - WEEKS)
        if min(now, before) <= 0:
            return 0.0
        log = float(np.clip(np.log(now / before), -MOST_GROWTH, MOST_GROWTH))
        return log * span / (span + GROWTH_PRIOR)

    @cached_property
    def has_opened(self) -> bool:
        """The shop opened with the file.

        As many customers came first in the first days as in those after them, and soon ordered far
        more.
        """
        came, orders = (
            np.bincount((days - self.first) // OPENING, minlength=2)
            for days in (self.began, self.day)
        )
        soon = MORE_ORDERS * max(orders[0], came[1])
        return bool(came[0] < MOST_CAME * came[1] and orders[1] > soon)

    @property
    def settled(self) -> int:
        """Days of the file that may tell of season and growth.

        Of a shop that opened with the file not those of its first year, in which it filled; none of
        a file of customers who all came long ago, in which less and less of them are left.
        """
        if (self.began > (self.first + self.at) / 2).mean() < LEAST_NEW:
            return 0
        return self.at - self.first + 1 - YEAR * self.has_opened

    @property
    def is_new(self) -> NDArray[np.bool_]:
        """Whose first order in the file was surely the first of all."""
        return (self.began - self.first >= YOUNG_DAYS) | self.has_opened

    @property
    def seasons(self) -> int:
        """How often the file has seen the season: 0, 1, or 2 for more than once in a part."""
        return int(np.searchsorted((WHOLE_YEAR, SEEN_AGAIN), self.settled, "right"))

    @property
    def knows_season(self) -> bool:
        """The file has a whole year until this day."""
        return self.seasons > 0

    @cached_property
    def clock(self) -> Clock:
        """Time that runs with the season: twice as fast where twice as much is usually spent.

        Daily spend of whole years, averaged over a month and cleared of growth; without a year,
        the calendar.
        """
        length = self.at - self.first + 1
        if not self.knows_season:
            return Clock(np.ones(YEAR))
        age = np.arange(length)
        spent = np.bincount(self.day - self.first, self.amount, length)
        spent *= np.exp(-self.growth * (age - age[-1]) / YEAR)
        window = np.ones(SMOOTHED)
        smooth = np.convolve(spent, window, "same") / np.convolve(np.ones(length), window, "same")
        rows = age[max(0, length - YEAR * max(1, self.settled // YEAR)) :]
        date = (rows + self.first) % YEAR
        counts = np.bincount(date, minlength=YEAR)
        index = np.bincount(date, smooth[rows], YEAR) / np.maximum(counts, 1)
        index[counts == 0] = index[counts > 0].mean()
        return Clock(np.maximum(index / index.mean(), LEAST_PACE))

    def histories(self, clock: Clock) -> Histories:
        """Each customer's orders on a clock."""
        began = clock.time(self.began)
        customer, time = self._order_days[:, 0], clock.time(self._order_days[:, 1])
        again = customer[1:] == customer[:-1]
        return Histories(
            repeats=np.maximum(self.order_days - 1, 0.0),
            last=clock.time(self.last_day) - began,
            age=float(clock.time(np.array([self.at]))[0]) - began,
            between=_sums(customer[1:][again], np.log(np.diff(time)[again]), len(self)),
            is_new=self.is_new,
        )


@dataclass(frozen=True)
class Clock:
    """Time by the pace of each day of the year, 1 on average."""

    pace: Array

    def time(self, day: Whole) -> Array:
        """The time at the end of each day."""
        years, rest = np.divmod(day, YEAR)
        reached = np.concatenate([[0.0], np.cumsum(self.pace)])
        return np.asarray(years * reached[-1] + reached[rest + 1])

    def span(self, day: int, days: int) -> float:
        """The time that passes in so many days after a day."""
        begin, end = self.time(np.array([day, day + days]))
        return float(end - begin)


def _sums(place: Whole, amount: Array, size: int) -> Array:
    return np.asarray(np.bincount(place, amount, size), dtype=np.float64)

"""The made-up gift shop's customers: planted types, and when each of them orders how much."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from pipeline.make_sample.catalogue import CATEGORY_SHARES, GIFT_SHOP, Floats, Ints

FIRST_DAY = date(2010, 12, 1)
LAST_DAY = date(2011, 12, 9)
DAYS = (LAST_DAY - FIRST_DAY).days + 1
DAYS_AFTER = 2 * 365  # after the file's end, for which it is known what its customers order
DAY = 24 * 60  # times are minutes since midnight of the first day
OPENING = 8 * 60 + 26  # the first day's first invoice
CLOSING = 12 * 60 + 50  # the last day's last invoice

# The real shop that the sample is scaled against: lines, customers, their orders, lines on them.
REAL_LINES = 541_909
REAL_CUSTOMERS = 4_372
REAL_ORDERS_PER_CUSTOMER = 4.25
ANONYMOUS_SHARE = 0.245  # of lines
EXTRA_SHARE = 0.037  # of lines: returns, repeats, fees, adjustments

MONTH_WEIGHTS = (1.15, 0.80, 0.85, 0.95, 0.85, 1.0, 0.95, 0.85, 0.8, 1.0, 1.0, 1.25, 1.1)
WEEKDAY_WEIGHTS = (0.154, 0.172, 0.186, 0.218, 0.153, 0.0, 0.117)  # closed on Saturdays
HOUR_WEIGHTS = {7: 2, 8: 30, 9: 75, 10: 120, 11: 123, 12: 169, 13: 142, 14: 123, 15: 110, 16: 59}
HOUR_WEIGHTS |= {17: 29, 18: 9, 19: 8, 20: 1}

COUNTRIES: dict[str, int] = GIFT_SHOP["countries"]  # the first is the shop's own
EIRE = list(COUNTRIES).index("EIRE")


@dataclass(frozen=True)
class CustomerType:
    """What customers of a type have in common; each one varies around it.

    `rate` is orders a year while active; `start` and `stay` bound the first day and the time
    from there, as shares of the file's span (a customer may be older than the file); `basket`
    and `units` scale lines per order and units per line; `tastes` scale the liking for a category.
    """

    share: float
    rate: float
    start: tuple[float, float]
    stay: tuple[float, float]
    basket: float = 1.0
    units: float = 1.0
    returns: float = 1.0
    christmas: float = 1.0
    tastes: dict[str, float] = field(default_factory=dict)


TYPES = {name: CustomerType(**figures) for name, figures in GIFT_SHOP["types"].items()}


@dataclass(frozen=True)
class Customers:
    """Arrays over customers, then one more entry for orders of no known customer.

    `tastes` holds each one's cumulative liking for the categories (rows end in 1).
    """

    ids: list[str]
    type: Ints
    country: Ints
    units: Floats
    returns: Floats
    christmas: Floats
    tastes: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Orders:
    """Arrays over orders, in time order. `customer` len(customers) means: not known."""

    customer: Ints
    country: Ints
    minute: Ints
    size: Ints
    is_taken_back: npt.NDArray[np.bool_]
    is_only_return: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.customer)


@dataclass(frozen=True)
class Habits:
    """Arrays over customers: who still orders when the file ends, and how much."""

    stays: npt.NDArray[np.bool_]
    orders: Floats  # in a span of the file
    size: Floats  # lines of a mean order


def trading_day_weights(count: int = DAYS) -> Floats:
    """Return how many orders each of `count` days draws: season, weekday, closed days."""
    days = [FIRST_DAY + timedelta(days=n) for n in range(count)]
    months = [(day.year - 2010) * 12 + day.month - 12 for day in days]
    again = len(MONTH_WEIGHTS) - 1  # the last month is the first one's name: from there it repeats
    weights = np.array(
        [
            MONTH_WEIGHTS[month if month <= again else 1 + (month - 1) % 12]
            * WEEKDAY_WEIGHTS[day.weekday()]
            for day, month in zip(days, months, strict=True)
        ]
    )
    closed = [(d.month, d.day) >= (12, 24) or (d.month, d.day) <= (1, 3) for d in days]
    weights[closed] = 0
    weights[DAYS - 1] *= 0.5  # the file ends at noon
    return weights


def make_customers(count: int, rng: np.random.Generator) -> Customers:
    """Return `count` customers of the planted types."""
    types = list(TYPES.values())
    shares = np.array([t.share for t in types])
    # Shares exactly, not by chance: a small shop has every type, too.
    kind = rng.permutation(np.searchsorted(np.cumsum(shares), (np.arange(count) + 0.5) / count))
    kind = np.minimum(kind, len(types) - 1)
    country_shares = np.array(list(COUNTRIES.values()), dtype=np.float64)
    country = rng.choice(len(COUNTRIES), count, p=country_shares / country_shares.sum())
    if count >= 500:  # every country has someone, as soon as they do not outweigh the rest
        absent = np.setdiff1d(np.arange(len(COUNTRIES)), country)
        country[rng.permutation(np.flatnonzero(country == 0))[: len(absent)]] = absent
    liking = np.array(
        [[share * t.tastes.get(c, 1) for c, share in CATEGORY_SHARES.items()] for t in types]
    )
    liking /= liking.sum(axis=1, keepdims=True)
    spread = rng.uniform(4, 14, count)  # some buy a little of everything, some only one thing
    tastes = np.empty((count + 1, len(CATEGORY_SHARES)), dtype=np.float32)
    for begin in range(0, count, 1 << 16):
        part = slice(begin, min(begin + (1 << 16), count))
        drawn = rng.gamma(liking[kind[part]] * spread[part, None]) + 1e-6
        tastes[part] = np.cumsum(drawn / drawn.sum(axis=1, keepdims=True), axis=1)
    tastes[count] = np.cumsum(list(CATEGORY_SHARES.values())) / sum(CATEGORY_SHARES.values())
    tastes[:, -1] = 1

    def varied(values: list[float], sigma: float) -> Floats:
        each = np.array(values)[kind] * rng.lognormal(-(sigma**2) / 2, sigma, count)
        return np.append(each, 1.0)

    numbers = 12_346 + rng.permutation(max(count, min(5_942, 6 * count)))[:count]
    return Customers(
        ids=[str(number) for number in numbers],
        type=kind,
        country=country,
        units=varied([t.units for t in types], 0.5),
        returns=varied([t.returns for t in types], 0.5),
        christmas=varied([t.christmas for t in types], 0.4),
        tastes=tastes,
    )


def shop_size(lines: int) -> tuple[int, float, float]:
    """Return customers, orders per customer and the basket's scale for a file of `lines` lines.

    Up to the real shop's size all three grow, customers fastest; beyond it, customers alone.
    """
    ratio = min(1.0, lines / REAL_LINES)
    customers = REAL_CUSTOMERS * ratio**0.72 * max(1.0, lines / REAL_LINES)
    return max(1, round(customers)), REAL_ORDERS_PER_CUSTOMER * ratio**0.1, ratio**0.18


def make_orders(
    lines: int, customers: Customers, rng: np.random.Generator
) -> tuple[Orders, Habits]:
    """Return orders whose sizes sum to what `lines` leaves after returns, fees and the like."""
    goods = lines * (1 - EXTRA_SHARE)
    known, habits = _known_orders(
        customers, shop_size(lines)[1], goods * (1 - ANONYMOUS_SHARE), rng
    )
    unknown = _anonymous_orders(
        len(customers), goods * ANONYMOUS_SHARE, 92 * shop_size(lines)[2], rng
    )
    columns = [np.concatenate(pair) for pair in zip(known, unknown, strict=True)]
    by_time = np.argsort(columns[2], kind="stable")
    return Orders(*(column[by_time] for column in columns)), habits


def later_orders(customers: Customers, habits: Habits, rng: np.random.Generator) -> Orders:
    """Return what the file's customers order in the DAYS_AFTER days after its end.

    Who is still there leaves at a constant rate, as if the type's mean stay began anew: the last
    day of a file is no day on which customers begin to leave.
    """
    more = rng.exponential(np.array([np.mean(t.stay) for t in TYPES.values()])[customers.type])
    until = 1 + np.where(habits.stays, more, 0)
    reach = np.concatenate([[0], np.cumsum(trading_day_weights(DAYS + DAYS_AFTER))])
    reach /= reach[DAYS]
    left = np.interp(until * DAYS, np.arange(len(reach)), reach) - 1
    customer = np.repeat(np.arange(len(customers)), rng.poisson(habits.orders * left.clip(0)))
    minute = _minutes(1 + rng.random(len(customer)) * left[customer], reach, rng)
    size = np.ceil(habits.size[customer] * rng.gamma(1.3, 1 / 1.3, len(customer)))
    never = np.zeros(len(customer), dtype=np.bool_)
    by_time = np.argsort(minute, kind="stable")
    return Orders(
        customer=customer[by_time],
        country=customers.country[customer[by_time]],
        minute=minute[by_time],
        size=size.astype(np.int64)[by_time],
        is_taken_back=never,
        is_only_return=never,
    )


def _known_orders(
    customers: Customers, per_customer: float, lines: float, rng: np.random.Generator
) -> tuple[tuple[npt.NDArray[np.generic], ...], Habits]:
    count = len(customers)
    types = list(TYPES.values())
    kind = customers.type
    low, high = (np.array([t.start[i] for t in types])[kind] for i in (0, 1))
    start = rng.uniform(low, high)
    low, high = (np.array([t.stay[i] for t in types])[kind] for i in (0, 1))
    until = start + rng.uniform(low, high)
    start, end = np.maximum(start, 0), np.minimum(until, 1)
    rate = np.array([t.rate for t in types])[kind] * rng.lognormal(0, 0.5, count)
    expected = rate * (end - start)
    more = max(0.05, (per_customer - 1) * count / expected.sum())
    number = 1 + rng.poisson(more * expected)

    customer = np.repeat(np.arange(count), number)
    reach = np.concatenate([[0], np.cumsum(trading_day_weights())])
    reach /= reach[-1]
    begin, stop = (np.interp(edge * DAYS, np.arange(DAYS + 1), reach) for edge in (start, end))
    place = begin[customer] + rng.random(len(customer)) * (stop - begin)[customer]
    minute = _minutes(place, reach, rng)

    basket = np.array([t.basket for t in types])[kind] * rng.lognormal(0, 0.35, count)
    raw = basket[customer] * rng.gamma(1.3, 1 / 1.3, len(customer))
    only = number == 1
    # Few buyers bring everything back; at least one does, early enough to be seen.
    early = only & (begin < 0.6) & (stop < 0.8)
    back = rng.random(len(customer)) < np.minimum(0.5, 0.006 * customers.returns[customer])
    back |= (only & (rng.random(count) < 0.02))[customer]
    picked = np.flatnonzero(early)[:2]
    back |= np.isin(customer, picked[:1])
    # A few are known by returns alone: what they bring back was bought before the file begins.
    unseen = only & (begin < 0.4) & (rng.random(count) < 0.05)
    unseen[picked[1:]] = True
    is_only_return = unseen[customer]
    raw[is_only_return] *= 0.1
    size = _sizes(raw, lines, rng)
    country = customers.country[customer]
    columns = customer, country, minute, size, back & ~is_only_return, is_only_return
    return columns, Habits(until > 1, more * rate, basket * (size.sum() / raw.sum()))


def _anonymous_orders(
    nobody: int, lines: float, mean_size: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.generic], ...]:
    """Orders without a customer: half of them a line or two, half of them a web shop's day."""
    count = max(1, round(lines / mean_size))
    reach = np.concatenate([[0], np.cumsum(trading_day_weights())])
    minute = _minutes(rng.random(count), reach / reach[-1], rng)
    is_large = rng.permutation(count) < (count + 1) // 2
    raw = np.where(is_large, rng.gamma(1.5, 120, count), rng.exponential(1.5, count))
    foreign = rng.integers(1, len(COUNTRIES), count)
    country = np.where(rng.random(count) < 0.015, foreign, 0)
    never = np.zeros(count, dtype=np.bool_)
    return np.full(count, nobody), country, minute, _sizes(raw, lines, rng), never, never


def _minutes(place: Floats, reach: Floats, rng: np.random.Generator) -> Ints:
    """Turn places on the cumulative calendar into minutes within opening hours."""
    day = np.clip(np.searchsorted(reach, place, side="right") - 1, 0, len(reach) - 2)
    return day * DAY + within_day(day, rng)


def within_day(day: Ints, rng: np.random.Generator) -> Ints:
    """Return a minute of each day, by the hours' weights and within the file's span."""
    weights = np.array(list(HOUR_WEIGHTS.values()), dtype=np.float64)
    reach = np.cumsum(weights / weights.sum())
    hour = np.searchsorted(reach, rng.random(len(day)), side="right")
    hours = np.array([*HOUR_WEIGHTS, max(HOUR_WEIGHTS)])
    minute = hours[hour] * 60 + rng.integers(60, size=len(day))
    minute = np.where((day == 0) & (minute < OPENING), OPENING, minute)
    late = (day == DAYS - 1) & (minute > CLOSING)
    return np.where(late, 9 * 60 + minute % (CLOSING - 9 * 60 + 1), minute).astype(np.int64)


def _sizes(raw: Floats, lines: float, rng: np.random.Generator) -> Ints:
    """Scale raw sizes so that they sum to `lines`, each at least 1."""
    scale = lines / raw.sum()
    for _ in range(8):  # the floor at 1 adds lines, which the others give up
        size = np.maximum(raw * scale, 1)
        scale *= max(0.2, 1 - (size.sum() - lines) / max(size[size > 1].sum(), 1))
    size = np.maximum(raw * scale, 1)
    whole: Ints = np.floor(size + rng.random(len(size))).astype(np.int64)
    return whole

"""What every customer will buy, from what was known on a day, each figure with an interval.

Who buys how much: the model of repeat buying on the season's clock, times a correction learnt from
days in the past and what came after them. How much in all: that model together with the same days
a year ago or, while the file has no whole year and its season is unknown, with the last days.
docs/method/forecast.md tells what was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gamma, t
from sklearn.linear_model import PoissonRegressor

from pipeline.profile_segments.purchases import WEEKS, YEAR, Clock, Known, Purchases
from pipeline.profile_segments.repeat_buying import (
    BuyingModel,
    Histories,
    fit_buying,
    order_values,
)

Array = NDArray[np.float64]
Interval = tuple[Array, Array]

INNER, OUTER = 0.8, 0.95  # what the intervals are meant to hold
YOUNG_DAYS = 90  # a younger file is not learnt from: most of its "new" customers are old ones
STEP_DAYS = 30  # between the days in the past that are learnt from
MOST_ORIGINS = 13
LATEST = 4  # of them, from which the share of those already known is taken
MOST_ROWS = 60_000  # customers on days in the past; of more, an even sample
LEAST_BUYERS = 20  # among them, below which nothing is learnt from them
PENALTY = 0.5  # of the correction's coefficients
LEAST_SHARE = 1e-3  # of the mean, below which no expectation goes
SETTLING_DAYS = 60  # added to the age: a rate over a few days is no rate
KNOWN_SHARE = 0.7  # of later spend from customers already known, where no past tells it
# How far forecasts of a shop's sum were off on simulated shops, as the deviation of a logarithm:
# by how often the season was seen (not, once, more often), and how many independent days of the
# shop's own weigh as much.
ERROR = (0.6, 0.24, 0.15)
ERROR_OF_YEAR = (0.6, 0.2, 0.15)
ERROR_WEIGHT = (4.0, 12.0, 12.0)
# How far a group moves apart from the shop, likewise: little where its members order, more where
# hardly any does (the share that is idle, to the power of 4).
GROUP_ERROR = 0.1, 0.6
BURSTS = 2.0  # variance of spend and orders over that of single orders, where no past tells it
ALIKE = 300  # customers of the past by whom the interval of one customer is found
TAILS = 12  # degrees of freedom of the t distribution of the shop's error
GRID = (np.arange(200) + 0.5) / 200


@dataclass(frozen=True)
class Base:
    """Figures of the model of repeat buying for customers and a horizon."""

    histories: Histories
    time: float
    alive: Array
    active: Array
    orders: Array
    value: Array

    @property
    def spend(self) -> Array:
        """Expected spend, never quite 0."""
        spend = self.orders * self.value
        return np.maximum(spend, LEAST_SHARE * float(spend.mean()))


@dataclass(frozen=True)
class Origin:
    """A day in the past with the model's figures and what came after it."""

    known: Known
    base: Base
    orders: Array
    spend: Array


@dataclass(frozen=True)
class Horizon:
    """Each customer's forecast for so many days; intervals hold INNER of the customers.

    They are None where no day in the past has a whole horizon after it.
    """

    days: int
    active: Array
    orders: Array
    spend: Array
    active_interval: Interval
    orders_interval: Interval | None
    spend_interval: Interval | None
    orders_variance: Array
    spend_variance: Array
    sigma: float  # of the logarithm of the shop's sum


@dataclass(frozen=True)
class Forecast:
    """The forecast of a day: `near` for the horizon, `year` for twelve months.

    `customers` are places in Purchases.ids. `next_order` are the days until each has ordered with
    a chance of 10 %, 50 % and 90 %, infinite where that never comes. `ways` are the sums that were
    combined, and others; `known_share` is that of later spend which known customers bring, in the
    past.
    """

    day: int
    customers: NDArray[np.int64]
    near: Horizon
    year: Horizon
    next_order: tuple[Array, Array, Array]
    ways: dict[str, float]
    origins: int
    knows_season: bool
    growth: float
    known_share: float

    def interval(
        self,
        horizon: Horizon,
        members: NDArray[np.bool_],
        share: float,
        what: Literal["spend", "orders"] = "spend",
        sigma: float | None = None,
    ) -> tuple[float, float]:
        """The interval of the members' spend (or orders) in sum that holds `share` of such sums.

        `sigma` 0 is the naive one, which takes the shop's sum and the groups' levels for known.
        """
        each, variance = (
            (horizon.spend, horizon.spend_variance)
            if what == "spend"
            else (horizon.orders, horizon.orders_variance)
        )
        mine, whole = each[members], float(each.sum())
        total = float(mine.sum())
        own = float(variance[members].sum()) / total**2
        if sigma != 0:
            least, most = GROUP_ERROR
            idle = 1 - float(self.near.active[members].mean())
            own += (1 - total / whole) * (least + most * idle**4) ** 2
        return product_interval(total, share, horizon.sigma if sigma is None else sigma, own)


def forecast(purchases: Purchases, day: int, horizon: int) -> Forecast:
    """Return the forecast of a day for the customers known then, one of whom kept an order."""
    known = purchases.at(day)
    clock = known.clock
    model = fit_buying(known.histories(clock))
    base, year = (base_of(known, clock, model, days) for days in (horizon, YEAR))
    origins = origins_of(purchases, known, clock, model, horizon)
    unit = float(np.median(known.amount))
    correct = learn_correction(origins, unit)
    shape = base.spend * correct(known, base)
    share = known_share(known, origins, horizon)
    ways = {"model": float(base.spend.sum()), "last days": known.total(day - horizon, day)}
    if origins:
        ways["corrected"] = float(shape.sum())
    if known.knows_season:
        before = known.total(day - WEEKS, day - WEEKS + horizon)
        ways["year before"] = share * before * float(np.exp(known.growth))
    used = ("model", "year before") if known.knows_season else ("model", "corrected", "last days")
    level = float(np.exp(np.mean([np.log(ways[way]) for way in used if ways.get(way, 0) > 0])))
    factor = level / float(base.spend.sum())
    apart = shape / shape.sum() * base.spend.sum() / base.spend  # each one's share, corrected
    alike = Alike.of(origins, correct)
    size = float((known.amount**2).sum() / known.amount.sum())  # of an order, weighed by money
    errors = [float(np.log(max(o.spend.sum(), unit) / o.base.spend.sum())) for o in origins]

    def horizon_of(days: int, base: Base, priors: Sequence[float]) -> Horizon:
        sigma = error_of(errors, priors[known.seasons], ERROR_WEIGHT[known.seasons])
        spend, orders = base.spend * apart * factor, base.orders * factor
        low, high = np.exp(sigma * t.ppf([(1 - INNER) / 2, (1 + INNER) / 2], TAILS))
        none = 1 - np.clip(base.active, 0.0, 1 - 1e-12)  # the chance of no order
        return Horizon(
            days=days,
            active=1 - none**factor,
            orders=orders,
            spend=spend,
            active_interval=(1 - none ** (factor * low), 1 - none ** (factor * high)),
            orders_interval=None if alike is None else whole(alike.interval("orders", orders)),
            spend_interval=None if alike is None else alike.interval("spend", spend),
            orders_variance=BURSTS * orders if alike is None else alike.variance("orders", orders),
            spend_variance=BURSTS * size * spend
            if alike is None
            else alike.variance("spend", spend),
            sigma=sigma,
        )

    times = [
        np.ceil(clock.day_at(day, model.time_to_order(base.histories, chance)))
        for chance in (0.1, 0.5, 0.9)
    ]
    return Forecast(
        day=day,
        customers=known.customers,
        near=horizon_of(horizon, base, ERROR),
        year=horizon_of(YEAR, year, ERROR_OF_YEAR),
        next_order=(times[0], times[1], times[2]),
        ways=ways,
        origins=len(origins),
        knows_season=known.knows_season,
        growth=known.growth,
        known_share=share,
    )


def base_of(known: Known, clock: Clock, model: BuyingModel, days: int) -> Base:
    """The model's figures for `days` after the day of `known`."""
    histories, time = known.histories(clock), clock.span(known.at, days)
    return Base(
        histories=histories,
        time=time,
        alive=model.alive(histories),
        active=model.active(histories, time),
        orders=model.orders(histories, time),
        value=order_values(known.order_days, known.spend_since(0)),
    )


def origins_of(
    purchases: Purchases, now: Known, clock: Clock, model: BuyingModel, horizon: int
) -> list[Origin]:
    """The days in the past whose horizon is over, the latest first, on today's clock."""
    found = []
    for at in range(now.at - horizon, now.first + YOUNG_DAYS - 1, -STEP_DAYS)[:MOST_ORIGINS]:
        known = purchases.at(at)
        orders, spend = purchases.later(known, horizon)
        found.append(Origin(known, base_of(known, clock, model, horizon), orders, spend))
    return found


def features(known: Known, base: Base, unit: float) -> Array:
    """What the correction is learnt from: counts, rates, silence, and who may be older than known.

    A customer first seen in a file's first days has mostly bought before.
    """
    spend, orders = known.spend_since(0) / unit, known.orders_since(0)
    age = base.histories.age
    silence = age - base.histories.last
    rate = age + SETTLING_DAYS
    old = (known.began - known.first < YOUNG_DAYS) * 1.0
    log = np.log1p
    return np.column_stack(
        [
            np.log(base.spend / unit),
            np.log(base.alive + LEAST_SHARE),
            log(silence),
            log(orders),
            log(spend),
            log(spend / np.maximum(orders, 1)),
            *(log(known.orders_since(known.at - days)) for days in (30, 90, YEAR)),
            log(known.spend_since(known.at - 90) / unit),
            np.log((orders + 0.5) / rate),
            log(spend / rate),
            silence / (age + 1),
            old,
            old * log(orders),
            (1 - old) * (orders <= 1),
        ]
    )


def learn_correction(origins: Sequence[Origin], unit: float) -> Callable[[Known, Base], Array]:
    """Return the factor by which customers like these bought more or less than the model said.

    A Poisson regression on `features` with the model's figure as exposure. 1 where too few bought.
    """
    if sum(int((o.spend > 0).sum()) for o in origins) < LEAST_BUYERS:
        return lambda known, _: np.ones(len(known))
    step = -(-sum(len(o.spend) for o in origins) // MOST_ROWS)
    rows = np.concatenate([features(o.known, o.base, unit) for o in origins])[::step]
    said = np.concatenate([o.base.spend for o in origins])[::step]
    came = np.concatenate([o.spend for o in origins])[::step]
    low, high = rows.min(axis=0), rows.max(axis=0)
    middle, spread = rows.mean(axis=0), rows.std(axis=0)

    def points(rows: Array) -> Array:
        # Clipped to what was seen: a power law must not run away with a customer beyond it.
        return np.asarray((np.clip(rows, low, high) - middle) / np.where(spread > 0, spread, 1.0))

    fitted = PoissonRegressor(alpha=PENALTY, max_iter=2000).fit(
        points(rows), came / said, sample_weight=said / said.mean()
    )
    return lambda known, base: np.asarray(fitted.predict(points(features(known, base, unit))))


def known_share(known: Known, origins: Sequence[Origin], horizon: int) -> float:
    """The share of the spend after a day that came from customers already known, lately."""
    shares = [
        o.spend.sum() / total
        for o in origins[:LATEST]
        if (total := known.total(o.known.at, o.known.at + horizon)) > 0
    ]
    return float(np.mean(shares)) if shares else KNOWN_SHARE


def error_of(errors: Sequence[float], prior: float, weight: float) -> float:
    """The deviation of the logarithm of the sum, from simulated shops and the shop's own past.

    Horizons that overlap count as a third of a day each.
    """
    own = len(errors) / 3
    squares = float(np.mean(np.square(errors))) if errors else 0.0
    return float(np.sqrt((weight * prior**2 + own * squares) / (weight + own)))


@dataclass(frozen=True)
class Alike:
    """Forecast and outcome of the customers of past days, by whom one customer's interval is found.

    It holds whatever the days of the horizon: how an outcome scatters hangs on its expectation.
    """

    said: dict[str, Array]
    came: dict[str, Array]

    @classmethod
    def of(cls, origins: Sequence[Origin], correct: Callable[[Known, Base], Array]) -> Alike | None:
        """From the customers of past days; None where there are too few."""
        if sum(len(o.spend) for o in origins) < 2 * ALIKE:
            return None
        step = -(-sum(len(o.spend) for o in origins) // MOST_ROWS)
        shapes = [o.base.spend * correct(o.known, o.base) for o in origins]
        spend = np.concatenate(
            [shape * o.spend.sum() / shape.sum() for shape, o in zip(shapes, origins, strict=True)]
        )
        return cls(
            said={
                "spend": spend[::step],
                "orders": np.concatenate([o.base.orders for o in origins])[::step],
            },
            came={
                "spend": np.concatenate([o.spend for o in origins])[::step],
                "orders": np.concatenate([o.orders for o in origins])[::step],
            },
        )

    def interval(self, what: str, expected: Array) -> Interval:
        """What INNER of the customers of whom about as much was expected did.

        Where a tenth bought nothing, it begins at 0.
        """
        came, (parts, centres) = self.came[what], self._parts(what)
        tail, ends = (1 - INNER) / 2, np.empty((2, len(parts)))
        for number, part in enumerate(parts):
            least = np.quantile(came[part], tail)
            most = np.quantile(came[part], INNER if least <= 0 else 1 - tail)
            ends[:, number] = np.array([least, most]) / centres[number]
        place = np.searchsorted((centres[1:] + centres[:-1]) / 2, expected)
        return ends[0, place] * expected, ends[1, place] * expected

    def variance(self, what: str, expected: Array) -> Array:
        """How what such customers did scattered around its expectation, as a variance."""
        parts, centres = self._parts(what)
        squares = (self.came[what] - self.said[what]) ** 2
        relative = np.array([squares[part].mean() for part in parts]) / centres**2
        return np.exp(np.interp(np.log(expected), np.log(centres), np.log(relative))) * expected**2

    def _parts(self, what: str) -> tuple[list[NDArray[np.int64]], Array]:
        """Customers of like expectation, and the mean expectation of each part."""
        said = self.said[what]
        order = np.argsort(said, kind="stable")
        parts = np.array_split(order, max(1, len(order) // ALIKE))
        return parts, np.array([max(said[part].mean(), 1e-12) for part in parts])


def whole(interval: Interval) -> Interval:
    """The interval in whole numbers."""
    return np.floor(interval[0]), np.round(interval[1])


def product_interval(total: float, share: float, sigma: float, own: float) -> tuple[float, float]:
    """The interval of a sum that holds `share`: the shop's error times the group's own.

    The first is lognormal with the tails of a t distribution, the second a gamma distribution of
    this variance; the quantiles are those of the products over a grid of both.
    """
    shop = np.exp(sigma * t.ppf(GRID, TAILS))
    group = gamma.ppf(GRID, 1 / own) * own
    low, high = np.quantile(np.outer(shop, group), [(1 - share) / 2, (1 + share) / 2])
    return total * float(low), total * float(high)

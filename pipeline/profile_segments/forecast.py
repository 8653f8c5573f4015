"""What every customer will buy, from what was known on a day, each figure with an interval.

Who buys how much: the model of repeat buying on the season's clock, times a correction learnt from
days in the past and what came after them. How much in all: that model together with the same days
a year ago or, while the file has no whole year and its season is unknown, with the last days.
docs/method/forecast.md tells what was tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gamma, t
from sklearn.linear_model import PoissonRegressor

from pipeline.profile_segments.purchases import WEEKS, YEAR, YOUNG_DAYS, Clock, Known, Purchases
from pipeline.profile_segments.repeat_buying import (
    BuyingModel,
    Histories,
    fit_buying,
    order_values,
)

Array = NDArray[np.float64]
Interval = tuple[Array, Array]
What = Literal["spend", "orders"]
BOTH: tuple[What, What] = ("spend", "orders")

INNER, OUTER = 0.8, 0.95  # what the intervals are meant to hold
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
ERROR = (0.7, 0.24, 0.15)
ERROR_OF_YEAR = (0.85, 0.2, 0.15)
ERROR_WEIGHT = (4.0, 12.0, 12.0)
# How far a group moves apart from the shop, likewise: little where its members order, more where
# hardly any does (the share that is idle, to the power of 4).
GROUP_ERROR = 0.1, 0.6
BURSTS = 2.0  # variance of spend and orders over that of single orders, where no past tells it
ALIKE = 300  # customers of the past by whom the interval of one customer is found
TAILS = 12  # degrees of freedom of the t distribution of the shop's error
CHANCES = 0.1, 0.5, 0.9  # of having ordered, for the window of the next order
LOOK_AHEAD = np.array(
    [0, 1, 2, 4, 7, 11, 16, 23, 30, 45, 60, 75, 90, 120, 150, 180, 240, 300, 365, 450, 550, 730]
)  # days, for the next order
GRID = (np.arange(200) + 0.5) / 200


@dataclass(frozen=True)
class Base:
    """Figures of the model of repeat buying for customers and a horizon, `expected` never 0."""

    histories: Histories
    alive: Array
    active: Array
    expected: dict[What, Array]


@dataclass(frozen=True)
class Origin:
    """A day in the past with the model's figures and what came after it."""

    known: Known
    base: Base
    came: dict[What, Array]


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

    `customers` are places in Purchases.ids. `ways` are the sums that were combined, and others;
    `known_share` is that of later spend which known customers bring, in the past.
    """

    day: int
    customers: NDArray[np.int64]
    near: Horizon
    year: Horizon
    model: BuyingModel
    clock: Clock
    histories: Histories
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
        what: What = "spend",
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
        none = float(np.exp(np.log1p(-horizon.active[members].clip(0, 1 - 1e-12)).sum()))
        none = min(none, 1 - 1e-9)  # even where all have surely left
        return product_interval(total, share, horizon.sigma if sigma is None else sigma, own, none)

    def next_order(self) -> Iterator[Array]:
        """The days until each has ordered with each of CHANCES.

        Infinite where that does not come within LOOK_AHEAD, between whose days it is interpolated.
        """
        chance = np.zeros((len(LOOK_AHEAD), len(self.customers)))
        for number, days in enumerate(LOOK_AHEAD[1:], 1):
            time = self.clock.span(self.day, int(days))
            chance[number] = self.model.outlook(self.histories, time).active
        for asked in CHANCES:
            place = np.maximum((chance < asked).sum(axis=0), 1)
            after = np.minimum(place, len(LOOK_AHEAD) - 1)
            low, high = (np.take_along_axis(chance, p[None], 0)[0] for p in (after - 1, after))
            part = (asked - low) / np.maximum(high - low, 1e-12)
            days = LOOK_AHEAD[after - 1] + part * (LOOK_AHEAD[after] - LOOK_AHEAD[after - 1])
            yield np.where(place > after, np.inf, np.ceil(days))


def forecast(purchases: Purchases, day: int, horizon: int) -> Forecast:
    """Return the forecast of a day for the customers known then, one of whom kept an order."""
    known = purchases.at(day)
    clock = known.clock
    model = fit_buying(known.histories(clock))
    base, year = (base_of(known, clock, model, days) for days in (horizon, YEAR))
    origins = origins_of(purchases, known, clock, model, horizon)
    unit = float(np.median(known.amount))
    correct = learn_correction(origins, unit)
    corrected, model_sum = correct(known, base), float(base.expected["spend"].sum())
    share = known_share(known, origins, horizon)
    ways = {"model": model_sum, "last days": known.total(day - horizon, day)}
    if origins:
        ways["corrected"] = float(corrected["spend"].sum())
    if known.knows_season:
        before = known.total(day - WEEKS, day - WEEKS + horizon)
        ways["year before"] = share * before * float(np.exp(known.growth))
    used = ("model", "year before") if known.knows_season else ("model", "corrected", "last days")
    level = float(np.exp(np.mean([np.log(ways[way]) for way in used if ways.get(way, 0) > 0])))
    # Over the model: the level of all, and each one's correction beside that of others.
    factor = {}
    for what, each in corrected.items():
        said = base.expected[what]
        factor[what] = level / model_sum * each / each.sum() * said.sum() / said
    alike = Alike.of(origins, correct)
    size = float((known.amount**2).sum() / known.amount.sum())  # of an order, weighed by money
    errors = [
        float(np.log(max(o.came["spend"].sum(), unit) / o.base.expected["spend"].sum()))
        for o in origins
    ]

    def horizon_of(days: int, base: Base, priors: Sequence[float]) -> Horizon:
        sigma = error_of(errors, priors[known.seasons], ERROR_WEIGHT[known.seasons])
        spend, orders = (base.expected[what] * factor[what] for what in BOTH)
        low, high = np.exp(sigma * t.ppf([(1 - INNER) / 2, (1 + INNER) / 2], TAILS))
        none = 1 - np.clip(base.active, 0.0, 1 - 1e-12)  # the model's chance of no order
        chance = [1 - none ** (factor["orders"] * end) for end in (1.0, low, high)]
        return Horizon(
            days=days,
            active=chance[0],
            orders=orders,
            spend=spend,
            active_interval=(chance[1], chance[2]),
            orders_interval=None if alike is None else whole(alike.interval("orders", orders)),
            spend_interval=None if alike is None else alike.interval("spend", spend),
            orders_variance=BURSTS * orders if alike is None else alike.variance("orders", orders),
            spend_variance=BURSTS * size * spend
            if alike is None
            else alike.variance("spend", spend),
            sigma=sigma,
        )

    return Forecast(
        day=day,
        customers=known.customers,
        near=horizon_of(horizon, base, ERROR),
        year=horizon_of(YEAR, year, ERROR_OF_YEAR),
        model=model,
        clock=clock,
        histories=base.histories,
        ways=ways,
        origins=len(origins),
        knows_season=known.knows_season,
        growth=known.growth,
        known_share=share,
    )


def base_of(known: Known, clock: Clock, model: BuyingModel, days: int) -> Base:
    """The model's figures for `days` after the day of `known`."""
    histories = known.histories(clock)
    outlook = model.outlook(histories, clock.span(known.at, days))
    value = order_values(known.order_days, known.spend_since(0))
    expected: dict[What, Array] = {"spend": outlook.orders * value, "orders": outlook.orders}
    for what, each in expected.items():
        expected[what] = np.maximum(each, LEAST_SHARE * float(each.mean()))
    return Base(histories, outlook.alive, outlook.active, expected)


def origins_of(
    purchases: Purchases, now: Known, clock: Clock, model: BuyingModel, horizon: int
) -> list[Origin]:
    """The days in the past whose horizon is over, the latest first, on today's clock."""
    found = []
    for at in range(now.at - horizon, now.first + YOUNG_DAYS - 1, -STEP_DAYS)[:MOST_ORIGINS]:
        known = purchases.at(at)
        orders, spend = purchases.later(known, horizon)
        base = base_of(known, clock, model, horizon)
        found.append(Origin(known, base, {"spend": spend, "orders": orders}))
    return found


def features(known: Known, base: Base, unit: float) -> Array:
    """What the correction is learnt from: counts, rates, silence, and who may be older than known.

    A customer first seen in a file's first days has mostly bought before.
    """
    spend, orders = known.spend_since(0) / unit, known.orders_since(0)
    age = base.histories.age
    silence = age - base.histories.last
    rate = age + SETTLING_DAYS
    old = ~known.is_new * 1.0
    log = np.log1p
    return np.column_stack(
        [
            np.log(base.expected["spend"] / unit),
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


def learn_correction(
    origins: Sequence[Origin], unit: float
) -> Callable[[Known, Base], dict[What, Array]]:
    """Return the model's expectations times what customers like these bought more or less.

    Poisson regressions on `features` with the model's figure as exposure. Where too few bought, the
    model's.
    """
    if sum(int((o.came["spend"] > 0).sum()) for o in origins) < LEAST_BUYERS:
        return lambda _, base: base.expected
    step = -(-sum(len(o.known) for o in origins) // MOST_ROWS)
    rows = np.concatenate([features(o.known, o.base, unit) for o in origins])[::step]
    low, high = rows.min(axis=0), rows.max(axis=0)
    middle, spread = rows.mean(axis=0), rows.std(axis=0)

    def points(rows: Array) -> Array:
        # Clipped to what was seen: a power law must not run away with a customer beyond it.
        return np.asarray((np.clip(rows, low, high) - middle) / np.where(spread > 0, spread, 1.0))

    fitted = {}
    for what in BOTH:
        said = np.concatenate([o.base.expected[what] for o in origins])[::step]
        came = np.concatenate([o.came[what] for o in origins])[::step]
        fitted[what] = PoissonRegressor(alpha=PENALTY, max_iter=2000).fit(
            points(rows), came / said, sample_weight=said / said.mean()
        )

    def correct(known: Known, base: Base) -> dict[What, Array]:
        mine = points(features(known, base, unit))
        return {what: base.expected[what] * fitted[what].predict(mine) for what in BOTH}

    return correct


def known_share(known: Known, origins: Sequence[Origin], horizon: int) -> float:
    """The share of the spend after a day that came from customers already known, lately."""
    shares = [
        o.came["spend"].sum() / total
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

    said: dict[What, Array]
    came: dict[What, Array]

    @classmethod
    def of(
        cls, origins: Sequence[Origin], correct: Callable[[Known, Base], dict[What, Array]]
    ) -> Alike | None:
        """From the customers of past days; None where there are too few."""
        size = sum(len(o.known) for o in origins)
        if size < 2 * ALIKE:
            return None
        said: dict[What, list[Array]] = {what: [] for what in BOTH}
        for o in origins:
            for what, each in correct(o.known, o.base).items():
                said[what].append(each * o.came[what].sum() / each.sum())
        step = -(-size // MOST_ROWS)
        return cls(
            {what: np.concatenate(parts)[::step] for what, parts in said.items()},
            {what: np.concatenate([o.came[what] for o in origins])[::step] for what in BOTH},
        )

    def interval(self, what: What, expected: Array) -> Interval:
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

    def variance(self, what: What, expected: Array) -> Array:
        """How what such customers did scattered around its expectation, as a variance."""
        parts, centres = self._parts(what)
        squares = (self.came[what] - self.said[what]) ** 2
        relative = np.array([squares[part].mean() for part in parts]) / centres**2
        return np.exp(np.interp(np.log(expected), np.log(centres), np.log(relative))) * expected**2

    def _parts(self, what: What) -> tuple[list[NDArray[np.int64]], Array]:
        """Customers of like expectation, and the mean expectation of each part."""
        said = self.said[what]
        order = np.argsort(said, kind="stable")
        parts = np.array_split(order, max(1, len(order) // ALIKE))
        return parts, np.array([max(said[part].mean(), 1e-12) for part in parts])


def whole(interval: Interval) -> Interval:
    """The interval in whole numbers."""
    return np.floor(interval[0]), np.round(interval[1])


def product_interval(
    total: float, share: float, sigma: float, own: float, none: float
) -> tuple[float, float]:
    """The interval of a sum that holds `share`: the shop's error times the group's own.

    The first is lognormal with the tails of a t distribution. The second is 0 with the chance
    `none` that no member buys, else a gamma distribution, of mean 1 and this variance in all; the
    quantiles are those of the products over a grid of both.
    """
    shop = np.exp(sigma * t.ppf(GRID, TAILS))
    variance = max((1 + own) * (1 - none) - 1, own / 10)
    group = gamma.ppf((GRID - none).clip(0) / (1 - none), 1 / variance) * variance / (1 - none)
    low, high = np.quantile(np.outer(shop, group), [(1 - share) / 2, (1 + share) / 2])
    return total * float(low), total * float(high)

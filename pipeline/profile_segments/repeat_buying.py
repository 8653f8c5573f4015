"""How often customers buy again and for how much: Pareto/NBD with rhythms, and Gamma-Gamma.

Every customer orders at an own constant rate and leaves for good after some time (Schmittlein,
Morrison & Colombo, "Counting Your Customers", 1987): some right after the first order, the others
at own constant rates; both kinds of rates follow gamma distributions. Orders come at random or in a
rhythm: the times between the orders of one customer are sums of 1, 2 or 4 exponential times (in the
spirit of Platzer & Reutterer, "Ticking Away the Moments", 2016). Whoever ordered every fortnight
and then not for two months has left; of whoever ordered at random this is not so sure. The mean
value of an order varies from customer to customer as in Fader & Hardie, "The Gamma-Gamma Model of
Monetary Value" (2013): who ordered once is shrunk far towards the others. Time is whatever clock
the histories are measured on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, gammaln, softmax

Array = NDArray[np.float64]

RHYTHMS = 1, 2, 4
# Log r, alpha, s and beta, log odds of `once`, those of rhythms 2 and 4 beside 1: the middle of a
# normal distribution and its deviation, for where few customers say little. Of who is new most have
# had little time to come again: `once` is held closer.
USUAL = np.array([0.0, 4.0, 0.0, 5.5, -2.0, 0.0, -1.0])
UNUSUAL = np.array([1.0, 1.0, 1.0, 1.0, 0.3, 1.0, 1.0])
BOUNDS = [(-4, 4), (0, 9), (-4, 4), (1, 10), (-7, 3), (-6, 6), (-6, 6)]
MOST_CUSTOMERS = 3_000  # parameters are fitted on an even sample of a larger shop
NODES, WEIGHTS = np.array(np.polynomial.legendre.leggauss(8))[:, :, None]  # from -1 to 1


@dataclass(frozen=True)
class Histories:
    """Customers until a day: days with later orders, time from first to last and to the day.

    `between` is the sum of the logarithms of the times from one order day to the next; `is_new`
    tells whose first order was indeed the first, not just the first in the file.
    """

    repeats: Array
    last: Array
    age: Array
    between: Array
    is_new: NDArray[np.bool_]

    def sample(self) -> Histories:
        """At most MOST_CUSTOMERS of them, evenly."""
        rows = evenly(len(self.repeats))
        return Histories(**{name: column[rows] for name, column in vars(self).items()})


@dataclass(frozen=True)
class Outlook:
    """Each one's chances not to have left and to order within a time, and expected order days."""

    alive: Array
    active: Array
    orders: Array


@dataclass(frozen=True)
class Rhythm:
    """Customers whose orders take so many `steps` each, exponential times at an own rate.

    `shape` and `alpha` are of the gamma distribution of the rates, given each one's history; `last`
    is the time of the last order.
    """

    steps: int
    shape: Array
    alpha: float
    last: Array

    def silent(self, until: Array) -> list[Array]:
        """The chances of 0, 1 … and steps - 1 steps from the last order until then."""
        ratio = (self.alpha + self.last) / (self.alpha + until)
        parts = [ratio**self.shape]
        for n in range(1, self.steps):
            parts.append(parts[-1] * (self.shape + n - 1) / n * (1 - ratio))
        return parts


@dataclass(frozen=True)
class BuyingModel:
    """The parameters: r and alpha shape the rates of orders, s and beta those of leaving.

    `once` is the share who leave after their first order, `weights` are the shares of RHYTHMS.
    """

    r: float
    alpha: float
    s: float
    beta: float
    once: float
    weights: tuple[float, ...]

    @classmethod
    def of(cls, points: Array) -> BuyingModel:
        """From the numbers that are fitted, as in USUAL."""
        r, alpha, s, beta = np.exp(points[:4])
        return cls(r, alpha, s, beta, expit(points[4]), tuple(softmax([0.0, *points[5:]])))

    def log_likelihood(self, known: Histories) -> Array:
        """Of each history, but for what no parameter changes."""
        each = [
            np.log(sum(here) + left + 1e-300) + log for _, log, here, left in self._by_rhythm(known)
        ]
        return np.asarray(np.logaddexp.reduce(each))

    def outlook(self, known: Histories, time: float) -> Outlook:
        """What is expected of each within `time`."""
        age, until, total = known.age, known.age + time, self.log_likelihood(known)
        power = 1 - self.s if abs(self.s - 1) > 1e-5 else 1e-5  # at 0 the integral is a logarithm
        there = ((self.beta + until) ** power - (self.beta + age) ** power) / power
        there *= self.beta**self.s / self._stays(age)  # the time before leaving, of who is there
        alive, none, orders = np.zeros((3, len(age)))
        for rhythm, log, here, _ in self._by_rhythm(known):
            chance = np.exp(log - total)
            steps = sum((rhythm.shape + n) * part for n, part in enumerate(here))
            alive += chance * sum(here)
            orders += chance * steps / (rhythm.alpha + age) / rhythm.steps * there
            none += chance * self._stays(until) * sum(rhythm.silent(until))
            none += chance * self._leaves(rhythm, age, until)
        return Outlook(alive, np.clip(alive - none, 0.0, alive), orders)

    def _by_rhythm(self, known: Histories) -> Iterator[tuple[Rhythm, Array, list[Array], Array]]:
        """Per rhythm the chances of each history, over exp of the second.

        Of one whose customer has not left, by the steps since the last order, and of one whose has.
        """
        once = self.once * known.is_new
        for steps, weight in zip(RHYTHMS, self.weights, strict=True):
            shape, alpha = self.r + steps * known.repeats, self.alpha / steps
            log = np.log(weight * (1 - once)) + gammaln(shape) - gammaln(self.r)
            log += self.r * np.log(alpha) - shape * np.log(alpha + known.last)
            log += (steps - 1) * known.between - known.repeats * gammaln(steps)
            rhythm = Rhythm(steps, shape, alpha, known.last)
            here = [self._stays(known.age) * part for part in rhythm.silent(known.age)]
            left = self._leaves(rhythm, known.last, known.age)
            yield rhythm, log, here, left + once / (1 - once) * (known.repeats == 0)

    def _stays(self, time: Array) -> Array:
        """The chance not to have left within `time`."""
        return np.asarray((1 + time / self.beta) ** -self.s)

    def _leaves(self, rhythm: Rhythm, since: Array, until: Array) -> Array:
        """The chance of leaving between the two, without an order after the last."""
        # Over the chance of no step instead of the time: smooth, so that few nodes are enough.
        begin, shape = rhythm.alpha + since, rhythm.shape
        least = (begin / (rhythm.alpha + until)) ** shape
        part = (1 + least + (1 - least) * NODES) / 2
        time = np.maximum(begin * part ** (-1 / shape) - rhythm.alpha, 0.0)
        leaves = self.s / self.beta * (1 + time / self.beta) ** (-self.s - 1)
        each = leaves * sum(rhythm.silent(time)) * (rhythm.alpha + time) / part
        return np.asarray((each * WEIGHTS).sum(axis=0) / 2 * (1 - least) / shape)


def fit_buying(known: Histories) -> BuyingModel:
    """The parameters of greatest likelihood, held a little to USUAL."""
    part = known.sample()

    def loss(points: Array) -> float:
        unusual = float(np.sum(((points - USUAL) / UNUSUAL) ** 2)) / 2
        likely = float(np.sum(BuyingModel.of(points).log_likelihood(part)))
        return (unusual - likely) / len(part.age)

    found = minimize(loss, USUAL, method="L-BFGS-B", bounds=BOUNDS).x
    return BuyingModel.of(found.round(3))  # where the search ends exactly, hangs on the machine


def order_values(orders: Array, spend: Array) -> Array:
    """The value expected of each customer's next order, from the number and sum of those so far."""
    bought = (orders > 0) & (spend > 0)
    if not bought.any():
        return np.zeros(len(orders))
    mean = np.where(bought, spend / np.maximum(orders, 1), 0.0)
    unit = float(np.median(mean[bought]))
    rows = np.flatnonzero(bought)[evenly(int(bought.sum()))]
    n, y = orders[rows], mean[rows] / unit

    def loss(logs: Array) -> float:
        p, q, g = np.exp(logs)
        each = gammaln(p * n + q) - gammaln(p * n) - gammaln(q) + q * np.log(g)
        each += (p * n - 1) * np.log(y) + p * n * np.log(n) - (p * n + q) * np.log(g + y * n)
        return -float(np.mean(each))

    start, bounds = np.array([0.5, 1.0, 1.0]), [(-3, 5), (0.2, 5), (-4, 6)]
    p, q, g = np.exp(minimize(loss, start, method="L-BFGS-B", bounds=bounds).x)
    return np.asarray(unit * p * (g + mean / unit * orders) / (p * orders + q - 1))


def evenly(size: int) -> NDArray[np.int64]:
    """The places of at most MOST_CUSTOMERS of so many, evenly."""
    return np.linspace(0, size - 1, min(size, MOST_CUSTOMERS)).astype(np.int64)

"""How often customers buy again and for how much: MBG/NBD for orders, Gamma-Gamma for their value.

Every customer orders at an own constant rate (rates follow a gamma distribution) and after any
order, the first one too, may leave for good (chances follow a beta distribution): the modified
BG/NBD of Batislam, Denizel & Filiztekin (2007) after Fader, Hardie & Lee (2005). The mean value of
an order varies from customer to customer as in Fader & Hardie, "The Gamma-Gamma Model of Monetary
Value" (2013): who ordered once is shrunk far towards the others. Time is whatever clock the
histories are measured on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, gammaln, hyp2f1

Array = NDArray[np.float64]

USUAL = np.array([0.0, 4.0, -0.5, 0.5])  # log r, alpha, a, b: where few customers say little
WEIGHT_OF_USUAL = 0.002
MOST_CUSTOMERS = 20_000  # parameters are fitted on an even sample of a larger shop


@dataclass(frozen=True)
class Histories:
    """Customers until a day: days with later orders, time from first to last and to the day."""

    repeats: Array
    last: Array
    age: Array

    def sample(self) -> Histories:
        """At most MOST_CUSTOMERS of them, evenly."""
        step = -(-len(self.repeats) // MOST_CUSTOMERS) or 1
        return Histories(self.repeats[::step], self.last[::step], self.age[::step])


@dataclass(frozen=True)
class BuyingModel:
    """The four parameters; a and b shape the chance to leave, r and alpha the rate."""

    r: float
    alpha: float
    a: float
    b: float

    def alive(self, known: Histories) -> Array:
        """The chance that each customer has not left."""
        x = known.repeats
        silence = np.log((self.alpha + known.age) / (self.alpha + known.last))
        odds = self.a / (self.b + x) * np.exp(np.minimum((self.r + x) * silence, 500.0))
        return np.asarray(1 / (1 + odds))

    def orders(self, known: Histories, time: float) -> Array:
        """Expected order days of each within `time`."""
        a, x = self.a, known.repeats
        z = time / (self.alpha + known.age + time)
        left = (1 - z) ** (a - 1) * hyp2f1(a + self.b - self.r, a - 1, a + self.b + x, z)
        orders = (a + self.b + x) / (a - 1) * (1 - left) * self.alive(known)
        return np.asarray(np.maximum(orders, 0.0))

    def active(self, known: Histories, time: float) -> Array:
        """The chance of each to order at least once within `time`."""
        log_none = (self.r + known.repeats) * np.log1p(-time / (self.alpha + known.age + time))
        return np.asarray(self.alive(known) * -np.expm1(log_none))

    def time_to_order(self, known: Histories, chance: float) -> Array:
        """The time until each has ordered with this chance; infinite where that never comes."""
        still = 1 - chance / np.maximum(self.alive(known), 1e-12)
        with np.errstate(divide="ignore", over="ignore"):
            grown = np.exp(-np.log(np.maximum(still, 0.0)) / (self.r + known.repeats))
            return np.asarray((self.alpha + known.age) * (grown - 1))


def fit_buying(known: Histories) -> BuyingModel:
    """The parameters of greatest likelihood, held a little to USUAL."""
    part = known.sample()
    x, last, age = part.repeats, part.last, part.age

    def loss(logs: Array) -> float:
        r, alpha, a, b = np.exp(logs)
        base = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - betaln(a, b)
        stays = betaln(a, b + x + 1) - (r + x) * np.log(alpha + age)
        left = betaln(a + 1, b + x) - (r + x) * np.log(alpha + last)
        usual = WEIGHT_OF_USUAL * float(np.sum((logs - USUAL) ** 2))
        return usual - float(np.mean(base + np.logaddexp(stays, left)))

    bounds = [(-4, 4), (0, 9), (-4, 4), (-4, 6)]
    r, alpha, a, b = np.exp(minimize(loss, USUAL, method="L-BFGS-B", bounds=bounds).x)
    return BuyingModel(r, alpha, a if abs(a - 1) > 1e-3 else 1.001, b)  # a = 1 is a pole


def order_values(orders: Array, spend: Array) -> Array:
    """The value expected of each customer's next order, from the number and sum of those so far."""
    bought = (orders > 0) & (spend > 0)
    if not bought.any():
        return np.zeros(len(orders))
    mean = np.where(bought, spend / np.maximum(orders, 1), 0.0)
    unit = float(np.median(mean[bought]))
    rows = np.flatnonzero(bought)[:: -(-int(bought.sum()) // MOST_CUSTOMERS)]
    n, y = orders[rows], mean[rows] / unit

    def loss(logs: Array) -> float:
        p, q, g = np.exp(logs)
        each = gammaln(p * n + q) - gammaln(p * n) - gammaln(q) + q * np.log(g)
        each += (p * n - 1) * np.log(y) + p * n * np.log(n) - (p * n + q) * np.log(g + y * n)
        return -float(np.mean(each))

    start, bounds = np.array([0.5, 1.0, 1.0]), [(-3, 5), (0.2, 5), (-4, 6)]
    p, q, g = np.exp(minimize(loss, start, method="L-BFGS-B", bounds=bounds).x)
    return np.asarray(unit * p * (g + mean / unit * orders) / (p * orders + q - 1))

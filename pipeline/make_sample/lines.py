"""The made-up gift shop's invoice lines, block of days by block of days, with every quirk."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.make_sample.catalogue import (
    GIFT_SHOP,
    LETTER_CODES,
    MILLS,
    Catalogue,
    Floats,
    Ints,
    cheaper,
    make_catalogue,
)
from pipeline.make_sample.customers import (
    DAY,
    DAYS,
    EIRE,
    FIRST_DAY,
    REAL_LINES,
    Customers,
    Orders,
    later_orders,
    make_customers,
    make_orders,
    shop_size,
    trading_day_weights,
    within_day,
)

BLOCK_LINES = 1 << 18
SALE, CREDIT = 0, 1  # invoice numbers 536365 and C536365; 2 is A536365, an adjustment
FIRST_INVOICE = 536_365
NO_TEXT = -1

REPEATED = 0.0098  # share of lines that stand twice on their invoice
REDRAWS, REDRAWN = 2, 0.75  # how often second lines of a product are drawn anew, and how many
LIKE_THE_LEADER = (
    0.24,
    0.32,
    0.62,
)  # cumulative: share of lines of the same head, pattern, category
RETURN_ORDERS, RETURNED_LINES = 0.09, 0.065  # orders with returns; lines of such an order
SAME_MINUTE = 0.08  # share of returns within the minute of the sale
DAYS_TO_RETURN = 12.0
UNSEEN_EARLY, UNSEEN_LATE = 0.035, 0.003  # orders with a return of what was bought before the file
EARLY_DAYS = 60
WEB_FACTOR = 1.97  # the web shop's prices over the wholesale prices
STOCK_LINES = 0.0046  # share of stock adjustments, three fifths without a text

STOCK_NOTES = tuple(GIFT_SHOP["stock_notes"].items())


@dataclass(frozen=True)
class RareLine:
    """A line that is no ordinary sale: `per_real` of them in a file as large as the real one.

    It stands on an order of a known or unknown customer, or (as a credit note or an adjustment)
    on an invoice of its own. `price` and `units` are bounds; a credit note has negative units.
    """

    code: str
    text: str
    per_real: float
    price: tuple[float, float]
    units: tuple[int, int] = (1, 1)
    credit_share: float = 0.0
    known: bool = True
    invoice: int = SALE


RARE_LINES = [RareLine(**row) for row in GIFT_SHOP["rare_lines"]]
# Before the goods given away: any product at price 0.
RARE_LINES[-1:-1] = [RareLine(c, t, 6, (2.46, 16.13), known=False) for c, t, _ in LETTER_CODES]
EVERY_RARE_LINE_FROM = 2_000  # a file of so many lines holds each of them at least once
FEES = ("POST", "POSTAGE"), ("DOT", "DOTCOM POSTAGE"), ("C2", "CARRIAGE")


@dataclass(frozen=True)
class Lines:
    """Arrays over lines. `event` tells the invoices of a minute apart; texts and codes are pooled.

    `price` is in thousandths of a pound, `text` NO_TEXT is a missing description.
    """

    minute: Ints
    event: Ints
    invoice: Ints
    customer: Ints
    country: Ints
    code: Ints
    text: Ints
    quantity: Ints
    price: Ints

    def __len__(self) -> int:
        return len(self.minute)

    def take(self, rows: npt.NDArray[np.generic]) -> Lines:
        """Return the rows that an index or a mask picks."""
        return Lines(*(column[rows] for column in vars(self).values()))

    def but(self, **columns: Ints) -> Lines:
        """Return the same lines with some columns replaced."""
        return Lines(**{**vars(self), **columns})


def stacked(parts: list[Lines]) -> Lines:
    """Return the lines of all parts, one after the other."""
    return Lines(*(np.concatenate(c) for c in zip(*(vars(p).values() for p in parts), strict=True)))


class Shop:
    """A shop of the given size; `blocks()` yields its invoice lines in time order.

    Everything follows from `lines` and `seed`. What grows with the lines is made a block of days
    at a time, each from its own random numbers; customers and orders are held throughout.
    """

    def __init__(self, lines: int, seed: int) -> None:
        ratio = lines / REAL_LINES
        products = 4_000 * ratio ** (0.685 if ratio < 1 else 0.5)
        self.lines = lines
        self.seed = seed
        self.catalogue: Catalogue = make_catalogue(max(20, round(products)), self._random(0))
        self.customers: Customers = make_customers(shop_size(lines)[0], self._random(1))
        self.orders: Orders
        self.orders, self.habits = make_orders(lines, self.customers, self._random(2))
        self.rare = self._plan_rare_lines(self._random(3))
        notes = [note for note, _ in STOCK_NOTES]
        special = [*((r.code, r.text) for r in RARE_LINES if r.code), *FEES]
        self.codes = [*self.catalogue.codes, *(code.lower() for code in self.catalogue.codes)]
        self.texts = [*self.catalogue.texts, *self.catalogue.other_texts, *notes]
        # Places in the pools of codes and texts.
        self.note_at = 2 * len(self.catalogue)
        self.special_code = {c: len(self.codes) + i for i, (c, _) in enumerate(special)}
        self.special_text = {c: len(self.texts) + i for i, (c, _) in enumerate(special)}
        self.codes += [code for code, _ in special]
        self.texts += [text for _, text in special]

    def _random(self, *stream: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *stream])

    def day_blocks(self) -> list[tuple[int, int]]:
        """Return runs of days [first, end) of about BLOCK_LINES lines."""
        per_day = np.bincount(
            self.orders.minute // DAY, weights=self.orders.size, minlength=DAYS
        ).cumsum()
        blocks, first = [], 0
        for day in range(DAYS):
            before = per_day[first - 1] if first else 0
            if per_day[day] - before >= BLOCK_LINES or day == DAYS - 1:
                blocks.append((first, day + 1))
                first = day + 1
        return blocks

    def blocks(self) -> Iterator[Lines]:
        """Yield the lines of each run of days, sorted by minute and invoice."""
        later: list[Lines] = []  # returns whose day has not come
        events = 4 * len(self.orders) + self.lines
        for number, (first, end) in enumerate(self.day_blocks()):
            rng = self._random(4, number)
            low, high = np.searchsorted(self.orders.minute, [first * DAY, end * DAY])
            parts = [*later, *self._trade(int(low), int(high), rng)]
            parts += self._stock_adjustments(first, end, rng)
            found = stacked(parts)
            is_now = found.minute < end * DAY
            later = [found.take(~is_now & (found.minute < DAYS * DAY))]
            now = found.take(is_now)
            yield now.take(np.argsort(now.minute * events + now.event, kind="stable"))

    def after_the_end(self) -> tuple[Orders, Floats]:
        """The orders of the file's customers after its end, and what each spends on what is kept.

        Nobody new is among them, and the file does not depend on them.
        """
        later = copy.copy(self)
        later.orders = later_orders(self.customers, self.habits, self._random(5))
        return later.orders, later.kept_spend()

    def kept_spend(self) -> Floats:
        """What each order is worth, less what comes back of it."""
        spend = np.zeros(len(self.orders))
        blocks = np.cumsum(self.orders.size) // BLOCK_LINES
        for number in np.unique(blocks):
            rng = self._random(6, int(number))
            low, high = (int(n) for n in np.searchsorted(blocks, [number, number + 1]))
            order = np.repeat(np.arange(low, high), self.orders.size[low:high])
            sales = self._sold(order, self._products(order, low, rng), rng)
            back = self._returns(sales, order, np.ones(len(order), dtype=np.bool_), rng)
            for lines, first in ((sales, 0), (back, len(self.orders))):
                amount = lines.quantity * lines.price / MILLS
                spend += np.bincount(lines.event - first, amount, len(self.orders))
        return spend

    def _trade(self, low: int, high: int, rng: np.random.Generator) -> list[Lines]:
        """What the orders [low, high) bring: sales, repeats, fees, rare lines, returns."""
        order = np.repeat(np.arange(low, high), self.orders.size[low:high])
        product = self._products(order, low, rng)
        sales = self._sold(order, product, rng)
        is_only_return = self.orders.is_only_return[order]
        returns = self._returns(sales, order, ~is_only_return, rng)
        sales = sales.but(
            quantity=np.where(is_only_return, -sales.quantity, sales.quantity),
            invoice=np.where(is_only_return, CREDIT, SALE),
        )
        repeats = sales.take(rng.random(len(sales)) < REPEATED)
        return [
            sales,
            repeats,
            self._fees(low, high, rng),
            self._rare_lines(low, high, rng),
            returns,
            self._unseen_returns(low, high, rng),
        ]

    def _products(self, order: Ints, low: int, rng: np.random.Generator) -> Ints:
        """Draw each line's product: by taste and season, or like another line of its order."""
        orders, catalogue = self.orders, self.catalogue
        count = len(order)
        local = order - low
        members = orders.customer[low : low + int(local.max(initial=-1)) + 1]
        reach = self.customers.tastes[members] + np.arange(len(members))[:, None]
        width = reach.shape[1]
        category = np.searchsorted(reach.ravel(), local + rng.random(count), side="right")
        category = np.minimum(category - width * local, width - 1)
        day = orders.minute[order] // DAY
        category = self._in_season(category, day, orders.customer[order], rng)
        product = catalogue.by_category.draw(category, rng.random(count))

        # Some lines follow the first of their run of eight: the same kind of thing in another
        # pattern, the same pattern on another thing, or another thing of the category.
        starts = np.concatenate([[0], np.cumsum(orders.size[low : low + len(members)])])[local]
        position = np.arange(count) - starts
        leader = product[starts + position - position % 8]
        way = np.searchsorted(LIKE_THE_LEADER, rng.random(count), side="right")
        groupings = (
            (catalogue.by_head, catalogue.head),
            (catalogue.by_pattern, catalogue.pattern),
            (catalogue.by_category, catalogue.category),
        )
        for which, (groups, group_of) in enumerate(groupings):
            rows = np.flatnonzero(way == which)
            product[rows] = groups.draw(group_of[leader[rows]], rng.random(len(rows)))
        # Few products stand twice on an order by themselves; a small shop would draw many.
        for _ in range(REDRAWS):
            again = np.flatnonzero(pd.Series(local * len(catalogue) + product).duplicated())
            again = again[rng.random(len(again)) < REDRAWN]
            product[again] = rng.integers(len(catalogue) - len(LETTER_CODES), size=len(again))
        return product

    def _in_season(
        self, category: Ints, day: Ints, customer: Ints, rng: np.random.Generator
    ) -> Ints:
        """Christmas goods in autumn, hardly any in spring; the garden from March to July."""
        keys = list(self.catalogue.categories)
        christmas, garden = keys.index("christmas"), keys.index("garden")
        days = np.arange(day.max(initial=0) + 1)
        month = ((FIRST_DAY.month - 1 + days // 30.44) % 12).astype(int)
        wanted = np.array([0, 0, 0, 0, 0, 0, 0, 0.01, 0.05, 0.12, 0.18, 0.14])[month]
        outdoors = np.array([0, 0.01, 0.04, 0.06, 0.06, 0.04, 0.02, 0, 0, 0, 0, 0])
        out_of_season = np.array([0.8, 0.9, 0.9, 0.9, 0.9, 0.9, 0.8, 0.5, 0.1, 0, 0, 0])
        chance = rng.random(len(category))
        plain = rng.integers(0, len(keys), len(category))
        is_off = (category == christmas) & (chance < out_of_season[month][day])
        category = np.where(is_off, plain, category)
        pull = np.minimum(0.7, wanted[day] * self.customers.christmas[customer])
        category = np.where(chance < pull, christmas, category)
        return np.where(chance > 1 - outdoors[month][day], garden, category)

    def _sold(self, order: Ints, product: Ints, rng: np.random.Generator) -> Lines:
        """Put units, prices, texts and codes to the products of the orders."""
        catalogue, count = self.catalogue, len(order)
        customer = self.orders.customer[order]
        is_known = customer < len(self.customers)
        pack = catalogue.pack[product]
        way = rng.random(count)
        few = 1 + np.floor(rng.random(count) ** 2 * np.minimum(pack, 6)).astype(np.int64)
        known = np.where(
            way < 0.40, few, np.where(way < 0.85, pack, np.where(way < 0.95, 2, 4) * pack)
        )
        known = np.maximum(1, np.rint(known * self.customers.units[customer])).astype(np.int64)
        single = np.where(way < 0.62, 1, 1 + np.floor(-3.0 * np.log1p(-rng.random(count))))
        quantity = np.where(is_known, known, single.astype(np.int64))

        price = catalogue.price[product]
        price = np.where(is_known & (quantity >= 4 * pack), cheaper(price), price)
        web = ~is_known & (rng.random(count) < 0.6)
        price = np.where(web, np.rint(price * (WEB_FACTOR / 10)).astype(np.int64) * 10, price)
        chance = rng.random(count)
        code = product + len(catalogue) * (catalogue.has_lower_case[product] & (chance < 0.06))
        text = product + len(catalogue) * (chance > 0.8)
        return Lines(
            minute=self.orders.minute[order],
            event=order,
            invoice=np.zeros(count, dtype=np.int64),
            customer=customer,
            country=self.orders.country[order],
            code=code,
            text=text,
            quantity=quantity,
            price=price,
        )

    def _returns(
        self, sales: Lines, order: Ints, may: npt.NDArray[np.bool_], rng: np.random.Generator
    ) -> Lines:
        """What comes back of these sales: one credit note an order, now or days later."""
        low = int(order[0]) if len(order) else 0
        span = int(order[-1]) + 1 - low if len(order) else 0
        chance = RETURN_ORDERS * self.customers.returns[self.orders.customer[low : low + span]]
        chance = np.where(
            self.orders.customer[low : low + span] < len(self.customers), chance, 0.02
        )
        has_returns = rng.random(span) < np.minimum(chance, 0.7)
        delay = _days_later(self.orders.minute[low : low + span], rng)

        local = order - low
        back = self.orders.is_taken_back[order]
        is_first = np.concatenate([[True], order[1:] != order[:-1]]) if len(order) else back
        some = has_returns[local] & ((rng.random(len(order)) < RETURNED_LINES) | is_first)
        rows = np.flatnonzero((back | some) & may)
        chosen, sold = sales.take(rows), sales.quantity[rows]
        part = np.ceil(sold * rng.random(len(rows))).astype(np.int64)
        whole = back[rows] | (rng.random(len(rows)) < 0.5)
        return chosen.but(
            minute=delay[local[rows]],
            event=chosen.event + len(self.orders),
            invoice=np.full(len(rows), CREDIT),
            quantity=-np.where(whole, sold, np.maximum(part, 1)),
        )

    def _unseen_returns(self, low: int, high: int, rng: np.random.Generator) -> Lines:
        """Returns of what was bought before the file begins, on a credit note beside an order."""
        order = np.arange(low, high)
        is_early = self.orders.minute[low:high] < EARLY_DAYS * DAY
        chance = np.where(is_early, UNSEEN_EARLY, UNSEEN_LATE)
        is_known = self.orders.customer[low:high] < len(self.customers)
        order = order[(rng.random(len(order)) < chance) & is_known]
        product = self.catalogue.everything.draw(np.zeros_like(order), rng.random(len(order)))
        lines = self._sold(order, product, rng)
        return lines.but(
            event=order + 2 * len(self.orders),
            invoice=np.full(len(order), CREDIT),
            quantity=-lines.quantity,
        )

    def _fees(self, low: int, high: int, rng: np.random.Generator) -> Lines:
        """Postage of orders from abroad, of the web shop's baskets, and carriage to Ireland."""
        order = np.arange(low, high)
        is_known = self.orders.customer[low:high] < len(self.customers)
        country, size = self.orders.country[low:high], self.orders.size[low:high]
        chance = rng.random(len(order))
        carriage = is_known & (country == EIRE) & (chance < 0.5)
        postage = is_known & (country != 0) & ~carriage & (chance < 0.75)
        web = ~is_known & (size >= 12) & (chance < 0.95)
        pounds = np.round(np.exp(rng.normal(5.2, 0.7, len(order))), 2)  # dotcom postage
        return stacked(
            [
                self._special("POST", order[postage], 18 * MILLS, 1 + order[postage] % 3),
                self._special("DOT", order[web], np.rint(pounds[web] * MILLS), 1),
                self._special("C2", order[carriage], 50 * MILLS, 1),
            ]
        )

    def _special(
        self, code: str, order: Ints, price: Floats | Ints | int, units: Ints | int
    ) -> Lines:
        count = len(order)
        return Lines(
            minute=self.orders.minute[order],
            event=order,
            invoice=np.zeros(count, dtype=np.int64),
            customer=self.orders.customer[order],
            country=self.orders.country[order],
            code=np.full(count, self.special_code[code]),
            text=np.full(count, self.special_text[code]),
            quantity=np.zeros(count, dtype=np.int64) + units,
            price=np.zeros(count, dtype=np.int64) + np.asarray(price).astype(np.int64),
        )

    def _plan_rare_lines(self, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Return the order and the kind of each rare line of the whole file, in order."""
        is_known = self.orders.customer < len(self.customers)
        usable = ~(self.orders.is_taken_back | self.orders.is_only_return)
        places = {k: np.flatnonzero((is_known == k) & usable) for k in (True, False)}
        least = 1 if self.lines >= EVERY_RARE_LINE_FROM else 0
        orders, kinds = [], []
        for kind, rare in enumerate(RARE_LINES):
            where = places[rare.known]
            count = max(least, round(rare.per_real * self.lines / REAL_LINES))
            if len(where):
                orders.append(where[rng.integers(len(where), size=count)])
                kinds.append(np.full(len(orders[-1]), kind))
        order = np.concatenate(orders)
        by_order = np.argsort(order, kind="stable")
        return order[by_order], np.concatenate(kinds)[by_order]

    def _rare_lines(self, low: int, high: int, rng: np.random.Generator) -> Lines:
        begin, end = np.searchsorted(self.rare[0], [low, high])
        parts = [self._special("POST", np.zeros(0, dtype=np.int64), 0, 1)]
        for kind, rare in enumerate(RARE_LINES):
            order = self.rare[0][begin:end][self.rare[1][begin:end] == kind]
            count = len(order)
            units = rng.integers(rare.units[0], rare.units[1] + 1, count)
            least, most = np.log(np.abs(rare.price) + 1e-9) if rare.price[1] else (-99.0, -99.0)
            pounds = np.exp(rng.uniform(least, most + 1e-12, count)) * np.sign(rare.price[1])
            price = np.rint(np.where(pounds < 0.01, pounds, np.round(pounds, 2)) * MILLS)
            lines = self._special(rare.code or "POST", order, price, units)
            if not rare.code:
                product = self.catalogue.everything.draw(np.zeros_like(order), rng.random(count))
                lines = lines.but(code=product, text=product)
            is_credit = rng.random(count) < rare.credit_share
            invoice = np.where(is_credit, CREDIT, rare.invoice)
            own = np.where(invoice == SALE, 0, 3 * len(self.orders))
            sign = np.where(is_credit, -1, 1)
            parts.append(
                lines.but(event=order + own, invoice=invoice, quantity=lines.quantity * sign)
            )
        return stacked(parts)

    def _stock_adjustments(self, first: int, end: int, rng: np.random.Generator) -> list[Lines]:
        """Stock counted, found or thrown away: no price, no customer, often not even a text."""
        weights = trading_day_weights()
        expected = STOCK_LINES * self.lines * weights[first:end].sum() / weights.sum()
        count = int(rng.poisson(expected))
        if not count:
            return []
        days = rng.choice(
            np.arange(first, end), count, p=weights[first:end] / weights[first:end].sum()
        )
        product = self.catalogue.everything.draw(np.zeros_like(days), rng.random(count))
        shares = np.array([share for _, share in STOCK_NOTES], dtype=np.float64)
        note = self.note_at + rng.choice(len(shares), count, p=shares / shares.sum())
        sign = np.where(rng.random(count) < 0.55, -1, 1)
        zeros = np.zeros(count, dtype=np.int64)
        return [
            Lines(
                minute=days * DAY + within_day(days, rng),
                event=4 * len(self.orders) + np.arange(count),
                invoice=zeros,
                customer=zeros + len(self.customers),
                country=zeros,
                code=product,
                text=np.where(rng.random(count) < 0.58, NO_TEXT, note),
                quantity=sign * np.ceil(rng.lognormal(2.5, 1.5, count)).astype(np.int64),
                price=zeros,
            )
        ]


def invoice_numbers(lines: Lines, start: int) -> tuple[Ints, int]:
    """Number the invoices of sorted lines from `start`; return the numbers and the next one."""
    if not len(lines):
        return np.zeros(0, dtype=np.int64), start
    is_new = (lines.minute[1:] != lines.minute[:-1]) | (lines.event[1:] != lines.event[:-1])
    numbers = start + np.concatenate([[0], np.cumsum(is_new)])
    return numbers, int(numbers[-1]) + 1


def _days_later(minute: Ints, rng: np.random.Generator) -> Ints:
    """Return when the return of each order is written: at once, or on a later trading day."""
    count = len(minute)
    day = minute // DAY + 1 + rng.exponential(DAYS_TO_RETURN, count).astype(np.int64)
    open_days = np.append(np.flatnonzero(trading_day_weights()), DAYS)  # DAYS: after the file
    day = open_days[np.minimum(np.searchsorted(open_days, day), len(open_days) - 1)]
    later = day * DAY + within_day(day, rng)
    is_at_once = rng.random(count) < SAME_MINUTE
    return np.where(is_at_once, minute, later)

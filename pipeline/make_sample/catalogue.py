"""The made-up gift shop's products: codes, texts, prices, and how products are drawn together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.core.run.yaml_text import read_yaml

GIFT_SHOP: dict[str, Any] = read_yaml(Path(__file__).with_name("gift_shop.yaml"))
CATEGORY_SHARES: dict[str, float] = GIFT_SHOP["category_shares"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MILLS = 1000  # prices are whole thousandths of a pound: the file holds 0.001 as well
PENCE = (
    "19 29 39 42 55 65 85 125 145 165 195 210 255 295 325 375 415 425 495 595 695 795 850 995 "
    "1275 1495 1695 1995 2495 2995 3995 4995 7995 12500"
)
PRICE_POINTS = np.array(PENCE.split(), dtype=np.float64) / 100
SIZE_FACTORS = {"MINI": 0.6, "SMALL": 0.7, "LARGE": 1.5, "JUMBO": 1.8, "TALL": 1.2, "PAIR OF": 1.5}
LETTER_CODES: list[tuple[str, str, str]] = [tuple(row) for row in GIFT_SHOP["letter_codes"]]


@dataclass(frozen=True)
class Groups:
    """Products by group (category, head or pattern), to be drawn by popularity within a group."""

    members: Ints
    reach: Floats
    start: Floats
    width: Floats
    last: Ints

    def draw(self, group: Ints, chance: Floats) -> Ints:
        """Return a product of each group; `chance` is uniform on [0, 1)."""
        wanted = self.start[group] + chance * self.width[group]
        found = np.searchsorted(self.reach, wanted, side="right")
        # Rounding may step over a group's end.
        return self.members[np.minimum(found, self.last[group])]


@dataclass(frozen=True)
class Catalogue:
    """Every product; arrays are aligned, the letter-coded goods stand last."""

    categories: tuple[str, ...]
    codes: list[str]
    texts: list[str]
    other_texts: list[str]
    category: Ints
    head: Ints
    pattern: Ints
    price: Ints
    pack: Ints
    has_lower_case: npt.NDArray[np.bool_]
    by_category: Groups
    by_head: Groups
    by_pattern: Groups
    everything: Groups

    def __len__(self) -> int:
        return len(self.codes)


def make_catalogue(size: int, rng: np.random.Generator) -> Catalogue:
    """Return about `size` products; families share a five-digit code and differ in colour."""
    words, categories = GIFT_SHOP, tuple(GIFT_SHOP["categories"])
    heads = [
        (category, head.rstrip("~"), price)
        for category, group in enumerate(words["categories"].values())
        for head, price in group.items()
    ]
    category_of_head = np.array([category for category, _, _ in heads])
    likely = rng.lognormal(0, 0.7, len(heads))  # of some things there are many designs
    likely /= np.bincount(category_of_head, weights=likely)[category_of_head]
    likely *= np.array([CATEGORY_SHARES[name] for name in categories])[category_of_head]
    likely /= likely.sum()

    made: list[_Product] = []
    numbers = iter(10_000 + rng.permutation(max(90_000, 2 * size)))
    texts: set[str] = set()
    while len(made) < size:
        number = str(next(numbers))
        head = int(rng.choice(len(heads), p=likely))
        pattern = int(rng.integers(len(words["patterns"])))
        members = 1 if rng.random() < 0.7 else int(rng.integers(2, 6))
        colours = rng.permutation(len(words["colours"]))[:members]
        size_word = _pick(words["sizes"], rng) if rng.random() < 0.3 else ""
        category, noun, price = heads[head]
        price *= SIZE_FACTORS.get(size_word, 1.6 if size_word[-1:].isdigit() else 1.0)
        form = float(rng.random())
        for member, place in enumerate(colours):
            colour = words["colours"][place] if members > 1 or rng.random() < 0.3 else ""
            noun_here = _disguised(noun, words["vague"], rng)
            text = _arranged(form, size_word, colour, words["patterns"][pattern], noun_here)
            text += " " if rng.random() < 0.08 else ""
            if text in texts:
                continue
            texts.add(text)
            code = number + ("ABCDEFGL"[member] if members > 1 else "")
            price_here = price * float(rng.lognormal(-0.4, 0.35))
            made.append(
                _Product(code, text, _respelt(text, rng), category, head, pattern, price_here)
            )
    made = made[:size]
    for code, text, name in LETTER_CODES:
        made.append(_Product(code, text, text, categories.index(name), 0, 0, 2.95))

    category_of = np.array([product.category for product in made])
    head_of = np.array([product.head for product in made])
    pattern_of = np.array([product.pattern for product in made])
    price_of = _nearest_price_point(np.array([product.price for product in made]))
    weight = rng.lognormal(0, 1.2, len(made))
    weight[size:] = 0  # the letter-coded goods stand on rare lines alone
    ends_in_letter = np.array([product.code[-1].isalpha() for product in made])
    return Catalogue(
        categories=categories,
        codes=[product.code for product in made],
        texts=[product.text for product in made],
        other_texts=[product.other_text for product in made],
        category=category_of,
        head=head_of,
        pattern=pattern_of,
        price=np.rint(price_of * MILLS).astype(np.int64),
        pack=_pack(price_of, rng),
        has_lower_case=ends_in_letter & (rng.random(len(made)) < 0.5),
        by_category=_groups(category_of, weight, len(categories)),
        by_head=_groups(head_of, weight, len(heads)),
        by_pattern=_groups(pattern_of, weight, len(words["patterns"])),
        everything=_groups(np.zeros(len(made), dtype=np.int64), weight, 1),
    )


class _Product(NamedTuple):
    code: str
    text: str
    other_text: str
    category: int
    head: int
    pattern: int
    price: float


def cheaper(price: Ints) -> Ints:
    """Return the price point below each price (in mills): what a large quantity costs."""
    below = np.searchsorted(PRICE_POINTS * MILLS, price - 0.5) - 1
    return np.rint(PRICE_POINTS[np.maximum(below, 0)] * MILLS).astype(np.int64)


def _pick(words: list[str], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]


def _disguised(noun: str, vague: list[str], rng: np.random.Generator) -> str:
    """Leave the head noun as it is, mostly; else name no head, or misspell it."""
    chance = rng.random()
    if chance < 0.03:
        return _pick(vague, rng)
    return _misspelt(noun, rng) if chance < 0.05 else noun


def _arranged(form: float, size: str, colour: str, pattern: str, noun: str) -> str:
    """Put a product's words together, in one of the ways that shops have."""
    if form < 0.45:
        parts = [size, colour, pattern, noun]
    elif form < 0.75:
        parts = [size, noun, colour, pattern]
    elif form < 0.85:
        parts = [size, noun, pattern, "DESIGN", colour]
    elif form < 0.93:
        parts = [size, noun, colour or pattern]
    else:
        parts = [f"{pattern},{noun}", colour, size]
    return " ".join(part for part in parts if part)


def _misspelt(noun: str, rng: np.random.Generator) -> str:
    place = int(rng.integers(1, len(noun) - 1))
    if rng.random() < 0.5:
        return noun[:place] + noun[place + 1 :]
    return noun[:place] + noun[place + 1] + noun[place] + noun[place + 2 :]


def _respelt(text: str, rng: np.random.Generator) -> str:
    """Another text of the same product for one in twelve, the same text for the others."""
    if rng.random() > 1 / 12:
        return text
    ways = (
        text.strip() + ".",
        text.replace(" ", "  ", 1),
        _misspelt(text, rng),
        " ".join(reversed(text.split(maxsplit=1))),
        text.replace("SET OF ", "SET/") if "SET OF" in text else text.strip() + " NEW",
    )
    return ways[int(rng.integers(len(ways)))]


def _nearest_price_point(price: Floats) -> Floats:
    middles = np.sqrt(PRICE_POINTS[1:] * PRICE_POINTS[:-1])
    nearest: Floats = PRICE_POINTS[np.searchsorted(middles, price)]
    return nearest


def _pack(price: Floats, rng: np.random.Generator) -> Ints:
    """Units of a usual order line: cheap things come by the dozen."""
    sizes = np.array([[24, 25, 12], [12, 12, 24], [10, 12, 6], [6, 6, 4], [4, 3, 2], [2, 1, 1]])
    level = np.searchsorted([0.6, 1.4, 2.2, 4.5, 9.0], price)
    packs: Ints = sizes[level, rng.integers(3, size=len(price))]
    return packs


def _groups(group: Ints, weight: Floats, count: int) -> Groups:
    members = np.argsort(group, kind="stable")
    reach = np.cumsum(weight[members])
    ends = np.searchsorted(group[members], np.arange(count), side="right")
    starts = np.concatenate([[0], ends[:-1]])
    before = np.concatenate([[0.0], reach])
    return Groups(
        members=members,
        reach=reach,
        start=before[starts],
        width=before[ends] - before[starts],
        last=np.maximum(ends - 1, 0),
    )

"""A product's short text as words: normalised, mended, with the part that names the thing."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TypeVar

NUMBER = "#"
PLURALS = {
    "knives": "knife",
    "leaves": "leaf",
    "shelves": "shelf",
    "loaves": "loaf",
    "scarves": "scarf",
    "children": "child",
    "childrens": "child",
    "childs": "child",
    "mice": "mouse",
    "glasses": "glass",
    "dominoes": "domino",
    "doilies": "doily",
    "ladies": "lady",
    "gas": "gas",
    "canvas": "canvas",
    "series": "series",
    "species": "species",
    "lens": "lens",
    "iris": "iris",
    "paris": "paris",
}
# What stands before the thing itself: how many of it, and what they come in.
COUNTS = frozenset(
    "set pack of pair s p pk pc pcs piece assorted asst asstd ass and a the mini".split()  # noqa: SIM905
)
CONTAINERS = frozenset("box bag bundle roll sheet tube".split())  # noqa: SIM905
# What follows these words says what the thing has or is for, not what it is.
AFTER = frozenset("with in for on from w by".split())  # noqa: SIM905
RARE = 2
SHORTEST_PART = 3
SHORTEST_MENDED = 7

V = TypeVar("V")


def words_of(text: str, spellings: Mapping[str, tuple[str, ...]] | None = None) -> list[str]:
    """The words of a description: lower case, singular, `spellings` replaced, numbers as `#`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().casefold()
    plain = re.sub(r"'s\b", "", plain).replace("'", "")
    plain = re.sub(r"\bt[- ]?lights?\b", "tlight", plain)
    plain = re.sub(r"[&+]", " and ", plain)
    raw = re.findall(r"[a-z]+|\d+", plain)
    words = [NUMBER if word.isdigit() else singular(word) for word in raw]
    return spelled(words, spellings) if spellings else words


def spelled(words: Sequence[str], spellings: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The words, each replaced by what `spellings` has for it."""
    return [new for word in words for new in spellings.get(word, (word,))]


@cache
def singular(word: str) -> str:
    """The singular of an English noun, by rule; words that are none are left mostly alone."""
    if word in PLURALS:
        return PLURALS[word]
    if len(word) < 4 or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + ("y" if len(word) > 5 else "ie")
    if re.search(r"(ch|sh|x|ss|zz)es$", word):
        return word[:-2]
    return word.removesuffix("s")


def spellings_from(declared: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Declared spellings as `words_of` wants them: word → the words that it stands for."""
    return {singular(k.casefold()): tuple(words_of(v)) for k, v in declared.items()}


def mended_spellings(
    counts: Mapping[str, int], known: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Rare words that are a known word misspelt, or two known words run together.

    `counts` says in how many products a word stands; words that are common or `known` are never
    touched. A misspelling has one letter more or less, or two neighbours exchanged (after Damerau
    1964, without exchanged letters: `donkey` is no `monkey`), and a single candidate.
    """
    trusted = {w for w, n in counts.items() if n > RARE and len(w) >= SHORTEST_PART} | set(known)
    misspelt: dict[str, set[str]] = defaultdict(set)
    for word in trusted:
        if len(word) >= SHORTEST_MENDED:
            for shorter in _one_letter_less(word):
                misspelt[shorter].add(word)
    mended: dict[str, tuple[str, ...]] = {}
    for word, times in counts.items():
        if times > RARE or word in trusted or len(word) < SHORTEST_MENDED:
            continue
        if parts := _two_words(word, trusted, known):
            mended[word] = parts
        elif candidate := _misspelt(word, misspelt):
            mended[word] = (candidate,)
    return mended


def _two_words(
    word: str, trusted: Collection[str], known: Collection[str]
) -> tuple[str, str] | None:
    splits = [
        (word[:at], word[at:])
        for at in range(SHORTEST_PART, len(word) - SHORTEST_PART + 1)
        if word[:at] in trusted and singular(word[at:]) in known
    ]
    if len(splits) != 1:
        return None
    return singular(splits[0][0]), singular(splits[0][1])


def _one_letter_less(word: str) -> Iterator[str]:
    yield word
    for at in range(len(word)):
        yield word[:at] + word[at + 1 :]


def _misspelt(word: str, index: Mapping[str, set[str]]) -> str | None:
    found = {c for shorter in _one_letter_less(word) for c in index.get(shorter, ())}
    near = [c for c in found if _is_one_slip(word, c)]
    return near[0] if len(near) == 1 else None


def _is_one_slip(a: str, b: str) -> bool:
    """Whether one letter more, one less or two neighbours exchanged make b of a.

    Another letter is no slip (`kitten` is no `mitten`), nor is another first letter.
    """
    if a[0] != b[0]:
        return False
    if len(a) == len(b):
        return any(a[:at] + a[at + 1] + a[at] + a[at + 2 :] == b for at in range(len(a) - 1))
    shorter, longer = sorted((a, b), key=len)
    return shorter in _one_letter_less(longer)


def naming_part(words: Sequence[str]) -> tuple[int, int]:
    """Where the words that name the thing begin and end: after its count, before `with …`."""
    start = _after_counts(words, 0)
    if start + 1 < len(words) and words[start] in CONTAINERS and words[start + 1] in ("of", NUMBER):
        start = _after_counts(words, start + 1)
    if start >= len(words):
        start = 0
    stop = start + 1
    while stop < len(words) and words[stop] not in AFTER:
        stop += 1
    return start, min(stop, len(words))


def _after_counts(words: Sequence[str], at: int) -> int:
    while at < len(words) and (words[at] in COUNTS or words[at] == NUMBER):
        at += 1
    return at


def phrases_in(
    words: Sequence[str], phrases: Mapping[tuple[str, ...], V], longest: int
) -> list[tuple[int, int, V]]:
    """Every known phrase in the words as (from, to, what it leads to), none inside a longer one."""
    found = [
        (start, start + length, phrases[key])
        for start in range(len(words))
        for length in range(1, min(longest, len(words) - start) + 1)
        if (key := tuple(words[start : start + length])) in phrases
    ]
    return [
        (start, stop, value)
        for start, stop, value in found
        if not any(s <= start and stop <= e and e - s > stop - start for s, e, _ in found)
    ]


def product_counts(texts: Iterable[Sequence[str]]) -> Counter[str]:
    """In how many products each word stands."""
    return Counter(word for words in texts for word in set(words))

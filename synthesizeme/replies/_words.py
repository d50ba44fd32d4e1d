"""The words of `words.toml` on a page: where each kind stands, in any language."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

_ACCENTS_END = 0x700
"""Below this code point accents are taken off: Latin, Greek, Cyrillic, Hebrew and Arabic letters."""
_SAME = {
    "’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "ı": "i", "🅰": "a", "🅱": "b",
         "\ufe0f": " ", "\u20e3": " ", "\u200b": " ", "\ufeff": " ", "\u00a0": " ",
    "、": ",", "。": ".",
}  # fmt: skip
_TOKEN = re.compile(r"[^\W_]+")
_BETWEEN = re.compile(r"[\s'-]{1,3}")


@cache
def _fold(character: str) -> str:
    if character in _SAME:
        return _SAME[character]
    found = unicodedata.normalize("NFKC", character)
    found = found if len(found) == 1 else character
    if found.isdigit() and not found.isascii():
        return str(unicodedata.digit(found))
    base = unicodedata.normalize("NFD", found)[0]
    found = base if ord(found) < _ACCENTS_END else found
    lowered = found.lower()
    return lowered if len(lowered) == 1 else found


def folded(text: str) -> str:
    """`text` as it is compared: lower case, no accents, plain digits and signs.

    It has the same length: places in one are places in the other.
    """
    return "".join(map(_fold, text))


@cache
def _languages() -> list[dict[str, list[str]]]:
    text = files("synthesizeme.replies").joinpath("words.toml").read_text("utf-8")
    return list(tomllib.loads(text).values())


@cache
def vocabulary(kind: str) -> frozenset[str]:
    """The words of a kind in all languages, folded."""
    return frozenset(folded(word) for language in _languages() for word in language.get(kind, ()))


@cache
def options() -> dict[str, tuple[bool, str]]:
    """Every word for one of two: whether it is the first, and the word for the other; folded."""
    found: dict[str, tuple[bool, str]] = {}
    for language in _languages():
        for pair in language["options"]:
            first, second = folded(pair[0]), folded(pair[1])
            found.setdefault(first, (True, second))
            found.setdefault(second, (False, first))
    return found


@cache
def _apart() -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """Words of languages that write spaces, by their first token: (all tokens, kind)."""
    found: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for language in _languages():
        if not language.get("joined"):
            for kind, word in _entries(language):
                tokens = tuple(_TOKEN.findall(folded(word)))
                found.setdefault(tokens[0], []).append((tokens, kind))
    return found


@cache
def _joined() -> dict[str, list[str]]:
    """Kinds of each word of languages that join words."""
    found: dict[str, list[str]] = {}
    for language in _languages():
        if language.get("joined"):
            for kind, word in _entries(language):
                found.setdefault(folded(word), []).append(kind)
    return found


def _entries(language: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    for kind, entries in language.items():
        if kind == "options":
            yield from (("options", word) for pair in entries for word in pair)
        elif kind != "joined":
            yield from ((kind, word) for word in entries)


class Gloss:
    """Where the words of each kind stand on a `folded` text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._ends: dict[str, dict[int, int]] = {}
        self._mark_apart()
        if not text.isascii() and any(ord(character) >= 0x600 for character in text):
            self._mark_joined()
        self._leave_out("not", "worse")
        self._leave_out("if", "forced")
        self._starts = {kind: sorted(ends) for kind, ends in self._ends.items()}

    def end(self, kind: str, position: int) -> int | None:
        """Where the longest word of a kind ends that begins at `position`; None if none does."""
        return self._ends.get(kind, {}).get(position)

    def spans(self, kind: str, start: int, end: int) -> list[tuple[int, int]]:
        """(start, end) of the words of a kind inside a part of the text, in order."""
        starts, ends = self._starts.get(kind, []), self._ends.get(kind, {})
        found = starts[bisect_left(starts, start) : bisect_left(starts, end)]
        return [(it, ends[it]) for it in found if ends[it] <= end]

    def any(self, start: int, end: int, *kinds: str) -> bool:
        """Whether a word of any of these kinds stands in a part of the text."""
        return any(self.spans(kind, start, end) for kind in kinds)

    def _leave_out(self, kind: str, idiom: str) -> None:
        """Words of a kind that are part of an idiom do not count: the "not" of "not as good as"."""
        idioms = self._ends.get(idiom, {}).items()
        self._ends[kind] = {
            start: end
            for start, end in self._ends.get(kind, {}).items()
            if not any(first <= start and end <= last for first, last in idioms)
        }

    def _note(self, kind: str, start: int, end: int) -> None:
        ends = self._ends.setdefault(kind, {})
        ends[start] = max(end, ends.get(start, end))

    def _mark_apart(self) -> None:
        tokens = [match.span() for match in _TOKEN.finditer(self.text)]
        written = [self.text[start:end] for start, end in tokens]
        known = _apart()
        for place, token in enumerate(written):
            for parts, kind in known.get(token, ()):
                last = place + len(parts) - 1
                if tuple(written[place : last + 1]) == parts and all(
                    _BETWEEN.fullmatch(self.text, tokens[it][1], tokens[it + 1][0])
                    for it in range(place, last)
                ):
                    self._note(kind, tokens[place][0], tokens[last][1])

    def _mark_joined(self) -> None:
        known = _joined()
        lengths = sorted({len(word) for word in known})
        for start, character in enumerate(self.text):
            if ord(character) >= 0x600 or character in " 12":
                for length in lengths:
                    for kind in known.get(self.text[start : start + length].ljust(length, "\0"), ()):
                        self._note(kind, start, start + length)

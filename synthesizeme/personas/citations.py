"""What a sentence of a persona names in brackets: pairs, items of evidence and texts of the user.

They are written ``[2, 5; E1, W2]``, in whatever brackets and with whatever words of their kind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BRACKETS = re.compile(r"\s*[\[(]([^\[\]()]*)[\])]")
_PART = re.compile(
    r"\s*(?:(?P<items>evidence(?: items?)?|items?)\b|(?P<pairs>pairs?(?: numbers?)?\b|#|;)"
    r"|none\b|and\b|[,:&|]|(?P<mark>[EW])?(?P<first>\d{1,9})\d*(?:\s*(?:-|–|to)\s*[EW#]?(?P<last>\d{1,9})\d*)?\b)"
    r"\s*",
    re.IGNORECASE,
)
_Range = tuple[int, int]


@dataclass(frozen=True)
class Citations:
    """What the brackets of a text name."""

    body: str
    """The text without those brackets."""
    pairs: tuple[int, ...] = ()
    """Numbers of existing pairs, from 1, in the order of naming."""
    items: tuple[int, ...] = ()
    """Numbers of existing items, from 1, in the order of naming."""
    words: tuple[int, ...] = ()
    """Numbers of existing texts of the user, from 1, in the order of naming."""
    unknown: int = 0
    """References to pairs, items and texts that do not exist."""


def read_citations(text: str, n_pairs: int, n_items: int, n_words: int = 0) -> Citations:
    """Take the brackets that name pairs, items and texts out of a text; brackets with other words stay.

    >>> read_citations("The user prefers short answers. [2, 5; E1, E9, W2]", 12, 3, 2)
    Citations(body='The user prefers short answers.', pairs=(2, 5), items=(1,), words=(2,), unknown=1)
    """
    numbers: tuple[dict[int, None], ...] = ({}, {}, {})
    unknown = 0

    def taken(match: re.Match[str]) -> str:
        nonlocal unknown
        named = _references(match[1])
        if named is None:
            return match[0]
        for ranges, known, largest in zip(named, numbers, (n_pairs, n_items, n_words), strict=True):
            for first, last in ranges:
                existing = range(max(1, first), min(largest, last) + 1)
                known.update(dict.fromkeys(existing))
                unknown += len(existing) < last - first + 1
        return ""

    body = _BRACKETS.sub(taken, text)
    pairs, items, words = map(tuple, numbers)
    return Citations(body, pairs, items, words, unknown)


def _references(inside: str) -> tuple[list[_Range], ...] | None:
    """Pairs, items and texts named between two brackets; None where it is no citation."""
    pairs: list[_Range] = []
    items: list[_Range] = []
    words: list[_Range] = []
    of_items, position = False, 0
    while position < len(inside):
        part = _PART.match(inside, position)
        if part is None:
            return None
        position = part.end()
        if part["items"] or part["pairs"]:
            of_items = bool(part["items"])
        elif part["first"]:
            mark = (part["mark"] or "").upper()
            named = words if mark == "W" else items if mark or of_items else pairs
            named.append((int(part["first"]), int(part["last"] or part["first"])))
    return (pairs, items, words) if pairs or items or words else None

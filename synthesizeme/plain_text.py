"""Text for people: what comes from data cannot move a cursor, numbers have their nouns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

MOST_IDS = 60
_SHOWN = 60
"""Characters of a value that stand in a message."""


def printable(text: str, limit: int | None = None) -> str:
    r"""`text` with control characters as escapes, on one line, shortened to `limit` characters.

    >>> printable("a\x1b[2Jb\nc")
    'a\\x1b[2Jb\\nc'
    """
    if limit is not None and len(text) > limit:
        text = f"{text[: limit - 1]}…"
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def short_repr(value: object) -> str:
    """A value of the input as it stands in a message: its `repr`, shortened, safe for a terminal."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "pair"), count(2, "pair")
    ('1 pair', '2 pairs')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def in_words(counts: Mapping[str, int]) -> str:
    """Numbers of several things, each with its noun.

    >>> in_words({"rating": 12, "tie": 1, "tie (both bad)": 2})
    '12 ratings, 1 tie, 2 ties (both bad)'
    """
    told = []
    for noun, number in counts.items():
        word, space, more = noun.partition(" ")
        told.append(count(number, word) + space + more)
    return ", ".join(told)


def dollars(amount: float | None) -> str:
    """A price in US dollars; None is unknown."""
    if amount is None:
        return "unknown"
    return f"${amount:.2f}" if amount >= 0.1 or amount == 0 else f"${amount:.4f}"


def clock(seconds: float) -> str:
    """Minutes and seconds.

    >>> clock(75.2)
    '1:15'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def id_list(user_ids: Iterable[str]) -> str:
    """User ids for a message: quoted, shortened, not more than `MOST_IDS` of them."""
    names = [printable(user_id, 60) for user_id in user_ids]
    more = f" and {len(names) - MOST_IDS} more" if len(names) > MOST_IDS else ""
    return ", ".join(names[:MOST_IDS]) + more


QUOTATION = re.compile(r"[“\"]([^“”\"]{3,}?)…?[”\"]")
"""A quoted text, without the dots that stand for its end."""
_MARKS = str.maketrans('“”"[]', "'''()")


def beginning(text: str, most: int) -> str:
    """The first words of a text on one line, at most so many characters, with "…" where it goes on."""
    plain = " ".join(text.split())
    return plain if len(plain) <= most else plain[:most].rsplit(" ", 1)[0] + "…"


def quotable(text: str) -> str:
    """A text on one line without the marks of a quotation or of a citation."""
    return " ".join(text.split()).translate(_MARKS)


def quotations(text: str) -> list[str]:
    """What is quoted in a text.

    >>> quotations("likes answers like “Plant more trees…”, not “Build roads”")
    ['Plant more trees', 'Build roads']
    """
    return QUOTATION.findall(text)

"""Text for the terminal: what comes from data cannot move the cursor, and long things are shortened."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

MOST_IDS = 60


def printable(text: str, limit: int | None = None) -> str:
    r"""`text` with control characters as escapes, on one line, shortened to `limit` characters.

    >>> printable("a\x1b[2Jb\nc")
    'a\\x1b[2Jb\\nc'
    """
    if limit is not None and len(text) > limit:
        text = f"{text[: limit - 1]}…"
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def id_list(user_ids: Iterable[str]) -> str:
    """User ids for a message: quoted, shortened, not more than `MOST_IDS` of them."""
    names = [printable(user_id, 60) for user_id in user_ids]
    more = f" and {len(names) - MOST_IDS} more" if len(names) > MOST_IDS else ""
    return ", ".join(names[:MOST_IDS]) + more


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "pair"), count(2, "pair")
    ('1 pair', '2 pairs')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def dollars(amount: float | None) -> str:
    """A price in US dollars; None is unknown."""
    if amount is None:
        return "unknown"
    return f"${amount:.2f}" if amount >= 0.1 or amount == 0 else f"${amount:.4f}"


def print_json(value: Any) -> None:
    """One JSON object on standard output; characters that the terminal cannot show are escaped."""
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    text = json.dumps(value, indent=2, ensure_ascii=encoding != "utf8", allow_nan=False)
    sys.stdout.write(f"{text}\n")


def say(message: str) -> None:
    """A line for people, on standard error."""
    sys.stderr.write(f"{message}\n")

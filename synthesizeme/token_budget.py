"""How many tokens of a prompt each retrieved item may take: the input is never cut, items are dropped."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

CountTokens = Callable[[str], int]
"""How many tokens a text has; adding text never makes it fewer."""
INPUT_SHARE = 0.6
"""Largest share of the budget that is reserved for the input."""
CUT = " …"
"""What stands where a text was cut."""
_PIECE = re.compile(r"\w+|[^\w\s]")


def count_pieces(text: str) -> int:
    """Words and marks of punctuation: a count for when the model's own tokenizer is not at hand."""
    return len(_PIECE.findall(text))


def allot(input_tokens: int, wanted: Sequence[int], least: Sequence[int], most: int) -> list[int]:
    """Tokens for each item, best item first; a shorter list where the last items had to be dropped.

    ``min(input, 0.6 most)`` is reserved for the input; each item in turn gets what it wants, at most an equal
    share of what is left for it and those after it, so that unused tokens are carried on. The last item is
    dropped until every one has the least it can do with and all fits beside the whole input.

    Args:
        input_tokens: Tokens of everything that is not an item.
        wanted: Tokens of each whole item.
        least: Tokens below which an item is not worth showing; at most those wanted.
        most: Tokens of the whole prompt.

    >>> allot(100, [50, 500, 80], [10, 10, 10], 400)
    [50, 125, 80]

    References:
        Salemi et al. (2024), arXiv 2304.11406, the construction of prompts. Differs: there the end of a
        prompt that is too long is cut, and with it the input.
    """
    available = most - min(input_tokens, int(INPUT_SHARE * most))
    for kept in range(len(wanted), 0, -1):
        given, left = [], available
        for position in range(kept):
            given.append(min(wanted[position], left // (kept - position)))
            left -= given[-1]
        enough = all(tokens >= floor for tokens, floor in zip(given, least, strict=False))
        if enough and sum(given) + input_tokens <= most:
            return given
    return []


def cut(text: str, most: int, count: CountTokens) -> str:
    """The longest beginning of whole words that has at most `most` tokens, marked where it was cut."""
    if count(text) <= most:
        return text
    ends = [match.end() for match in re.finditer(r"\S+", text)]
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        fits = count(text[: ends[middle - 1]] + CUT) <= most
        low, high = (middle, high) if fits else (low, middle - 1)
    return text[: ends[low - 1]] + CUT if low else ""

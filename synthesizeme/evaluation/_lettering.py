"""Texts measured, cut to the place they have, and moved apart."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

TITLE, TEXT, SMALL = 11.5, 9.0, 8.0
"""Sizes of type, in points; titles are bold."""
FAMILY = "DejaVu Sans"
"""The typeface that comes with matplotlib, so that pictures are the same everywhere."""
_MANY = 400
"""More characters than a line has room for."""


def width_of(text: str, size: float = SMALL) -> float:
    """Width of a line of text, in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    weight = "bold" if size == TITLE else "normal"
    font = FontProperties(family=FAMILY, size=size, weight=weight)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) / 72


def fitted(text: str, width: float, size: float = SMALL) -> str:
    """`text` in one line that is at most `width` inches wide: what is too much is cut from its middle."""
    whole = printable(text)
    if len(whole) <= _MANY and width_of(whole, size) <= width:
        return whole
    kept = range(2, min(len(whole), _MANY))
    fitting = bisect_right(kept, width, key=lambda keep: width_of(_cut(whole, keep), size))
    return _cut(whole, kept[max(fitting - 1, 0)] if kept else 2)


def _cut(text: str, keep: int) -> str:
    """The first and last characters of a text, `keep` in all."""
    return f"{text[: (keep + 1) // 2]}…{text[len(text) - keep // 2 :]}"


def wrapped(text: str, width: float, size: float = SMALL) -> list[str]:
    """`text` in lines that are at most `width` inches wide."""
    lines: list[str] = []
    for word in printable(text).split():
        grown = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(grown, size) <= width:
            lines[-1] = grown
        else:
            lines.append(fitted(word, width, size))
    return lines


def printable(text: str) -> str:
    """`text` on one line, with a replacement character for what the font cannot show."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known = get_font(findfont(FontProperties(family=FAMILY))).get_charmap()
    return "".join(c if ord(c) in known else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))


def spread(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Ascending `heights` moved as little as possible so that neighbours are at least `gap` apart.

    Least squares: the heights less i times the gap must ascend, so neighbours in conflict are pooled at
    their mean. The result starts at `low` or above and, where all fit, ends at `high` or below.
    """
    pools: list[tuple[float, int]] = []
    for i, height in enumerate(heights):
        mean, n = height - i * gap, 1
        while pools and pools[-1][0] > mean:
            before, m = pools.pop()
            mean, n = (before * m + mean * n) / (m + n), m + n
        pools.append((mean, n))
    flat = [mean for mean, n in pools for _ in range(n)]
    top = max(low, high - (len(flat) - 1) * gap)
    return [float(np.clip(mean, low, top)) + i * gap for i, mean in enumerate(flat)]

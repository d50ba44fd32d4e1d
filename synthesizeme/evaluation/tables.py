"""Numbers as cells and cells as an aligned Markdown table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

ABSENT = "–"
"""The cell of what was not measured."""


def aligned(table: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns line up: the first row is the heading, the first column is text.

    >>> print(aligned([["scorer", "%"], ["a|b", "71.2"]]), end="")
    | scorer |    % |
    | ------ | ---: |
    | a|b    | 71.2 |
    """
    widths = [max(3, *(len(line[i]) for line in table)) for i in range(len(table[0]))]
    rule = "|" + "|".join(f" {'-' * w} " if i == 0 else f" {'-' * (w - 1)}: " for i, w in enumerate(widths))
    lines = [_line(line, widths) for line in table]
    return "\n".join([lines[0], rule + "|", *lines[1:]]) + "\n"


def text(value: str) -> str:
    """A text that stays in its cell."""
    return " ".join(value.split()).replace("|", "\\|")


def percent(share: float | None, sign: str = "") -> str | None:
    """A share in %, or a difference of shares in points."""
    return None if share is None else f"{100 * share:{sign}.1f}"


def span(low: float | None, high: float | None, sign: str = "") -> str | None:
    """An interval in %, or in points."""
    return None if low is None else f"[{percent(low, sign)}, {percent(high, sign)}]"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]
    return "| " + " | ".join(padded) + " |"


def named(numbers: Mapping[str, float]) -> str:
    """Numbers with their names in a line, e.g. "kept 2,642, dropped 0"; a truth value is yes or no."""
    return ", ".join(
        f"{name} {('no', 'yes')[value] if isinstance(value, bool) else format(value, ',.7g')}"
        for name, value in numbers.items()
    )

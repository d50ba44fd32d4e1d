"""How values are shown: short reprs, and the plain HTML of a notebook, in which texts bring no markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

_LONGEST_SHOWN = 60
_MOST_SHOWN = 3
_CELL = "padding: 2px 10px; white-space: nowrap"


@dataclass(frozen=True)
class _Shown:
    text: str

    def __repr__(self) -> str:
        return self.text


def shortened(value: Any) -> Any:
    """A value, or what a `repr` shows of it where it is long.

    >>> shortened(("a", "b", "c", "d")), shortened("x" * 80)
    (('a', 'b', 'c', … 4 in all), 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…')
    """
    if isinstance(value, str) and len(value) > _LONGEST_SHOWN:
        return f"{value[: _LONGEST_SHOWN - 1]}…"
    if isinstance(value, tuple | list) and len(value) > _MOST_SHOWN:
        first = ", ".join(repr(shortened(it)) for it in value[:_MOST_SHOWN])
        return _Shown(f"({first}, … {len(value):,} in all)")
    if isinstance(value, dict) and len(value) > _MOST_SHOWN:
        return _Shown(f"{{… {len(value):,} entries}}")
    return {name: shortened(it) for name, it in value.items()} if isinstance(value, dict) else value


def block(*parts: str) -> str:
    """Parts of HTML below one another."""
    return f"<div>{''.join(part for part in parts if part)}</div>"


def heading(text: str, beside: str = "") -> str:
    """A line in bold, and in grey what stands beside it."""
    return f"<p><b>{escape(text)}</b> {_grey(beside)}</p>"


def note(text: str) -> str:
    """A paragraph in grey; nothing for no text."""
    return f"<p>{_grey(text)}</p>" if text else ""


def bullets(items: Iterable[tuple[str, str]]) -> str:
    """A list, each item with what stands beside it in grey; nothing for no items."""
    lines = [f"<li>{escape(text)} {_grey(beside)}</li>" for text, beside in items]
    return f"<ul>{''.join(lines)}</ul>" if lines else ""


def table(cells: Sequence[Sequence[str]]) -> str:
    """A table: the first row is its heading, the first column text, the others numbers.

    >>> table([["scorer", "%"], ["<b>", "71.2"]]).count("<td")
    2
    """
    head, *rows = cells
    lines = [_row("th", head), *(_row("td", row) for row in rows)]
    return f'<div style="overflow-x: auto"><table>{"".join(lines)}</table></div>'


def own_taste(found: Any) -> str:
    """What sets a user apart, a `synthesizeme.profile.OwnTaste`, as tables of weights."""
    said = f"p = {found.p_value:.3f}: how often somebody who chooses as anybody does would differ as much"
    if not found.set_apart:
        return heading("Nothing yet that sets this user apart from most people", said)
    own = _weights(found.own) if found.own else note("no single feature is clear")
    common = heading("Like most people") + _weights(found.common) if found.common else ""
    return block(heading("More than most people", said), own, common)


def _weights(items: Iterable[Any]) -> str:
    cells = [["prefers", "feature", "its weight", "± error", "of most people"]]
    for it in items:
        others = "–" if it.population is None else f"{it.population:+.2f}"
        cells.append([it.statement, it.feature, f"{it.weight:+.2f}", f"{it.standard_error:.2f}", others])
    return table(cells)


def _row(tag: str, cells: Sequence[str]) -> str:
    sides = ("left", *["right"] * (len(cells) - 1))
    return "<tr>{}</tr>".format(
        "".join(
            f'<{tag} style="{_CELL}; text-align: {side}">{escape(cell)}</{tag}>'
            for side, cell in zip(sides, cells, strict=True)
        )
    )


def _grey(text: str) -> str:
    return f'<span style="color: gray">{escape(text)}</span>' if text else ""

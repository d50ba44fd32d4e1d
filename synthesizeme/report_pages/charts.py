"""Pictures as SVG within a page: values with their intervals, and lines; the page's style colours them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from synthesizeme.report_pages.document import Html, element, joined

_WIDTH, _SIDE, _NUMBER = 440.0, 6.0, 36.0
_ROW, _FOOT = 34.0, 30.0
_HEIGHT, _AXIS = 210.0, 34.0
MOST_LINES = 6
"""So many lines have a colour of their own."""


SHAPES = "○×△"
"""What the first, the second and the third mark of a line look like."""
_DRAWN = ("m3.5 0a3.5 3.5 0 1 0-7 0a3.5 3.5 0 1 0 7 0", "m-3-3 6 6m0-6-6 6", "m0-3.8 3.6 6.6h-7.2z")


class Bar(NamedTuple):
    """A value with its interval, in the unit of the axis."""

    name: str
    """What it is of."""
    value: float
    """Where the point is."""
    low: float | None
    """Lower end of the interval."""
    high: float | None
    """Upper end of the interval."""
    marks: tuple[float | None, ...] = ()
    """Small marks on the same line, as in `SHAPES`; None draws none."""


class Line(NamedTuple):
    """Points joined by a line."""

    name: str
    """What it is of."""
    points: tuple[tuple[float, float], ...]
    """(x, y), from left to right."""
    ends: tuple[tuple[float, float] | None, ...] = ()
    """Of each point the ends of its interval, as far as they are drawn."""


class _Scale(NamedTuple):
    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round(self.start + share * (self.end - self.start), 1)


def bars(rows: Sequence[Bar], axis: str, *, reference: float | None = None, faint: bool = False) -> Html:
    """A line for each row: its name, the point with its interval, small marks; nothing without rows.

    Args:
        rows: In the order to be drawn.
        axis: Name of the axis with its unit.
        reference: Where a broken line stands, such as chance; at 0 numbers have a sign.
        faint: Whether marks are many alike and are drawn as a cloud.
    """
    if not rows:
        return Html()
    values = [it for row in rows for it in (row.value, row.low, row.high, *row.marks) if it is not None]
    values += [] if reference is None else [reference]
    ticks = _ticks(min(values), max(values))
    scale = _Scale(ticks[0], ticks[-1], _SIDE, _WIDTH - _SIDE)
    bottom = len(rows) * _ROW + 4
    parts = [_vertical(scale.at(tick), bottom, "grid") for tick in ticks]
    if reference is not None:
        parts.append(_vertical(scale.at(reference), bottom, "ref"))
    number = "+.1f" if reference == 0 else ".1f"
    for place, row in enumerate(rows):
        parts += _bar(row, place * _ROW, scale, faint, number)
    parts += [_text(f"{tick:g}", scale.at(tick), bottom + 12, "q m") for tick in ticks]
    parts.append(_text(axis, _WIDTH / 2, bottom + 26, "q m"))
    told = ", ".join(f"{row.name} {row.value:.1f}" for row in rows[:MOST_LINES])
    return _svg(parts, bottom + _FOOT, f"{axis}: {told}{' and others' if len(rows) > MOST_LINES else ''}")


def _bar(row: Bar, top: float, scale: _Scale, faint: bool, number: str) -> list[Html]:
    y = top + 23
    parts = [
        _text(row.name if len(row.name) <= 48 else f"{row.name[:47]}…", _SIDE, top + 12, None),
        _text(format(row.value, number), _WIDTH - _SIDE, top + 12, "e"),
    ]
    places = [(shape, scale.at(it)) for shape, it in enumerate(row.marks) if it is not None]
    marks = [
        element("circle", class_="one", cx=f"{x:g}", cy=f"{y:g}", r="4")
        if faint
        else element("path", class_="mark", d=f"M{x:g} {y:g}{_DRAWN[shape % len(_DRAWN)]}")
        for shape, x in places
    ]
    if row.low is not None and row.high is not None:
        parts.append(_line(scale.at(row.low), y, scale.at(row.high), y, "bar"))
    point = element("circle", class_="dot", cx=f"{scale.at(row.value)}", cy=f"{y}", r="4.5")
    return [*parts, *((*marks, point) if faint else (point, *marks))]


def shares(parts: Mapping[str, int]) -> Html:
    """One bar divided in proportion, each part in the look of its name; nothing of nothing."""
    whole, start, drawn = sum(parts.values()), 0.0, []
    for look, number in parts.items():
        width = 200 * number / (whole or 1)
        drawn.append(element("rect", class_=look, x=f"{start:g}", y="0", width=f"{width:g}", height="6"))
        start += width
    told = ", ".join(f"{look} {number}" for look, number in parts.items())
    return element("svg", *drawn, viewBox="0 0 200 6", role="img", aria_label=told) if whole else Html()


def lines(
    found: Sequence[Line], across: str, up: str, *, diagonal: bool = False, reference: float | None = None
) -> Html:
    """Up to `MOST_LINES` lines with their key; nothing without lines.

    Args:
        found: In order of importance; those beyond the first few are not drawn.
        across: Name of the horizontal axis, whose marks stand at the points' own places, evenly apart.
        up: Name of the vertical axis.
        diagonal: Whether both axes are numbers of the same scale, and a broken line joins what is equal.
        reference: Where a broken line lies, such as chance.
    """
    drawn = [line for line in found if line.points][:MOST_LINES]
    if not drawn:
        return Html()
    places = sorted({x for line in drawn for x, _ in line.points})
    heights = [y for line in drawn for _, y in line.points] + [
        end for line in drawn for ends in line.ends if ends for end in ends
    ]
    ticks = _ticks(*((50, 100) if diagonal else ()), *heights, *([] if reference is None else [reference]))
    steps = _ticks(50, 100) if diagonal else [float(i) for i in range(len(places))]
    x = _Scale(steps[0], steps[-1], _NUMBER, _WIDTH - _SIDE - 8)
    y = _Scale(ticks[0], ticks[-1], _HEIGHT, 10)

    def place(value: float) -> float:
        return x.at(value if diagonal else places.index(value))

    parts = [_line(_NUMBER, y.at(tick), _WIDTH - _SIDE, y.at(tick), "grid") for tick in ticks]
    parts += [_text(f"{tick:g}", _NUMBER - 6, y.at(tick) + 3.5, "q e") for tick in ticks]
    if diagonal:
        parts.append(_line(x.at(50), y.at(50), x.at(100), y.at(100), "ref"))
    if reference is not None:
        parts.append(_line(_NUMBER, y.at(reference), _WIDTH - _SIDE, y.at(reference), "ref"))
    for number, line in enumerate(drawn):
        points = [(place(at), y.at(value)) for at, value in line.points]
        ends = [
            (at, *(y.at(it) for it in pair)) for (at, _), pair in zip(points, line.ends, strict=False) if pair
        ]
        inner = [_line(at, low, at, high, "end") for at, low, high in ends]
        inner.append(element("polyline", class_="line", points=" ".join(f"{a},{b}" for a, b in points)))
        inner += [element("circle", class_="at", cx=f"{a}", cy=f"{b}", r="3") for a, b in points]
        parts.append(element("g", *inner, class_=f"s{number}"))
    for value in steps if diagonal else places:
        parts.append(_text(f"{value:g}", place(value), _HEIGHT + 14, "q m"))
    parts.append(_text(across, _WIDTH / 2, _HEIGHT + 29, "q m"))
    picture = _svg(parts, _HEIGHT + _AXIS, f"{up} by {across}: {', '.join(it.name for it in drawn)}")
    keys = joined(element("li", it.name, class_=f"s{i}") for i, it in enumerate(drawn))
    return joined([element("p", up, class_="note"), picture, element("ul", keys, class_="keys")])


def _ticks(*values: float) -> list[float]:
    """Round numbers that enclose all values, four to seven of them.

    >>> _ticks(48.2, 71), _ticks(50, 50)
    ([45.0, 50.0, 55.0, 60.0, 65.0, 70.0, 75.0], [49.8, 50.0, 50.2])
    """
    low, high = min(values), max(values)
    room = (high - low) or 1.0
    raw = room / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(it * power for it in (1, 2, 2.5, 5, 10) if it * power >= raw * 0.999)
    first = math.floor(low / step) if high > low else math.floor((low - step / 2) / step)
    last = max(math.ceil(high / step), first + 2)
    return [round(step * i, 10) for i in range(first, last + 1)]


def _svg(parts: Sequence[Html], height: float, told: str) -> Html:
    return element("svg", *parts, viewBox=f"0 0 {_WIDTH:g} {height:g}", role="img", aria_label=told)


def _vertical(x: float, bottom: float, look: str) -> Html:
    return _line(x, 0, x, bottom, look)


def _line(x1: float, y1: float, x2: float, y2: float, look: str) -> Html:
    return element("line", class_=look, x1=f"{x1:g}", y1=f"{y1:g}", x2=f"{x2:g}", y2=f"{y2:g}")


def _text(text: str, x: float, y: float, look: str | None) -> Html:
    return element("text", text, class_=look, x=f"{x:g}", y=f"{y:g}")

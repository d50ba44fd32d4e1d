"""Two drawings as SVG within a page: weights with their uncertainty, and how often the model was right."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from synthesizeme.page.beliefs import Point
from synthesizeme.profile import OwnTaste
from synthesizeme.types import Evidence

SURE = 1.96
"""Standard errors on either side within which a weight lies with 95 %."""
_ROW, _SIDE, _WIDTH, _TOP = 36, 6, 340, 22
_MOST = 10


def weights(taste: OwnTaste) -> Markup:
    """One line a feature: how much more the person likes it than most people, and how sure that is.

    First what sets the person apart, then what the person likes as most people do, near zero. The
    intervals fill the width. Nothing where no feature is named.
    """
    own = [(it, abs(it.weight)) for it in taste.own]
    common = [(it, it.weight * _direction(it)) for it in taste.common]
    shown = [*own, *common][:_MOST]
    if not shown:
        return Markup("")
    least = min(0.0, *(at - SURE * it.standard_error for it, at in shown))
    most = max(at + SURE * it.standard_error for it, at in shown) or 1.0
    scale = (_WIDTH - 2 * _SIDE) / (most - least)

    def x(at: float) -> float:
        return _SIDE + (at - least) * scale

    height = _TOP + _ROW * len(shown) + 4
    zero = f"{x(0):.1f}"
    parts = [
        f'<line class="zero" x1="{zero}" x2="{zero}" y1="{_TOP - 6}" y2="{height - 4}"/>',
        f'<text class="small" x="{_SIDE}" y="11">as most people</text>',
        f'<text class="small end" x="{_WIDTH - _SIDE}" y="11">more than most →</text>',
    ]
    for place, (it, at) in enumerate(shown):
        y, spread = _TOP + _ROW * place + 24, SURE * it.standard_error
        parts.append(
            f'<text x="{_SIDE}" y="{y - 9}">{escape(it.statement)}</text>'
            f'<line class="spread" x1="{x(at - spread):.1f}" x2="{x(at + spread):.1f}" y1="{y}" y2="{y}"/>'
            f'<circle class="weight" cx="{x(at):.1f}" cy="{y}" r="4.5"/>'
        )
    told = "; ".join(f"{it.statement}: {at:+.2f} ± {SURE * it.standard_error:.2f}" for it, at in shown)
    return _drawing("weights", _WIDTH, height, "What you like more than most people", told, parts)


def _direction(it: Evidence) -> float:
    """Towards what the statement says: 1 for more of the feature, -1 for less."""
    return math.copysign(1.0, it.weight + (it.population or 0.0))


def over_time(points: Sequence[Point]) -> Markup:
    """The share of choices that were expected beforehand, of this person and of anybody, beside a coin.

    Nothing below two choices.
    """
    if len(points) < 2:
        return Markup("")
    width, height, left, right, top, bottom = 442, 200, 38, 96, 10, 24

    def x(number: int) -> float:
        return left + (width - left - right) * (number - 1) / (len(points) - 1)

    def y(share: float) -> float:
        return top + (height - top - bottom) * (1 - share)

    parts = [
        f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y(share)}" y2="{y(share)}"/>'
        f'<text class="small end" x="{left - 6}" y="{y(share) + 4}">{share:.0%}</text>'
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    parts.append(f'<line class="chance" x1="{left}" x2="{width - right}" y1="{y(0.5)}" y2="{y(0.5)}"/>')
    last = points[-1]
    ends = {"own": last.own / last.number, "anybody": last.anybody / last.number}
    for name in ("anybody", "own"):
        line = " ".join(f"{x(it.number):.1f},{y(getattr(it, name) / it.number):.1f}" for it in points)
        parts.append(f'<polyline class="{name}" points="{line}"/>')
    for (name, said), at in zip(_named(ends), _apart([y(value) for _, value in _at(ends)]), strict=True):
        parts.append(f'<text class="label {name}" x="{width - right + 6}" y="{at + 4:.1f}">{said}</text>')
    parts.append(f'<text class="small end" x="{width - right}" y="{height - 8}">{last.number} choices</text>')
    told = (
        f"Of {last.number} choices {last.own} were expected of you, {last.anybody} of anybody; a coin would "
        f"be right in {last.number / 2:g}."
    )
    return _drawing("over-time", width, height, "How often your choice was expected", told, parts)


def _at(ends: dict[str, float]) -> list[tuple[str, float]]:
    """Where the three lines end, from the top down."""
    return sorted({**ends, "chance": 0.5}.items(), key=lambda it: -it[1])


def _named(ends: dict[str, float]) -> list[tuple[str, str]]:
    words = {"own": "knowing you", "anybody": "most people", "chance": "a coin"}
    return [(name, words[name]) for name, _ in _at(ends)]


def _apart(places: list[float], least: float = 15.0) -> list[float]:
    """Heights of labels, from the top down, moved so far that none covers another."""
    found: list[float] = []
    for place in places:
        found.append(max(place, found[-1] + least) if found else place)
    return found


def _drawing(name: str, width: int, height: int, title: str, told: str, parts: Sequence[str]) -> Markup:
    return Markup(
        f'<svg class="{name}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="{name}-title {name}-told">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-told">{escape(told)}</desc>'
        f"{''.join(parts)}</svg>"
    )

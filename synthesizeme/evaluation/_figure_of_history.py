"""Picture of what a few pairs of a new user are worth: accuracy against the length of the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from synthesizeme.evaluation._canvas import (
    COLOURS,
    FAINT,
    MARKERS,
    WIDTH,
    EndLabel,
    Page,
    end_labels,
    height_for,
)
from synthesizeme.evaluation._shown import extent, percent
from synthesizeme.evaluation.harness import Outcome
from synthesizeme.evaluation.intervals import Interval, accuracy_interval
from synthesizeme.evaluation.measurement import Measurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HIGHLIGHTED = 3
"""So many curves have a colour and intervals; the others are thin lines with a name."""
_LEFT, _BELOW, _END_ROOM = 0.65, 0.5, 2.3
_LEAST_MARGIN = 4.0
_APART = 0.08


class _Curve(NamedTuple):
    """One entrant; everything by number of own pairs, ascending."""

    name: str
    outcomes: Mapping[int, Outcome]
    """With pairs drawn at random where that was measured, else with the first ones."""
    file_order: Mapping[int, Outcome]
    """With the first pairs, where `outcomes` is of ones drawn at random; else empty."""

    @property
    def values(self) -> list[float]:
        return [percent(outcome.micro) for outcome in self.outcomes.values()]

    @property
    def rank(self) -> tuple[int, float, str]:
        """The longest history first, then the most accurate with it."""
        return -list(self.outcomes)[-1], -self.values[-1], self.name


def history(measurements: Sequence[Measurement], benchmark: str) -> Figure | None:
    """Accuracy against the number of own pairs a new user brings, drawn at random: one line per entrant.

    The best have a broken line for their users' first pairs beside it, and intervals at both.
    """
    curves = sorted((c for c in map(_curve, measurements) if c.outcomes), key=lambda curve: curve.rank)
    if not curves:
        return None
    best = [[accuracy_interval(o) for o in curve.outcomes.values()] for curve in curves[:HIGHLIGHTED]]
    firsts = [[accuracy_interval(o) for o in curve.file_order.values()] for curve in curves[:HIGHLIGHTED]]
    low, high, cut = _limits(curves, [found for row in (*best, *firsts) for found in row])
    lengths = sorted({n for curve in curves for n in (*curve.outcomes, *curve.file_order)})
    height = height_for(len(curves), 3.4)
    page = Page(
        body=height + _BELOW + 0.08,
        title=f"Accuracy by number of the user's own pairs, {benchmark}",
        subtitle="Users who were not in the training. Number: accuracy (%) with the longest history. "
        f"Upright bars: 95 % interval over users{_of_whom(len(curves))}.{_of_which(curves)}",
        notes=[
            f"At each length: {extent(o for curve in curves for o in curve.outcomes.values())}."
            + (" Bars end at the frame where they reach beyond it." if cut else ""),
        ],
    )
    axes = page.axes(_LEFT, _BELOW, WIDTH - _LEFT - _END_ROOM, height)
    for rank, curve in enumerate(curves):
        places = [float(lengths.index(n)) for n in curve.outcomes]
        _line(axes, curve, places, rank)
        if rank < HIGHLIGHTED:
            _bars(
                axes, [x + _APART * (rank - (len(best) - 1) / 2) for x in places], best[rank], COLOURS[rank]
            )
            _beside(axes, curve, lengths, firsts[rank], COLOURS[rank])
    axes.set_xticks(range(len(lengths)), [str(n) for n in lengths])
    axes.set_xlim(-0.3, len(lengths) - 0.7)
    axes.set_ylim(low, high)
    axes.set_xlabel("own pairs known to the model (number)")
    axes.set_ylabel("accuracy on answered pairs (%)")
    axes.grid(axis="y")
    labels = [
        EndLabel(
            lengths.index(list(curve.outcomes)[-1]),
            curve.values[-1],
            f"{curve.values[-1]:.1f} {curve.name}",
            _colour(rank),
        )
        for rank, curve in enumerate(curves)
    ]
    end_labels(axes, labels, _END_ROOM)
    return page.figure


def _curve(entrant: Measurement) -> _Curve:
    first, *others = [_answered(curve) for curve in entrant.curves.values()] or [{}]
    return _Curve(entrant.name, first, others[0] if others else {})


def _answered(curve: Mapping[int, Outcome]) -> dict[int, Outcome]:
    return {length: outcome for length, outcome in sorted(curve.items()) if outcome.micro is not None}


def _of_which(curves: Sequence[_Curve]) -> str:
    if not any(curve.file_order for curve in curves):
        return ""
    return " Pairs are drawn at random, several times for each user; broken lines: the user's first pairs."


def _of_whom(n_curves: int) -> str:
    return f", of the best {HIGHLIGHTED} with the longest history" if n_curves > HIGHLIGHTED else ""


def _colour(rank: int) -> str:
    return COLOURS[rank] if rank < HIGHLIGHTED else FAINT


def _limits(curves: Sequence[_Curve], bars: Sequence[Interval]) -> tuple[float, float, bool]:
    """Ends of the vertical axis, and whether a bar is cut there so that many lines stay apart."""
    lines = [value for curve in curves for value in curve.values]
    lines += [percent(o.micro) for curve in curves[:HIGHLIGHTED] for o in curve.file_order.values()]
    low, high = min(lines), max(lines)
    margin = max(_LEAST_MARGIN, 0.5 * (high - low)) if len(curves) > HIGHLIGHTED else 100.0
    lows, highs = (
        [percent(end) for end in ends] for ends in zip(*((b.low, b.high) for b in bars), strict=True)
    )
    bottom, top = max(low - margin, min(lows) - 1), min(high + margin, max(highs) + 1)
    bottom, top = min(bottom, low - 1), max(top, high + 1)
    return bottom, top, min(lows) < bottom or max(highs) > top


def _line(axes: Axes, curve: _Curve, places: Sequence[float], rank: int) -> None:
    best = rank < HIGHLIGHTED
    axes.plot(
        places,
        curve.values,
        color=_colour(rank),
        marker=MARKERS[rank] if best else ".",
        markersize=5 if best else 3,
        linewidth=2 if best else 0.9,
        zorder=6 - rank if best else 2,
        label=curve.name,
    )


def _beside(
    axes: Axes, curve: _Curve, lengths: Sequence[int], intervals: Sequence[Interval], colour: str
) -> None:
    """The broken line of the first pairs, with its intervals, thinner than the line it stands beside."""
    if not curve.file_order:
        return
    places = [lengths.index(length) - 2 * _APART for length in curve.file_order]
    values = [percent(outcome.micro) for outcome in curve.file_order.values()]
    axes.plot(
        places,
        values,
        color=colour,
        linestyle="--",
        linewidth=1,
        zorder=2,
        label=f"{curve.name}, first pairs",
    )
    _bars(axes, places, intervals, colour, label="interval of first pairs", alpha=0.35)


def _bars(
    axes: Axes,
    places: Sequence[float],
    intervals: Sequence[Interval],
    colour: str,
    *,
    label: str = "interval",
    alpha: float = 0.7,
) -> None:
    lows, highs = (
        [percent(end) for end in ends] for ends in zip(*((i.low, i.high) for i in intervals), strict=True)
    )
    axes.vlines(places, lows, highs, colors=colour, linewidth=1, alpha=alpha, zorder=3, label=label)

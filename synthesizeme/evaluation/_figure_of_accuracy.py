"""Picture of the leaderboard: every entrant's accuracy with its interval, and its controls below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from synthesizeme.evaluation._canvas import COLOURS, DASHED, FAINT, INK, MARGIN, RULE, WIDTH, Page
from synthesizeme.evaluation._lettering import SMALL, fitted, width_of
from synthesizeme.evaluation._shown import extent, is_oracle, percent, ranked
from synthesizeme.evaluation.intervals import Interval, accuracy_interval
from synthesizeme.evaluation.measurement import Kind, Measurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

KINDS: dict[Kind, tuple[str, str]] = {
    "reward model": (COLOURS[0], "o"),
    "checkpoint": (COLOURS[0], "P"),
    "judge": (COLOURS[1], "s"),
    "reference": (FAINT, "D"),
}
"""Colour and mark of each kind of entrant."""
CONTROL_MARKS = {
    "no_user": ("o", "without the user"),
    "wrong_user": ("x", "with another user's history"),
    "swapped_labels": ("v", "with the history's labels swapped"),
}
"""Mark and meaning of each control."""
_OTHER_CONTROL = ("d", "another control")
_NAME_ROOM, _NUMBER_ROOM = 2.5, 0.45
_PITCH, _PITCH_WITH_CONTROLS = 0.24, 0.34
_ABOVE, _CONTROLS_BELOW = 0.12, 0.24
_BELOW = 0.5
_NAMED = 6


def accuracy(measurements: Sequence[Measurement], benchmark: str) -> Figure | None:
    """Every entrant by accuracy, with its interval over users and, in smaller marks, its controls."""
    entrants = ranked(measurements)
    shown = [m for m in entrants if not is_oracle(m)] or entrants
    if not shown:
        return None
    names = [fitted(m.name, _NAME_ROOM) for m in shown]
    intervals = [accuracy_interval(m.own) for m in shown]
    controls = any(m.controls for m in shown)
    keys = _keys(shown)
    legend = 0.19 * -(-len(keys) // 3) + 0.15
    height = (_PITCH_WITH_CONTROLS if controls else _PITCH) * len(shown)
    left = MARGIN + max(map(width_of, names)) + 0.12
    page = Page(
        body=legend + height + _BELOW,
        title=f"Accuracy on the test pairs of {benchmark}",
        subtitle="Point, bar and number: accuracy and its 95 % interval over users."
        + (" Small marks: the same scorer under a control." if controls else ""),
        notes=_notes(measurements, shown, intervals),
    )
    axes = page.axes(left, _BELOW, WIDTH - left - MARGIN - _NUMBER_ROOM, height)
    axes.axvline(50, color=FAINT, linewidth=1, linestyle=DASHED, label="chance")
    for y, (entrant, found) in enumerate(zip(shown, intervals, strict=True)):
        _row(axes, y, entrant, found)
    between = np.arange(len(shown) - 1) + 0.5
    axes.hlines(between, 0, 1, transform=axes.get_yaxis_transform(), colors=RULE, linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(shown)), names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.margins(x=0.03)
    axes.grid(axis="x")
    axes.set_xlabel("accuracy on answered pairs (%)")
    page.legend(keys, _BELOW + height + legend - 0.04, 3)
    return page.figure


def _row(axes: Axes, row: int, entrant: Measurement, found: Interval) -> None:
    """An entrant's point, bar and number, and below them its controls."""
    colour, marker = KINDS[entrant.kind]
    y = row - _ABOVE if entrant.controls else row
    value, low, high = percent(found.value), percent(found.low), percent(found.high)
    axes.plot(
        [low, high], [y, y], color=colour, linewidth=2, solid_capstyle="butt", zorder=3, label="interval"
    )
    axes.plot([value], [y], color=colour, marker=marker, markersize=6, zorder=4, label=entrant.name)
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": SMALL}
    axes.text(1.01, row, f"{value:.1f}", color=colour, **beside)
    for name, outcome in entrant.controls.items():
        if outcome.micro is not None:
            mark = _small(CONTROL_MARKS.get(name, _OTHER_CONTROL)[0])
            axes.plot([percent(outcome.micro)], [row + _CONTROLS_BELOW], label=name, **mark)


def _small(marker: str) -> dict[str, Any]:
    """The look of a control."""
    return {
        "marker": marker,
        "color": INK,
        "markersize": 4.5,
        "markerfacecolor": "white",
        "markeredgewidth": 0.9,
        "linestyle": "none",
        "zorder": 5,
    }


def _keys(shown: Sequence[Measurement]) -> list[Line2D]:
    """Legend of the kinds and the controls there are."""
    from matplotlib.lines import Line2D

    found = {name for m in shown for name in m.controls}
    marks = [look for name, look in CONTROL_MARKS.items() if name in found]
    marks += [_OTHER_CONTROL] if found - set(CONTROL_MARKS) else []
    kinds = [
        Line2D([], [], color=colour, marker=marker, linewidth=2, markersize=6, label=kind)
        for kind, (colour, marker) in KINDS.items()
        if any(m.kind == kind for m in shown)
    ]
    controls = [Line2D([], [], label=label, **_small(marker)) for marker, label in marks]
    return [*kinds, *controls, Line2D([], [], color=FAINT, linewidth=1, linestyle=DASHED, label="chance")]


def _notes(
    given: Sequence[Measurement], shown: Sequence[Measurement], intervals: Sequence[Interval]
) -> list[str]:
    """Size of the test set, and what the picture does not show."""
    notes = [f"{extent(m.own for m in shown)}."]
    if any(found.unit == "pair" for found in intervals):
        notes.append("A single user: the interval resamples pairs and says nothing about other users.")
    partly = [f"{m.name} ({percent(m.own.coverage):.1f} %)" for m in shown if m.own.coverage != 1]
    if partly:
        notes.append(f"Pairs without a verdict are left out of the accuracy; answered: {_list(partly)}.")
    hidden = [f"{m.name} ({percent(m.own.micro):.1f} %)" for m in given if is_oracle(m) and m not in shown]
    if hidden:
        notes.append(f"Not drawn, knows the labels: {_list(hidden)}.")
    silent = [m.name for m in given if m.own.micro is None]
    if silent:
        notes.append(f"Not drawn, no pair answered: {_list(silent)}.")
    return notes


def _list(items: Sequence[str]) -> str:
    more = f" and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
    return ", ".join(items[:_NAMED]) + more

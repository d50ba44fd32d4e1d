"""Pictures of every system: the leaderboard's accuracies with their controls, and the gain user by user."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from synthesizeme.evaluation.figures._page import (
    BELOW,
    COLOURS,
    DASHED,
    FAINT,
    INK,
    LEFT,
    MARGIN,
    RULE,
    SMALL,
    TEXT,
    WIDTH,
    Page,
    extent,
    fitted,
    is_oracle,
    percent,
    ranked,
    width_of,
)
from synthesizeme.evaluation.harness import Outcome
from synthesizeme.evaluation.intervals import Interval, accuracy_interval
from synthesizeme.evaluation.measurement import Kind, Measurement
from synthesizeme.pairs import by_user

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from synthesizeme.temperature import Floats


KINDS: dict[Kind, tuple[str, str]] = {
    "reward model": (COLOURS[0], "o"),
    "checkpoint": (COLOURS[0], "P"),
    "judge": (COLOURS[1], "s"),
    "reference": (FAINT, "D"),
}
"""Colour and mark of each kind of system."""
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
_NAMED = 6


def accuracy(measurements: Sequence[Measurement], benchmark: str) -> Figure | None:
    """Every system by accuracy, with its interval over users and, in smaller marks, its controls."""
    systems = ranked(measurements)
    shown = [m for m in systems if not is_oracle(m)] or systems
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
        body=legend + height + BELOW,
        title=f"Accuracy on the test pairs of {benchmark}",
        subtitle="Point, bar and number: accuracy and its 95 % interval over users."
        + (" Small marks: the same scorer under a control." if controls else ""),
        notes=_notes(measurements, shown, intervals),
    )
    axes = page.axes(left, BELOW, WIDTH - left - MARGIN - _NUMBER_ROOM, height)
    axes.axvline(50, color=FAINT, linewidth=1, linestyle=DASHED, label="chance")
    for y, (system, found) in enumerate(zip(shown, intervals, strict=True)):
        _row(axes, y, system, found)
    between = np.arange(len(shown) - 1) + 0.5
    axes.hlines(between, 0, 1, transform=axes.get_yaxis_transform(), colors=RULE, linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(shown)), names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.margins(x=0.03)
    axes.grid(axis="x")
    axes.set_xlabel("accuracy on answered pairs (%)")
    page.legend(keys, BELOW + height + legend - 0.04, 3)
    return page.figure


def _row(axes: Axes, row: int, system: Measurement, found: Interval) -> None:
    """A system's point, bar and number, and below them its controls."""
    colour, marker = KINDS[system.kind]
    y = row - _ABOVE if system.controls else row
    value, low, high = percent(found.value), percent(found.low), percent(found.high)
    axes.plot(
        [low, high], [y, y], color=colour, linewidth=2, solid_capstyle="butt", zorder=3, label="interval"
    )
    axes.plot([value], [y], color=colour, marker=marker, markersize=6, zorder=4, label=system.name)
    beside: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": SMALL}
    axes.text(1.01, row, f"{value:.1f}", color=colour, **beside)
    for name, outcome in system.controls.items():
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


PANELS = 3
FEW_PAIRS = 10
"""Users with fewer test pairs than this are drawn in a lighter colour."""
STEP = 10.0
"""Width of a bar, in points."""
_PALE = "#9ecae9"
_PANEL, _BETWEEN = 1.15, 0.4
_ROOM = WIDTH - LEFT - MARGIN


class OfUsers(NamedTuple):
    """One number per user, in points or per cent, and the pairs behind it: shapes (U,) and (U,)."""

    values: Floats
    pairs: Floats


class _Words(NamedTuple):
    """What the picture of gains, or of accuracies, says."""

    title: str
    subtitle: str
    which: str
    axis: str
    summary: Callable[[Floats], str]


def users(measurements: Sequence[Measurement], benchmark: str) -> Figure | None:
    """Histogram over users of the gain from their own history; of accuracy where nothing is personalized."""
    gains = _gains(measurements)
    panels = gains or _accuracies(measurements)
    if not panels:
        return None
    words = _GAIN if gains else _ACCURACY
    page = Page(
        body=len(panels) * (_PANEL + _BETWEEN) + BELOW,
        title=f"{words.title}, {benchmark}",
        subtitle=f"{words.subtitle} Orange line: mean over users.",
        notes=[
            f"Dark: users with {FEW_PAIRS} test pairs or more. "
            "Light: users with fewer, whose own number is mostly chance.",
            f"{extent(m.own for m, _ in panels)}. {words.which}, at most {PANELS}.",
        ],
    )
    edges = _edges([found.values for _, found in panels], signed=bool(gains))
    first: Axes | None = None
    for i, (system, found) in enumerate(reversed(panels)):
        axes = page.axes(LEFT, BELOW + i * (_PANEL + _BETWEEN), _ROOM, _PANEL, sharey=first)
        first = first or axes
        _panel(axes, found, edges)
        heading = f"{fitted(system.name, _ROOM / 2, TEXT)}: {words.summary(found.values)}"
        axes.set_title(heading, fontsize=TEXT, loc="left", color=INK)
        axes.tick_params(labelbottom=i == 0)
        if i == 0:
            axes.set_xlabel(words.axis)
    return page.figure


def gain_by_user(own: Outcome, no_user: Outcome) -> OfUsers:
    """Mean difference of every user, in points, on the pairs that both answered."""
    both = by_user(pair for pair in own.answered if pair.pair_id in no_user.scores)
    return _of_users(
        [own.scores[it.pair_id] - no_user.scores[it.pair_id] for it in pairs] for pairs in both.values()
    )


def accuracy_by_user(own: Outcome) -> OfUsers:
    """Accuracy of every user, in per cent."""
    return _of_users([own.scores[it.pair_id] for it in pairs] for pairs in by_user(own.answered).values())


def _of_users(values: Iterable[list[float]]) -> OfUsers:
    rows = [(percent(sum(row) / len(row)), len(row)) for row in values]
    means, counts = zip(*rows, strict=True) if rows else ((), ())
    return OfUsers(np.asarray(means), np.asarray(counts, dtype=np.float64))


def _gains(measurements: Sequence[Measurement]) -> list[tuple[Measurement, OfUsers]]:
    """The most accurate of those that were also measured without the user."""
    known = [m for m in ranked(measurements) if "no_user" in m.controls]
    found = [(m, gain_by_user(m.own, m.controls["no_user"])) for m in known]
    return [(m, gain) for m, gain in found if len(gain.values)][:PANELS]


def _accuracies(measurements: Sequence[Measurement]) -> list[tuple[Measurement, OfUsers]]:
    """The most accurate systems; references where there is nothing else."""
    systems = ranked(measurements)
    models = [m for m in systems if m.kind != "reference"]
    chosen = models or [m for m in systems if not is_oracle(m)] or systems
    return [(m, accuracy_by_user(m.own)) for m in chosen[:PANELS]]


def _edges(values: Sequence[Floats], *, signed: bool) -> Floats:
    """Edges of the bars; of gains, the one in the middle holds 0."""
    if not signed:
        return np.arange(0.0, 100 + STEP, STEP)
    reach = max(1.0, float(np.ceil(max(np.abs(row).max() for row in values) / STEP)))
    return STEP * (np.arange(-reach, reach + 2) - 0.5)


def _panel(axes: Axes, found: OfUsers, edges: Floats) -> None:
    from matplotlib.ticker import MaxNLocator

    many = found.pairs >= FEW_PAIRS
    dark, light = (np.histogram(found.values[group], edges)[0] for group in (many, ~many))
    look: dict[str, Any] = {"width": STEP, "align": "edge", "edgecolor": "white", "linewidth": 0.8}
    axes.bar(edges[:-1], dark, color=COLOURS[0], label="many pairs", **look)
    axes.bar(edges[:-1], light, bottom=dark, color=_PALE, label="few pairs", **look)
    axes.axvline(float(found.values.mean()), color=COLOURS[1], linewidth=1.6, label="mean")
    if edges[0] < 0:
        axes.axvline(0, color=FAINT, linewidth=1, linestyle=DASHED)
    axes.set_xlim(edges[0], edges[-1])
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axes.set_ylabel("users")
    axes.grid(axis="y")


def _gain_summary(values: Floats) -> str:
    up, down = (percent(float(np.mean(side))) for side in (values > 0, values < 0))
    return f"mean {values.mean():+.1f} points; {up:.0f} % of users gain, {down:.0f} % lose"


def _accuracy_summary(values: Floats) -> str:
    below = percent(float(np.mean(values < 50)))
    return f"mean {values.mean():.1f} %; {below:.0f} % of users below chance"


_GAIN = _Words(
    "What each user gains from their own history",
    "The user's accuracy minus that of the same scorer without the user, on the same test pairs.",
    "The most accurate personalized scorers",
    "gain (points of accuracy)",
    _gain_summary,
)
_ACCURACY = _Words(
    "Accuracy user by user",
    "Share of the user's test pairs on which the scorer is right.",
    "The most accurate scorers",
    "the user's accuracy (%)",
    _accuracy_summary,
)

"""Picture of what personalization does user by user: a mean can hide those who lose."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from synthesizeme.evaluation._canvas import COLOURS, DASHED, FAINT, INK, MARGIN, WIDTH, Page
from synthesizeme.evaluation._lettering import TEXT, fitted
from synthesizeme.evaluation._shown import extent, is_oracle, percent, ranked
from synthesizeme.evaluation.harness import Outcome
from synthesizeme.evaluation.measurement import Measurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from synthesizeme.temperature import Floats

PANELS = 3
FEW_PAIRS = 10
"""Users with fewer test pairs than this are drawn in a lighter colour."""
STEP = 10.0
"""Width of a bar, in points."""
_PALE = "#9ecae9"
_LEFT, _BELOW, _PANEL, _BETWEEN = 0.65, 0.5, 1.15, 0.4
_ROOM = WIDTH - _LEFT - MARGIN


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
        body=len(panels) * (_PANEL + _BETWEEN) + _BELOW,
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
    for i, (entrant, found) in enumerate(reversed(panels)):
        axes = page.axes(_LEFT, _BELOW + i * (_PANEL + _BETWEEN), _ROOM, _PANEL, sharey=first)
        first = first or axes
        _panel(axes, found, edges)
        heading = f"{fitted(entrant.name, _ROOM / 2, TEXT)}: {words.summary(found.values)}"
        axes.set_title(heading, fontsize=TEXT, loc="left", color=INK)
        axes.tick_params(labelbottom=i == 0)
        if i == 0:
            axes.set_xlabel(words.axis)
    return page.figure


def gain_by_user(own: Outcome, no_user: Outcome) -> OfUsers:
    """Mean difference of every user, in points, on the pairs that both answered."""
    differences: dict[str, list[float]] = {}
    for pair in own.answered:
        if pair.pair_id in no_user.scores:
            difference = own.scores[pair.pair_id] - no_user.scores[pair.pair_id]
            differences.setdefault(pair.user_id, []).append(difference)
    return _of_users(differences)


def accuracy_by_user(own: Outcome) -> OfUsers:
    """Accuracy of every user, in per cent."""
    scores: dict[str, list[float]] = {}
    for pair in own.answered:
        scores.setdefault(pair.user_id, []).append(own.scores[pair.pair_id])
    return _of_users(scores)


def _of_users(values: dict[str, list[float]]) -> OfUsers:
    means = [percent(sum(row) / len(row)) for row in values.values()]
    return OfUsers(np.asarray(means), np.asarray([len(row) for row in values.values()], dtype=np.float64))


def _gains(measurements: Sequence[Measurement]) -> list[tuple[Measurement, OfUsers]]:
    """The most accurate of those that were also measured without the user."""
    known = [m for m in ranked(measurements) if "no_user" in m.controls]
    found = [(m, gain_by_user(m.own, m.controls["no_user"])) for m in known]
    return [(m, gain) for m, gain in found if len(gain.values)][:PANELS]


def _accuracies(measurements: Sequence[Measurement]) -> list[tuple[Measurement, OfUsers]]:
    """The most accurate entrants; references where there is nothing else."""
    entrants = ranked(measurements)
    models = [m for m in entrants if m.kind != "reference"]
    chosen = models or [m for m in entrants if not is_oracle(m)] or entrants
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

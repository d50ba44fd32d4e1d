"""Pictures of accuracy by history length, and of what stated probabilities are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from synthesizeme.evaluation.calibration import (
    N_BINS,
    CoveragePoint,
    accuracy_at_coverage,
    brier,
    expected_calibration_error,
    probabilities,
    reliability,
)
from synthesizeme.evaluation.figures._page import (
    BELOW,
    COLOURS,
    DASHED,
    DASHES,
    END_ROOM,
    FAINT,
    LEFT,
    MARGIN,
    MARKERS,
    TEXT,
    WIDTH,
    EndLabel,
    Page,
    end_labels,
    ends,
    extent,
    fitted,
    from_to,
    height_for,
    percent,
    ranked,
)
from synthesizeme.evaluation.harness import Outcome
from synthesizeme.evaluation.intervals import Interval, accuracy_interval
from synthesizeme.evaluation.measurement import Measurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from synthesizeme.temperature import Floats


HIGHLIGHTED = 3
"""So many curves have a colour and intervals; the others are thin lines with a name."""
_LEAST_MARGIN = 4.0
_APART = 0.08


class _Curve(NamedTuple):
    """One system; everything by number of own pairs, ascending."""

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
    """Accuracy against the number of own pairs a new user brings, drawn at random: one line per system.

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
        body=height + BELOW + 0.08,
        title=f"Accuracy by number of the user's own pairs, {benchmark}",
        subtitle="Users who were not in the training. Number: accuracy (%) with the longest history. "
        f"Upright bars: 95 % interval over users{_of_whom(len(curves))}.{_of_which(curves)}",
        notes=[
            f"At each length: {extent(o for curve in curves for o in curve.outcomes.values())}."
            + (" Bars end at the frame where they reach beyond it." if cut else ""),
        ],
    )
    axes = page.axes(LEFT, BELOW, WIDTH - LEFT - END_ROOM, height)
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
    end_labels(axes, labels, END_ROOM)
    return page.figure


def _curve(system: Measurement) -> _Curve:
    first, *others = [_answered(curve) for curve in system.curves.values()] or [{}]
    return _Curve(system.name, first, others[0] if others else {})


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
    lows, highs = ends(bars)
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
    lows, highs = ends(intervals)
    axes.vlines(places, lows, highs, colors=colour, linewidth=1, alpha=alpha, zorder=3, label=label)


BEST_REWARD_MODELS = 3
BEST_JUDGES = 1
FEWEST_PAIRS = 20
"""Where the curve of accuracy at coverage begins: before that it is chance."""
_GAP = 0.28


def reliability_diagram(measurements: Sequence[Measurement], benchmark: str) -> Figure | None:
    """Confidence against accuracy, above the histogram of confidences, one panel per system."""
    systems = _with_probabilities(measurements)
    if not systems:
        return None
    side = min((WIDTH - LEFT - MARGIN - _GAP * (len(systems) - 1)) / len(systems), 2.6)
    histogram, counted = 0.8, from_to([len(p) for _, p in systems], "pair")
    page = Page(
        body=side + histogram + 1.2,
        title=f"Stated confidence and accuracy, {benchmark}",
        subtitle="On the diagonal a scorer is right as often as it says; below it is overconfident. "
        "Larger points hold more pairs. "
        "ECE: mean gap to the diagonal; Brier: 0.25 is always saying one half.",
        notes=[
            _which(systems),
            f"{counted} with a probability; {N_BINS} bins of equal width.",
        ],
    )
    for i, (name, p_chosen) in enumerate(systems):
        left, first = LEFT + i * (side + _GAP), i == 0
        upper = page.axes(left, histogram + 0.7, side, side)
        lower = page.axes(left, 0.5, side, histogram)
        _reliability(upper, p_chosen, COLOURS[i])
        _histogram(lower, p_chosen, COLOURS[i])
        for axes in (upper, lower):
            axes.set_xlim(49, 101)
            axes.set_xticks([50, 60, 70, 80, 90, 100] if len(systems) < 3 else [50, 75, 100])
        ece, score = expected_calibration_error(p_chosen), brier(p_chosen)
        heading = f"{fitted(name, side, TEXT)}\nECE {ece:.3f}, Brier {score:.3f}"
        upper.set_title(heading, fontsize=TEXT, loc="left", color=COLOURS[i], linespacing=1.3)
        upper.tick_params(labelbottom=False, labelleft=first)
        lower.tick_params(labelleft=first)
        if first:
            upper.set_ylabel("accuracy (%)")
            lower.set_ylabel("pairs (%)")
    _same_height([axes for axes in page.figure.axes if axes.get_label() == "histogram"])
    _same_height([axes for axes in page.figure.axes if axes.get_label() == "reliability"])
    page.figure.text(
        (LEFT + (len(systems) * (side + _GAP) - _GAP) / 2) / WIDTH,
        page.figure.axes[1].get_position().y0 - 0.36 / page.figure.get_figheight(),
        "confidence: probability of the preferred response (%)",
        ha="center",
    )
    return page.figure


def coverage(measurements: Sequence[Measurement], benchmark: str) -> Figure | None:
    """Accuracy on the pairs a scorer is surest of, against their share of all."""
    systems = _with_probabilities(measurements)
    curves = {i: curve for i, (_, p) in enumerate(systems) if len(curve := _coverage_curve(p)) > 1}
    if not curves:
        return None
    height = 3.3
    page = Page(
        body=height + 0.55,
        title=f"Accuracy when the least confident pairs are left out, {benchmark}",
        subtitle="Where confidence is worth something the curve falls from left to right. "
        "Number: accuracy (%) on all pairs.",
        notes=[
            _which(systems),
            f"{from_to([len(systems[i][1]) for i in curves], 'pair')} with a probability. "
            f"Curves begin at {FEWEST_PAIRS} pairs.",
        ],
    )
    axes = page.axes(LEFT, 0.5, WIDTH - LEFT - END_ROOM, height)
    labels = []
    for i, points in curves.items():
        name = systems[i][0]
        x, y = [percent(p.coverage) for p in points], [percent(p.accuracy) for p in points]
        axes.plot(x, y, color=COLOURS[i], linestyle=DASHES[i], linewidth=1.8, label=name)
        axes.plot(x[-1:], y[-1:], color=COLOURS[i], marker="o", markersize=5)
        labels.append(EndLabel(x[-1], y[-1], f"{y[-1]:.1f} {name}", COLOURS[i]))
    axes.set_xlim(0, 102)
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -2), min(high, 102))
    axes.set_xlabel("coverage: pairs answered, surest first (% of pairs)")
    axes.set_ylabel("accuracy on them (%)")
    axes.grid()
    end_labels(axes, labels, END_ROOM)
    return page.figure


def _coverage_curve(p_chosen: Floats) -> list[CoveragePoint]:
    """Accuracy at coverage from `FEWEST_PAIRS` pairs on."""
    return [p for p in accuracy_at_coverage(p_chosen) if round(p.coverage * len(p_chosen)) >= FEWEST_PAIRS]


def _with_probabilities(measurements: Sequence[Measurement]) -> list[tuple[str, Floats]]:
    """The best reward models and the best judge among those that state probabilities."""
    found = [(m, probabilities(m.own)) for m in ranked(measurements)]
    found = [(m, p) for m, p in found if len(p)]
    models = [(m.name, p) for m, p in found if m.kind in ("reward model", "checkpoint")][:BEST_REWARD_MODELS]
    return models + [(m.name, p) for m, p in found if m.kind == "judge"][:BEST_JUDGES]


def _which(systems: Sequence[tuple[str, Floats]]) -> str:
    if len(systems) == 1:
        return "Shown: the only scorer that states probabilities."
    return (
        "Shown: the most accurate scorers that state probabilities, "
        f"at most {BEST_REWARD_MODELS} reward models and {BEST_JUDGES} judge."
    )


def _reliability(axes: Axes, p_chosen: Floats, colour: str) -> None:
    points = reliability(p_chosen)
    axes.set_label("reliability")
    axes.plot([50, 100], [50, 100], color=FAINT, linewidth=1, linestyle=DASHED)
    x, y = [percent(p.confidence) for p in points], [percent(p.accuracy) for p in points]
    axes.plot(x, y, color=colour, linewidth=1)
    sizes = [10 + 120 * p.n / len(p_chosen) for p in points]
    axes.scatter(x, y, s=sizes, color=colour, zorder=3, clip_on=False)
    axes.grid()


def _histogram(axes: Axes, p_chosen: Floats, colour: str) -> None:
    axes.set_label("histogram")
    for point in reliability(p_chosen):
        low, high = percent(point.low), percent(point.high)
        share = percent(point.n / len(p_chosen))
        axes.bar(low, share, width=high - low, align="edge", color=colour, edgecolor="white", linewidth=0.8)
    axes.grid(axis="y")


def _same_height(panels: Sequence[Axes]) -> None:
    limits = [axes.get_ylim() for axes in panels]
    for axes in panels:
        axes.set_ylim(min(low for low, _ in limits), max(high for _, high in limits))

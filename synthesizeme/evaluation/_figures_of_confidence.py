"""Pictures of what a scorer's probabilities are worth: the reliability diagram, accuracy at coverage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from synthesizeme.evaluation._canvas import (
    COLOURS,
    DASHED,
    DASHES,
    FAINT,
    MARGIN,
    WIDTH,
    EndLabel,
    Page,
    end_labels,
)
from synthesizeme.evaluation._lettering import TEXT, fitted
from synthesizeme.evaluation._shown import percent, ranked
from synthesizeme.evaluation.calibration import (
    N_BINS,
    CoveragePoint,
    accuracy_at_coverage,
    brier,
    expected_calibration_error,
    probabilities,
    reliability,
)
from synthesizeme.evaluation.measurement import Measurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from synthesizeme.temperature import Floats

BEST_REWARD_MODELS = 3
BEST_JUDGES = 1
FEWEST_PAIRS = 20
"""Where the curve of accuracy at coverage begins: before that it is chance."""
_END_ROOM = 2.3
_LEFT = 0.65
_GAP = 0.28


def reliability_diagram(measurements: Sequence[Measurement], benchmark: str) -> Figure | None:
    """Confidence against accuracy, above the histogram of confidences, one panel per entrant."""
    entrants = _with_probabilities(measurements)
    if not entrants:
        return None
    side = min((WIDTH - _LEFT - MARGIN - _GAP * (len(entrants) - 1)) / len(entrants), 2.6)
    counts, histogram = [len(p) for _, p in entrants], 0.8
    page = Page(
        body=side + histogram + 1.2,
        title=f"Stated confidence and accuracy, {benchmark}",
        subtitle="On the diagonal a scorer is right as often as it says; below it is overconfident. "
        "Larger points hold more pairs. "
        "ECE: mean gap to the diagonal; Brier: 0.25 is always saying one half.",
        notes=[_which(entrants), f"{_counts(counts)} with a probability; {N_BINS} bins of equal width."],
    )
    for i, (name, p_chosen) in enumerate(entrants):
        left, first = _LEFT + i * (side + _GAP), i == 0
        upper = page.axes(left, histogram + 0.7, side, side)
        lower = page.axes(left, 0.5, side, histogram)
        _reliability(upper, p_chosen, COLOURS[i])
        _histogram(lower, p_chosen, COLOURS[i])
        for axes in (upper, lower):
            axes.set_xlim(49, 101)
            axes.set_xticks([50, 60, 70, 80, 90, 100] if len(entrants) < 3 else [50, 75, 100])
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
        (_LEFT + (len(entrants) * (side + _GAP) - _GAP) / 2) / WIDTH,
        page.figure.axes[1].get_position().y0 - 0.36 / page.figure.get_figheight(),
        "confidence: probability of the preferred response (%)",
        ha="center",
    )
    return page.figure


def coverage(measurements: Sequence[Measurement], benchmark: str) -> Figure | None:
    """Accuracy on the pairs a scorer is surest of, against their share of all."""
    entrants = _with_probabilities(measurements)
    curves = {i: curve for i, (_, p) in enumerate(entrants) if len(curve := _curve(p)) > 1}
    if not curves:
        return None
    height = 3.3
    page = Page(
        body=height + 0.55,
        title=f"Accuracy when the least confident pairs are left out, {benchmark}",
        subtitle="Where confidence is worth something the curve falls from left to right. "
        "Number: accuracy (%) on all pairs.",
        notes=[
            _which(entrants),
            f"{_counts([len(entrants[i][1]) for i in curves])} with a probability. "
            f"Curves begin at {FEWEST_PAIRS} pairs.",
        ],
    )
    axes = page.axes(_LEFT, 0.5, WIDTH - _LEFT - _END_ROOM, height)
    labels = []
    for i, points in curves.items():
        name = entrants[i][0]
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
    end_labels(axes, labels, _END_ROOM)
    return page.figure


def _curve(p_chosen: Floats) -> list[CoveragePoint]:
    """Accuracy at coverage from `FEWEST_PAIRS` pairs on."""
    return [p for p in accuracy_at_coverage(p_chosen) if round(p.coverage * len(p_chosen)) >= FEWEST_PAIRS]


def _with_probabilities(measurements: Sequence[Measurement]) -> list[tuple[str, Floats]]:
    """The best reward models and the best judge among those that state probabilities."""
    found = [(m, probabilities(m.own)) for m in ranked(measurements)]
    found = [(m, p) for m, p in found if len(p)]
    models = [(m.name, p) for m, p in found if m.kind in ("reward model", "checkpoint")][:BEST_REWARD_MODELS]
    return models + [(m.name, p) for m, p in found if m.kind == "judge"][:BEST_JUDGES]


def _which(entrants: Sequence[tuple[str, Floats]]) -> str:
    if len(entrants) == 1:
        return "Shown: the only scorer that states probabilities."
    return (
        "Shown: the most accurate scorers that state probabilities, "
        f"at most {BEST_REWARD_MODELS} reward models and {BEST_JUDGES} judge."
    )


def _counts(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{high:,} pairs" if low == high else f"{low:,} to {high:,} pairs"


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

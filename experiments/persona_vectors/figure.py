"""Doses, prevention and predictions as one picture."""

from __future__ import annotations

import numpy as np
from matplotlib.lines import Line2D

from synthesizeme.evaluation.figures._page import COLOURS, DASHED, FAINT, INK, RULE, Page, png, style

KINDS = {
    "own": ("the trait's vector", COLOURS[0], "-"),
    "own, other trait": ("the vector, on the other trait", COLOURS[2], "-"),
    "random": ("random, as long", FAINT, "--"),
    "shuffled, as long": ("shuffled labels, as long", FAINT, ":"),
}
WAYS = {
    "preventative": ("vector added in training", COLOURS[0], "o"),
    "after": ("vector taken away afterwards", COLOURS[1], "s"),
    "preventative, random direction": ("random one added in training", FAINT, "^"),
}
POINTS = {
    "before": ("before", "*"),
    "plain": ("trained plainly", "X"),
    "data without the trait": ("trained on data without the trait", "P"),
}
COHERENT = 80


def draw(results):
    """PNG of a results file."""
    seeds, summary = results["seeds"], results["summary"]
    with style():
        page = Page(
            5.75,
            "Persona vectors of a model with two planted traits",
            f"A decoder of {seeds[0]['base']['weights']:,} weights trained from scratch; means over "
            f"{len(seeds)} seeds, bands and bars one standard error. All scores are exact.",
            [
                "Above: answers steered by multiples of a vector; shaded where coherence, the share of an "
                "answer's sentences that are in the grammar, is below 80. Below left: a skill is taught by "
                "answers that are all loud. Below right: correlation with what answers show (monitoring: "
                "last prompt token; screening: projection difference of nine data sets); green: on the other "
                "trait."
            ],
        )
        for i, name in enumerate(seeds[0]["doses"]):
            axes = page.axes(0.68 + 3.55 * i, 3.45, 3.0, 1.75)
            axes.set_title(f"trait: {name}", fontsize=9, loc="left", color=INK, pad=5)
            _doses(axes, [seed["doses"][name] for seed in seeds])
            axes.set_xlabel("alpha, multiple of the vector")
            if i == 0:
                axes.set_ylabel("score, 0 to 100", labelpad=2)
        page.legend(
            [*_lines(KINDS), Line2D([], [], color=INK, linewidth=1, linestyle="-.", label="coherence")],
            5.72,
            5,
        )
        axes = page.axes(0.68, 0.45, 3.0, 1.75)
        axes.set_title("skill and trait after training", fontsize=9, loc="left", color=INK, pad=5)
        _prevention(axes, summary["prevention"])
        page.legend(_dots(), 2.85, 3)
        axes = page.axes(5.2, 0.45, 2.1, 1.75)
        axes.set_title("told beforehand", fontsize=9, loc="left", color=INK, pad=5)
        _predictions(axes, summary)
        return png(page.figure)


def _lines(kinds):
    return [
        Line2D([], [], color=c, linestyle=dash, linewidth=1.8, label=label)
        for label, c, dash in kinds.values()
    ]


def _dots():
    ways = [
        Line2D([], [], color=c, marker=m, markersize=4, linewidth=1, label=label)
        for label, c, m in WAYS.values()
    ]
    points = [
        Line2D([], [], color=INK, marker=m, markersize=6, linestyle="", label=label)
        for label, m in POINTS.values()
    ]
    return [item for pair in zip(ways, points, strict=True) for item in pair]


def _doses(axes, studies):
    alphas = np.array(studies[0]["curves"]["own"]["alpha"])
    coherence = np.mean([one["curves"]["own"]["coherence"] for one in studies], axis=0)
    inside = alphas[coherence >= COHERENT]
    low, high = alphas.min(), alphas.max()
    if len(inside):
        for left, right in ((low, inside.min()), (inside.max(), high)):
            axes.axvspan(left, right, color=RULE, alpha=0.6, linewidth=0)
    axes.grid(axis="y")
    axes.axhline(COHERENT, color=FAINT, linewidth=0.8, linestyle=DASHED)
    axes.plot(alphas, coherence, color=INK, linewidth=1, linestyle="-.")
    for kind, (_, colour, dash) in KINDS.items():
        values = np.array([one["curves"][kind]["trait"] for one in studies])
        middle = values.mean(axis=0)
        if len(values) > 1:
            error = values.std(axis=0, ddof=1) / len(values) ** 0.5
            axes.fill_between(alphas, middle - error, middle + error, color=colour, alpha=0.2, linewidth=0)
        axes.plot(alphas, middle, color=colour, linestyle=dash, linewidth=1.8)
    axes.set_xlim(low, high)
    axes.set_ylim(0, 102)


def _prevention(axes, found):
    axes.grid()
    plain = found["plain"]
    for way, (_, colour, marker) in WAYS.items():
        rows = [
            plain,
            *(found[way][alpha] for alpha in sorted(found[way], key=lambda text: abs(float(text)))),
        ]
        xs, ys = ([row[field]["mean"] for row in rows] for field in ("trait", "skill"))
        axes.plot(xs, ys, color=colour, linewidth=1)
        for row in rows[1:]:
            axes.errorbar(
                row["trait"]["mean"], row["skill"]["mean"], xerr=row["trait"]["standard_error"],
                yerr=row["skill"]["standard_error"], color=colour, marker=marker, markersize=4,
                elinewidth=0.7,
                markerfacecolor=colour if row["coherence"]["mean"] >= COHERENT else "white",
            )  # fmt: skip
    for way, (_, marker) in POINTS.items():
        axes.plot(
            found[way]["trait"]["mean"],
            found[way]["skill"]["mean"],
            marker,
            color=INK,
            markersize=7,
            zorder=5,
        )
    axes.set_xlim(0, 102)
    axes.set_ylim(0, 104)
    axes.set_xlabel("trait loud (hollow: coherence below 80)")
    axes.set_ylabel("skill, %", labelpad=2)


def _predictions(axes, summary):
    rows = [(study, name) for study in ("monitoring", "screening") for name in ("loud", "unsure")]
    axes.grid(axis="x")
    axes.set_xlim(-0.4, 1.05)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.axvline(0, color=FAINT, linewidth=0.8)
    for place, (study, name) in enumerate(rows):
        one = summary[f"{study}, {name}"]
        axes.plot(
            [one["random, mean size"]["mean"], one["random, 95th percentile"]["mean"]],
            [place + 0.2] * 2, color=FAINT,
            marker="|", linewidth=3, alpha=0.7,
        )  # fmt: skip
        axes.errorbar(
            one["own"]["mean"],
            place - 0.1,
            xerr=one["own"]["standard_error"],
            color=COLOURS[0],
            marker="o",
            markersize=5,
        )
        axes.plot(one["on the other trait"]["mean"], place - 0.1, "o", color=COLOURS[2], markersize=5)
    axes.set_yticks(range(len(rows)), [f"{study},\n{name}" for study, name in rows])
    axes.set_xlabel("correlation (grey: random, mean to 95 %)", fontsize=7.5)

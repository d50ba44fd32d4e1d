"""Accuracy against the length of the history that is read, as one picture."""

from __future__ import annotations

import numpy as np
from matplotlib.lines import Line2D

from synthesizeme.evaluation.figures._page import COLOURS, FAINT, INK, Page, png, style

LINES = {
    "logistic on the true attributes": ("logistic regression on the true attributes", INK, "--", "o"),
    "hierarchical-stylometric": ("hierarchical-stylometric", COLOURS[2], "-", "^"),
    "persona-prompted": ("persona-prompted: words in front", COLOURS[3], "-", "D"),
    "uem": ("uem: one soft token per pair", COLOURS[0], "-", "o"),
    "text history": ("pairs as text, as many tokens as uem", COLOURS[1], "-", "s"),
}


def draw(results):
    """PNG of the curves, with the oracle and the reader who knows nobody as lines across."""
    rows = {(row["reader"], row["condition"], row["history"]): row for row in results["rows"]}
    config, seeds = results["config"], len(results["seeds"])
    lengths, new = config["lengths"], config["new"]
    with style():
        page = Page(
            4.0,
            "How much of a history is worth reading, and as what",
            "Accuracy on users that nothing was trained on, by the number of their past pairs that are read; "
            f"bars are one standard error over seeds (number: {seeds}), each with {new['users']} users and "
            f"{new['asked']} pairs of each.",
            ["Text has the tokens that uem spends, its task tokens and one for each pair: few pairs fit in."],
        )
        axes = page.axes(0.62, 0.45, 6.6, 2.75)
        axes.set_xscale("log")
        axes.grid(axis="y")
        _across(axes, "oracle", rows.get(("oracle", "own", config["history"])))
        _across(axes, "uem without a user", rows.get(("uem", "nobody", config["history"])))
        for place, reader in enumerate(LINES):
            shown = [(x, rows[reader, "own", x]) for x in lengths if (reader, "own", x) in rows]
            _curve(axes, reader, shown, 1.02 ** (place - 2))
        axes.set_xticks(lengths, [str(length) for length in lengths])
        axes.minorticks_off()
        axes.set_xlim(lengths[0] / 1.25, lengths[-1] * 1.25)
        axes.set_xlabel("past pairs of the user")
        axes.set_ylabel("accuracy")
        page.legend([Line2D([], [], label=LINES[reader][0], **_look(reader)) for reader in LINES], 3.95, 2)
        return png(page.figure)


def _look(reader):
    _, colour, dashes, marker = LINES[reader]
    return {"color": colour, "linestyle": dashes, "marker": marker, "markersize": 5, "linewidth": 1.8}


def _across(axes, name, row):
    if row is None:
        return
    axes.axhline(row["value"], color=FAINT, linewidth=1, linestyle=":")
    place = {"xycoords": ("axes fraction", "data"), "xytext": (0, 3), "textcoords": "offset points"}
    axes.annotate(name, (1.0, row["value"]), ha="right", fontsize=8, color=FAINT, **place)


def _curve(axes, reader, shown, shift):
    """Points a little beside one another, so that no bar hides another."""
    if shown:
        values = [row["value"] for _, row in shown]
        errors = [row["standard_error"] or 0.0 for _, row in shown]
        at = np.array([length for length, _ in shown]) * shift
        axes.errorbar(at, values, errors, elinewidth=1.2, capsize=2, **_look(reader))

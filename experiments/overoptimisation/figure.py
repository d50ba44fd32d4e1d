"""The attacker, best of n, and the policies, each as one picture."""

from __future__ import annotations

import numpy as np
from matplotlib.lines import Line2D

from synthesizeme.evaluation.figures._page import COLOURS, DASHES, FAINT, INK, Page, png, style

FLOORS = {True: ("with the floor", COLOURS[0]), False: ("without", COLOURS[1])}
USERS = {"lively": "rewarded by the lively user", "calm": "rewarded by the calm user"}


def attack(results):
    """PNG of reward, intact share and gold against the number of proposed edits."""
    rows, settings = results["rows"], results["config"]["attack"]
    most = max(row["attacked"] for row in rows)
    with style():
        page = Page(
            2.5,
            "Random edits that raise a reward, and what they leave of the answer",
            f"Means over real answers that their planted user chose ({most} without pessimism, fewer with "
            f"it); at most {settings['edits']} accepted edits of {settings['proposals']}.",
            ["Gold is the planted taste in points of its range over real answers, times the share of the "
             "answer's adjacent words that the text still has. The floor reads neither."],
        )  # fmt: skip
        for i, (name, title, limits) in enumerate((
            ("value", "gain in reward, log-odds", None), ("intact", "share intact", (0, 1)),
            ("gold", "gold, points", (0, 100)),
        )):  # fmt: skip
            axes = page.axes(0.5 + 2.4 * i, 0.42, 2.0, 1.4)
            titled(axes, title)
            for row in rows:
                x = [mark["proposals"] for mark in row["curves"]]
                y = np.array([mark[name] for mark in row["curves"]])
                line(axes, x, y - y[0] if name == "value" else y, row)
            if limits:
                axes.set_ylim(*limits)
            axes.set_xlabel("proposed edits")
        page.legend(keys(rows), 2.42, 5)
        return png(page.figure)


def best_of_n(results):
    """PNG of gold against log n, on prompts that the model knows and on others."""
    with style():
        page = Page(
            2.75,
            "Gold of the best of n by reward",
            f"{100 * results['config']['best_of_n']['real']:.0f} % of the draws are real answers to the "
            "prompt, the others texts that are none, or answers after a short attack on the reward.",
            ["Gold as in the attack; bands are one standard error over users, drawn without pessimism. "
             f"Prompts: {results['seen']['prompts']} of the training data, and "
             f"{results['unseen']['prompts']} that the model was fitted without. Dotted: the best text."],
        )  # fmt: skip
        for i, (name, title) in enumerate(
            (("seen", "prompts seen in training"), ("unseen", "prompts not seen"))
        ):
            axes, found = page.axes(0.55 + 3.5 * i, 0.42, 3.1, 1.65), results[name]
            titled(axes, title)
            for row in found["rows"]:
                line(axes, found["n"], np.array(row["gold"]), row)
                if not row["pessimism"]:
                    around = np.array(row["gold_standard_error"])
                    axes.fill_between(
                        found["n"], row["gold"] - around, row["gold"] + around,
                        color=FLOORS[row["floor"]][1], alpha=0.15, linewidth=0,
                    )  # fmt: skip
            axes.axhline(found["best_gold"], color=FAINT, linewidth=0.8, linestyle=":")
            axes.set_xscale("log", base=2)
            axes.set_xticks(found["n"][::2], [f"{n:,}" for n in found["n"][::2]])
            axes.set_ylim(0, 100)
            axes.set_xlabel("n")
            if i == 0:
                axes.set_ylabel("gold, points", labelpad=2)
        page.legend(keys(results["seen"]["rows"]), 2.67, 5)
        return png(page.figure)


EARLIER = "lively-earlier"
"""The run with an earlier floor."""


def policy(runs):
    """PNG of reward, gold, floor and variety over the steps of GRPO, a row for each user."""
    users = list(dict.fromkeys(run["user"] for run in runs))
    panels = (
        ("taste", "taste, log-odds"), ("gold", "gold, points"), ("below", "share below floor"),
        ("distinct", "distinct 3-grams"), ("perplexity", "perplexity before"),
    )  # fmt: skip
    with style():
        page = Page(
            0.35 + 1.65 * len(users),
            "A small policy trained on one user's reward",
            "SmolLM2-135M-Instruct by TRL's GRPO; fresh answers to prompts that it is not trained on.",
            ["Gold is the planted taste, times how far a text is as likely under the policy before, and as "
             "varied, as nearly all of that policy's answers are. Perplexity is under the policy before."],
        )  # fmt: skip
        for j, user in enumerate(users):
            for i, (name, title) in enumerate(panels):
                axes = page.axes(0.45 + 1.45 * i, 0.4 + 1.65 * (len(users) - 1 - j), 1.1, 0.9)
                titled(axes, title if j == 0 else "")
                for run in (run for run in runs if run["user"] == user):
                    x = [row["step"] for row in run["held_out"]]
                    y = [row[name] for row in run["held_out"]]
                    dashes = "--" if run["name"] == EARLIER else "-"
                    axes.plot(x, y, color=FLOORS[run["floor"] == "with"][1], linewidth=1.6, linestyle=dashes)
                axes.set_xlabel(f"step, {user} user", fontsize=7)
        earlier = Line2D(
            [], [], color=FLOORS[True][1], linewidth=2, linestyle="--",
            label="with the floor before the expert on content",
        )  # fmt: skip
        page.legend([*keys([]), earlier], 0.27 + 1.65 * len(users), 2)
        return png(page.figure)


def titled(axes, title):
    axes.set_title(title, fontsize=8.5, loc="left", color=INK, pad=5)
    axes.grid(axis="y")


def line(axes, x, y, row):
    axes.plot(x, y, color=FLOORS[row["floor"]][1], linewidth=1.6, linestyle=DASHES[int(row["pessimism"])])


def keys(rows):
    """Colours for the floor, dashes for each pessimism that there is."""
    found = [Line2D([], [], color=colour, linewidth=2, label=label) for label, colour in FLOORS.values()]
    return found + [
        Line2D([], [], color=INK, linewidth=1.4, linestyle=DASHES[int(k)], label=f"pessimism {k:g}")
        for k in sorted({row["pessimism"] for row in rows})
    ]

"""The curves of the rewards, and what the policies' answers are like before and after, as one picture."""

from __future__ import annotations

import numpy as np
from matplotlib.lines import Line2D

from synthesizeme.evaluation.figures._page import COLOURS, FAINT, INK, Page, png, style

USERS = {"calm": COLOURS[0], "lively": COLOURS[1]}
TITLES = {
    "calm": "rewarded by the calm user",
    "lively": "rewarded by the lively user",
    "shuffled": "control: shuffled rewards",
}
BELOW = (
    ("words", "words in an answer", (0, 35), (0, 10, 20, 30)),
    ("exclaiming", "share that exclaims", (0, 1), (0, 0.5, 1)),
    ("chosen by calm", "calm user's true choices", (0, 1), (0, 0.5, 1)),
    ("parses", "share in the grammar", (0, 1), (0, 0.5, 1)),
)


def curves(results):
    """PNG of both."""
    seeds, policies = results["seeds"], results["config"]["policies"]
    with style():
        page = Page(
            4.1,
            "Two users with opposite tastes, a policy for each",
            "Above: mean reward of each step's answers in TRL's GRPOTrainer; bands are one standard error "
            f"over {len(seeds)} seeds. Below: fresh answers to held-out prompts, before and after; small "
            "dots are the seeds.",
            [
                "The calm user likes short answers that do not exclaim, the lively one long ones that do; "
                "their rewards come from a model fitted to 40 noisy choices of each. True choices are by the "
                "taste itself, against answers of the policy before."
            ],
        )
        logs = [seed["policies"][policy]["curves"] for seed in seeds for policy in policies]
        reach = 1.1 * max(np.abs(log[f"reward of {user}"]).max() for log in logs for user in USERS)
        for i, policy in enumerate(policies):
            axes = page.axes(0.68 + 2.3 * i, 2.15, 2.06, 1.5)
            axes.set_title(TITLES[policy], fontsize=9, loc="left", color=INK, pad=5)
            _rewards(axes, [seed["policies"][policy]["curves"] for seed in seeds])
            axes.set_ylim(-reach, reach)
            axes.set_xlabel("step of GRPO")
            if i:
                axes.set_yticklabels([])
            else:
                axes.set_ylabel("mean reward, log-odds", labelpad=2)
        page.legend([*_lines(), *_dots()], 4.07, 4)
        for i, (name, title, limits, ticks) in enumerate(BELOW):
            axes = page.axes(0.8 + 1.68 * i, 0.33, 1.4, 1.05)
            axes.set_title(title, fontsize=8, loc="left", color=INK, pad=5)
            _dumbbells(axes, seeds, policies, name)
            axes.set_xlim(*limits)
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.set_yticks(range(len(policies)), policies if i == 0 else [""] * len(policies))
        return png(page.figure)


def _lines():
    return [
        Line2D([], [], color=colour, linewidth=2, label=f"reward of the {user} user")
        for user, colour in USERS.items()
    ]


def _dots():
    dot = {"marker": "o", "linestyle": "", "color": INK}
    return [
        Line2D([], [], **dot, markerfacecolor="white", label="before"),
        Line2D([], [], **dot, label="after"),
    ]


def _rewards(axes, logs):
    axes.axhline(0, color=FAINT, linewidth=0.8)
    axes.grid(axis="y")
    for user, colour in USERS.items():
        middle, error = _mean([log[f"reward of {user}"] for log in logs])
        steps = np.arange(1, len(middle) + 1)
        axes.fill_between(steps, middle - error, middle + error, color=colour, alpha=0.25, linewidth=0)
        axes.plot(steps, middle, color=colour, linewidth=2)


def _mean(values):
    """Mean over the seeds and its standard error."""
    values = np.array(values)
    return values.mean(axis=0), values.std(axis=0, ddof=1) / len(values) ** 0.5


def _dumbbells(axes, seeds, policies, name):
    axes.grid(axis="x")
    axes.set_ylim(len(policies) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    for row, policy in enumerate(policies):
        colour = USERS.get(policy, FAINT)
        before = [seed["before"][name]["mean"] for seed in seeds]
        after = [seed["policies"][policy]["after"][name]["mean"] for seed in seeds]
        axes.plot([np.mean(before), np.mean(after)], [row, row], color=colour, linewidth=1.5)
        axes.plot(after, [row + 0.24] * len(after), "o", color=colour, markersize=2.2, alpha=0.6, linewidth=0)
        axes.plot(
            np.mean(before), row, "o", color=colour, markerfacecolor="white", markersize=6, clip_on=False
        )
        axes.plot(np.mean(after), row, "o", color=colour, markersize=6, clip_on=False)

"""From the answers of the seeds to figures with standard errors, and to the table of the README."""

from __future__ import annotations

import json

import numpy as np

OWN = ("own", "nobody", "another user", "labels swapped")
PAIRED = (
    ("uem", "nobody"), ("uem", "another user"), ("pplug", "nobody"), ("pplug", "another user"),
    ("uem, 1 layer", "uem"), ("uem, 3 layers", "uem"), ("uem", "text history"),
    ("pplug", "pplug, uniform weights"), ("pplug, temperature 0.1", "pplug, uniform weights"),
    ("pplug + words", "pplug"), ("pplug + words", "persona-prompted"),
)  # fmt: skip
"""Differences at the length of the controls: a reader less another, or less itself in another condition."""


def summarised(folder):
    """Figures of all seeds in a folder: accuracies, paired differences, and what the run says of itself.

    Raises:
        SystemExit: seeds of different settings lie together, or there is none.
    """
    files = sorted(folder.glob("seed-*.json"), key=lambda path: int(path.stem.partition("-")[2]))
    seeds = [json.loads(path.read_text()) for path in files]
    if not seeds or any(seed["config"] != seeds[0]["config"] for seed in seeds):
        raise SystemExit(
            f"{folder}: expected seed-N.json of one configuration, found {[f.name for f in files]}"
        )
    config, run = seeds[0]["config"], folder / "run.json"
    found = {}
    for seed in seeds:
        for row in seed["rows"]:
            key = (row["reader"], row["condition"], row["history"])
            found.setdefault(key, []).append(np.array(list(row["users"].values())))
    asked = config["new"]["asked"]
    return {
        "config": config,
        "seeds": [path.stem for path in files],
        "run": json.loads(run.read_text()) if run.exists() else None,
        "rows": [
            {"reader": reader, "condition": condition, "history": history, **estimate(users, asked)}
            for (reader, condition, history), users in found.items()
        ],
        "differences": differences(found, config, asked),
    }


def estimate(users, asked):
    """Mean over users, its standard error over seeds and over users, and the pairs behind it.

    Args:
        users: For each seed the accuracies of its users, or their differences.
        asked: Pairs of a user.
    """
    means, everybody = np.array([some.mean() for some in users]), np.concatenate(users)
    return {
        "value": float(everybody.mean()),
        "standard_error": _error(means),
        "standard_error_over_users": _error(everybody),
        "n": len(everybody) * asked,
    }


def differences(found, config, asked):
    """Paired differences; that to text history is taken at every length."""
    rows, full = [], config["history"]
    for reader, other in PAIRED:
        for length in config["lengths"] if other == "text history" else [full]:
            less = (reader, other, length) if other in OWN else (other, "own", length)
            one = found.get((reader, "own", length))
            if one is not None and less in found:
                apart = [a - b for a, b in zip(one, found[less], strict=True)]
                rows.append({"reader": reader, "less": other, "history": length, **estimate(apart, asked)})
    return rows


def _error(values):
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None


def written(results):
    """The tables, in Markdown: accuracy in per cent with the standard error over seeds."""
    rows = {(row["reader"], row["condition"], row["history"]): row for row in results["rows"]}
    lengths, full = results["config"]["lengths"], results["config"]["history"]
    heads = [*(f"{length} pairs" for length in lengths), "nobody", "another user", "labels swapped"]
    new, seeds = results["config"]["new"], ", ".join(name.partition("-")[2] for name in results["seeds"])
    machine = f"; {results['run']['machine']}" if results["run"] else ""
    lines = [
        f"Seeds: {seeds}, each with {new['users']} new users and {new['asked']} pairs of each{machine}.",
        "",
    ]
    lines += ["| reader | " + " | ".join(heads) + " |", "|---" + "|---:" * len(heads) + "|"]
    for reader in dict.fromkeys(row["reader"] for row in results["rows"]):
        places = [("own", length) for length in lengths] + [(condition, full) for condition in OWN[1:]]
        lines.append(
            f"| {reader} | " + " | ".join(_cell(rows.get((reader, *place))) for place in places) + " |"
        )
    lines += ["", "| paired difference | past pairs | points | over users |", "|---|---:|---:|---:|"]
    for row in results["differences"]:
        over, names = f"± {100 * row['standard_error_over_users']:.1f}", f"{row['reader']} less {row['less']}"
        lines.append(f"| {names} | {row['history']} | {_cell(row, sign='+')} | {over} |")
    if results["run"]:
        lines += ["", "| fit_user | median, ms | quartiles |", "|---|---:|---:|"]
        for name, of in results["run"]["costs"].items():
            lines.append(f"| {name} | {of['median']:.1f} | {of['q1']:.1f} – {of['q3']:.1f} |")
    return "\n".join(lines)


def _cell(row, sign=""):
    if row is None:
        return ""
    error = row["standard_error"]
    return f"{100 * row['value']:{sign}.1f}" + ("" if error is None else f" ± {100 * error:.1f}")

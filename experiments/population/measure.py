"""The population as installed, on people and prompts that it was not made from: the recipe is followed anew.

OMP_NUM_THREADS=1 python experiments/population/measure.py --data-dir FOLDER
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import ClassVar

import numpy as np
from recipe import LEARNED, SOURCES, losses, read, searched, settled, started, tasks

from reward_models._basis import Group
from reward_models.hierarchical_form import HierarchicalForm
from synthesizeme.datasets import by_user
from synthesizeme.evaluation.intervals import interval

HERE = Path(__file__).parent
LENGTHS = (0, 5, 10, 20, 30)
GROUPS = 5
"""Users are divided into so many groups; each is measured by a population made without it."""
DRAWS = 5
"""Histories drawn for each user."""


class WithWording(HierarchicalForm):
    """The method with users' deviations in wording too, every n-gram bucket by itself."""

    groups: ClassVar = {
        **HierarchicalForm.groups,
        "wording": Group("wording", shared=0.0, own=1.0, whole=True),
    }


def wording(learnable, variances):
    """Log loss of new users' pairs by the prior variance of deviations in wording, at these of the others."""
    model = started(learnable[LEARNED], kind=WithWording)
    some = tasks(model, learnable)
    return {
        str(value): round(
            float(np.mean(list(losses(model, {**variances, "wording": value}, some).values()))), 4
        )
        for value in (0.0, 0.1, 0.3, 1.0)
    }


def groups_of(pairs):
    """The group of every user."""
    users = sorted({pair.user_id for pair in pairs})
    order = np.random.default_rng(0).permutation(len(users))
    return {users[i]: int(place % GROUPS) for place, i in enumerate(order)}


def units(source, pairs, model_without):
    """What is measured by one model: a model, the pairs asked about and those that a history may hold."""
    if source != LEARNED:
        yield model_without(None), [pair for pair in pairs if pair.split == "test"], [
            pair for pair in pairs if pair.split != "test"
        ]  # fmt: skip
        return
    for fold in sorted({pair.metadata["prompt_fold"] for pair in pairs}):
        asked = [pair for pair in pairs if pair.metadata["prompt_fold"] == fold]
        others = [pair for pair in pairs if pair.metadata["prompt_fold"] != fold and pair.split != "test"]
        yield model_without(fold), asked, others


def scored(model, asked, histories, lengths=LENGTHS):
    """Right (0 or 1) and log loss of every pair asked about, by length of history, over draws of histories.

    Returns:
        {k: [(user, right, loss), ...]}, of each user who has k pairs to learn from.
    """
    found = defaultdict(list)
    for user, its in by_user(asked).items():
        own = histories.get(user, [])
        for k in (k for k in lengths if k <= len(own)):
            rights, losses = [], []
            for draw in range(DRAWS if k else 1):
                rng = np.random.default_rng([draw, k])
                model.fit_user(user, [own[i] for i in rng.permutation(len(own))[:k]])
                said = model.compare([pair.compare("chosen_first") for pair in its])
                rights.append([(verdict.margin > 0) + (verdict.margin == 0) / 2 for verdict in said])
                losses.append([-np.log(max(verdict.probability, 1e-12)) for verdict in said])
            model.forget_user(user)
            means = zip(np.mean(rights, axis=0), np.mean(losses, axis=0), strict=True)
            found[k] += [((user, pair.pair_id), *it) for pair, it in zip(its, means, strict=True)]
    return found


def measured(everything, learnable):
    """Outcomes by source and length of history, every user measured without themselves."""
    divided = {source: groups_of(pairs) for source, pairs in everything.items()}
    found = {source: defaultdict(list) for source in everything}
    chosen = []
    for group in range(GROUPS):
        others = {
            source: [pair for pair in pairs if divided[source][pair.user_id] != group]
            for source, pairs in learnable.items()
        }
        first = started(others[LEARNED])
        some = tasks(first, others)
        variances = searched(first, some)
        chosen.append(variances)

        def model_without(fold, others=others, variances=variances):
            rest = [pair for pair in others[LEARNED] if fold is None or pair.metadata["prompt_fold"] != fold]
            seen = {**others, LEARNED: rest}
            return settled(started(rest), variances, seen)

        for source, pairs in everything.items():
            its = [pair for pair in pairs if divided[source][pair.user_id] == group]
            for model, asked, histories in units(source, its, model_without):
                for k, rows in scored(model, asked, by_user(histories)).items():
                    found[source][k] += rows
        print(f"group {group + 1} of {GROUPS}: {variances}", flush=True)
    return found, chosen


def summary(rows, start):
    """Accuracy and log loss of one length of history, and the gain over none on the same pairs."""
    users = [key[0] for key, _, _ in rows]
    before = {key: right for key, right, _ in start}
    told = {
        "accuracy": interval([right for _, right, _ in rows], users),
        "log_loss": interval([loss for _, _, loss in rows], users, bounds=(0.0, 28.0)),
    }
    if rows is not start:
        gains = [right - before[key] for key, right, _ in rows]
        told["gain"] = interval(gains, users, bounds=(-1.0, 1.0))
    return {name: _rounded(found) for name, found in told.items()} | {
        "users": len(set(users)), "pairs": len(rows),
    }  # fmt: skip


def table(sources):
    """Accuracy and gain in % with their intervals, and log loss in nats, as Markdown."""
    lines = [
        "| data | own pairs | users | accuracy | gain over none | log loss |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for source, by_length in sources.items():
        for k, told in by_length.items():
            gain = (
                "{:+.1f} [{:+.1f}, {:+.1f}]".format(*(100 * x for x in told["gain"]))
                if "gain" in told
                else "–"
            )
            accuracy = "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * x for x in told["accuracy"]))
            lines.append(
                f"| {source} | {k} | {told['users']} | {accuracy} | {gain} | {told['log_loss'][0]:.3f} |"
            )
    return "\n".join(lines)


def _rounded(found):
    return [round(float(value), 4) for value in (found.value, found.low, found.high)]


def main():
    """Measure, and write results/as_installed.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    data_dir = parser.parse_args().data_dir
    everything = read(data_dir, splits=("train", "validation", "test"))
    learnable = read(data_dir)
    found, chosen = measured(everything, learnable)
    model = started(learnable[LEARNED])
    variances = searched(model, tasks(model, learnable))
    report = {
        "sources": {
            source: {str(k): summary(found[source][k], found[source][0]) for k in LENGTHS if found[source][k]}
            for source in SOURCES
        },
        "variances": {"shipped": variances, "without a group of users": chosen},
        "log_loss_by_variance_of_wording": wording(learnable, variances),
    }
    path = HERE / "results" / "as_installed.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(table(report["sources"]))


if __name__ == "__main__":
    main()

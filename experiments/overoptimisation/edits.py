"""What a random edit of a real answer earns, and which evidence of the order of words sees it.

OMP_NUM_THREADS=1 python experiments/overoptimisation/edits.py --data-dir FOLDER

Everything is read from the shipped network of word order, on answers of train and validation rows.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from attack import EDITS, edited, pieces
from planted import World
from rewards import tastes
from sklearn.metrics import roc_auc_score

from reward_models.floor import base_floor
from reward_models.floor._experts import called_for
from reward_models.floor._texts import Prompt
from synthesizeme.types import last_user_turn

HERE = Path(__file__).parent
SOME, MANY = (1, 5, 20), (3, 6, 12, 20, 40)
"""Edits of one answer: of one kind each, and of any kind."""
ALTERED, WINDOW = 0.1, 24
"""Share of gaps that an edited text is taken to have altered, and gaps in a window."""
REAL = 0.97
"""Share of the real answers that a limit leaves alone."""


class Evidence(NamedTuple):
    """What speaks against the order of the words of a text; more is worse."""

    mean: float
    """Mean log-odds of a gap, as the shipped expert reads it."""
    total: float
    """Log-likelihood ratio of a text of which `ALTERED` gaps were altered, over the root of their number."""
    window: float
    """The same of the worst `WINDOW` gaps in a row, of which a third was altered."""
    repeats: float
    """Words that stand twice in a row."""


def evidence(prompt, text):
    """Of a text; a pair of words counts once, and not at all where the prompt has it too."""
    vectors = base_floor()._vectors
    odds = -vectors.order(" ".join(text.split())).astype(float)
    pairs, asked = list(pairwise(keys(text))), set(pairwise(keys(prompt)))
    first = {pair: i for i, pair in reversed(list(enumerate(pairs[: len(odds)]))) if pair not in asked}
    kept = odds[sorted(first.values())]
    repeats = float(sum(a == b != "" for a, b in pairs))
    if len(kept) < 5:
        return Evidence(float(odds.mean()) if len(odds) else 0.0, 0.0, 0.0, repeats)
    total = np.logaddexp(np.log1p(-ALTERED), np.log(ALTERED) + kept).sum() / len(kept) ** 0.5
    third = np.logaddexp(np.log(0.7), np.log(0.3) + kept)
    window = np.convolve(third, np.ones(min(WINDOW, len(kept))), "valid").max()
    return Evidence(float(odds.mean()), float(total), float(window), repeats)


def keys(text):
    """Words in lower case, letters and digits alone."""
    return [re.sub(r"[\W_]+", "", word.lower()) for word in text.split()]


def earned(world, config, rng):
    """Taste that one edit of each kind earns, in standard deviations of the tastes of real answers."""
    pairs = 2 * rng.sample([pair for pair in world.pairs if pair.split == "validation"], 60)
    prompts, users = [pair.prompt for pair in pairs], [pair.user_id for pair in pairs]
    others = [pieces(answer) for found in world.answers.values() for answer in found]

    def of(texts):
        return np.array([reward.taste for reward in tastes(world.model, prompts, texts, users)])

    chosen = [pair.chosen_text for pair in pairs]
    before, found = of(chosen), {}
    for kind in EDITS:
        after = of([several(pieces(text), (kind,), 1, others, config, rng) for text in chosen])
        gains = (after - before) / world.model.standing.unit
        found[kind] = {"rise": float((gains > 0).mean()), "by": float(gains[gains > 0].mean())}
    return found


def several(words, kinds, count, others, config, rng):
    """A text after that many edits, each of one of these kinds."""
    for _ in range(count):
        at, other = rng.randrange(len(words)), rng.choice(others)
        words = edited(words, rng.choice(kinds), at, other, config["attack"]["span"], rng)
    return "".join(words)


def seen(answers, config, rng):
    """How well each evidence tells answers from edited ones, and how many edited ones pass its limit."""
    words = [pieces(text) for _, text in answers]
    real = np.array([evidence(*answer) for answer in answers])
    limits = np.quantile(real, REAL, axis=0)

    def of(kinds, count):
        texts = (several(it, kinds, count, words, config, rng) for it in words)
        return np.array([evidence(prompt, text) for (prompt, _), text in zip(answers, texts, strict=True)])

    def told(made):
        labels = np.repeat([0, 1], len(answers))
        areas = [float(roc_auc_score(labels, column)) for column in np.concatenate([real, made]).T]
        return dict(zip(Evidence._fields, areas, strict=True))

    areas = {kind: {count: told(of((kind,), count)) for count in SOME} for kind in EDITS}
    passed = {
        count: dict(zip(Evidence._fields, (of(EDITS, count) > limits).mean(axis=0).tolist(), strict=True))
        for count in MANY
    }
    return {"answers": len(answers), "limits": limits.tolist(), "auc": areas, "above the limit": passed}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with llmfao.jsonl.gz")
    parser.add_argument("--answers", type=int, default=150, help="answers that edits are made to")
    arguments = parser.parse_args()
    config = tomllib.loads((HERE / "config.toml").read_text())
    world, rng = World(config, arguments.data_dir), random.Random(config["seed"])
    vectors = base_floor()._vectors
    answers = sorted({
        (last_user_turn(pair.prompt), text)
        for pair in world.pairs if pair.split != "test" for text in (pair.chosen_text, pair.rejected_text)
    })  # fmt: skip
    prose = [
        it for it in answers if len(it[1].split()) >= 8 and not called_for("order", Prompt(it[0]), vectors)
    ]
    result = {
        "earned": earned(world, config, rng),
        "seen": seen(rng.sample(prose, min(arguments.answers, len(prose))), config, rng),
    }
    (HERE / "results" / "edits.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()

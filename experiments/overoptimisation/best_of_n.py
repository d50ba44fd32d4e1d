"""Gold of the best of n by reward, from real answers among which texts are that are none, or attacked ones.

OMP_NUM_THREADS=1 python experiments/overoptimisation/best_of_n.py --data-dir FOLDER
"""

from __future__ import annotations

import argparse
import json
import random
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import figure
import numpy as np
from attack import attacks_of, begun, step
from planted import World, fold, intact, seed_of
from rewards import arms, cautious, floors, tastes

from synthesizeme.evaluation.intervals import clustered_standard_error
from synthesizeme.evaluation.no_answers import KINDS, Source
from synthesizeme.types import last_user_turn

HERE = Path(__file__).parent


class Text(NamedTuple):
    """A text of a pool."""

    text: str
    original: str
    """The real answer that it was made from, or is."""
    kind: str


class Pool:
    """What is drawn from for one prompt.

    Args:
        prompt: The conversation.
        texts: Its texts.
        real: Share of the draws that are real answers; the others are equally likely.
    """

    def __init__(self, prompt, texts, real):
        self.prompt, self.texts = prompt, texts
        given = np.array([text.kind == "real" for text in texts])
        self.chances = np.where(given, real / given.sum(), (1 - real) / (~given).sum())
        self.intact = np.array([intact(text.original, text.text) for text in texts])


def no_answers(world, config, prompt):
    """Every kind of text that is none, once from each real answer to the prompt."""
    asked, rng = last_user_turn(prompt), random.Random(seed_of(config, last_user_turn(prompt)))
    others = [it for other, found in world.answers.items() if other != asked for it in found]
    for answer in world.answers[asked]:
        for kind, make in KINDS.items():
            text = make(Source(asked, answer, rng.choice(others)), rng)
            if text is not None:
                yield Text(text, answer, kind)


def short_attacks(world, config, pairs, arm):
    """Every text that a short attack on each of these pairs' chosen answers accepted."""
    attacks = attacks_of(world, config, pairs)
    begun(world.model, arm, attacks)
    for _ in range(config["best_of_n"]["proposals"]):
        before = [attack.accepted for attack in attacks]
        step(world.model, arm, attacks)
        for attack, accepted in zip(attacks, before, strict=True):
            if attack.accepted > accepted:
                yield Text(attack.text, attack.original, "attacked")


def pools(world, config, users, folds):
    """A pool for each prompt of these folds; the attacked texts are those of the users in question."""
    settings = config["best_of_n"]
    prompts = {pair.prompt: pair for pair in world.pairs if fold(pair) in folds}
    for prompt in sorted(prompts, key=last_user_turn):
        found = [Text(answer, answer, "real") for answer in world.answers[last_user_turn(prompt)]]
        found += no_answers(world, config, prompt)
        rng = random.Random(seed_of(config, last_user_turn(prompt)))
        own = [pair for pair in world.pairs if pair.prompt == prompt and pair.user_id in users]
        attacked = rng.sample(own, min(len(own), settings["attacks"]))
        for arm in arms(settings):
            found += short_attacks(world, config, attacked, arm)
        yield Pool(prompt, list({text.text: text for text in reversed(found)}.values()), settings["real"])


def best_of(values, chances, sizes):
    """P(a text is the best of n draws), shape (sizes, texts): exact, drawn with replacement."""
    order = np.argsort(-values, kind="stable")
    below = np.concatenate([[1.0], 1 - np.cumsum(chances[order])]).clip(0, 1)
    found = np.empty((len(sizes), len(values)))
    for row, n in enumerate(sizes):
        found[row, order] = below[:-1] ** n - below[1:] ** n
    return found


def curves(world, config, found, users, sizes):
    """Gold and reward by n for each arm, over users and prompts, and what is chosen in the end."""
    settings = config["best_of_n"]
    rows = {arm: {"gold": [], "points": [], "intact": [], "value": [], "users": [], "kinds": Counter()}
            for arm in arms(settings)}  # fmt: skip
    best = []
    for pool in found:
        texts, prompts = [text.text for text in pool.texts], [pool.prompt] * len(pool.texts)
        fallen = None
        for user in users:
            rewards = tastes(world.model, prompts, texts, [user] * len(texts))
            if fallen is None:
                fallen = floors(world.model, prompts, texts, rewards)
            points = np.array([world.tastes[user].points(text) for text in texts])
            best.append(float(max(points * pool.intact)))
            for arm, row in rows.items():
                values = cautious(rewards, arm) + (fallen if arm.floor else 0.0)
                chosen = best_of(values, pool.chances, sizes)
                row["gold"].append(chosen @ (points * pool.intact))
                row["points"].append(chosen @ points)
                row["intact"].append(chosen @ pool.intact)
                row["value"].append(chosen @ values)
                row["users"].append(user)
                for text, chance in zip(pool.texts, chosen[-1], strict=True):
                    row["kinds"][text.kind] += float(chance)
    plain = {arm.floor: np.array(row["gold"]) for arm, row in rows.items() if not arm.pessimism}
    return [
        {"floor": arm.floor, "pessimism": arm.pessimism}
        | {name: np.mean(row[name], axis=0).tolist() for name in ("gold", "points", "intact", "value")}
        | {
            "gold_standard_error": errors(np.array(row["gold"]), row["users"]),
            "gain_by_pessimism": (np.array(row["gold"]) - plain[arm.floor]).mean(axis=0).tolist(),
            "gain_standard_error": errors(np.array(row["gold"]) - plain[arm.floor], row["users"]),
            "chosen_at_largest_n": {
                kind: count / len(row["users"]) for kind, count in row["kinds"].most_common(6)
            },
        }
        for arm, row in rows.items()
    ], float(np.mean(best))


def errors(values, users):
    """Standard error of the mean of each column, over users."""
    return [clustered_standard_error(column.tolist(), users) for column in values.T]


def measured(config, folder, unseen):
    """All arms, on prompts that the model knows, or on one fold of prompts that it does not."""
    world = World(config, folder, unseen)
    settings = config["best_of_n"]
    users = list(world.test_pairs(settings["users"]))
    folds = {fold(pair) for pair in world.pairs} if unseen is None else {unseen}
    found = list(pools(world, config, set(users), folds))
    sizes = [2**i for i in range(settings["exponents"] + 1)]
    rows, best = curves(world, config, found, users, sizes)
    return {
        "n": sizes,
        "prompts": len(found),
        "texts": [len(pool.texts) for pool in found],
        "real": [sum(text.kind == "real" for text in pool.texts) for pool in found],
        "best_gold": best,
        "rows": rows,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with llmfao.jsonl.gz")
    arguments = parser.parse_args()
    config = tomllib.loads((HERE / "config.toml").read_text())
    began = time.process_time()
    result = {"config": config}
    for name, unseen in (("seen", None), ("unseen", config["best_of_n"]["unseen"])):
        result[name] = measured(config, arguments.data_dir, unseen)
        for row in result[name]["rows"]:
            gold = [round(value, 1) for value in row["gold"]]
            print(name, row["floor"], row["pessimism"], gold, row["chosen_at_largest_n"], flush=True)
        print(f"{time.process_time() - began:.0f} s", flush=True)
    result["cpu_seconds"] = time.process_time() - began
    (HERE / "results" / "best_of_n.json").write_text(json.dumps(result, indent=1) + "\n")
    (HERE / "results" / "best_of_n.png").write_bytes(figure.best_of_n(result))


if __name__ == "__main__":
    main()

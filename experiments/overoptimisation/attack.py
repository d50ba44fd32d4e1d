"""An attacker who edits real answers at random and keeps what raises the reward.

OMP_NUM_THREADS=1 python experiments/overoptimisation/attack.py --data-dir FOLDER
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
import tomllib
from pathlib import Path

import figure
import numpy as np
from planted import World, in_order, intact, seed_of
from rewards import arms, cautious, floors, tastes

from synthesizeme.evaluation.intervals import clustered_standard_error
from synthesizeme.types import last_user_turn

HERE = Path(__file__).parent
EDITS = ("delete", "insert", "swap", "repeat", "append", "append a span")


class Attack:
    """One text under attack: words with the white space before them, and how far it got.

    Args:
        pair: The prompt, the user, and the answer that it starts from, which the user chose.
        others: Real answers to other prompts and to this one, for words and spans.
        span: Least and most words of a span.
        seed: Of the edits.
    """

    def __init__(self, pair, others, span, seed):
        self.prompt, self.user, self.original = pair.prompt, pair.user_id, pair.chosen_text
        self.pieces = pieces(self.original)
        self.others, self.span, self.rng = others, span, random.Random(seed)
        self.value, self.accepted, self.rejected = -np.inf, 0, 0

    @property
    def text(self):
        return "".join(self.pieces)

    def proposal(self):
        """The words after one random edit."""
        at, other = self.rng.randrange(len(self.pieces)), self.rng.choice(self.others)
        return edited(self.pieces, self.rng.choice(EDITS), at, other, self.span, self.rng)


def edited(words, edit, at, other, span, rng):
    """The words after an edit of that name at a place, with words of another answer where it needs some."""
    found = list(words)
    if edit == "delete":
        return found[:at] + found[at + 1 :] if len(found) > 1 else found
    if edit == "insert":
        found.insert(at, rng.choice(other))
    elif edit == "swap":
        to = rng.randrange(len(found))
        found[at], found[to] = found[to], found[at]
    elif edit == "repeat":
        found.insert(at, found[at])
    elif edit == "append":
        found.append(rng.choice(other))
    else:
        length = rng.randint(*span)
        begin = rng.randrange(max(1, len(other) - length))
        found += other[begin : begin + length]
    return found


def pieces(text):
    """Words, each with the white space before it."""
    return re.findall(r"\s*\S+", text) or [text]


def step(model, arm, attacks):
    """One proposal for each attack, accepted where the reward rises.

    The floor is asked only where the taste alone would be accepted: it can only take away.
    """
    proposed = [attack.proposal() for attack in attacks]
    texts = ["".join(found) for found in proposed]
    prompts = [attack.prompt for attack in attacks]
    found = tastes(model, prompts, texts, [attack.user for attack in attacks])
    values = cautious(found, arm)
    if arm.floor:
        rising = [i for i, attack in enumerate(attacks) if values[i] > attack.value]
        if rising:
            chosen = ([it[i] for i in rising] for it in (prompts, texts, found))
            values[rising] += floors(model, *chosen)
    for attack, words, value in zip(attacks, proposed, values, strict=True):
        if value > attack.value:
            attack.pieces, attack.value, attack.accepted = words, float(value), attack.accepted + 1
        else:
            attack.rejected += 1


def begun(model, arm, attacks):
    """Give every attack the reward of the text it starts from."""
    prompts, texts = [attack.prompt for attack in attacks], [attack.text for attack in attacks]
    found = tastes(model, prompts, texts, [attack.user for attack in attacks])
    values = cautious(found, arm) + (floors(model, prompts, texts, found) if arm.floor else 0.0)
    for attack, value in zip(attacks, values, strict=True):
        attack.value = float(value)


def attacks_of(world, config, pairs):
    """An attack on the chosen answer of each pair; the same edits are tried whatever the arm."""
    others = [pieces(answer) for found in world.answers.values() for answer in found]
    span = config["attack"]["span"]
    return [Attack(pair, others, span, seed_of(config, pair.pair_id, pair.user_id)) for pair in pairs]


def measured(world, attacks):
    """What is true of the texts now, by name, shape (n,) each."""
    points = np.array([world.tastes[it.user].points(it.text) for it in attacks])
    kept = np.array([intact(it.original, it.text) for it in attacks])
    return {
        "value": np.array([it.value for it in attacks]),
        "points": points,
        "intact": kept,
        "gold": points * kept,
        "gold_in_order": points * np.array([in_order(it.original, it.text) for it in attacks]),
        "accepted": np.array([float(it.accepted) for it in attacks]),
        "words": np.array([float(len(it.text.split())) for it in attacks]),
    }


def attacked(world, config, pairs, arm):
    """One arm: the curves and the last texts."""
    settings = config["attack"]
    attacks = attacks_of(world, config, pairs)
    begun(world.model, arm, attacks)
    start, seen = measured(world, attacks), below_floor(world, attacks)
    curves = [{"proposals": 0} | means(start)]
    for proposal in range(1, settings["proposals"] + 1):
        under_way = [it for it in attacks if it.accepted < settings["edits"]]
        if under_way:
            step(world.model, arm, under_way)
        if proposal % settings["every"] == 0:
            curves.append({"proposals": proposal} | means(measured(world, attacks)))
    end = measured(world, attacks)
    users = [it.user for it in attacks]
    return {
        "floor": arm.floor,
        "attacked": len(attacks),
        "pessimism": arm.pessimism,
        "curves": curves,
        "below_before": seen,
        "below_after": below_floor(world, attacks),
        "finished": float(np.mean([it.accepted >= settings["edits"] for it in attacks])),
        "change": {
            name: {
                "mean": float((end[name] - start[name]).mean()),
                "standard_error": clustered_standard_error((end[name] - start[name]).tolist(), users),
            }
            for name in ("value", "points", "intact", "gold", "gold_in_order")
        },
    }, attacks


def below_floor(world, attacks):
    """Share of the texts whose floor is a standard deviation of taste down, or more, whatever the arm."""
    prompts, texts = [it.prompt for it in attacks], [it.text for it in attacks]
    found = tastes(world.model, prompts, texts, [it.user for it in attacks])
    fallen = floors(world.model, prompts, texts, found)
    return float((fallen <= -world.model.standing.unit).mean())


def means(found):
    return {name: float(values.mean()) for name, values in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with llmfao.jsonl.gz")
    parser.add_argument("--texts", type=Path, help="where to write the last texts, which are made from data")
    parser.add_argument("--proposals", type=int, help="instead of the configured ones")
    arguments = parser.parse_args()
    config = tomllib.loads((HERE / "config.toml").read_text())
    if arguments.proposals:
        config["attack"]["proposals"] = arguments.proposals
    began = time.process_time()
    world = World(config, arguments.data_dir)
    settings = config["attack"]
    users = world.test_pairs(settings["users"])
    rows, texts = [], {}
    for arm in arms(settings):
        each = settings["cautious_answers" if arm.pessimism else "answers"]
        pairs = [pair for found in users.values() for pair in found[:each]]
        row, attacks = attacked(world, config, pairs, arm)
        rows.append(row)
        texts[arm.name] = [
            {"prompt": last_user_turn(it.prompt), "user": it.user, "before": it.original, "after": it.text}
            for it in attacks
        ]
        change = {
            name: f"{it['mean']:+.2f} ± {it['standard_error']:.2f}" for name, it in row["change"].items()
        }
        print(
            f"{arm.name}: {change} accepted {row['curves'][-1]['accepted']:.0f}, "
            f"{time.process_time() - began:.0f} s",
            flush=True,
        )
    result = {
        "config": config,
        "accuracy": world.accuracy(),
        "rows": rows,
        "cpu_seconds": time.process_time() - began,
    }
    (HERE / "results" / "attack.json").write_text(json.dumps(result, indent=1) + "\n")
    (HERE / "results" / "attack.png").write_bytes(figure.attack(result))
    if arguments.texts:
        arguments.texts.write_text(json.dumps(texts, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""How much evidence the persona writer should see: accuracy of its personas on validation pairs.

OMP_NUM_THREADS=1 python experiments/evidence_limit/run.py --data-dir FOLDER [--config FILE]   two minutes
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from random import Random
from statistics import fmean

import reward_models
from synthesizeme.backends import Session, open_model
from synthesizeme.datasets import by_user, load_dataset
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.evaluation.intervals import accuracy_interval, mean_difference
from synthesizeme.judges import LLMJudge
from synthesizeme.personas.selection import labelled
from synthesizeme.personas.synthesis import write_persona
from synthesizeme.profile import UserProfile
from synthesizeme.prompts import load_prompt

HERE = Path(__file__).parent
THETA, MAX_CHARACTERS = "persona/default", 120_000


def outcome(session, users, evidence, limit):
    """The personas of all users, written from train pairs with so much evidence, on the validation pairs."""
    ledger, profiles, asked = session.ledger(), {}, []
    for user, pairs in users.items():
        train = [labelled(pair, "chosen_first") for pair in pairs if pair.split == "train"]
        persona, _ = write_persona(
            ledger, train, load_prompt(THETA),
            max_characters=MAX_CHARACTERS, evidence=evidence[user][:limit],
        )  # fmt: skip
        profiles[user] = UserProfile(user_id=user, persona=persona)
        asked += [pair for pair in pairs if pair.split == "validation"]
    return evaluate(LLMJudge(ledger, profiles), asked)


def divided(pairs, seed):
    """A user's train and validation pairs as they are split (seed 0), or three quarters and the rest."""
    if seed == 0:
        return pairs
    mixed = Random(f"{seed} {pairs[0].user_id}").sample(pairs, len(pairs))
    train = round(0.75 * len(mixed))
    return [
        pair.model_copy(update={"split": "train" if place < train else "validation"})
        for place, pair in enumerate(mixed)
    ]


def outcomes(config, pairs, seed):
    """By limit the outcome under one split, and how many users are set apart."""
    users = {user: divided(own, seed) for user, own in by_user(pairs).items()}
    users = {user: own for user, own in users.items() if {p.split for p in own} == {"train", "validation"}}
    train = [pair for own in users.values() for pair in own if pair.split == "train"]
    model = reward_models.method(config["method"])(seed=config["seed"]).fit(train)
    evidence = {user: model.evidence(user, None) for user in users}
    with Session(open_model("builtin")) as session:
        found = {limit: outcome(session, users, evidence, limit) for limit in config["limits"]}
    return found, sum(model.own_taste(user).set_apart for user in users) / len(users)


def measure(config, data_dir):
    """A row for each limit, over all splits, and the share of users who are set apart."""
    pairs = [p for p in load_dataset(config["dataset"], data_dir=data_dir) if p.split != "test"]
    tried = [outcomes(config, pairs, seed) for seed in range(config["splits"])]
    rows = []
    for limit in config["limits"]:
        accuracy = accuracy_interval(*[found[limit] for found, _ in tried])
        row = {"limit": limit, "accuracy": accuracy.value, "low": accuracy.low, "high": accuracy.high}
        if limit:
            gain = mean_difference([(found[limit], found[0]) for found, _ in tried])
            row |= {"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high}
        rows.append(row)
    return {"config": config, "set_apart": fmean(share for _, share in tried), "rows": rows}


def main():
    """Measure, and write the results beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with llmfao.jsonl.gz")
    parser.add_argument("--config", type=Path, default=HERE / "config.toml")
    arguments = parser.parse_args()
    found = measure(tomllib.loads(arguments.config.read_text()), arguments.data_dir)
    (HERE / "results" / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    for row in found["rows"]:
        print(*(f"{name} {value:.3f}" for name, value in row.items()))


if __name__ == "__main__":
    main()

"""Policies fine-tuned by TRL's GRPOTrainer on the rewards of two users with opposite tastes.

python experiments/rlhf_loop/run.py             some minutes on one core
python experiments/rlhf_loop/run.py --quick --out FOLDER
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
import tomllib
import warnings
from pathlib import Path

import figure
import numpy as np
import tastes
import torch
import transformers
import trl
from policy import answers, fine_tuned, from_scratch

import reward_models
from synthesizeme import Message
from synthesizeme.scoring import as_answers

HERE = Path(__file__).parent


def rewards_of_people(sizes, seed):
    """A reward model of many people, with the two users of the loop fitted from their own pairs."""
    rng = np.random.default_rng([seed, 1])
    people = {f"person {i}": rng.normal(0, 1.5, 2) for i in range(sizes["people"])}
    asked = tastes.prompts()
    pairs = [
        pair
        for person, taste in people.items()
        for pair in tastes.choices(rng, person, taste, sizes["pairs"], asked)
    ]
    model = reward_models.method("hierarchical-stylometric")(seed=seed).fit(pairs)
    accuracy = {}
    for user, taste in tastes.TASTES.items():
        model.fit_user(user, tastes.choices(rng, user, taste, sizes["own_pairs"], asked))
        fresh = tastes.choices(rng, user, taste, 400, asked)
        verdicts = model.compare([pair.compare("chosen_first") for pair in fresh])
        oracle = [tastes.chooses(taste, pair.chosen_text, pair.rejected_text) > 0.5 for pair in fresh]
        accuracy[user] = {
            "model": float(np.mean([verdict.preference == "first" for verdict in verdicts])),
            "true taste": float(np.mean(oracle)),
        }
    return model, accuracy


def measured(model, found, before):
    """What is true of a policy's answers; each figure one number a prompt."""
    rows = [(prompt, text) for prompt, texts in found.items() for text in texts]
    asked = [(Message(role="user", content=prompt),) for prompt, _ in rows]
    figures = {}
    for user in tastes.TASTES:
        scores = model.score(as_answers(asked, [text for _, text in rows], [user] * len(rows)))
        figures[f"reward of {user}"] = [score.value for score in scores]
        figures["below the floor"] = [score.floor < -model.standing.unit for score in scores]
        figures[f"chosen by {user}"] = [
            np.mean([tastes.chooses(tastes.TASTES[user], text, old) for old in before[prompt]])
            for prompt, text in rows
        ]
    words, exclaiming = zip(*(tastes.properties(text) for _, text in rows), strict=True)
    figures |= {"words": words, "exclaiming": exclaiming, "parses": [tastes.parses(*row) for row in rows]}
    return {
        name: np.reshape(np.array(values, dtype=float), (len(found), -1)).mean(axis=1)
        for name, values in figures.items()
    }


def mean(values):
    """Mean and its standard error over independent values."""
    values = np.asarray(values, dtype=float)
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else None
    return {"mean": float(values.mean()), "standard_error": None if error is None else float(error)}


def one_seed(settings, seed, folder, weaker):
    """Everything afresh: people, reward model, policy, fine-tuning, measurement."""
    model, accuracy = rewards_of_people(settings["reward"], seed)
    base = from_scratch(settings["policy"], seed, folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    sampling = {**settings["measure"], "length": settings["grpo"]["max_completion_length"]}
    neutral = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    old, again = (answers(neutral, tokenizer, sampling, (seed, kind)) for kind in range(2))
    before = measured(model, again, old)

    def tried(policy, grpo):
        tuned, curves = fine_tuned(folder, model, policy, grpo, seed)
        said = answers(tuned, tokenizer, sampling, (seed, 2))
        after = measured(model, said, old)
        return {
            "curves": curves,
            "after": {name: mean(values) for name, values in after.items()},
            "change": {name: mean(after[name] - before[name]) for name in after},
            "examples": examples(said),
        }

    return {
        "seed": seed,
        "reward_accuracy": accuracy,
        "base": base,
        "before": {name: mean(values) for name, values in before.items()},
        "examples": examples(again),
        "policies": {policy: tried(policy, settings["grpo"]) for policy in settings["policies"]},
        "weaker": {
            f"beta {beta}": {
                policy: tried(policy, {**settings["grpo"], "beta": beta}) for policy in weaker["policies"]
            }
            for beta in weaker["betas"]
        },
    }


def examples(found, number=3):
    return {prompt: texts[0] for prompt, texts in list(found.items())[:number]}


def summary(seeds, policies):
    """Means over the seeds, with standard errors over the seeds."""

    def over(read):
        return {name: mean([read(seed)[name]["mean"] for seed in seeds]) for name in seeds[0]["before"]}

    return {"before": over(lambda seed: seed["before"])} | {
        policy: {
            kind: over(lambda seed, policy=policy, kind=kind: seed["policies"][policy][kind])
            for kind in ("after", "change")
        }
        for policy in policies
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a fraction of a minute, one seed")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    config = tomllib.loads((HERE / "config.toml").read_text())
    settings = config["full"]
    if arguments.quick:
        for name, value in config["quick"].items():
            settings[name] = {**settings[name], **value} if isinstance(value, dict) else value
    torch.set_num_threads(1)  # the model is too small for more
    for name in ("trl", "transformers", "accelerate"):
        logging.getLogger(name).setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)  # a setting that has another name since
    seeds = []
    for seed in settings["seeds"]:
        with tempfile.TemporaryDirectory() as folder:
            weaker = settings["weaker"] if seed == settings["seeds"][0] else {"betas": [], "policies": []}
            seeds.append(one_seed(settings, seed, folder, weaker))
        print(f"seed {seed}: {time.process_time():.0f} s of CPU time", flush=True)
    results = {
        "config": settings,
        "versions": {module.__name__: module.__version__ for module in (trl, torch, transformers)},
        "cpu_seconds": time.process_time(),
        "summary": summary(seeds, settings["policies"]),
        "seeds": seeds,
    }  # fmt: skip
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    for policy in settings["policies"]:
        for name, change in results["summary"][policy]["change"].items():
            error = change["standard_error"]
            old, new = (results["summary"]["before"][name], results["summary"][policy]["after"][name])
            print(f"{policy:9}{name:18}{old['mean']:8.2f} ->{new['mean']:8.2f}  ({change['mean']:+.2f}"
                  + ("" if error is None else f", standard error {error:.2f}") + ")")  # fmt: skip
    if not arguments.quick:
        (arguments.out / "curves.png").write_bytes(figure.curves(results))


if __name__ == "__main__":
    main()

"""The loop of run.py with a drift monitor: how far policies move along trait vectors, beside their rewards.

python experiments/rlhf_loop/drift.py                        about a minute a seed on one core
python experiments/rlhf_loop/drift.py --quick --out FOLDER
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

import numpy as np
import reading
import torch
import transformers
import trl
from policy import HELD_OUT, asked_in_training, fine_tuned, from_scratch
from run import mean, rewards_of_people
from tastes import prompts

from reward_models.persona_vectors import (
    DriftMonitor,
    PersonaVectors,
    choose_layer,
    difference_of_means,
    random_like,
)

HERE = Path(__file__).parent
TRAITS = {"exclaiming": reading.exclaiming, "long": reading.long}


def trait_vectors(decoder, settings, seed):
    """Vectors from the policy's own answers: those high in a trait less those low in it, by exact scores."""
    asked = [prompt for prompt in asked_in_training() for _ in range(settings["answers"])]
    said = decoder.generate([reading.asked(p) for p in asked], max_new_tokens=reading.LONGEST, seed=seed)
    states = decoder.response_states([reading.asked(p) for p in asked], said)
    found = {}
    for name, score in TRAITS.items():
        values = np.array(score(asked, said))
        low, high = np.quantile(values, [1 / 3, 2 / 3])
        vectors = PersonaVectors(
            name,
            difference_of_means(states[values >= high], states[values <= low]),
            decoder.identity.document(),
        )
        found[name] = choose_layer(
            decoder, vectors, alpha=settings["alpha"], coherent=settings["coherent"], score=score,
            coherence=reading.coherence, prompts=[reading.asked(p) for p in asked[:: settings["answers"]]],
            generate=decoder.speaker(max_new_tokens=reading.LONGEST, cut_mark=reading.CUT, seed=seed),
        )  # fmt: skip
    return found


def one_seed(config, seed, folder):
    """Reward model, policy, vectors; then a training of each kind, watched."""
    settings, watch = config["full"], config["drift"]
    model, _ = rewards_of_people(settings["reward"], seed)
    from_scratch(settings["policy"], seed, folder)
    decoder = reading.decoder_of(folder)
    vectors = trait_vectors(decoder, watch, seed)
    vectors |= {
        f"random like {name}": random_like(one, 100 * seed + draw)
        for draw, (name, one) in enumerate(vectors.items())
    }
    probes = [reading.asked(prompt) for prompt in prompts()[::HELD_OUT]]

    def monitor():
        return DriftMonitor(
            decoder, vectors, probes, every=watch["every"], answers=watch["probe_answers"],
            pool=watch["pool"],
            checks=settings["grpo"]["max_steps"] // watch["every"], max_new_tokens=reading.LONGEST, seed=seed,
        )  # fmt: skip

    still = monitor()
    unchanged = [still.check(decoder.model, 100_000 + number) for number in range(watch["unchanged"])]
    found = {
        "seed": seed,
        "layers": {name: one.layer for name, one in vectors.items()},
        "limits": {name: still.limit(name) for name in vectors},
        "alarms of the unchanged policy": float(np.mean([any(row["alarm"].values()) for row in unchanged])),
        "policies": {},
    }
    for policy in settings["policies"]:
        watching = monitor()
        _, curves = fine_tuned(folder, model, policy, settings["grpo"], seed, callbacks=[watching])
        found["policies"][policy] = checkpoints(watching, curves)
    return found


def checkpoints(watching, curves):
    """A row a check: step, rewards since the check before, divergence, shift and alarm of each vector."""
    rows, before = [], 0
    for check in watching.history:
        steps = slice(before, check["step"])
        logged = {name: float(np.mean(values[steps])) for name, values in curves.items()}
        rows.append({**check, **logged})
        before = check["step"]
    return rows


def report(seeds):
    """The last checkpoint of each policy over the seeds, shifts in multiples of the alarm's limit."""
    found = {}
    for policy in seeds[0]["policies"]:
        last = [(seed, seed["policies"][policy][-1]) for seed in seeds]
        found[policy] = {
            name: {
                "shift over limit": mean([row["shift"][name] / seed["limits"][name] for seed, row in last]),
                "alarms": sum(row["alarm"][name] for _, row in last),
                "first alarm": [
                    next((r["step"] for r in seed["policies"][policy] if r["alarm"][name]), None)
                    for seed in seeds
                ],
            }
            for name in seeds[0]["limits"]
        } | {
            key: mean([row[key] for _, row in last]) for key in last[0][1] if key.startswith(("reward", "kl"))
        }
    return found


def table(found):
    """The report as Markdown, a row a policy."""
    names = [name for name, value in next(iter(found.values())).items() if "alarms" in value]
    head = ["policy rewarded by", "reward of calm", "reward of lively", "kl", *names]
    rows = []
    for policy, row in found.items():
        numbers = [f"{row[key]['mean']:+.2f}" for key in ("reward of calm", "reward of lively", "kl")]
        shifts = [f"{row[name]['shift over limit']['mean']:+.1f} ({row[name]['alarms']})" for name in names]
        rows.append([policy, *numbers, *shifts])
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main():
    seeds = every_seed("drift", one_seed, lambda config, seeds: {
        "config": config, "report": report(seeds), "seeds": seeds,
        "versions": {module.__name__: module.__version__ for module in (trl, torch, transformers)},
        "alarms of the unchanged policy": mean([seed["alarms of the unchanged policy"] for seed in seeds]),
    })  # fmt: skip
    print(table(report(seeds)))


def every_seed(study, one, results):
    """Run a study's seeds from the command line; its results file is written anew after each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a fraction of a minute, one seed")
    parser.add_argument("--seeds", type=int, nargs="*", help="these seeds instead of those of config.toml")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    arguments = parser.parse_args()
    config, began, seeds = settings_of(arguments.quick), time.monotonic(), []
    for seed in arguments.seeds or config[study]["seeds"][: 1 if arguments.quick else None]:
        with tempfile.TemporaryDirectory() as folder:
            seeds.append(one(config, seed, folder))
        print(f"seed {seed}: {time.monotonic() - began:.0f} s", flush=True)
        arguments.out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(results(config, seeds), indent=1)
        (arguments.out / f"{study}.json").write_text(text + "\n")
    return seeds


def settings_of(quick):
    """The tables of config.toml that the scripts beside run.py take, and a quiet process."""
    config = tomllib.loads((HERE / "config.toml").read_text())
    if quick:
        for name, value in config["quick"].items():
            old = config["full"][name]
            config["full"][name] = {**old, **value} if isinstance(value, dict) else value
    torch.set_num_threads(1)  # the model is too small for more
    for name in ("trl", "transformers", "accelerate", "reward_models"):
        logging.getLogger(name).setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning)  # a setting that has another name since
    return config


if __name__ == "__main__":
    main()

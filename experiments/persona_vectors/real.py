"""Persona vectors of a real model, scored by named features: signed effect by dose, beside random directions.

python experiments/persona_vectors/real.py --policy FOLDER

FOLDER holds a chat model of transformers, e.g. `.venv-real/smollm2` after `make test-real`. Table `real` of
config.toml.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))  # runs from a checkout that is not installed

from reward_models.persona_vectors import (  # noqa: E402
    PersonaVectors,
    Steering,
    difference_of_means,
    open_decoder,
    random_like,
)
from reward_models.persona_vectors.rollouts import asked  # noqa: E402
from synthesizeme.stylometry import FEATURE, Text  # noqa: E402


def shown(trait, answers):
    """The named feature of each answer, in typical differences between two responses."""
    feature = FEATURE[trait]
    return np.array([feature.measure(Text(answer)) / feature.scale for answer in answers])


def perplexities(decoder, questions, answers):
    """exp of the mean surprise of each answer's tokens, read by the model without steering."""
    found = []
    for question, answer in zip(questions, answers, strict=True):
        read = decoder.reading(asked(question), answer)
        ids = torch.tensor([read.ids])
        with torch.inference_mode():
            logits = decoder.model(ids).logits[0, read.begin - 1 : -1].float()
        surprise = torch.nn.functional.cross_entropy(logits, ids[0, read.begin :])
        found.append(float(torch.exp(surprise)))
    return np.array(found)


def extracted(decoder, trait, settings, seed):
    """The vector of the pairs of answers whose feature is higher under the instruction that asks for it."""
    told = settings["traits"][trait]
    rows = [
        (question, side)
        for question in settings["extraction"]
        for _ in range(settings["samples"])
        for side in ("more", "less")
    ]
    prompts, told_all = [asked(question) for question, _ in rows], [told[side] for _, side in rows]
    answers = decoder.generate(prompts, told_all, max_new_tokens=settings["answer"], seed=seed)
    states = decoder.response_states(prompts, answers, told_all)
    values = shown(trait, answers)
    kept = values[0::2] > values[1::2]
    vectors = PersonaVectors(
        trait, difference_of_means(states[0::2][kept], states[1::2][kept]), decoder.identity.document()
    ).chosen(round(settings["depth"] * decoder.layers))
    facts = {"pairs": len(kept), "kept": int(kept.sum()), "more": float(values[0::2].mean()),
             "less": float(values[1::2].mean()), "length": float(np.linalg.norm(vectors.at()))}  # fmt: skip
    return vectors, facts


def dosed(decoder, trait, vectors, settings, seed):
    """Feature and perplexity of answers to the evaluation questions at each multiple of a direction."""
    questions = [question for question in settings["evaluation"] for _ in range(settings["answers"])]
    found = {}
    for alpha in sorted({sign * size for size in settings["alphas"] for sign in (-1, 1)}):
        with Steering(decoder.model, vectors.at(), layer=vectors.layer, alpha=alpha):
            answers = decoder.generate(
                [asked(question) for question in questions], max_new_tokens=settings["answer"], seed=seed
            )
        found[alpha] = {
            "feature": shown(trait, answers),
            "perplexity": float(np.median(perplexities(decoder, questions, answers))),
            "example": answers[0],
        }
    return found


def signed(doses, size):
    """Feature at +size less at -size with its standard error over questions, and the larger perplexity."""
    up, down = doses[size]["feature"], doses[-size]["feature"]
    error = np.sqrt((up.var(ddof=1) + down.var(ddof=1)) / len(up))
    return {
        "effect": float(up.mean() - down.mean()),
        "standard_error": float(error),
        "perplexity": [doses[-size]["perplexity"], doses[size]["perplexity"]],
        "examples": [doses[-size]["example"], doses[size]["example"]],
    }


def study(decoder, trait, settings, seed):
    vectors, facts = extracted(decoder, trait, settings, seed)
    own = dosed(decoder, trait, vectors, settings, seed + 1)
    drawn = [
        dosed(decoder, trait, random_like(vectors, number), settings, seed + 1)
        for number in range(settings["random"])
    ]
    found = {"extraction": facts, "layer": vectors.layer, "doses": {}}
    for size in settings["alphas"]:
        found["doses"][str(size)] = {
            "own": signed(own, size),
            "random": [signed(one, size) for one in drawn],
        }
    return found


def table(document):
    """Lines of a Markdown table."""
    lines = [
        "| trait | dose | signed effect | random directions | perplexity at -dose, +dose | random |",
        "|---|---:|---:|---|---|---|",
    ]
    for trait, found in document["traits"].items():
        for size, dose in found["doses"].items():
            own, drawn = dose["own"], dose["random"]
            effects = ", ".join(f"{one['effect']:+.2f}" for one in drawn)
            rough = f"{np.median([value for one in drawn for value in one['perplexity']]):.1f}"
            low, high = own["perplexity"]
            lines.append(
                f"| {trait} | {size} | {own['effect']:+.2f} ± {own['standard_error']:.2f} | {effects} "
                f"| {low:.1f}, {high:.1f} | {rough} |"
            )
    return lines


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--policy", required=True, help="folder or hub name of a chat model")
    parser.add_argument("--dtype", default="bfloat16", help="auto, float32 or bfloat16")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "real")
    options = parser.parse_args(words)
    settings = tomllib.loads((HERE / "config.toml").read_text())["real"]
    started = time.process_time()
    decoder = open_decoder(options.policy, dtype=options.dtype, batch_size=32)
    questions = [asked(question) for question in settings["evaluation"]]
    plain = decoder.generate(questions, max_new_tokens=settings["answer"], seed=settings["seed"])
    document = {
        "policy": Path(options.policy).name, "dtype": options.dtype,
        "unsteered perplexity": float(np.median(perplexities(decoder, settings["evaluation"], plain))),
        "traits": {},
    }  # fmt: skip
    for trait in settings["traits"]:
        document["traits"][trait] = study(decoder, trait, settings, settings["seed"])
        document["cpu_seconds"] = round(time.process_time() - started)
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "results.json").write_text(json.dumps(document, indent=1) + "\n")
        (options.out / "table.md").write_text("\n".join(table(document)) + "\n")
    print("\n".join(table(document)))


if __name__ == "__main__":
    main()

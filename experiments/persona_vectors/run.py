"""Persona vectors on a model trained from scratch, on a grammar with two planted traits.

python experiments/persona_vectors/run.py                    table `cpu` or `gpu` of config.toml, by device
python experiments/persona_vectors/run.py --quick --out DIR  one small seed
python experiments/persona_vectors/run.py --draw FILE        the figure of a results file again
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
import time
import tomllib
import warnings
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))  # runs from a checkout that is not installed

import datasets  # noqa: E402
import doses  # noqa: E402
import figure  # noqa: E402
import grammar  # noqa: E402
import numpy as np  # noqa: E402
import predictions  # noqa: E402
import prevention  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
import trl  # noqa: E402
from model import device, from_scratch  # noqa: E402


def one_seed(settings, seed):
    """Everything afresh: model, vectors, and the three studies."""
    decoder, base = from_scratch(settings["model"], seed)
    found = {name: doses.extracted(decoder, name, settings["extraction"], seed) for name in grammar.TRAITS}
    vectors = {name: one for name, (one, _) in found.items()}
    result = {
        "seed": seed,
        "base": base,
        "doses": {
            name: doses.study(decoder, *found[name], settings["doses"], seed) for name in grammar.TRAITS
        },
        "monitoring": predictions.monitoring(decoder, vectors, settings["predictions"], seed),
        "prevention": prevention.study(decoder, vectors[prevention.TRAIT], settings["prevention"], seed),
        "screening": predictions.screening(decoder, vectors, settings["predictions"], seed),
    }
    lengths = [(n, float(np.linalg.norm(one.at()))) for n, one in vectors.items()]
    cosine = (
        float(np.dot(*(one.unit() for one in vectors.values())))
        if len({v.layer for v in vectors.values()}) == 1
        else None
    )
    return result | {"lengths": dict(lengths), "cosine": cosine}


def settings_for(quick):
    config = tomllib.loads((HERE / "config.toml").read_text())
    settings = config["gpu" if device() == "cuda" else "cpu"]
    return laid_over(settings, config["quick"]) if quick else settings


def laid_over(table, other):
    """A table with the values of another one, table by table."""
    return table | {
        name: laid_over(table[name], value) if isinstance(value, dict) else value
        for name, value in other.items()
    }


def machine():
    if device() == "cuda":
        return torch.cuda.get_device_name()
    return f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} thread"


def mean(values):
    values = np.asarray(values, dtype=float)
    error = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
    return {"mean": float(values.mean()), "standard_error": error}


def summary(seeds):
    """The figures of the README: means over the seeds with their standard errors."""
    found = {}
    for name in grammar.TRAITS:
        effects = [seed["doses"][name]["signed_effect"] for seed in seeds]
        found[f"signed effect on {name}"] = {
            kind: mean([one[kind]["mean"] for one in effects]) for kind in effects[0]
        }
        points = [seed["doses"][name]["operating_point"] for seed in seeds]
        if all(points):
            found[f"operating point, {name}"] = {
                field: mean([point[field] for point in points]) for field in ("alpha", "trait", "coherence")
            }
        for study in ("monitoring", "screening"):
            rows = [seed[study]["traits"][name] for seed in seeds]
            found[f"{study}, {name}"] = {
                field: mean([row[field] for row in rows])
                for field in rows[0]
                if field not in ("points", "layer")
            }
    for study in ("monitoring", "screening"):
        found[f"{study}, both"] = mean([seed[study]["random pairs as good on both"] for seed in seeds])
    return found | {"prevention": _prevention([seed["prevention"] for seed in seeds])}


def _prevention(seeds):
    def fields(rows):
        return {field: mean([row[field] for row in rows]) for field in rows[0]}

    return {
        way: fields([seed[way] for seed in seeds])
        if "trait" in one
        else {alpha: fields([seed[way][alpha] for seed in seeds]) for alpha in one}
        for way, one in seeds[0].items()
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="one small seed")
    parser.add_argument(
        "--out", type=Path, help="folder of the results; by default results/cpu or results/gpu"
    )
    parser.add_argument("--draw", type=Path, help="draw the figure of a results file and do nothing else")
    arguments = parser.parse_args()
    if arguments.draw:
        arguments.draw.with_name("figure.png").write_bytes(
            figure.draw(json.loads(arguments.draw.read_text()))
        )
        return
    settings = settings_for(arguments.quick)
    out = arguments.out or HERE / "results" / ("gpu" if device() == "cuda" else "cpu")
    for name in ("trl", "transformers", "accelerate", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    warnings.filterwarnings("ignore", category=FutureWarning)  # a setting that has another name since
    if device() == "cpu":
        torch.set_num_threads(1)  # the model is too small for more
    began, longest, seeds = time.monotonic(), 0.0, []
    for seed in settings["seeds"]:
        start = time.monotonic()
        if seeds and start - began + longest > settings.get("seconds", float("inf")):
            print(f"no time is left for seed {seed}")
            break
        seeds.append(one_seed(settings, seed))
        longest = max(longest, time.monotonic() - start)
        print(f"seed {seed}: {time.monotonic() - began:.0f} s", flush=True)
        results = {
            "config": settings, "machine": machine(), "seconds": time.monotonic() - began,
            "versions": {module.__name__: module.__version__ for module in (trl, torch, transformers)},
            "summary": summary(seeds), "seeds": seeds,
        }  # fmt: skip
        out.mkdir(parents=True, exist_ok=True)
        (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results["summary"], indent=1))
    if not arguments.quick:
        (out / "figure.png").write_bytes(figure.draw(results))


if __name__ == "__main__":
    main()

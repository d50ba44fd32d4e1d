"""How much a probability should believe the floor: likelihood of validation choices by its chance to err.

OMP_NUM_THREADS=1 python experiments/floor/errs.py --data-dir FOLDER        some minutes on one core
"""

from __future__ import annotations

import argparse
import json
import math
from copy import copy
from pathlib import Path

import numpy as np

import reward_models
from synthesizeme import types
from synthesizeme.evaluation.benchmarks import load_benchmark
from synthesizeme.evaluation.folds import prompt_folds, split_within_users

HERE = Path(__file__).parent
CHANCES = (0.0, 0.3, 0.5, 0.7, 1.0)
QUESTIONS = {
    "LLMFAO seen": ("llmfao/seen-prompts", split_within_users),
    "LLMFAO unseen": ("llmfao/seen-prompts", prompt_folds),
    "Polis": ("polis/later-pairs", split_within_users),
    "Remesh": ("remesh/later-pairs", split_within_users),
}
"""Benchmark, and how its train and validation rows are divided again. Its test rows are not read."""
LOWERED = 0.1


def verdicts(folds):
    """What the taste alone says of each pair, chosen first, and the floors of both responses."""
    for fold in folds:
        model = reward_models.method("hierarchical")(encoder="static", floor="base").fit(list(fold.history))
        asked = [pair.compare("chosen_first") for pair in fold.test]
        bare = copy(model).stand_on("none").compare(asked)
        yield from zip(bare, [it.floors for it in model.compare(asked)], strict=True)


def likelihood(found, chance):
    """Mean negative log-likelihood where a floor errs with this chance."""
    types.FLOOR_ERRS = chance
    return float(np.mean([-math.log(max(taste.on(*floors).probability, 1e-9)) for taste, floors in found]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "errs.json")
    args = parser.parse_args()
    results = {}
    for name, (benchmark, divided) in QUESTIONS.items():
        pairs = load_benchmark(benchmark, args.data_dir).folds[0].history
        found = list(verdicts(divided(pairs, benchmark)))
        lowered = [f - s for _, (f, s) in found if abs(f - s) > LOWERED]
        results[name] = {
            "pairs": len(found),
            "lowered": len(lowered),
            "lowered the chosen": sum(difference < 0 for difference in lowered),
            "accuracy with": float(np.mean([taste.on(*floors).margin > 0 for taste, floors in found])),
            "accuracy without": float(np.mean([taste.margin > 0 for taste, _ in found])),
            "nll": {f"{chance:g}": likelihood(found, chance) for chance in CHANCES},
        }
        print(name, results[name], flush=True)
    args.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

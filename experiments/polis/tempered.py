"""Likelihood on items that nobody judged in training, before and after the one temperature that is best for
it.

python experiments/polis/tempered.py --data-dir FOLDER [--benchmark remesh/new-answers] [--method NAME ...]

The temperature is found without the test: within the history of each seed a third of the responses is held
out once more by the same rule, the method is fitted on the rest, and T minimises the negative
log-likelihood of the pairs of which both sides are held out. It is applied to what the method, fitted on
the whole history, says of the test pairs. Means over the seeds, intervals over users.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from reward_models import method
from synthesizeme.evaluation.benchmarks import load_benchmark, resplits
from synthesizeme.evaluation.calibration import expected_calibration_error, probabilities, tempered
from synthesizeme.evaluation.folds import new_items
from synthesizeme.evaluation.intervals import accuracy_interval, loss_interval
from synthesizeme.evaluation.personal import measure_fold
from synthesizeme.temperature import fit_temperature

HERE = Path(__file__).parent


def of_seed(name, benchmark, seed):
    """Own and nobody's outcomes on the test pairs, and the temperature of each found within the history."""
    (fold,) = benchmark.folds
    (inner,) = new_items(fold.history, benchmark.name, seed)
    within, found = (measure_fold(method(name)(), benchmark, it, seed=seed).outcomes for it in (inner, fold))
    temperatures = {key: fit_temperature(probabilities(within[key]), spread=None) for key in within}
    return {key: found[key] for key in ("own", "no_user") if key in found}, temperatures


def summary(name, benchmarks):
    seeds = [of_seed(name, benchmark, seed) for seed, benchmark in enumerate(benchmarks)]
    row = {"method": name, "temperatures": [round(temperatures["own"], 3) for _, temperatures in seeds]}
    for key in seeds[0][0]:
        plain = [outcomes[key] for outcomes, _ in seeds]
        warm = [tempered(outcomes[key], temperatures[key]) for outcomes, temperatures in seeds]
        for state, outcomes in (("stated", plain), ("tempered", warm)):
            loss = loss_interval(*outcomes)
            row[f"{key}, {state}"] = {
                "nll": loss.value,
                "nll_interval": [loss.low, loss.high],
                "ece": sum(expected_calibration_error(probabilities(it)) for it in outcomes) / len(outcomes),
            }
        found = accuracy_interval(*plain)
        row[f"{key}, accuracy"] = [found.value, found.low, found.high]
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--benchmark", default="polis/new-statements")
    parser.add_argument("--method", nargs="+", default=["hierarchical", "hierarchical-stylometric"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "tempered.json")
    options = parser.parse_args()
    benchmarks = resplits(load_benchmark(options.benchmark, options.data_dir), n=options.seeds)
    rows = [summary(name, benchmarks) for name in options.method]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({"benchmark": options.benchmark, "rows": rows}, indent=2) + "\n")
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()

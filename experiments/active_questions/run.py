"""How many answers do chosen questions save against random ones? Simulated users and people, apart.

OMP_NUM_THREADS=1 python experiments/active_questions/run.py [--data-dir FOLDER] [--only simulated]
"""

from __future__ import annotations

import argparse
import json
import random
import tomllib
from collections import defaultdict
from itertools import islice, pairwise
from pathlib import Path

import reward_models
from synthesizeme.datasets import by_user
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.errors import DataError
from synthesizeme.evaluation.benchmarks import load_benchmark, resplits
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.evaluation.intervals import interval
from synthesizeme.evaluation.personal import halves
from synthesizeme.simulation.interview import Interview
from synthesizeme.simulation.pool import pool_of
from synthesizeme.simulation.respondents import simulate
from synthesizeme.types import respondents

HERE = Path(__file__).parent
STRATEGIES = ("random", "taste")


def asked(model, user, pairs, strategy, most, seed):
    """The user's pairs in the order in which they are asked about; a label is seen once it was asked for."""
    if strategy == "random":
        return random.Random(f"{seed}\0{user}").sample(pairs, min(most, len(pairs)))
    labelled = {pair.pair_id: pair for pair in pairs}
    model.fit_user(user, [])
    comparisons = [pair.compare("chosen_first") for pair in pairs]
    interview = Interview(model, user, comparisons)
    while len(interview.history) < min(most, len(pairs)):
        (question,) = interview.next()
        pair = labelled[question.asked.pair_id]
        interview.answer(question, "first" if question.asked.first == pair.chosen_text else "second")
    return [labelled[answer.metadata["asked"]] for answer in interview.history]


def measure(model, pools, test, lengths, seed):
    """Scores of every test pair by strategy and number of answers: {strategy: {k: {pair id: score}}}."""
    found = {}
    for strategy in STRATEGIES:
        orders = {
            user: asked(model, user, pairs, strategy, max(lengths), seed) for user, pairs in pools.items()
        }
        found[strategy] = {}
        for k in lengths:
            model.fit_users({user: pairs[:k] for user, pairs in orders.items()})
            found[strategy][k] = evaluate(model, test).scores
    return found


def simulated_studies(settings, size, method, seeds):
    for seed in range(seeds):
        others = planted_population(settings["others"], settings["pairs"], seed=1000 + seed)
        model = reward_models.method(method)(seed=seed).fit(others.pairs)
        new = planted_population(settings["users"], 1, seed=2000 + seed)
        items = planted_population(settings["test"] + size, 1, seed=3000 + seed)
        made_by = {user: {"by": "planted", "persona": user} for user in new.users}
        said = simulate(new.answering(items.pairs), made_by, pool_of(items.pairs), noise=1.0, seed=seed)
        test_ids = {pair.pair_id for pair in items.pairs[: settings["test"]]}
        test = [pair for pair in said.pairs if pair.metadata["asked"] in test_ids]
        pools = by_user(pair for pair in said.pairs if pair.metadata["asked"] not in test_ids)
        assert respondents(said.pairs) == "simulated"
        yield f"seed {seed}", test, measure(model, pools, test, settings["lengths"], seed)


def human_studies(settings, benchmark, method, seeds, data_dir):
    """Re-splits within workers, or, where each prompt is in one of several folds, those folds."""
    whole = load_benchmark(benchmark, data_dir)
    assert respondents(whole.pairs) == "human"
    folds = whole.folds if len(whole.folds) > 1 else [it.folds[0] for it in resplits(whole, n=seeds)]
    for seed, fold in enumerate(folds):
        histories = fold.histories
        for half in halves(fold):
            model = reward_models.method(method)(seed=seed).fit(half.history)
            askable = {
                user: pairs
                for user in dict.fromkeys(pair.user_id for pair in half.test)
                if len(pairs := histories[user]) >= settings["fewest"]
            }
            askable = dict(islice(askable.items(), settings.get("most_users")))
            test = [pair for pair in half.test if pair.user_id in askable]
            yield fold.name, test, measure(model, askable, test, settings["lengths"], seed)


def table(studies, lengths, *, users_differ, strategies=STRATEGIES):
    """Accuracy and its difference to the first strategy by number of answers; intervals resample users."""
    values = defaultdict(list)
    users = []
    for name, test, found in studies:
        users += [f"{name}/{pair.user_id}" if users_differ else pair.user_id for pair in test]
        for strategy in strategies:
            for k in lengths:
                values[strategy, k] += [found[strategy][k][pair.pair_id] for pair in test]
    rows = {}
    for strategy in strategies:
        rows[strategy] = {}
        for k in lengths:
            mine, theirs = values[strategy, k], values[strategies[0], k]
            gain = interval([a - b for a, b in zip(mine, theirs, strict=True)], users, bounds=(-1.0, 1.0))
            accuracy = interval(mine, users)
            rows[strategy][k] = {
                "accuracy": accuracy.value, "low": accuracy.low, "high": accuracy.high,
                "minus_random": [gain.value, gain.low, gain.high],
            }  # fmt: skip
    return {"rows": rows, "users": len(set(users)), "judgements": len(users), "saved": saved(rows, lengths)}


def saved(rows, lengths):
    """For every number of chosen answers, how many random ones are as accurate; None: more."""
    baseline, *others = rows
    counts = {k: rows[baseline][k]["accuracy"] for k in lengths}
    return {
        strategy: {k: reached(counts, rows[strategy][k]["accuracy"]) for k in lengths[1:]}
        for strategy in others
    }


def reached(counts, goal):
    """The number of answers at which a curve first comes to `goal`, between its points in a straight line."""
    if goal <= counts[0]:
        return 0.0
    for (a, low), (b, high) in pairwise(counts.items()):
        if high >= goal:
            return round(a + (b - a) * (goal - low) / (high - low), 1)
    return None


def shown(title, result, lengths):
    lines = [f"{title}: {result['users']} users, {result['judgements']} judgements", ""]
    lines.append("| answers | " + " | ".join(map(str, lengths)) + " |")
    lines.append("|---" * (len(lengths) + 1) + "|")
    for strategy, row in result["rows"].items():
        cells = []
        for k in lengths:
            gain = row[k]["minus_random"]
            extra = "" if strategy == next(iter(result["rows"])) or k == 0 else (
                f" ({100 * gain[0]:+.1f} [{100 * gain[1]:+.1f}, {100 * gain[2]:+.1f}])"
            )  # fmt: skip
            cells.append(f"{100 * row[k]['accuracy']:.1f}{extra}")
        lines.append(f"| {strategy} | " + " | ".join(cells) + " |")
    for strategy, counts in result["saved"].items():
        lines.append(f"{strategy}: as accurate as so many random answers: {counts}")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--only", help="beginning of the studies' names, e.g. human or simulated-60")
    parser.add_argument("--method")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    config = tomllib.loads((HERE / "config.toml").read_text())
    method = options.method or config["method"]
    seeds = {kind: options.seeds or config[kind]["seeds"] for kind in ("simulated", "human")}
    studies = {}
    for benchmark in config["human"]["benchmarks"]:
        judged = human_studies(config["human"], benchmark, method, seeds["human"], options.data_dir)
        studies[f"human-{benchmark.rpartition('/')[2]}"] = ("human", judged)
    for size in config["simulated"]["pools"]:
        made = simulated_studies(config["simulated"], size, method, seeds["simulated"])
        studies[f"simulated-{size}"] = ("simulated", made)
    options.out.mkdir(parents=True, exist_ok=True)
    for name, (kind, study) in studies.items():
        if options.only is not None and not name.startswith(options.only):
            continue
        lengths = config[kind]["lengths"]
        try:
            result = table(study, lengths, users_differ=kind == "simulated")
        except DataError as error:
            print(f"{name}: left out: {error}")
            continue
        facts = {"respondents": kind, "method": method, "config": config[kind], **result}
        (options.out / f"{name}.json").write_text(json.dumps(facts, indent=2) + "\n")
        print(shown(name, result, lengths), end="\n\n", flush=True)


if __name__ == "__main__":
    main()

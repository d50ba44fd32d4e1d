"""Judges on real people: default, memory, persona, demonstrations, both; recorded verdicts and controls.

python experiments/llmfao_judges/run.py --data-dir FOLDER_WITH_THE_LLMFAO_FILES
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tomllib
from pathlib import Path

from synthesizeme import LLMJudge, Session, SynthesizeMe, evaluate, open_model
from synthesizeme.evaluation.benchmarks import load_benchmark, resplits
from synthesizeme.evaluation.controls import (
    LongerResponse,
    MajorityOfOthers,
    OracleScorer,
    RandomScorer,
    RecordedVerdicts,
    another_users,
    swapped,
)
from synthesizeme.evaluation.harness import pool
from synthesizeme.evaluation.report import Report, fingerprint, row
from synthesizeme.judges import memory_profile

HERE = Path(__file__).parent


def by_user(pairs):
    ordered = sorted(pairs, key=lambda pair: pair.user_id)
    return {user: list(group) for user, group in itertools.groupby(ordered, key=lambda pair: pair.user_id)}


def outcomes_of(fold, session, config):
    """Outcome of every judge and control on one fold; profiles come from the fold's history alone."""
    method = SynthesizeMe(session, effort=config["effort"], seed=config["seed"])
    history = by_user(fold.history)
    users = sorted({pair.user_id for pair in fold.test})
    profiles = {user: method.fit(history[user]) for user in users if user in history}
    reversed_profiles = {user: method.fit(swapped(history[user])) for user in profiles}
    known = {
        "memory": {user: memory_profile(user, history[user], seed=config["seed"]) for user in profiles},
        "persona": {user: profile.without(demonstrations=True) for user, profile in profiles.items()},
        "demonstrations": {user: profile.without(persona=True) for user, profile in profiles.items()},
        "both": profiles,
        "both, another user's profile": another_users(profiles, config["seed"]),
        "both, labels of the history swapped": reversed_profiles,
    }
    judges = {"default": LLMJudge(session.account(), name="default")}
    for name, found in known.items():
        judges[name] = LLMJudge(session.account(), found, name=name, unknown_user="default")
    return {name: evaluate(judge, fold.test) for name, judge in judges.items()}


def references(benchmark, seed):
    scorers = {
        "GPT-4 (recorded verdicts)": RecordedVerdicts(benchmark.pairs, "gpt4"),
        "GPT-3.5 (recorded verdicts)": RecordedVerdicts(benchmark.pairs, "gpt3"),
        "majority of the other workers": MajorityOfOthers(benchmark.pairs),
        "longer response": LongerResponse(),
        "random": RandomScorer(seed),
        "oracle": OracleScorer(benchmark.pairs),
    }
    return {name: evaluate(scorer, benchmark.test, seed=seed) for name, scorer in scorers.items()}


def run(benchmark, config):
    with Session(open_model(config["model"])) as session:
        folds = [outcomes_of(fold, session, config) for fold in benchmark.folds]
    return {name: pool([fold[name] for fold in folds]) for name in folds[0]}


def report(benchmark, judged, seed):
    default, both = judged["default"], judged["both"]
    controls = {
        "no_user": default,
        "wrong_user": judged["both, another user's profile"],
        "swapped_labels": judged["both, labels of the history swapped"],
    }
    rows = [row("default judge (no user)", default)]
    rows += [row(name, judged[name], against=default) for name in ("memory", "persona", "demonstrations")]
    rows.append(row("both (the profile)", both, against=default, controls=controls))
    rows += [row(name, judged[name], against=default) for name in judged if name.startswith("both, ")]
    rows += [row(name, outcome) for name, outcome in references(benchmark, seed).items()]
    return Report(
        benchmark=benchmark.name,
        protocol=benchmark.protocol,
        rows=tuple(rows),
        data_fingerprint=fingerprint(benchmark.pairs),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path)
    data_dir = parser.parse_args().data_dir
    config = tomllib.loads((HERE / "config.toml").read_text())
    for name in config["benchmarks"]:
        benchmark = load_benchmark(name, data_dir)
        made = report(benchmark, run(benchmark, config), config["seed"])
        made.save(HERE / "results" / name.split("/")[1])
        print(made.to_markdown())
    seen = load_benchmark("llmfao/seen-prompts", data_dir)
    fresh = [run(again, config) for again in resplits(seen, n=config["resplits"], seed=config["seed"])]
    means = {
        name: {
            "mean": statistics.fmean(judged[name].micro for judged in fresh),
            "each": [round(judged[name].micro, 4) for judged in fresh],
        }
        for name in fresh[0]
    }
    (HERE / "results" / "resplits.json").write_text(json.dumps(means, indent=2) + "\n")
    for name, figures in means.items():
        print(f"{name}: mean over {len(fresh)} re-splits {figures['mean']:.3f}, each {figures['each']}")


if __name__ == "__main__":
    main()

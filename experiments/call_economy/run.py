"""Our search beside the paper's plain search on the same planted users: calls, tokens, accuracy.

python experiments/call_economy/run.py [config.toml]
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

from synthesizeme import LLMJudge, Session, SynthesizeMe, evaluate, open_model
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.evaluation.harness import pool
from synthesizeme.evaluation.intervals import accuracy_interval, paired_difference
from synthesizeme.personas.budget import call_limit

HERE = Path(__file__).parent
SEARCHES = ("economical", "paper")


def with_splits(pairs, size):
    """Three quarters of the first `size` pairs train, the rest of them validation, all others test."""
    train = round(size * 0.75)
    names = ["train"] * train + ["validation"] * (size - train) + ["test"] * (len(pairs) - size)
    return [pair.model_copy(update={"split": name}) for pair, name in zip(pairs, names, strict=True)]


def measure(session, users, search):
    usages, outcomes, personas = [], [], []
    for user_id, pairs in users.items():
        ledger = session.ledger()
        profile = SynthesizeMe(session, search=search).fit(pairs, ledger=ledger)
        usages.append(ledger.usage)
        test = [pair for pair in pairs if pair.split == "test"]
        for found, known in ((outcomes, profile), (personas, profile.without(demonstrations=True))):
            found.append(evaluate(LLMJudge(session.ledger(), {user_id: known}), test))
    n = len(usages)
    totals = {
        name: sum(getattr(usage, name) for usage in usages) / n
        for name in ("calls", "distinct_calls", "prompt_tokens", "completion_tokens")
    }
    totals["most_distinct_calls"] = max(usage.distinct_calls for usage in usages)
    return totals, pool(outcomes), pool(personas)


def figures(outcome):
    interval = accuracy_interval(outcome)
    return {"micro": outcome.micro, "low": interval.low, "high": interval.high}


def main(config_path=HERE / "config.toml"):
    config = tomllib.loads(Path(config_path).read_text())
    rows = []
    for size in config["sizes"]:
        population = planted_population(config["users"], size + config["test_pairs"], seed=config["seed"])
        users = {user_id: with_splits(pairs, size) for user_id, pairs in population.by_user.items()}
        test = [pair for pairs in users.values() for pair in pairs if pair.split == "test"]
        with Session(open_model(config["model"])) as session:
            default = evaluate(LLMJudge(session.ledger()), test)
            measured = {search: measure(session, users, search) for search in SEARCHES}
        gain = paired_difference(measured["economical"][1], measured["paper"][1])
        row = {
            "pairs": size,
            "users": len(users),
            "test_pairs": len(test),
            "call_limit": call_limit(size, "medium"),
            "oracle": figures(evaluate(population.oracle(), test)),
            "default": figures(default),
            "economical_minus_paper": {"value": gain.value, "low": gain.low, "high": gain.high},
        }
        for search, (totals, both, persona) in measured.items():
            row[search] = totals | {"both": figures(both), "persona": figures(persona)}
        rows.append(row)
        print(line(row), flush=True)
    (HERE / "results").mkdir(exist_ok=True)
    document = json.dumps({"config": config, "rows": rows}, indent=2)
    (HERE / "results" / "results.json").write_text(document + "\n")
    (HERE / "results" / "table.md").write_text("\n".join([HEADER, *map(line, rows)]) + "\n")


HEADER = (
    "| pairs | distinct calls: ours, paper (limit) | all calls: ours, paper | prompt tokens: ours, paper "
    "| accuracy: default, paper, ours, oracle | ours - paper [95 %] |\n|---|---|---|---|---|---|"
)


def line(row):
    ours, paper, gain = row["economical"], row["paper"], row["economical_minus_paper"]
    distinct = f"{ours['distinct_calls']:.0f}, {paper['distinct_calls']:.0f} ({row['call_limit']})"
    return (
        f"| {row['pairs']} | {distinct} "
        f"| {ours['calls']:.0f}, {paper['calls']:.0f} "
        f"| {ours['prompt_tokens'] / 1000:.0f}k, {paper['prompt_tokens'] / 1000:.0f}k "
        f"| {row['default']['micro']:.3f}, {paper['both']['micro']:.3f}, {ours['both']['micro']:.3f}, "
        f"{row['oracle']['micro']:.3f} | {gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}] |"
    )


if __name__ == "__main__":
    print(HEADER)
    main(*sys.argv[1:])

"""Does a rating order responses as the pairwise judge does, and as people do? And what does it cost?

OMP_NUM_THREADS=1 python experiments/judge_rating/run.py [--data-dir FOLDER] [--model NAME --api-base URL]
"""

from __future__ import annotations

import argparse
import json
import tomllib
from itertools import combinations
from pathlib import Path

from synthesizeme import LLMJudge, ModelSettings, Session, evaluate, open_model
from synthesizeme.evaluation.benchmarks import load_benchmark
from synthesizeme.evaluation.intervals import accuracy_interval, interval
from synthesizeme.judges import memory_profile
from synthesizeme.judges.rating import JudgeRewards
from synthesizeme.scoring import as_answers
from synthesizeme.types import Comparison

HERE = Path(__file__).parent


def votes(outcome):
    """What was said of each pair, both orders together: 1 for the chosen response, 0 the other, .5 a tie."""
    return {pair.pair_id: pair.score for pair in outcome.pairs if pair.score is not None}


def agreement(one, other, test):
    """How often two scorers prefer the same response, over the pairs in which neither tied."""
    both = [pair for pair in test if {one.get(pair.pair_id), other.get(pair.pair_id)} <= {0.0, 1.0}]
    same = [float(one[pair.pair_id] == other[pair.pair_id]) for pair in both]
    return interval(same, [pair.user_id for pair in both])


def costs(model, session, profiles, test, number):
    """Calls for the best of so many responses to one prompt: by ratings, and by duels in both orders."""
    user = next(iter(model.users_))
    prompt = test[0].prompt
    texts = list(dict.fromkeys(text for pair in test for text in (pair.chosen_text, pair.rejected_text)))
    texts = texts[:number]
    before = model.usage.distinct_calls
    model.score(as_answers([prompt] * len(texts), texts, [user] * len(texts)))
    ledger = session.ledger()
    duels = [
        Comparison(pair_id=f"{i}", user_id=user, prompt=prompt, first=a, second=b)
        for i, (a, b) in enumerate(combinations(texts, 2))
    ]
    LLMJudge(ledger, profiles).compare([it for duel in duels for it in (duel, duel.swapped())])
    return {
        "responses": len(texts),
        "ratings": model.usage.distinct_calls - before,
        "duels": ledger.usage.distinct_calls,
    }


def figures(found):
    return {"value": found.value, "low": found.low, "high": found.high, "pairs": found.n_pairs}


def main():
    config = tomllib.loads((HERE / "config.toml").read_text())
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir")
    parser.add_argument("--model", default=config["model"])
    parser.add_argument("--api-base")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    (fold,) = load_benchmark(config["benchmark"], options.data_dir).folds
    histories = fold.histories
    test = [pair for pair in fold.test if pair.user_id in histories]
    profiles = {user: memory_profile(user, pairs) for user, pairs in histories.items()}
    rows = {}
    with Session(open_model(options.model, ModelSettings(api_base=options.api_base))) as session:
        ledger = session.ledger()
        pairwise = evaluate(LLMJudge(ledger, profiles), test)
        rows["duels, both orders"] = {"accuracy": figures(accuracy_interval(pairwise)), "ties": pairwise.ties,
                                      "calls": ledger.usage.distinct_calls}  # fmt: skip
        for choices in config["choices"]:
            model = JudgeRewards(session, choices=choices).fit_users(histories)
            outcome = evaluate(model, test)
            rows[f"rating against {choices} past choices, one call"] = {
                "accuracy": figures(accuracy_interval(outcome)),
                "agrees with duels": figures(agreement(votes(outcome), votes(pairwise), test)),
                "ties": outcome.ties,
                "failures": outcome.failures,
                "calls": model.usage.distinct_calls,
                "best of n": costs(model, session, profiles, test, config["best_of"]),
            }
    options.out.mkdir(parents=True, exist_ok=True)
    facts = {"respondents": "human", "model": options.model, "test_pairs": len(test), "rows": rows}
    (options.out / "results.json").write_text(json.dumps(facts, indent=2) + "\n")
    for name, row in rows.items():
        said = "; ".join(
            f"{key} {100 * it['value']:.1f} [{100 * it['low']:.1f}, {100 * it['high']:.1f}]"
            if isinstance(it, dict) and "value" in it
            else f"{key} {it}"
            for key, it in row.items()
        )
        print(f"{name}: {said}")


if __name__ == "__main__":
    main()

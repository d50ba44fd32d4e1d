"""Does the induced persona name what was planted, and does it predict? With controls.

python experiments/planted_recovery/run.py                 users who choose by planted weights
python experiments/planted_recovery/run.py --role-played   the same tastes in words, played by the model
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

from synthesizeme import LLMJudge, Session, SynthesizeMe, evaluate, open_model
from synthesizeme.datasets import by_user, resplit
from synthesizeme.datasets.synthetic import ATTRIBUTES, planted_population
from synthesizeme.evaluation.controls import another_users, swapped
from synthesizeme.evaluation.intervals import accuracy_interval, paired_difference
from synthesizeme.simulation.pool import pool_of
from synthesizeme.simulation.respondents import PREFIX, persona_of, played_by, role_played, simulate

HERE = Path(__file__).parent


def named(persona, attribute):
    """Whether a persona speaks of the attribute at all, by its words."""
    return any(word in persona.lower() for word in ATTRIBUTES[attribute].words)


def recovery(population, profiles):
    """Share of the users' strong planted attributes that the profile at hand speaks of."""
    hits = [
        named(profiles[user.user_id].persona.text, attribute)
        for user in population.users.values()
        if user.user_id in profiles and profiles[user.user_id].persona
        for attribute in user.strong
    ]
    return sum(hits) / len(hits)


def play(config):
    """The tastes of planted users in words, played by the model, and found again from what it answered."""
    population = planted_population(config["role_played_users"], 1, seed=config["seed"])
    texts = planted_population(4 * config["pairs"], 1, seed=config["seed"] + 1).pairs
    cast = {
        user.user_id: persona_of(
            user.user_id, "\n".join(f"The user strongly prefers {it}." for it in user.tastes())
        )
        for user in population.users.values()
    }
    with Session(open_model(config["model"])) as session:
        ledger = session.ledger()
        said = simulate(
            role_played(ledger, cast), played_by(ledger, cast), pool_of(texts),
            per_user=config["pairs"], seed=config["seed"],
        )  # fmt: skip
        method = SynthesizeMe(session)
        own = {
            user.removeprefix(PREFIX): method.fit(pairs)
            for user, pairs in by_user(resplit(said.pairs, config["seed"])).items()
        }
    others = another_users(own, 0)
    results = {
        "respondents": "simulated", "played by": config["model"], "users": len(cast),
        "choices": len(said.pairs), "ties": said.ties, "failures": said.failures,
        "same in both orders": said.consistent,
        "named": {"own persona": recovery(population, own), "another user's": recovery(population, others)},
    }  # fmt: skip
    (HERE / "results" / "role_played.json").write_text(json.dumps(results, indent=2) + "\n")
    for name, share in results["named"].items():
        print(f"role-played, {name.removesuffix(' persona')} persona: {share:.1%} of what was to be played")


def main():
    config = tomllib.loads((HERE / "config.toml").read_text())
    if "--role-played" in sys.argv[1:]:
        return play(config)
    population = planted_population(config["users"], config["pairs"], seed=config["seed"], split=True)
    test = [pair for pair in population.pairs if pair.split == "test"]
    with Session(open_model(config["model"])) as session:
        method = SynthesizeMe(session)
        own = {user: method.fit(pairs) for user, pairs in population.by_user.items()}
        others = another_users(own, 0)
        contrary = {user: method.fit(swapped(pairs)) for user, pairs in population.by_user.items()}
        judged = {
            "default judge": None,
            "own profile": own,
            "another user's": others,
            "labels swapped": contrary,
        }
        outcomes = {name: evaluate(LLMJudge(session.ledger(), who), test) for name, who in judged.items()}
    outcomes["oracle"] = evaluate(population.oracle(), test)
    results = {"config": config, "named": {}, "accuracy": {}}
    results["named"] = {
        "own persona": recovery(population, own),
        "another user's": recovery(population, others),
    }
    for name, outcome in outcomes.items():
        interval = accuracy_interval(outcome)
        gain = paired_difference(outcome, outcomes["default judge"])
        results["accuracy"][name] = {
            "micro": outcome.micro, "low": interval.low, "high": interval.high,
            "minus_default": [gain.value, gain.low, gain.high],
        }  # fmt: skip
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    for name, share in results["named"].items():
        print(f"{name.removesuffix(' persona')} persona: {share:.1%} of the strong planted preferences")
    for name, figures in results["accuracy"].items():
        print(f"{name}: {figures['micro']:.3f} [{figures['low']:.3f}, {figures['high']:.3f}]")


if __name__ == "__main__":
    main()

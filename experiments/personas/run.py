"""Are personas true of their users on choices that nobody saw, and do they help to predict them?

OMP_NUM_THREADS=1 python experiments/personas/run.py --data-dir FOLDER [--only held,planted,judges]

The builtin reader writes; `holds.py` decides. Figures go to `results/`, a file for each part.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path
from random import Random
from statistics import fmean

import numpy as np
from holds import Holds

import reward_models
from synthesizeme.backends import Session, open_model
from synthesizeme.datasets import by_user
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.evaluation.benchmarks import load_benchmark
from synthesizeme.evaluation.harness import evaluate
from synthesizeme.evaluation.intervals import accuracy_interval
from synthesizeme.judges import LLMJudge
from synthesizeme.personas import SynthesizeMe
from synthesizeme.profile import APART_LEVEL
from synthesizeme.stylometry import FEATURE
from synthesizeme.types import last_user_turn

HERE = Path(__file__).parent
RESAMPLES = 2000
FEATURES_OF = {
    "length": ("length",), "bullets": ("bullets",), "numbered": ("numbered",), "formality": ("formality",),
    "hedging": ("hedging",), "questions": ("questions",), "examples": ("examples",), "warmth": ("warmth",),
    "enthusiasm": ("exclamations", "emoji"), "figures": ("numbers",), "disclaimers": ("disclaimers",),
    "directness": (),
}  # fmt: skip
"""Named features that speak of a planted attribute; none of them speaks of directness."""


def split(pairs, part):
    """The pairs with validation rows in the place of test rows, or as they are."""
    if part == "test":
        return pairs
    asked = {"validation": "test"}
    return [
        pair.model_copy(update={"split": asked.get(pair.split, pair.split)})
        for pair in pairs
        if pair.split != "test"
    ]


def populations(users, method):
    """Of each user the probability of each choice for anybody, by a model of everybody's train rows."""
    known = [pair for own in users.values() for pair in own if pair.split != "test"]
    model = reward_models.method(method)(seed=0).fit(known)
    return {
        user: model.own_taste(user).anybody for user in users if any(p.split != "test" for p in users[user])
    }


def held(holds, statement, pairs):
    """1 where a statement speaks for more chosen than rejected responses, 0 for fewer, None for neither."""
    found = [
        holds(statement, pair.chosen_text, pair.rejected_text, last_user_turn(pair.prompt)) for pair in pairs
    ]
    more, less = found.count(1), found.count(-1)
    return None if more + less == 0 else 0.5 + 0.5 * ((more > less) - (more < less))


def shares(holds, profiles, asked, others):
    """For each user whether their own statements, and other users', hold on their unseen pairs."""
    rows = []
    names = [user for user, profile in profiles.items() if profile.persona is not None]
    for place, user in enumerate(names):
        of = {"own": [user], "another": [names[(place + step) % len(names)] for step in range(1, others + 1)]}
        row = {"user": place}
        for kind, writers in of.items():
            found = [
                held(holds, it.text, asked[user])
                for name in writers
                for it in profiles[name].persona.sentences
            ]
            row[kind] = [value for value in found if value is not None]
        rows.append(row)
    return rows


def summary(rows):
    """Shares of both kinds and their difference with 95 % intervals; users are resampled."""

    def figures(some):
        own, another = (fmean(v for row in some for v in row[kind]) for kind in ("own", "another"))
        return own, another, own - another

    rng = Random(0)
    drawn = [figures(rng.choices(rows, k=len(rows))) for _ in range(RESAMPLES)]
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    return {
        name: {"value": value, "low": low[i], "high": high[i]}
        for i, (name, value) in enumerate(zip(("own", "another", "difference"), figures(rows), strict=True))
    } | {"statements": sum(len(row["own"]) for row in rows)}


def held_on_unseen(config, data_dir):
    """The table of held statements, from own pairs alone and beside a population of others."""
    holds, found, every = Holds(), [], {}
    for name in config["benchmarks"]:
        users = {
            user: split(own, config["part"])
            for user, own in by_user(load_benchmark(name, data_dir).pairs).items()
        }
        large = [
            u
            for u, own in users.items()
            if len(own) >= config["least_pairs"] and any(p.split == "test" for p in own)
        ]
        for source in ("own pairs", "others"):
            known = populations(users, config["population"]) if source == "others" else {}
            with Session(open_model("builtin")) as session:
                method = SynthesizeMe(session)
                profiles = {user: method.fit(users[user], population=known.get(user)) for user in large}
            asked = {user: [pair for pair in users[user] if pair.split == "test"] for user in large}
            rows = shares(holds, profiles, asked, config["others"])
            every.setdefault(source, []).extend(rows)
            passed = [it for it in profiles.values() if (it.provenance.taste_p_value or 1) <= APART_LEVEL]
            written = [it for it in profiles.values() if it.persona is not None]
            counted = {
                "data": name, "most people": source, "users": len(large),
                "passed": len(passed), "with a persona": len(written),
                "sentences each": fmean(len(it.persona.sentences) for it in written) if written else 0,
            }  # fmt: skip
            found.append(counted | summary(rows))
            print(json.dumps(found[-1]), flush=True)
    for source, rows in every.items():
        of = [row for row in found if row["most people"] == source]
        total = {key: sum(row[key] for row in of) for key in ("users", "passed", "with a persona")}
        total["sentences each"] = (
            sum(row["sentences each"] * row["with a persona"] for row in of) / total["with a persona"]
        )
        found.append({"data": "all", "most people": source} | total | summary(rows))
        print(json.dumps(found[-1]), flush=True)
    return found


def stated(text, name):
    """+1 if the text says the user prefers more of a feature, -1 for less, 0 for neither."""
    return (f"prefers {FEATURE[name].more}." in text) - (f"prefers {FEATURE[name].less}." in text)


def planted(config):
    """Planted strong tastes that are spoken of, statements that are of none, coins that stay silent."""
    population = planted_population(config["users"], config["pairs"], seed=config["seed"], split=True)
    rng = Random(config["seed"])
    with Session(open_model("builtin")) as session:
        method = SynthesizeMe(session)
        profiles = {user: method.fit(pairs) for user, pairs in population.by_user.items()}
        tossed = [
            method.fit(
                [p if rng.random() < 0.5 else p.swapped_labels() for p in pairs[: config["coin_pairs"]]]
            )
            for pairs in population.by_user.values()
        ]
    said = {u: [it.text for it in p.persona.sentences] if p.persona else [] for u, p in profiles.items()}
    names = list(said)
    right = another = wrong = strong = false = 0
    for place, user in enumerate(names):
        tastes = {(n, w > 0) for a, w in population.users[user].strong.items() for n in FEATURES_OF[a]}
        for attribute, weight in population.users[user].strong.items():
            strong += 1
            sign = 1 if weight > 0 else -1
            of = FEATURES_OF[attribute]
            right += any(stated(text, n) == sign for text in said[user] for n in of)
            wrong += any(stated(text, n) == -sign for text in said[user] for n in of)
            another += any(stated(text, n) == sign for text in said[names[place - 1]] for n in of)
        false += sum(not any(stated(text, n) == (1 if up else -1) for n, up in tastes) for text in said[user])
    return {
        "users": len(names), "strong tastes": strong,
        "spoken of": right / strong, "the wrong way": wrong / strong,
        "by another's": another / strong, "statements each": fmean(map(len, said.values())),
        "of no strong taste, each": false / len(names),
        "with a persona": fmean(p.persona is not None for p in profiles.values()),
        "coins that stay silent": fmean(p.persona is None for p in tossed),
    }  # fmt: skip


def judges(config, data_dir):
    """Accuracy of the builtin judge with and without the profile, on the test rows."""
    found = []
    for name in config["judged"]:
        users = {
            u: split(own, config["part"]) for u, own in by_user(load_benchmark(name, data_dir).pairs).items()
        }
        users = {u: own for u, own in users.items() if {p.split for p in own} >= {"test", "train"}}
        asked = [pair for own in users.values() for pair in own if pair.split == "test"]
        for source in ("own pairs", "others"):
            known = populations(users, config["population"]) if source == "others" else {}
            with Session(open_model("builtin")) as session:
                method = SynthesizeMe(session)
                profiles = {user: method.fit(own, population=known.get(user)) for user, own in users.items()}
                row = {"data": name, "most people": source, "pairs": len(asked), "users": len(users)}
                for judge, what in (
                    ("default", None),
                    ("persona", {u: p.without(demonstrations=True) for u, p in profiles.items()}),
                    ("demonstrations", {u: p.without(persona=True) for u, p in profiles.items()}),
                    ("both", profiles),
                ):
                    it = accuracy_interval(evaluate(LLMJudge(session.ledger(), what), asked))
                    row[judge] = {"value": it.value, "low": it.low, "high": it.high}
            found.append(row)
            print(json.dumps(row), flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", default="planted,held,judges")
    args = parser.parse_args()
    config = tomllib.loads((HERE / "config.toml").read_text())
    parts = {
        "planted": lambda: planted(config["planted"]),
        "held": lambda: held_on_unseen(config["people"], args.data_dir),
        "judges": lambda: judges(config["people"], args.data_dir),
    }
    for part in args.only.split(","):
        found = parts[part]()
        print(json.dumps(found, indent=1))
        (HERE / "results").mkdir(exist_ok=True)
        (HERE / "results" / f"{part}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

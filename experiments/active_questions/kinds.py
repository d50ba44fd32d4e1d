"""What do ratings and questions about traits add to choices? Chosen and random questions of all kinds.

OMP_NUM_THREADS=1 python experiments/active_questions/kinds.py [--data-dir FOLDER] [--only simulated]
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import tomllib
from collections import Counter
from pathlib import Path

from run import HERE, human_studies, shown, table

import reward_models
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.errors import DataError
from synthesizeme.questions import KINDS, ResponseQuestion, TraitQuestion
from synthesizeme.simulation.interview import Interview, InterviewQuestion
from synthesizeme.simulation.pool import pool_of

STRATEGIES = {
    "random pairs": ("random", ("pair",)),
    "chosen pairs": ("chosen", ("pair",)),
    "random of all kinds": ("random", KINDS),
    "chosen of all kinds": ("chosen", KINDS),
}
FEATURE_OF = {
    **{name: (name, 1) for name in ("length", "bullets", "numbered", "formality", "hedging", "questions")},
    **{name: (name, 1) for name in ("examples", "warmth", "disclaimers")},
    "exclamations": ("enthusiasm", 1), "emoji": ("enthusiasm", 1), "numbers": ("figures", 1),
    "preamble": ("directness", -1),
}  # fmt: skip
"""Planted attribute behind a named feature, and its sign; users are indifferent to the other features."""


class PlantedAnswers:
    """What one population's users answer to any question about the responses of another one's pairs."""

    def __init__(self, population, items, settings, careless, seed):
        self.population, self.settings, self.careless, self.seed = population, settings, careless, seed
        self.facts = {
            (pair.prompt, text): (
                pair.metadata["kind"], pair.metadata[f"{side}_levels"], pair.metadata[f"{side}_quality"]
            )
            for pair in items
            for side, text in (("chosen", pair.chosen_text), ("rejected", pair.rejected_text))
        }  # fmt: skip
        users = population.users.values()
        self.spread = statistics.pstdev(weight for user in users for weight in user.weights.values())
        values = [self.value(user, *key) for user in population.users for key in self.facts]
        self.stars_at = statistics.quantiles(values, n=5)

    def value(self, user, prompt, text):
        kind, levels, quality = self.facts[prompt, text]
        planted = self.population.users[user]
        taste = sum(planted.weight(name, kind) * at for name, at in zip(planted.weights, levels, strict=True))
        return taste + self.population.quality_weight * quality

    def chance(self, user, asked):
        """P(the user prefers the first)."""
        first, second = (self.value(user, asked.prompt, text) for text in (asked.first, asked.second))
        return 1 / (1 + math.exp((second - first) / self.population.noise))

    def __call__(self, user, asked):
        """The answer; the same question gets the same answer, whoever chose it."""
        name = getattr(asked, "feature", "") or f"{asked.prompt}{getattr(asked, 'response', '')}"
        coin = random.Random(f"{self.seed}\0{user}\0{name}\0{getattr(asked, 'pair_id', '')}")
        own = random.Random(f"{self.seed}\0{user}").gauss
        stars, yes = (own(0, self.settings["own_shift"]) for _ in range(2))
        u = coin.random()
        noise, guesses = math.log(u / (1 - u)), coin.random() < self.careless
        if isinstance(asked, TraitQuestion):
            if guesses:
                return coin.choice(("yes", "no", "no matter"))
            attribute, sign = FEATURE_OF.get(asked.feature, ("length", 0))
            weight = sign * self.population.users[user].weights[attribute] / self.spread
            margin = self.settings["clear"] * weight + yes + noise
            return "no matter" if abs(margin) < math.log(2) else "yes" if margin > 0 else "no"
        if isinstance(asked, ResponseQuestion):
            if guesses:
                return coin.randint(1, 5)
            value = self.value(user, asked.prompt, asked.response) + stars + noise * self.population.noise
            return 1 + sum(value > cut for cut in self.stars_at)
        return "first" if coin.random() < self.chance(user, asked) else "second"


def drawn(interview, kinds, coin):
    """A question at random: first of which kind, all being as likely, then which."""
    of_kind = {
        "trait": [it for it in interview.open if isinstance(it, TraitQuestion)],
        "rating": [it for it in interview.open if isinstance(it, ResponseQuestion)],
    }
    of_kind["pair"] = [it for it in interview.open if not any(it in some for some in of_kind.values())]
    kind = coin.choice([kind for kind in kinds if of_kind[kind]])
    return InterviewQuestion(coin.choice(of_kind[kind]), 0.0)


def curve(model, user, answers, pool, test, strategy, lengths, counts):
    """Expected accuracy on every test comparison after so many answers: {k: {pair id: accuracy}}."""
    how, kinds = STRATEGIES[strategy]
    model.forget_user(user)
    interview = Interview(model, user, pool, kinds=kinds)
    coin = random.Random(f"{strategy}\0{user}")
    right = {it.pair_id: answers.chance(user, it) for it in test}
    found = {}
    for k in range(max(lengths) + 1):
        if k in lengths:
            said = zip(test, model.compare(test), strict=True)
            found[k] = {
                it.pair_id: right[it.pair_id] if verdict.margin > 0 else 1 - right[it.pair_id]
                for it, verdict in said
            }
        if k < max(lengths):
            question = interview.next()[0] if how == "chosen" else drawn(interview, kinds, coin)
            counts[strategy, type(question.asked).__name__] += 1
            interview.answer(question, answers(user, question.asked))
    return found


class Asked:
    """What `table` reads of a test pair."""

    def __init__(self, user, pair_id):
        self.user_id, self.pair_id = user, f"{user}\0{pair_id}"


def simulated_studies(settings, method, careless, counts):
    for seed in range(settings["seeds"]):
        others = planted_population(settings["others"], settings["pairs"], seed=1000 + seed)
        model = reward_models.method(method)(seed=seed).fit(others.pairs)
        new = planted_population(settings["users"], 1, seed=2000 + seed)
        items = planted_population(settings["test"] + settings["pool"], 1, seed=3000 + seed).pairs
        answers = PlantedAnswers(new, items, settings, careless, seed)
        test, pool = pool_of(items[: settings["test"]]), pool_of(items[settings["test"] :])
        found = {strategy: {k: {} for k in settings["lengths"]} for strategy in STRATEGIES}
        for user in new.users:
            mine = [it.model_copy(update={"user_id": user}) for it in test]
            for strategy in STRATEGIES:
                scores = curve(model, user, answers, pool, mine, strategy, settings["lengths"], counts)
                for k, values in scores.items():
                    found[strategy][k] |= {f"{user}\0{name}": value for name, value in values.items()}
        asked = [Asked(user, it.pair_id) for user in new.users for it in test]
        yield f"seed {seed}", asked, found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", default=None)
    parser.add_argument("--only", help="beginning of the studies' names: simulated or votes")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    options = parser.parse_args()
    config = tomllib.loads((HERE / "config.toml").read_text())
    settings, votes = config["kinds"], config["votes"]
    for careless in settings["careless"]:
        name = f"simulated-kinds-{round(100 * careless)}"
        if options.only is None or name.startswith(options.only):
            counts = Counter()
            study = simulated_studies(settings, config["method"], careless, counts)
            result = table(study, settings["lengths"], users_differ=True, strategies=tuple(STRATEGIES))
            result["asked"] = {f"{strategy}: {kind}": n for (strategy, kind), n in sorted(counts.items())}
            write(options.out / f"{name}.json", "simulated", settings | {"careless": careless}, result)
    if options.only is None or "votes".startswith(options.only):
        named = votes["benchmark"], config["method"], votes["seeds"]
        try:
            study = human_studies(votes, *named, options.data_dir)
            result = table(study, votes["lengths"], users_differ=False)
        except DataError as error:
            print(f"votes: left out: {error}")
            return
        write(options.out / "human-votes.json", "human", votes, result)


def write(path, respondents, settings, result):
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = {"respondents": respondents, "config": settings, **result}
    path.write_text(json.dumps(facts, indent=2) + "\n")
    print(shown(path.stem, result, settings["lengths"]), result.get("asked", ""), sep="\n", flush=True)


if __name__ == "__main__":
    main()

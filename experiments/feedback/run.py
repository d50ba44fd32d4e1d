"""What each kind of feedback is worth beside choices: planted users, and the ties of people.

OMP_NUM_THREADS=1 python experiments/feedback/run.py --only planted
OMP_NUM_THREADS=1 python experiments/feedback/run.py --only people --data-dir FOLDER
"""

from __future__ import annotations

import argparse
import json
import tomllib
from itertools import product
from pathlib import Path
from random import Random

import numpy as np

import reward_models
from synthesizeme.datasets import by_user, load_dataset, load_feedback
from synthesizeme.datasets.synthetic import planted_population
from synthesizeme.evaluation.intervals import interval
from synthesizeme.feedback import THUMBS, Edit, Ranking, Rating, Scale, Tie
from synthesizeme.pairs import split_at
from synthesizeme.types import PreferencePair, Strength

HERE = Path(__file__).parent
STARS = Scale(lowest=1, highest=5, levels=5)
STARS_AT, STRENGTHS_AT = (-2.5, -0.8, 0.8, 2.5), (1.0, 2.5)
"""Between which values a planted user gives which star, or calls a preference stronger."""


class Speaker:
    """A planted user who says things of responses by their known values.

    Args:
        pairs: The user's pairs, in the metadata of which the values stand.
        usual: Mean value of all responses.
        threshold: The user's own.
        seed: Of everything that is said.
    """

    def __init__(self, pairs, usual, threshold, seed):
        self.pairs, self.usual, self.threshold = pairs, usual, threshold
        self.rng = np.random.default_rng(seed)

    def say(self, kind, n):
        """What the user says of the responses of the first n pairs: choices and feedback."""
        said = [it for pair in self.pairs[:n] for it in getattr(self, kind)(pair)]
        return (
            [it for it in said if isinstance(it, PreferencePair)],
            [it for it in said if not isinstance(it, PreferencePair)],
        )

    def pair(self, pair):
        yield pair

    def tie(self, pair):
        (first, a), (second, b) = sides(pair)
        odds = np.exp([(a - b) / 2, (b - a) / 2, self.threshold])
        outcome = self.rng.choice(3, p=odds / odds.sum())
        yield Tie(responses=(first, second), **about(pair)) if outcome == 2 else turned(pair, outcome == 1)

    def strength(self, pair):
        (_, a), (_, b) = sides(pair)
        margin = a - b + self.rng.logistic()
        level = 1 + int(np.searchsorted(STRENGTHS_AT, abs(margin)))
        chosen = turned(pair, margin < 0)
        yield chosen.model_copy(update={"strength": Strength(level=level, levels=len(STRENGTHS_AT) + 1)})

    def ranking(self, pair):
        others = self.pairs[-1 - self.pairs.index(pair)]
        values = {**dict(sides(pair)), **dict(sides(others))}
        noisy = {text: value + self.rng.gumbel() for text, value in values.items()}
        yield Ranking(responses=tuple(sorted(noisy, key=lambda text: -noisy[text])), **about(pair))

    def rating(self, pair):
        text, liking = self._liking(pair)
        yield Rating(
            response=text, value=1 + int(np.searchsorted(STARS_AT, liking)), scale=STARS, **about(pair)
        )

    def thumb(self, pair):
        text, liking = self._liking(pair)
        yield Rating(response=text, value=int(liking > 0), scale=THUMBS, **about(pair))

    def edit(self, pair):
        (first, a), (second, b) = sides(pair)
        kept = self.rng.logistic() < a - b
        texts = (second, first) if kept else (first, second)
        yield Edit(original=texts[0], edited=texts[1], **about(pair))

    def _liking(self, pair):
        text, value = sides(pair)[int(self.rng.random() < 0.5)]
        return text, value - self.usual + self.threshold + self.rng.logistic()


KINDS = ("pair", "tie", "strength", "ranking", "rating", "thumb", "edit")


def sides(pair):
    return [
        (getattr(pair, f"{side}_text"), pair.metadata[f"{side}_value"]) for side in ("chosen", "rejected")
    ]


def about(pair):
    return {"feedback_id": pair.pair_id, "user_id": pair.user_id, "prompt": pair.prompt}


def turned(pair, really):
    return pair.swapped_labels() if really else pair


def dropped(pairs):
    """What is left of what was said where only choices are read."""
    return [pair.model_copy(update={"strength": None}) for pair in pairs]


def hit_chances(model, test):
    """How probable it is that the model is right on each comparison, by planted chances; its log losses."""
    verdicts = model.compare([pair.compare("chosen_first") for pair in test])
    p = np.array([verdict.probability for verdict in verdicts])
    true = np.array([pair.metadata["probability"] for pair in test])
    return np.where(p > 0.5, true, 1 - true), -(true * np.log(p) + (1 - true) * np.log1p(-p))


def planted(config):
    """Accuracy by kind, number, and choices beside; differences to dropping all but choices."""
    taught = planted_population(config["training"], config["pairs"], seed=config["seed"])
    most = max(config["lengths"])
    asked = planted_population(
        config["users"], max(config["beside"]) + 2 * most + config["asked"], seed=config["seed"] + 1
    )
    usual = np.mean([value for pair in taught.pairs for _, value in sides(pair)])
    model = reward_models.method(config["method"])().fit(taught.pairs)
    test = [pair for pairs in asked.by_user.values() for pair in pairs[-config["asked"] :]]
    owners = [pair.user_id for pair in test]
    rows, by_pairs = [], {}
    for beside, kind, n in product(config["beside"], KINDS, config["lengths"]):
        told = {
            user: heard(user, pairs[: -config["asked"]], usual, beside, kind, n, config)
            for user, pairs in asked.by_user.items()
        }
        found = hits, losses = told_and_asked(model, told, test)
        row = {
            "beside": beside, "kind": kind, "n": n,
            "accuracy": float(hits.mean()), "nll": float(losses.mean()),
        }  # fmt: skip
        if kind == "pair":
            by_pairs[beside, n] = found
        else:
            left = {user: (dropped(pairs), ()) for user, (pairs, _) in told.items()}
            for name, others in (
                ("dropped", told_and_asked(model, left, test)),
                ("pairs", by_pairs[beside, n]),
            ):
                row[f"to {name}"] = difference(hits, others[0], owners, (-1.0, 1.0))
                row[f"to {name} nll"] = difference(losses, others[1], owners, (-5.0, 5.0))
        rows.append(row)
        print(json.dumps(row), flush=True)
    best = float(np.mean([max(p := it.metadata["probability"], 1 - p) for it in test]))
    return {"users": config["users"], "comparisons": len(test), "best possible": best, "rows": rows}


def told_and_asked(model, told, test):
    for user, (pairs, feedback) in told.items():
        model.fit_user(user, pairs, None, feedback)
    return hit_chances(model, test)


def difference(values, others, users, bounds):
    """Mean difference with its interval over users."""
    found = interval(values - others, users, bounds=bounds)
    return {"value": found.value, "low": found.low, "high": found.high}


def heard(user, pairs, usual, beside, kind, n, config):
    rng = Random(f"{config['seed']}/{user}")
    speaker = Speaker(
        pairs[beside:], usual, rng.gauss(0, config["thresholds"]), [config["seed"], n, rng.getrandbits(32)]
    )
    chosen, feedback = speaker.say(kind, n)
    return [*pairs[:beside], *chosen], feedback


def ties_of(folder):
    """The ties by part of the data: 60/20/20 at random within each worker."""
    parts = {"train": [], "validation": [], "test": []}
    for user, own in by_user(load_feedback("llmfao", data_dir=folder)).items():
        Random(f"ties {user}").shuffle(own)
        for rank, tie in enumerate(own):
            parts[split_at(rank + 0.5, len(own))].append(tie)
    return parts


def outcomes(model, pairs, ties, share):
    """Scores of pairs, log losses of pairs, and of pairs and ties as one of three outcomes.

    Args:
        model: Which gives the chance of a tie itself, where `share` is None.
        pairs: Choices.
        ties: Ties.
        share: Of ties by user, for a model that knows none.
    """
    tied = [pair_of(tie).compare("chosen_first") for tie in ties]
    chosen = [pair.compare("chosen_first") for pair in pairs]
    p = np.array([verdict.probability for verdict in model.compare(chosen)])
    if share is None:
        of_pairs, of_ties = model.tie_chances(chosen), model.tie_chances(tied)
    else:
        of_pairs, of_ties = (np.array([share[it.user_id] for it in some]) for some in (chosen, tied))
    three = np.concatenate([-np.log(p) - np.log1p(-of_pairs), -np.log(of_ties)])
    return (p > 0.5) + 0.5 * (p == 0.5), -np.log(p), three


def pair_of(tie):
    """A tie as two responses that one can be asked about."""
    first, second = ([{"role": "assistant", "content": text}] for text in tie.responses)
    return PreferencePair(
        pair_id=tie.feedback_id, user_id=tie.user_id, prompt=tie.prompt, chosen=first, rejected=second
    )


def tie_shares(pairs, ties):
    """Share of ties of each user, drawn to that of all as if by ten more judgements."""
    usual = len(ties) / (len(pairs) + len(ties))
    said, chosen = by_user(ties), by_user(pairs)
    return {
        user: (len(said.get(user, ())) + 10 * usual)
        / (len(said.get(user, ())) + len(chosen.get(user, ())) + 10)
        for user in {*said, *chosen}
    }


def people(config, folder):
    """LLMFAO with and without ties in training: fitted on train for validation, on both for test."""
    pairs = load_dataset("llmfao", data_dir=folder)
    ties = ties_of(folder)
    parts = {part: [pair for pair in pairs if pair.split == part] for part in ties}
    found = {"ties": {part: len(some) for part, some in ties.items()}}
    for target, learned in (("validation", ("train",)), ("test", ("train", "validation"))):
        history = [pair for part in learned for pair in parts[part]]
        told = [tie for part in learned for tie in ties[part]]
        known = {pair.user_id for pair in history}
        asked = [pair for pair in parts[target] if pair.user_id in known]
        tied = [tie for tie in ties[target] if tie.user_id in known]
        model = reward_models.method(config["method"])(**config["params"])
        without = outcomes(model.fit(history), asked, tied, tie_shares(history, told))
        with_ties = outcomes(model.fit(history, feedback=told), asked, tied, None)
        owners = [pair.user_id for pair in asked], [it.user_id for it in (*asked, *tied)]
        figures = {}
        for name, place, whose, bounds in (
            ("accuracy", 0, owners[0], (-1.0, 1.0)),
            ("nll", 1, owners[0], (-5.0, 5.0)),
            ("three outcomes nll", 2, owners[1], (-5.0, 5.0)),
        ):
            figures[name] = {
                "without": float(without[place].mean()),
                "with": float(with_ties[place].mean()),
                "difference": difference(with_ties[place], without[place], whose, bounds),
            }
        found[target] = {"pairs": len(asked), "ties": len(tied), **figures}
        print(target, json.dumps(found[target]), flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--only", choices=("planted", "people"))
    options = parser.parse_args()
    config = tomllib.loads((HERE / "config.toml").read_text())
    studies = {"planted": lambda: planted(config["planted"])}
    if options.data_dir is not None:
        studies["people"] = lambda: people(config["people"], options.data_dir)
    for name, study in studies.items():
        if options.only in (None, name):
            (HERE / "results" / f"{name}.json").write_text(json.dumps(study(), indent=2) + "\n")


if __name__ == "__main__":
    main()

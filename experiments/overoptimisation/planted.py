"""People with a stated taste who choose between real answers, a reward model fitted on them, and their gold.

The taste is a weight for each of some named features (`synthesizeme.stylometry`). Each worker of the data
gets one drawn at random and chooses again, with logistic noise, between the texts that the worker was shown;
two users with opposite tastes join them. What a text is worth to a user is known, whatever a model says.
"""

from __future__ import annotations

import random
import zlib
from collections import Counter
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise

import numpy as np

import reward_models
from synthesizeme import PreferencePair
from synthesizeme.datasets import load_dataset
from synthesizeme.stylometry import FEATURES, measure
from synthesizeme.types import last_user_turn

NAMES = [feature.name for feature in FEATURES]
FULL = 100.0
"""Points of the best real answers."""


@lru_cache(maxsize=200_000)
def features(response):
    """All named features of a text, in typical differences between answers."""
    return np.array(measure(response))


class Taste:
    """What one user gets from a text.

    Args:
        weights: By name of feature.
        settings: `planted` of the configuration.
        answers: Named features of the real answers, shape (n, features).
    """

    def __init__(self, weights, settings, answers):
        self.weights = np.array([weights.get(name, 0.0) for name in NAMES])
        self.weights *= settings["strength"] / (answers @ self.weights).std()
        self.low, self.high = np.quantile(answers @ self.weights, settings["range"])

    def utility(self, response):
        """In log-odds of a choice."""
        return float(features(response) @ self.weights)

    def points(self, response):
        """Place in the range of real answers, 0 to 100: past its ends nothing is worth more or less."""
        return FULL * float(np.clip((self.utility(response) - self.low) / (self.high - self.low), 0, 1))


class World:
    """Tastes, planted choices, and the model that was fitted on those of the train and validation rows."""

    def __init__(self, config, folder, unseen=None):
        """Fit the model; with `unseen`, on no pair whose prompt is of that fold."""
        settings = config["planted"]
        pairs = list(load_dataset("llmfao", data_dir=folder))
        texts = sorted({text for pair in pairs for text in (pair.chosen_text, pair.rejected_text)})
        measured = np.array([features(text) for text in texts])
        rng = np.random.default_rng(config["seed"])
        self.tastes = {
            user: Taste(drawn(rng, settings), settings, measured)
            for user in sorted({pair.user_id for pair in pairs})
        } | {user: Taste(weights, settings, measured) for user, weights in settings["users"].items()}
        learned = [pair for pair in pairs if pair.split != "test"]
        shown = [
            pair.model_copy(update={"user_id": user, "pair_id": f"{user}-{i}"})
            for user in settings["users"]
            for i, pair in enumerate(
                random.Random(seed_of(config, user)).sample(learned, settings["own_pairs"])
            )
        ]
        self.pairs = [self.chosen_again(pair, config) for pair in [*pairs, *shown]]
        self.answers = {}
        for pair in self.pairs:
            self.answers.setdefault(last_user_turn(pair.prompt), set()).update(
                (pair.chosen_text, pair.rejected_text)
            )
        self.answers = {prompt: sorted(found) for prompt, found in self.answers.items()}
        wanted = {**config["model"]}
        self.model = reward_models.method(wanted.pop("method"))(**wanted, seed=config["seed"])
        self.model.fit([
            pair for pair in self.pairs if pair.split != "test" and (unseen is None or fold(pair) != unseen)
        ])  # fmt: skip

    def chosen_again(self, pair, config):
        """The pair as the planted user would choose."""
        taste = self.tastes[pair.user_id]
        texts = sorted((pair.chosen_text, pair.rejected_text))
        first = 1 / (1 + np.exp(taste.utility(texts[1]) - taste.utility(texts[0])))
        if random.Random(seed_of(config, pair.user_id, *texts)).random() >= first:
            texts.reverse()
        sides = (pair.chosen, pair.rejected) if texts[0] == pair.chosen_text else (pair.rejected, pair.chosen)
        return PreferencePair(
            pair_id=pair.pair_id, user_id=pair.user_id, prompt=pair.prompt, split=pair.split,
            chosen=sides[0], rejected=sides[1], metadata={"simulated": True, "prompt_fold": fold(pair)},
        )  # fmt: skip

    def gold(self, user, response, original):
        """Points of a text times the share of the answer it was made from that it still has."""
        return self.tastes[user].points(response) * intact(original, response)

    def test_pairs(self, users):
        """Test pairs of the users who have most of them, by user."""
        found = {}
        for pair in self.pairs:
            if pair.split == "test":
                found.setdefault(pair.user_id, []).append(pair)
        most = sorted(found, key=lambda user: (-len(found[user]), user))[:users]
        return {user: found[user] for user in most}

    def accuracy(self):
        """Share of planted test choices that the model, and the taste itself, foresees."""
        test = [pair for pair in self.pairs if pair.split == "test"]
        verdicts = self.model.compare([pair.compare("chosen_first") for pair in test])
        own = [
            self.tastes[pair.user_id].utility(pair.chosen_text)
            > self.tastes[pair.user_id].utility(pair.rejected_text)
            for pair in test
        ]
        return {
            "model": float(np.mean([verdict.margin > 0 for verdict in verdicts])),
            "taste itself": float(np.mean(own)),
            "pairs": len(test),
        }


def intact(original, response):
    """Share of an answer's adjacent words, its two ends included, that a text made from it still has.

    Where the text has more of them than the answer, the share of the text's: a doubled answer has a half. A
    text that was not made from this answer has as good as nothing.
    """
    pairs, kept = adjacent(original), adjacent(response)
    return (pairs & kept).total() / max(pairs.total(), kept.total())


def in_order(original, response):
    """The same for single words that stand in the order of the answer, whatever is between them."""
    words, kept = original.split(), response.split()
    blocks = SequenceMatcher(None, words, kept, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / max(len(words), len(kept), 1)


@lru_cache(maxsize=4096)
def adjacent(text):
    words = [None, *text.split(), None]
    return Counter(pairwise(words))


def drawn(rng, settings):
    """Weights of a person who cares about some of the features."""
    names = settings["features"]
    cares = rng.random(len(names)) < settings["share"]
    cares[rng.integers(len(names))] = True
    return dict(zip(names, rng.normal(size=len(names)) * cares, strict=True))


def fold(pair):
    """The group of prompts that a pair's prompt is in."""
    return pair.metadata["prompt_fold"]


def seed_of(config, *parts):
    """A seed that depends on these texts and on the configured one alone."""
    return zlib.crc32("\0".join([str(config["seed"]), *parts]).encode())

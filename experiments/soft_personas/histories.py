"""What a user's past pairs are written as, in front of a prompt: a few words, or the pairs themselves."""

from __future__ import annotations

import numpy as np

from reward_models.persona_prompted import PRIOR, STRONG, differences
from synthesizeme import stylometry

NAMED = ("exclamations", "hedging", "numbers", "warmth")
"""The features that a profile in words speaks of."""


class Words:
    """One word for each of the `NAMED` features, in their order: ``more_hedging much_less_numbers ...``.

    The statistic is that of the default profiler. The words are shorter and always of the same features, so
    that a backbone that was trained from scratch on a few thousand pairs can learn to read them.
    """

    def __init__(self, pairs):
        self.baseline = differences(pairs).mean(0)

    def __call__(self, pairs):
        apart = differences(pairs) - self.baseline
        found = apart.sum(0) / np.sqrt((apart**2).sum(0) + PRIOR)
        return " ".join(word(name, found[place]) for name, place in zip(NAMED, PLACES, strict=True))


PLACES = [[feature.name for feature in stylometry.FEATURES].index(name) for name in NAMED]


def word(name, statistic):
    much = "much_" if abs(statistic) >= STRONG else ""
    return f"{much}{'more' if statistic > 0 else 'less'}_{name}"


def all_words():
    return [word(name, size) for name in NAMED for size in (-9, -1, 1, 9)]


class PastPairs:
    """The pairs as text, ``prompt + chosen - rejected`` each, as many whole ones as `budget` tokens hold.

    Args:
        tokenizer: Counts the tokens.
        budget: Tokens at most.
        seed: Given for training: every text is of pairs drawn at random, for a budget drawn up to `budget`,
            so that one model reads histories of every length. Without it they are the last pairs.
    """

    def __init__(self, tokenizer, budget, seed=None):
        self.tokenizer, self.budget = tokenizer, budget
        self.rng = None if seed is None else np.random.default_rng(seed)

    def __call__(self, pairs):
        left, order, shown = self.budget, list(pairs)[::-1], []
        if self.rng is not None:
            left, order = (
                self.rng.uniform(0, self.budget),
                self.rng.permutation(np.array(order, dtype=object)),
            )
        for pair in order:
            text = f"{pair.prompt[-1].content} + {pair.chosen_text} - {pair.rejected_text}"
            left -= len(self.tokenizer(text, add_special_tokens=False)["input_ids"])
            if left < 0:
                break
            shown.append(text)
        return " ".join(shown[::-1])

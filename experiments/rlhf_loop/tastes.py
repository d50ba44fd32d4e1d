"""A small grammar of answers, people with tastes in them, and what is true of a text whatever a model says.

An answer is one to six sentences about what was asked, each ending calmly or exclaiming. A person's taste is
a weight for long answers and a weight for exclaiming ones; they choose by it, with logistic noise.
"""

from __future__ import annotations

import re

import numpy as np

from synthesizeme import Message, PreferencePair

ADJECTIVES = ("old", "small", "quiet", "red", "tall", "bright", "young", "grey")
NOUNS = (
    "ship",
    "fox",
    "tower",
    "river",
    "market",
    "garden",
    "horse",
    "bridge",
    "island",
    "clock",
    "forest",
    "lamp",
)
VERBS = ("waits", "moves", "rests", "turns", "shines", "sleeps", "stands", "drifts")
PLACES = ("near", "behind", "above", "below", "beside")
MOST = 6
"""Sentences of the longest answer."""
TASTES = {"calm": (-1.5, -1.5), "lively": (1.5, 1.5)}
"""The two users of the loop: weights of length and of exclaiming."""

_ONE = f"(?:(?:{'|'.join(ADJECTIVES)}) )?(?:{'|'.join(NOUNS)})"
_SENTENCE = rf"The {_ONE} (?:{'|'.join(VERBS)})(?: (?:{'|'.join(PLACES)}) the {_ONE})?[.!]"
_ANSWER = re.compile(rf" {_SENTENCE}(?: {_SENTENCE}){{0,{MOST - 1}}}")


def prompts():
    """Every question, in a fixed order."""
    return [f"Tell me about the {adjective} {noun}." for noun in NOUNS for adjective in ADJECTIVES]


def answer(rng, prompt):
    """An answer of the neutral mixture: any length, any share of exclaiming sentences."""
    exclaiming = rng.random()
    about = [_asked(prompt), *[None] * (MOST - 1)][: rng.integers(1, MOST + 1)]
    return "".join(f" {_sentence(rng, noun)}{'!' if rng.random() < exclaiming else '.'}" for noun in about)


def parses(prompt, text):
    """Whether a text is an answer of the grammar, complete, and begins with what was asked about."""
    return bool(_ANSWER.fullmatch(text)) and re.match(rf" The (?:\w+ )?{_asked(prompt)} ", text) is not None


def properties(text):
    """Number of words, and the share of sentence ends that exclaim."""
    ends = re.findall(r"[.!]", text)
    return len(re.findall(r"\w+", text)), ends.count("!") / max(1, len(ends))


def utility(taste, text):
    """What a person with this taste gets from a text, in log-odds of choosing it."""
    words, exclaiming = properties(text)
    return taste[0] * (words - 20) / 10 + taste[1] * (2 * exclaiming - 1)


def chooses(taste, first, second):
    """P(a person with this taste chooses the first text)."""
    return 1 / (1 + np.exp(utility(taste, second) - utility(taste, first)))


def choices(rng, person, taste, number, asked):
    """Preference pairs of one person over neutral answers."""
    pairs = []
    while len(pairs) < number:
        prompt = str(rng.choice(asked))
        texts = [answer(rng, prompt) for _ in range(2)]
        if texts[0] == texts[1]:
            continue
        if rng.random() > chooses(taste, *texts):
            texts.reverse()
        chosen, rejected = ((Message(role="assistant", content=text.strip()),) for text in texts)
        pairs.append(
            PreferencePair(pair_id=f"{person}-{len(pairs)}", user_id=person, chosen=chosen, rejected=rejected,
                           prompt=(Message(role="user", content=prompt),))
        )  # fmt: skip
    return pairs


def _asked(prompt):
    return prompt.rstrip(".").rpartition(" ")[2]


def _sentence(rng, noun):
    where = f" {_one_of(rng, PLACES)} the {_thing(rng)}" if rng.random() < 0.5 else ""
    return f"The {_thing(rng, noun)} {_one_of(rng, VERBS)}{where}"


def _thing(rng, noun=None):
    adjective = f"{_one_of(rng, ADJECTIVES)} " if rng.random() < 0.4 else ""
    return f"{adjective}{noun or _one_of(rng, NOUNS)}"


def _one_of(rng, words):
    return words[rng.integers(len(words))]

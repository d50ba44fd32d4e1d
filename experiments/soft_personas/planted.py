"""People with planted tastes, who choose between short texts of a small grammar.

A text has each of the `ATTRIBUTES` or not, and may begin with a refusal. Person u values text y, in answer to
a prompt of kind k (+1 a question, -1 an order), at

    value(u, k, y) = sum_a (general[u, a] + k * by_kind[u, a]) * y_a - REFUSED * refused(y)

and prefers y to z with probability sigma(value(y) - value(z)). `general` is drawn around `SHARED`, which is
all that a reader who knows nobody can learn, besides that a refusal is bad; `by_kind` is drawn around zero
and is what only a reader of the prompt can follow.
"""

from __future__ import annotations

import numpy as np

from synthesizeme import Message, PreferencePair
from synthesizeme.types import SIMULATED

ATTRIBUTES = ("exclaims", "hedged", "numbers", "warm")
SHARED = (0.8, -0.8, 0.8, -0.8)
"""Mean general taste of each attribute."""
REFUSED = 1.5
THINGS = ("ship", "garden", "bridge", "river", "market", "window", "engine", "forest")
NUMBERS = ("20", "35", "70")
FILL = (
    "the",
    "sails",
    "over",
    "calm",
    "water",
    "toward",
    "a",
    "small",
    "island",
    "near",
    "home",
    "with",
    "old",
)


def people(number, settings, seed):
    """Tastes (number, 2, A) for the first A attributes: general ones, and those that turn with the kind."""
    size = settings["attributes"]
    means = np.array([SHARED[:size], np.zeros(size)])
    scales = np.array([settings["general"], settings["by_kind"]])[:, None]
    return means + scales * np.random.default_rng(seed).normal(0, 1, (number, *means.shape))


def choices(tastes, pairs, seed, name="u"):
    """`pairs` choices of each person, as a list of pairs; what is true of a pair is in its metadata."""
    rng = np.random.default_rng(seed)
    return [choice(rng, f"{name}{u}", i, taste) for u, taste in enumerate(tastes) for i in range(pairs)]


def choice(rng, user, number, taste):
    thing, kind = rng.choice(THINGS), int(rng.choice((1, -1)))
    prompt = f"what about the {thing} ?" if kind > 0 else f"describe the {thing} ."
    size = taste.shape[1]
    one, other = written(rng, thing, size), written(rng, thing, size)
    while one[1] == other[1]:
        other = written(rng, thing, size)
    chance = 1 / (1 + np.exp(value(taste, kind, other) - value(taste, kind, one)))
    if rng.random() >= chance:
        one, other, chance = other, one, 1 - chance
    return PreferencePair(
        pair_id=f"{user}-{number}",
        user_id=user,
        prompt=(Message(role="user", content=prompt),),
        chosen=(Message(role="assistant", content=one[0]),),
        rejected=(Message(role="assistant", content=other[0]),),
        metadata={
            "kind": kind,
            "chance": float(chance),
            SIMULATED: {"by": "planted", "persona": user},
        },
    )


def value(taste, kind, text):
    _, attributes, refused = text
    return float((taste[0] + kind * taste[1]) @ np.array(attributes[: taste.shape[1]])) - REFUSED * refused


def read(text):
    """The attributes of a text (0 or 1) and, last, whether it refuses."""
    signs = (("!",), ("perhaps",), NUMBERS, ("happy",), ("cannot",))
    return [int(any(sign in text for sign in of)) for of in signs]


def written(rng, thing, size):
    """A text, its attributes (0 or 1; only the first `size` are ever there), and whether it refuses."""
    attributes = [int(has) if a < size else 0 for a, has in enumerate(rng.integers(0, 2, len(ATTRIBUTES)))]
    exclaims, hedged, numbers, warm = attributes
    refused = bool(rng.random() < 0.3)
    words = [*rng.choice(FILL, int(rng.integers(1, 4))), thing]
    if hedged:
        words.insert(int(rng.integers(len(words))), "perhaps")
    if numbers:
        words.insert(int(rng.integers(len(words))), str(rng.choice(NUMBERS)))
    opening = (["i cannot say ,"] if refused else []) + (["happy friend ,"] if warm else [])
    return " ".join([*opening, *words, "!" if exclaims else "."]), attributes, refused

"""A population of two tastes that named features, embeddings and a tiny backbone can all see.

Every other user prefers responses that say "sunny" and end with "!" to responses that say "frosty" and end
with "?"; the others prefer the opposite. Nobody agrees with everybody, so a model that does not know the user
is at chance, and another taste's history must mislead.
"""

from __future__ import annotations

import numpy as np

import reward_models
from synthesizeme.types import Message, PreferencePair

FILL = ["the", "ship", "sails", "over", "calm", "water", "toward", "a", "small", "island", "near", "home"]
SUNNY, FROSTY = ("sunny", "!"), ("frosty", "?")


def population(n_users=10, n_pairs=16, *, tastes=(SUNNY, FROSTY), seed=0, validation=0):
    """Pairs of users u0, u1, ...; user number i has ``tastes[i % len(tastes)]``.

    The last `validation` pairs of each user are of that split, the others of train; with 0 none has a split.
    """
    rng = np.random.default_rng(seed)
    splits = (
        [*["train"] * (n_pairs - validation), *["validation"] * validation]
        if validation
        else [None] * n_pairs
    )
    return [
        pair(rng, f"u{user}", number, tastes[user % len(tastes)], splits[number])
        for user in range(n_users)
        for number in range(n_pairs)
    ]


def saved(folder):
    """The folder of a model that knows u0 to u5: those with even numbers like sunny answers, the others frosty."""
    method = reward_models.method("hierarchical-stylometric")
    method(variances="fixed").fit(population(6, 16)).save(folder)
    return folder


def pair(rng, user, number, liked, split=None):
    prompt = f"What of the {rng.choice(FILL)} and the {rng.choice(FILL)}?"
    return PreferencePair(
        pair_id=f"{user}-{number}",
        user_id=user,
        prompt=(Message(role="user", content=prompt),),
        chosen=(Message(role="assistant", content=saying(rng, liked)),),
        rejected=(Message(role="assistant", content=saying(rng, FROSTY if liked == SUNNY else SUNNY)),),
        split=split,
    )


def saying(rng, taste):
    word, mark = taste
    words = list(rng.choice(FILL, size=int(rng.integers(3, 7))))
    words.insert(int(rng.integers(len(words))), word)
    return " ".join(words) + mark


def texts(pairs):
    """Everything a tokenizer should know."""
    roles = ["system: user: assistant:"] * 5
    return roles + [t for p in pairs for t in (p.prompt[-1].content, p.chosen_text, p.rejected_text)]


def asked_as(pairs, user_id):
    """The same pairs, as if they were another user's."""
    return [pair.model_copy(update={"user_id": user_id}) for pair in pairs]


def accuracy(model, pairs):
    """Share of pairs whose chosen response the model prefers."""
    verdicts = model.compare([pair.compare("chosen_first") for pair in pairs])
    return float(np.mean([verdict.preference == "first" for verdict in verdicts]))

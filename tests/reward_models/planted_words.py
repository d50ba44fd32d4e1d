"""Users who prefer responses that say one word to responses that say another: learned by a tiny backbone.

The words carry an exclamation and a question mark, so that named features tell them apart too.
"""

from __future__ import annotations

from copy import copy

import numpy as np

from synthesizeme.types import Message, PreferencePair

FILL = ["the", "ship", "sails", "over", "calm", "water", "toward", "a", "small", "island", "near", "home"]
WARM, COLD = "sunny!", "frosty?"


def population(n_users=8, n_pairs=12, *, tastes=(WARM, COLD), seed=0, split=None):
    """Pairs of users u0, u1, ...; user number i prefers the word ``tastes[i % len(tastes)]`` to the other."""
    rng = np.random.default_rng(seed)
    return [
        pair(rng, f"u{user}", number, tastes[user % len(tastes)], split)
        for user in range(n_users)
        for number in range(n_pairs)
    ]


def pair(rng, user, number, liked, split=None):
    disliked = COLD if liked == WARM else WARM
    prompt = f"What of the {rng.choice(FILL)} and the {rng.choice(FILL)}?"
    return PreferencePair(
        pair_id=f"{user}-{number}",
        user_id=user,
        prompt=(Message(role="user", content=prompt),),
        chosen=(Message(role="assistant", content=saying(rng, liked)),),
        rejected=(Message(role="assistant", content=saying(rng, disliked)),),
        split=split,
    )


def saying(rng, word):
    words = list(rng.choice(FILL, size=int(rng.integers(3, 7))))
    words.insert(int(rng.integers(len(words))), word)
    return " ".join(words)


def texts(pairs):
    """Everything a tokenizer should know."""
    roles = ["system: user: assistant:"] * 5
    return roles + [t for p in pairs for t in (p.prompt[-1].content, p.chosen_text, p.rejected_text)]


def accuracy(model, pairs, *, user=None):
    """Share of pairs whose chosen response the model prefers, asked as `user` if given.

    By taste alone: the responses are words in no order, which a floor may know for what they are.
    """
    model = copy(model).stand_on("none")
    as_asked = [p.model_copy(update={"user_id": user or p.user_id}) for p in pairs]
    verdicts = model.compare([p.compare("chosen_first") for p in as_asked])
    return float(np.mean([v.preference == "first" for v in verdicts]))

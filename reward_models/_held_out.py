"""Which pairs a method sets aside to choose its settings by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reward_models._types import Histories
from synthesizeme.types import PreferencePair

HELD_OUT_SHARE = 0.2
"""Share of every user's pairs set aside where the data has no validation rows."""


def held_out_split(histories: Histories, seed: int) -> tuple[list[PreferencePair], list[PreferencePair]]:
    """The pairs to learn from and the pairs to choose by, both in the order of the users.

    The second are the rows of the validation split; where there is none, or nothing else, a seeded fifth
    (rounded down) of every user's pairs. It is empty where nobody has five pairs.
    """
    pairs = [pair for user_pairs in histories.values() for pair in user_pairs]
    held = {id(pair) for pair in pairs if pair.split == "validation"}
    if not 0 < len(held) < len(pairs):
        rng = np.random.default_rng(seed)
        held = set()
        for user_pairs in histories.values():
            drawn = rng.permutation(len(user_pairs))[: int(HELD_OUT_SHARE * len(user_pairs))]
            held |= {id(user_pairs[i]) for i in drawn}
    return [pair for pair in pairs if id(pair) not in held], [pair for pair in pairs if id(pair) in held]


def by_user(pairs: Sequence[PreferencePair]) -> dict[str, list[PreferencePair]]:
    """Pairs by user id, users in the order of their first pair."""
    found: dict[str, list[PreferencePair]] = {}
    for pair in pairs:
        found.setdefault(pair.user_id, []).append(pair)
    return found

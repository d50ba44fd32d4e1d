"""Whether a user's history changes what a fitted model says: own, nobody's and swapped history compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reward_models._estimates import Estimates
from reward_models._types import Prompt, UserState
from synthesizeme.feedback import UserWords
from synthesizeme.types import PreferencePair

USERS, PAIRS = 8, 16
"""At most so many users are asked about, and of each so many of their own training pairs."""
NOTHING = 0.01
"""A history that decides a smaller share of verdicts, or moves margins less (log-odds), changes nothing."""


@dataclass(frozen=True)
class Sampled:
    """A few training users with a few of their pairs: kept in memory alone, never saved."""

    pairs: Mapping[str, Sequence[PreferencePair]] = field(default_factory=dict)
    """Pairs by user id."""
    words: Mapping[str, UserWords] = field(default_factory=dict)
    """What these users said beside their choices."""

    def without(self, users: set[str]) -> Sampled:
        """The sample less some users."""
        return Sampled(
            {user: pairs for user, pairs in self.pairs.items() if user not in users},
            {user: said for user, said in self.words.items() if user not in users},
        )


def sampled(
    histories: Mapping[str, Sequence[PreferencePair]], words: Mapping[str, UserWords], seed: int
) -> Sampled:
    """A sample of `histories`, drawn by `seed`."""
    rng = np.random.default_rng(seed)
    names = list(histories)
    users = [names[i] for i in sorted(rng.permutation(len(names))[:USERS].tolist())]
    pairs = {
        user: [histories[user][i] for i in sorted(rng.permutation(len(histories[user]))[:PAIRS].tolist())]
        for user in users
    }
    return Sampled(pairs, {user: words[user] for user in users if user in words})


def user_effect(
    user_state: Callable[[Sequence[PreferencePair], UserWords | None], UserState],
    margins: Callable[
        [Sequence[Prompt], Sequence[str], Sequence[str], Sequence[UserState | None]], Estimates
    ],
    sample: Sampled,
) -> dict[str, float]:
    """How far margins of the sampled pairs move with the history that they are read with.

    Three states answer for each user: one made of the sampled pairs, none, and one made of the same pairs
    with their labels swapped. It shows whether a history is read, not whether it helps: these pairs were
    trained on.

    Args:
        user_state: State of a user by pairs and words.
        margins: Margins of pairs of responses for users with these states.
        sample: The pairs.

    Returns:
        ``own history moves a margin by``: mean absolute difference to nobody's margin, in log-odds.
        ``swapped labels by``: to the margin with swapped labels. ``share of verdicts moved``: of pairs on
        which the preferred response differs from nobody's, or from that with swapped labels.
        ``user changes nothing``: whether that share, or both mean differences, are below `NOTHING`.
        Empty without a sampled pair.
    """
    asked = [(user, pair) for user, pairs in sample.pairs.items() for pair in pairs]
    if not asked:
        return {}
    own, swapped = {}, {}
    for user, pairs in sample.pairs.items():
        said = sample.words.get(user)
        own[user] = user_state(pairs, said)
        swapped[user] = user_state([pair.swapped_labels() for pair in pairs], said)
    states = [
        *(own[user] for user, _ in asked),
        *(None for _ in asked),
        *(swapped[user] for user, _ in asked),
    ]
    found = margins(
        [pair.prompt for _, pair in asked] * 3,
        [pair.chosen_text for _, pair in asked] * 3,
        [pair.rejected_text for _, pair in asked] * 3,
        states,
    ).value.reshape(3, len(asked))
    to_nobody, to_swapped = np.abs(found[0] - found[1:]).mean(axis=1)
    share = float((np.sign(found[0]) != np.sign(found[1:])).any(axis=0).mean())
    return {
        "own history moves a margin by": round(float(to_nobody), 3),
        "swapped labels by": round(float(to_swapped), 3),
        "share of verdicts moved": round(share, 3),
        "user changes nothing": share < NOTHING or bool(max(to_nobody, to_swapped) < NOTHING),
    }

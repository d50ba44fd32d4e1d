"""Pairs of training: what may be learned from, what is set aside, and whether a user's own are heeded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from reward_models._types import SILENT, Asked, Estimates, Histories, Prompt, Said, Sayings, UserState
from synthesizeme import display
from synthesizeme.errors import DataError
from synthesizeme.feedback import Judgement, UserWords
from synthesizeme.types import PreferencePair


def refuse_test_rows(pairs: Sequence[PreferencePair]) -> None:
    """Refuse to learn from a test pair, and from what is no pair.

    Raises:
        DataError: one of `pairs` is of the test split, or no `PreferencePair`.
    """
    for number, pair in enumerate(pairs, start=1):
        if not isinstance(pair, PreferencePair):
            raise DataError(
                f"row {number}: found {display.shortened(str(pair))!r}, a {type(pair).__name__}; expected a "
                "PreferencePair",
                cure="read rows of other shapes with synthesizeme.read_pairs(rows).pairs",
            )
    _refuse_held_out("pairs", [(pair.pair_id, pair.split) for pair in pairs])


def refuse_test_feedback(feedback: Sequence[Judgement]) -> None:
    """Refuse to learn from feedback of the test split, and from what is none.

    Raises:
        DataError: one of `feedback` is of the test split, or no `Judgement`.
    """
    for number, it in enumerate(feedback, start=1):
        if not isinstance(it, Judgement):
            raise DataError(
                f"feedback {number}: found {display.shortened(str(it))!r}, a {type(it).__name__}; expected a "
                "Tie, Ranking, Rating, Edit or Trait",
                cure="give choices as pairs, and what a user said of themself as words.",
            )
    _refuse_held_out("pieces of feedback", [(it.feedback_id, it.split) for it in feedback])


def _refuse_held_out(what: str, splits: Sequence[tuple[str, str | None]]) -> None:
    """Refuse what is of the test split, each with its id."""
    held_out = [name for name, split in splits if split == "test"]
    if held_out:
        raise DataError(
            f"{len(held_out)} of {len(splits)} {what} to learn from are of the test split, the first is "
            f"{held_out[0]!r}",
            field="split",
            cure="leave the test rows out.",
        )


def refuse_foreign(
    histories: Mapping[str, Sequence[PreferencePair]], feedback: Mapping[str, Sequence[Judgement]]
) -> None:
    """Refuse test rows, and pairs and feedback that stand under another user's name.

    Raises:
        DataError: a pair or a piece of feedback is of the test split or of another user.
    """
    for user_id, pairs in histories.items():
        refuse_test_rows(pairs)
        _refuse_others(user_id, "pairs", [(pair.user_id, pair.pair_id) for pair in pairs])
    for user_id, some in feedback.items():
        refuse_test_feedback(some)
        _refuse_others(user_id, "pieces of feedback", [(it.user_id, it.feedback_id) for it in some])


def _refuse_others(user_id: str, what: str, found: Sequence[tuple[str, str]]) -> None:
    others = [(owner, name) for owner, name in found if owner != user_id]
    if others:
        raise DataError(
            f"fit_user({user_id!r}) got {len(others)} {what} of other users, the first is "
            f"{others[0][1]!r} of {others[0][0]!r}",
            field="user_id",
            cure=f"pass the {what} of one user.",
        )


def refuse_lent(words: Mapping[str, UserWords]) -> None:
    """Refuse words that stand under another user's name.

    Raises:
        DataError: words are another user's.
    """
    for user_id, said in words.items():
        if said.user_id != user_id:
            raise DataError(
                f"the words given for user {user_id!r} are those of {said.user_id!r}",
                field="user_id",
                cure="pass the user's own words, or lend them on purpose with UserWords.lent_to.",
            )


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


def both_sides(pairs: Sequence[PreferencePair]) -> tuple[list[Prompt], list[str]]:
    """Prompts and responses of pairs: the chosen ones, then the rejected ones."""
    texts = [pair.chosen_text for pair in pairs] + [pair.rejected_text for pair in pairs]
    return [pair.prompt for pair in [*pairs, *pairs]], texts


def content(pair: PreferencePair) -> tuple[object, frozenset[str]]:
    """What a pair compares, whichever side was chosen."""
    return pair.prompt, frozenset((pair.chosen_text, pair.rejected_text))


USERS, PAIRS = 8, 16
"""At most so many users are asked about, and of each so many of their own training pairs."""
NOTHING = 0.01
"""A history that decides a smaller share of verdicts, or moves margins less (log-odds), changes nothing."""


@dataclass(frozen=True)
class Sampled:
    """A few training users with a few of their pairs: kept in memory alone, never saved."""

    pairs: Mapping[str, Sequence[PreferencePair]] = field(default_factory=dict)
    """Pairs by user id."""
    sayings: Sayings = field(default_factory=dict)
    """What these users said beside their choices."""

    def without(self, users: set[str]) -> Sampled:
        """The sample less some users."""
        return Sampled(
            {user: pairs for user, pairs in self.pairs.items() if user not in users},
            {user: said for user, said in self.sayings.items() if user not in users},
        )


def sampled(histories: Mapping[str, Sequence[PreferencePair]], sayings: Sayings, seed: int) -> Sampled:
    """A sample of `histories`, drawn by `seed`."""
    rng = np.random.default_rng(seed)
    names = list(histories)
    users = [names[i] for i in sorted(rng.permutation(len(names))[:USERS].tolist())]
    pairs = {
        user: [histories[user][i] for i in sorted(rng.permutation(len(histories[user]))[:PAIRS].tolist())]
        for user in users
    }
    return Sampled(pairs, {user: sayings[user] for user in users if user in sayings})


def user_effect(
    user_state: Callable[[Sequence[PreferencePair], Said], UserState],
    margins: Callable[[Asked, Asked], Estimates],
    sample: Sampled,
) -> dict[str, float]:
    """How far margins of the sampled pairs move with the history that they are read with.

    Three states answer for each user: one made of the sampled pairs, none, and one made of the same pairs
    with their labels swapped. It shows whether a history is read, not whether it helps: these pairs were
    trained on.

    Args:
        user_state: State of a user by pairs and sayings.
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
        said = sample.sayings.get(user, SILENT)
        own[user] = user_state(pairs, said)
        swapped[user] = user_state([pair.swapped_labels() for pair in pairs], said)
    states = [
        *(own[user] for user, _ in asked),
        *(None for _ in asked),
        *(swapped[user] for user, _ in asked),
    ]
    prompts, texts = both_sides([pair for _, pair in asked])
    n = len(asked)
    firsts = Asked(prompts[:n] * 3, texts[:n] * 3, states)
    found = margins(firsts, firsts._replace(responses=texts[n:] * 3)).value.reshape(3, n)
    to_nobody, to_swapped = np.abs(found[0] - found[1:]).mean(axis=1)
    share = float((np.sign(found[0]) != np.sign(found[1:])).any(axis=0).mean())
    return {
        "own history moves a margin by": round(float(to_nobody), 3),
        "swapped labels by": round(float(to_swapped), 3),
        "share of verdicts moved": round(share, 3),
        "user changes nothing": share < NOTHING or bool(max(to_nobody, to_swapped) < NOTHING),
    }

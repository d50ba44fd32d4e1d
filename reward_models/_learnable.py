"""What a model may learn from: no test rows, and nobody else's pairs or words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from synthesizeme import display
from synthesizeme.errors import DataError
from synthesizeme.feedback import UserWords
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
    held_out = [pair.pair_id for pair in pairs if pair.split == "test"]
    if held_out:
        raise DataError(
            f"{len(held_out)} of {len(pairs)} pairs to learn from are of the test split, the first is "
            f"{held_out[0]!r}",
            field="split",
            cure="leave the test rows out.",
        )


def refuse_foreign(histories: Mapping[str, Sequence[PreferencePair]]) -> None:
    """Refuse test rows, and pairs that stand under another user's name.

    Raises:
        DataError: a pair is of the test split or of another user.
    """
    for user_id, pairs in histories.items():
        refuse_test_rows(pairs)
        others = [pair for pair in pairs if pair.user_id != user_id]
        if others:
            raise DataError(
                f"fit_user({user_id!r}) got {len(others)} pairs of other users, the first is "
                f"{others[0].pair_id!r} of {others[0].user_id!r}",
                field="user_id",
                cure="pass the pairs of one user.",
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

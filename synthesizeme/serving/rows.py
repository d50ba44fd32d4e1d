"""What is asked of a reward model, and own words, as they stand in foreign rows: text, documents."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from typing import Any

from synthesizeme.datasets import CutText, words_of
from synthesizeme.datasets.rows import SourceRow, read_prompt, read_response, read_user
from synthesizeme.errors import DataError, UnknownUserError
from synthesizeme.feedback import LONGEST_TEXT, UserWords
from synthesizeme.plain_text import short_repr
from synthesizeme.serving.rewards import RewardQuestion, ScalarRewards, Score

ABOUT = "about"
"""Field of a row with what its user said beside choices; optional."""
PESSIMISM = "pessimism"
"""Field of a row with the standard errors to be taken off its reward; optional."""
MOST_PESSIMISM = 1e6
_log = logging.getLogger(__name__)


class VerlResult(dict[str, Any]):
    """What verl's reward managers take for the reward of one response.

    A dict with ``score``, which most managers read; ``prime`` takes the first of what it gets instead. It
    stands here since verl loads its adapter by path, and what is defined there cannot be pickled.
    """

    def __missing__(self, key: object) -> Any:
        if key == 0:
            return self["score"]
        raise KeyError(key)


def read_words(value: Any, user_id: str, place: SourceRow) -> tuple[UserWords, list[CutText]]:
    """What a user said: bare text, in which they describe themself, or a document with fields of `UserWords`.

    Args:
        value: The text or document.
        user_id: Whose words they are.
        place: Where they stand.

    Returns:
        The words, and which of the texts are longer than is kept.

    Raises:
        DataError: they say nothing, a field is wrong, or they name another user.
    """
    document = {"about": value} if isinstance(value, str) else value
    if not isinstance(document, dict):
        raise place.error(f"found {short_repr(value)}; expected text or an object", field=ABOUT)
    if document.get("user_id") not in (None, user_id):
        raise place.error("are words of another user", field="user_id")
    return words_of(SourceRow(place.source, place.line, {**document, "user_id": user_id}))


def read_about(place: SourceRow, user_id: str) -> UserWords | None:
    """What a row says of its user, if it says anything; of a text that is too long the beginning.

    Raises:
        DataError: it says nothing, a field is wrong, or it is of another user.
    """
    value = place.row.get(ABOUT)
    if value is None:
        return None
    said, cut = read_words(value, user_id, place)
    if cut:
        _say_cut(place.source)
    return said


def read_pessimism(place: SourceRow) -> float | None:
    """The standard errors that a row wants taken off its reward, if it says so.

    Raises:
        DataError: it is no number from 0 to `MOST_PESSIMISM`.
    """
    value = place.row.get(PESSIMISM)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_PESSIMISM:
        raise place.error(
            f"found {short_repr(value)}; expected standard errors from 0 to {MOST_PESSIMISM:,.0f}",
            field=PESSIMISM,
        )
    return float(value)


def read_question(place: SourceRow) -> RewardQuestion:
    """A row with ``user_id``, ``prompt`` and ``response``, and maybe ``about`` and ``pessimism``.

    Raises:
        DataError: one of them is missing or wrong.
    """
    user_id = read_user(place)
    said = read_about(place, user_id)
    return RewardQuestion(user_id, read_prompt(place), read_response(place), said, read_pessimism(place))


def tried(place: SourceRow) -> RewardQuestion | DataError:
    """`read_question`, or what is wrong with the row."""
    try:
        return read_question(place)
    except DataError as error:
        return error


def answered(rewards: ScalarRewards, rows: Sequence[RewardQuestion | DataError]) -> list[Score]:
    """A score for every row, also for those that could not be read.

    Raises:
        RewardError: a row cannot be read or scored and `on_error` is ``raise``.
    """
    scores = iter(rewards.scores([row for row in rows if not isinstance(row, DataError)]))
    return rewards.insist(
        [rewards.unread(row) if isinstance(row, DataError) else next(scores) for row in rows]
    )


def refusal(asked: Sequence[RewardQuestion | DataError], found: Sequence[Score]) -> UnknownUserError | None:
    """Why a batch is refused as a whole: one of its users is unknown, and unknown users are refused."""
    for row, score in zip(asked, found, strict=True):
        if isinstance(row, RewardQuestion) and score.status == "unknown_user":
            return UnknownUserError(row.user_id)
    return None


@cache
def _say_cut(source: str) -> None:
    _log.warning(
        "%s: words of a user are longer than %d characters, of which the beginning is read (said once)",
        source,
        LONGEST_TEXT,
    )

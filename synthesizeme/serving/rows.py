"""Prompts, responses and own words as they stand in foreign rows: text, messages, documents."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from numbers import Integral
from typing import Any

from pydantic import ValidationError

from synthesizeme.datasets import CutText, words_of
from synthesizeme.datasets.rows import SourceRow, messages, short_repr
from synthesizeme.errors import DataError, UnknownUserError
from synthesizeme.feedback import LONGEST_TEXT, UserWords
from synthesizeme.serving.protocol import Question, ScalarRewards, Score
from synthesizeme.types import Message

ABOUT = "about"
"""Field of a row with what its user said beside choices; optional."""
PESSIMISM = "pessimism"
"""Field of a row with the standard errors to be taken off its reward; optional."""
MOST_PESSIMISM = 1e6
_log = logging.getLogger(__name__)


def read_prompt(place: SourceRow, field: str = "prompt") -> tuple[Message, ...]:
    """The conversation of a row, ending with a user turn; bare text is a user turn.

    Raises:
        DataError: it is missing, blank, not made of messages, or ends with another turn.
    """
    value = place.row.get(field)
    if value is None:
        raise place.error("is missing", field=field)
    try:
        turns = [Message(**turn) for turn in messages(place, field, value, role="user")]
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise place.error(
            f"a message is wrong: {problem['loc'][-1]}: {problem['msg']}", field=field
        ) from None
    if not turns or turns[-1].role != "user":
        raise place.error("does not end with a user turn", field=field)
    return tuple(turns)


def read_response(place: SourceRow, field: str = "response", *, blank: bool = True) -> str:
    """The text of a response, or of its one message.

    Args:
        place: The row.
        field: Where the response stands.
        blank: Whether it may say nothing, as a policy's may.

    Raises:
        DataError: it is missing, not text, more than one message, or blank where that is not allowed.
    """
    value = place.row.get(field)
    if value is None:
        raise place.error("is missing", field=field)
    turns = messages(place, field, value, role="assistant")
    if len(turns) != 1:
        raise place.error(f"found {len(turns)} messages; expected one", field=field)
    if not blank and not turns[0]["content"].strip():
        raise place.error("is blank; expected text", field=field)
    return str(turns[0]["content"])


def read_user(place: SourceRow, field: str = "user_id") -> str:
    """The id of a row's user; a whole number is its digits.

    Raises:
        DataError: it is missing, blank, or neither text nor a whole number.
    """
    value = place.row.get(field)
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    if not isinstance(value, str) or not value.strip():
        raise place.error(
            f"found {short_repr(value)}, which names no user; expected text that is not blank, or a whole "
            "number",
            field=field,
        )
    return value


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
        DataError: it is no number from 0 on.
    """
    value = place.row.get(PESSIMISM)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_PESSIMISM:
        raise place.error(
            f"found {short_repr(value)}; expected a number of standard errors from 0 on", field=PESSIMISM
        )
    return float(value)


def read_question(place: SourceRow) -> Question:
    """A row with ``user_id``, ``prompt`` and ``response``, and maybe ``about`` and ``pessimism``.

    Raises:
        DataError: one of them is missing or wrong.
    """
    user_id = read_user(place)
    said = read_about(place, user_id)
    return Question(user_id, read_prompt(place), read_response(place), said, read_pessimism(place))


def tried(place: SourceRow) -> Question | DataError:
    """`read_question`, or what is wrong with the row."""
    try:
        return read_question(place)
    except DataError as error:
        return error


def answered(rewards: ScalarRewards, rows: Sequence[Question | DataError]) -> list[Score]:
    """A score for every row, also for those that could not be read.

    Raises:
        RewardError: a row cannot be read or scored and `on_error` is ``raise``.
    """
    scores = iter(rewards.scores([row for row in rows if not isinstance(row, DataError)]))
    return rewards.insist(
        [rewards.unread(row) if isinstance(row, DataError) else next(scores) for row in rows]
    )


def refusal(asked: Sequence[Question | DataError], found: Sequence[Score]) -> UnknownUserError | None:
    """Why a batch is refused as a whole: one of its users is unknown, and unknown users are refused."""
    for row, score in zip(asked, found, strict=True):
        if isinstance(row, Question) and score.status == "unknown_user":
            return UnknownUserError(row.user_id)
    return None


@cache
def _say_cut(source: str) -> None:
    _log.warning(
        "%s: words of a user are longer than %d characters, of which the beginning is read (said once)",
        source,
        LONGEST_TEXT,
    )

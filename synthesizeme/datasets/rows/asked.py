"""What is asked about, as it stands in foreign rows: a user, a conversation, responses to it."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from synthesizeme.datasets.rows.held import plain
from synthesizeme.datasets.rows.pairs import messages
from synthesizeme.datasets.rows.report import SourceRow, short_repr
from synthesizeme.datasets.rows.turns import name_text
from synthesizeme.errors import DataError
from synthesizeme.types import Comparison, Message

_CURE = "give text that is not blank, or messages with role and content, of which the last is the user's"

_NAMED = "name the user of the row, as text or a whole number"


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
    """The id of a row's user by the rule of `name_text`: a whole number is its digits, also as 3.0.

    Raises:
        DataError: it is missing, blank, or neither text nor a whole number.
    """
    value = place.row.get(field)
    try:
        name = name_text(value)
    except ValueError:
        name = None
    if name is None or not name.strip():
        raise place.error(
            f"found {short_repr(value)}, which names no user; expected text that is not blank, or a whole "
            "number",
            field=field,
            cure=_NAMED,
        )
    return name


def asked_user(value: Any) -> str:
    """`read_user` of a user who is named in Python.

    Raises:
        DataError: it is blank, or neither text nor a whole number.
    """
    try:
        return read_user(SourceRow("", 1, {"user_id": plain(value)}))
    except DataError as error:
        raise DataError(error.problem, field=error.field, cure="give the id of a user") from None


def asked_comparison(
    user_id: str, prompt: Any, first: Any, second: Any, *, source: str | None = None
) -> Comparison:
    """Two responses to a prompt as a comparison that a user is asked about.

    Args:
        user_id: Who is asked.
        prompt: Text of the user, or messages of which the last is the user's.
        first: Text, or one message.
        second: Likewise.
        source: Where it stands, for errors.

    Raises:
        DataError: one of the three is missing, blank or not made of text.
    """
    row = {name: plain(it) for name, it in (("prompt", prompt), ("first", first), ("second", second))}
    place = SourceRow(source or "", 1, row)
    try:
        asked = read_prompt(place)
        texts = [read_response(place, field, blank=False) for field in ("first", "second")]
    except DataError as error:
        raise DataError(error.problem, source=source, field=error.field, cure=_CURE) from None
    return Comparison(pair_id="asked", user_id=user_id, prompt=asked, first=texts[0], second=texts[1])

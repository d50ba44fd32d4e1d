"""Ids, pairs, words and profiles as the bytes that are stored, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from synthesizeme.errors import DataError
from synthesizeme.feedback import UserWords
from synthesizeme.profile import UserProfile
from synthesizeme.types import PreferencePair

_Model = TypeVar("_Model", bound=BaseModel)
_SHOWN = 60
_FINGERPRINT = 12


def checked_user(user_id: str) -> str:
    """A user id that can be stored: any text but the empty one, NUL characters and lone surrogates.

    Raises:
        DataError: it is something else.
    """
    problem = None
    if not isinstance(user_id, str) or not user_id:
        problem = f"is {user_id!r}; expected text"
    elif "\0" in user_id:
        problem = f"{_short(user_id)} holds a NUL character; expected text without"
    elif not _is_unicode(user_id):
        problem = f"{_short(user_id)} holds half of a surrogate pair; expected Unicode text"
    if problem:
        raise DataError(problem, field="user_id", cure="name the user by another id")
    return user_id


def pair_bytes(pair: PreferencePair, user_id: str) -> bytes:
    """A pair of this user as JSON with sorted keys: equal pairs are equal bytes.

    Raises:
        DataError: it is another user's, or cannot be written as JSON.
    """
    if pair.user_id != user_id:
        problem = f"pair {_short(pair.pair_id)} is of user {_short(pair.user_id)}; expected {_short(user_id)}"
        raise DataError(problem, field="user_id", cure="add each user's pairs by themselves")
    try:
        return _bytes(pair)
    except (PydanticSerializationError, ValueError) as error:
        raise DataError(
            f"pair {_short(pair.pair_id)} cannot be written as JSON: {type(error).__name__}",
            cure="leave out of it what is not text, a number, a list or an object",
        ) from None


def words_bytes(words: UserWords, user_id: str) -> bytes | None:
    """What this user said as JSON; None where nothing was said.

    Raises:
        DataError: they are another user's, or cannot be written as JSON.
    """
    if words.user_id != user_id:
        problem = f"the words are of user {_short(words.user_id)}; expected {_short(user_id)}"
        raise DataError(problem, field="user_id", cure="put each user's words by themselves")
    try:
        return _bytes(words) if words else None
    except (PydanticSerializationError, ValueError) as error:
        raise DataError(
            f"the words of {_short(user_id)} cannot be written as JSON: {type(error).__name__}",
            cure="leave lone surrogates out of its texts",
        ) from None


def profile_bytes(profile: UserProfile) -> bytes:
    """A profile as JSON.

    Raises:
        DataError: it cannot be written as JSON.
    """
    try:
        return _bytes(profile)
    except (PydanticSerializationError, ValueError) as error:
        raise DataError(
            f"the profile of {_short(profile.user_id)} cannot be written as JSON: {type(error).__name__}",
            cure="leave lone surrogates out of its texts",
        ) from None


def parsed(kind: type[_Model], content: bytes, what: str) -> _Model:
    """What was stored as `what`.

    Raises:
        DataError: it is not what this version stores there.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise DataError(
            f"{what} as stored is none: {first['msg']}",
            field=".".join(map(str, first["loc"])) or None,
            cure="it was changed, or written by another version; restore the row or delete the user",
        ) from None


def refuse_conflict(pair: PreferencePair, content: bytes, stored: bytes) -> None:
    """Refuse a pair that differs from the stored one of the same id.

    Raises:
        DataError: it does.
    """
    if content != stored and content != _bytes(parsed(PreferencePair, stored, "a pair")):
        raise DataError(
            f"pair {_short(pair.pair_id)} of user {_short(pair.user_id)} is there already and says "
            "something else",
            field="pair_id",
            cure="give the new pair an id of its own; stored pairs are never changed",
        )


def contents_by_id(pairs: Sequence[PreferencePair], user_id: str) -> dict[str, tuple[PreferencePair, bytes]]:
    """Pairs with their bytes by id, in their order; a repeated pair stands once.

    Raises:
        DataError: one is another user's, cannot be written, or two differ under one id.
    """
    found: dict[str, tuple[PreferencePair, bytes]] = {}
    for pair in pairs:
        content = pair_bytes(pair, user_id)
        if pair.pair_id in found:
            refuse_conflict(pair, content, found[pair.pair_id][1])
        else:
            found[pair.pair_id] = (pair, content)
    return found


def origin(profile: UserProfile) -> str:
    """What a profile was made from, as its provenance says."""
    made = profile.provenance
    if made is None:
        return "written by hand"
    data = f", data {made.data_fingerprint[:_FINGERPRINT]}" if made.data_fingerprint else ""
    return f"{made.model}, {made.search} search, {len(made.splits)} pairs{data}"


def _bytes(value: BaseModel) -> bytes:
    return json.dumps(
        value.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":")
    ).encode()


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")

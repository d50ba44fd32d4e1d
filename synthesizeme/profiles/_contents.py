"""What is stored of ids, pairs, words and profiles: their bytes, and how these are sealed with a key.

With a key, user and pair ids become HMAC-SHA256 names and every text is sealed by AES-256-GCM under a key of
its own user, bound to its row: content that was changed, or moved to another row, does not open. What stays
readable is how many users, pairs and versions there are, when the versions were put, and how long they are.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import logging
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from synthesizeme.errors import ConfigError, DataError, MissingExtraError, SealError
from synthesizeme.feedback import KINDS, Given, Judgement, Tie, UserWords
from synthesizeme.profile import UserProfile
from synthesizeme.types import PreferencePair

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM


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


def given_bytes(given: Given, user_id: str) -> bytes:
    """A pair or feedback of this user as JSON with sorted keys: what is equal is equal bytes.

    Raises:
        DataError: it is another user's, or cannot be written as JSON.
    """
    _check_owner(f"{_named(given)} is", given.user_id, user_id)
    return _written(given, _named(given))


def words_bytes(words: UserWords, user_id: str) -> bytes | None:
    """What this user said as JSON; None where nothing was said.

    Raises:
        DataError: they are another user's, or cannot be written as JSON.
    """
    _check_owner("the words are", words.user_id, user_id)
    return _written(words, f"the words of {_short(user_id)}") if words else None


def profile_bytes(profile: UserProfile) -> bytes:
    """A profile as JSON.

    Raises:
        DataError: it cannot be written as JSON.
    """
    return _written(profile, f"the profile of {_short(profile.user_id)}")


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


def parsed_feedback(content: bytes) -> Judgement:
    """Feedback that was stored.

    Raises:
        DataError: it is not what this version stores.
    """
    try:
        kind = KINDS[json.loads(content)["kind"]]
    except (ValueError, KeyError, TypeError):
        kind = Tie  # which then says what is wrong
    return parsed(kind, content, "feedback")


def refuse_conflict(given: Given, content: bytes, stored: bytes) -> None:
    """Refuse a pair or feedback that differs from what is stored under the same id.

    Raises:
        DataError: it does.
    """
    if content == stored:
        return
    is_pair = isinstance(given, PreferencePair)
    if content != _bytes(parsed(PreferencePair, stored, "a pair") if is_pair else parsed_feedback(stored)):
        noun = "pair" if is_pair else "feedback"
        raise DataError(
            f"{_named(given)} of user {_short(given.user_id)} is there already and says something else",
            field=f"{noun}_id",
            cure=f"give the new {noun} an id of its own; what is stored is never changed",
        )


def contents_by_id(given: Sequence[Given], user_id: str) -> dict[str, tuple[Given, bytes]]:
    """Pairs or feedback with their bytes by id, in their order; what is repeated stands once.

    Raises:
        DataError: one is another user's, cannot be written, or two differ under one id.
    """
    found: dict[str, tuple[Given, bytes]] = {}
    for it in given:
        name = it.pair_id if isinstance(it, PreferencePair) else it.feedback_id
        content = given_bytes(it, user_id)
        if name in found:
            refuse_conflict(it, content, found[name][1])
        else:
            found[name] = (it, content)
    return found


def _named(given: Given) -> str:
    if isinstance(given, PreferencePair):
        return f"pair {_short(given.pair_id)}"
    return f"feedback {_short(given.feedback_id)}"


def origin(profile: UserProfile) -> str:
    """What a profile was made from, as its provenance says."""
    made = profile.provenance
    if made is None:
        return "written by hand"
    data = f", data {made.data_fingerprint[:_FINGERPRINT]}" if made.data_fingerprint else ""
    return f"{made.model}, {made.search} search, {len(made.splits)} pairs{data}"


def _check_owner(what: str, owner: str, user_id: str) -> None:
    if owner != user_id:
        problem = f"{what} of user {_short(owner)}; expected {_short(user_id)}"
        raise DataError(problem, field="user_id", cure="add what is of each user by itself")


def _written(value: BaseModel, what: str) -> bytes:
    try:
        return _bytes(value)
    except (PydanticSerializationError, ValueError) as error:
        raise DataError(
            f"{what} cannot be written as JSON: {type(error).__name__}",
            cure="leave out of it what is not text, a number, a list or an object, and lone surrogates",
        ) from None


def _bytes(value: BaseModel) -> bytes:
    return json.dumps(
        value.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":")
    ).encode()


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")


KEY_BYTES = 32
_NONCE_BYTES = 12
_SEALED = b"\x01"
"""First byte of sealed content: the method of sealing."""
_PLAIN_CHECK = b"plain"
_CHECK_TEXT = b"synthesizeme"
_CHECK = ("", "check")
_NEW_KEY = "(umask 077; openssl rand -base64 32 > FILE)"
_logger = logging.getLogger(__name__)


class Seal:
    """How ids and texts are written into the database and read back.

    Args:
        key: 32 random bytes; without a key content is stored as it is, and ids as SHA-256.

    Raises:
        MissingExtraError: the library that seals is not installed.
    """

    def __init__(self, key: bytes | None = None) -> None:
        self._keyed = key is not None
        if key is None:
            return
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise MissingExtraError("encryption of a profile store", "store") from None
        self._invalid, self._cipher = InvalidTag, AESGCM
        self._name_key, self._content_key = _derived(key, b"name"), _derived(key, b"content")

    def name(self, *parts: str) -> str:
        """64 hex digits that stand for an id."""
        joined = b"\0".join(part.encode() for part in parts)
        return _derived(self._name_key, joined).hex() if self._keyed else hashlib.sha256(joined).hexdigest()

    def close(self, user_key: str, place: str, content: bytes) -> bytes:
        """What is stored for `content` at a place of a user: method, nonce, ciphertext with tag."""
        if not self._keyed:
            return content
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed: bytes = self._of(user_key).encrypt(nonce, content, _bound(user_key, place))
        return _SEALED + nonce + sealed

    def open(self, user_key: str, place: str, stored: bytes) -> bytes:
        """The content behind what `close` made.

        Raises:
            SealError: it was made with another key, or changed since, or moved from elsewhere.
        """
        if not self._keyed:
            return stored
        nonce, sealed = stored[1 : 1 + _NONCE_BYTES], stored[1 + _NONCE_BYTES :]
        try:
            if stored[:1] != _SEALED or len(nonce) < _NONCE_BYTES:
                raise self._invalid
            content: bytes = self._of(user_key).decrypt(nonce, sealed, _bound(user_key, place))
            return content
        except self._invalid:
            raise SealError(
                f"{place} of the user stored as {user_key[:12] or '-'}… does not open: it was changed, "
                "moved, or sealed with another key. Cure: restore the row from a backup, or delete the user"
            ) from None

    def check_value(self) -> bytes:
        """What a new store keeps to recognise this seal by: a known text, sealed, or that there is no key."""
        return self.close(*_CHECK, _CHECK_TEXT) if self._keyed else _PLAIN_CHECK

    def check(self, value: bytes) -> None:
        """Compare with the `check_value` that a store keeps.

        Raises:
            SealError: the store was made with another key, or without one, or with one that is not given.
        """
        if self._keyed and value == _PLAIN_CHECK:
            cure = "leave --key-file out, or name a new store"
            raise SealError(f"this store is not encrypted, and a key was given. Cure: {cure}")
        if not self._keyed and value != _PLAIN_CHECK:
            raise SealError(
                "this store is encrypted and no key was given. Cure: name its key with --key-file"
            )
        try:
            self.open(*_CHECK, value)
        except SealError:
            raise SealError(
                "this store was encrypted with another key. Cure: name the key file it was made with"
            ) from None

    def _of(self, user_key: str) -> AESGCM:
        return self._cipher(_derived(self._content_key, user_key.encode()))


def open_seal(key_file: Path | None) -> Seal:
    """The seal of a key file: 32 random bytes in base64 or 64 hex digits. None seals nothing.

    Raises:
        ConfigError: the file cannot be read or holds no such key.
        MissingExtraError: the library that seals is not installed.
    """
    if key_file is None:
        return Seal()
    cure = f"Cure: make a key with {_NEW_KEY}"
    try:
        text = key_file.read_bytes().strip()
        mode = key_file.stat().st_mode
    except OSError as error:
        raise ConfigError(f"key file {key_file}: cannot be read: {error.strerror or error}. {cure}") from None
    try:
        key = (
            binascii.unhexlify(text) if len(text) == 2 * KEY_BYTES else base64.b64decode(text, validate=True)
        )
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"key file {key_file}: holds no key; expected {KEY_BYTES} bytes in base64. {cure}")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        _logger.warning("key file %s can be read by others. Cure: chmod 600 %s", key_file, key_file)
    return Seal(key)


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.new(key, purpose, hashlib.sha256).digest()


def _bound(user_key: str, place: str) -> bytes:
    return f"{user_key}/{place}".encode()

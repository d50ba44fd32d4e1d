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
from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from synthesizeme.errors import ConfigError, DataError, MissingExtraError, SealError
from synthesizeme.feedback import UserWords
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


KEY_BYTES = 32
_NONCE_BYTES = 12
_SEALED = b"\x01"
"""First byte of sealed content: the method of sealing."""
_PLAIN_CHECK = b"plain"
_CHECK_TEXT = b"synthesizeme"
_CHECK = ("", "check")
_NEW_KEY = "(umask 077; openssl rand -base64 32 > FILE)"
_logger = logging.getLogger(__name__)


class Seal(Protocol):
    """How ids and texts are written into the database and read back."""

    def name(self, *parts: str) -> str:
        """64 hex digits that stand for an id."""

    def close(self, user_key: str, place: str, content: bytes) -> bytes:
        """What is stored for `content` at a place of a user."""

    def open(self, user_key: str, place: str, stored: bytes) -> bytes:
        """The content behind what `close` made.

        Raises:
            SealError: it was made with another key, or changed since, or moved from elsewhere.
        """

    def check_value(self) -> bytes:
        """What a new store keeps to recognise this seal by."""

    def check(self, value: bytes) -> None:
        """Compare with the `check_value` that a store keeps.

        Raises:
            SealError: the store was made with another key, or without one, or with one that is not given.
        """


class NoSeal:
    """Content as it is; ids as SHA-256."""

    def name(self, *parts: str) -> str:
        """64 hex digits that stand for an id."""
        return hashlib.sha256(_joined(parts)).hexdigest()

    def close(self, user_key: str, place: str, content: bytes) -> bytes:
        """The content itself."""
        return content

    def open(self, user_key: str, place: str, stored: bytes) -> bytes:
        """The content itself."""
        return stored

    def check_value(self) -> bytes:
        """A word that says there is no key."""
        return _PLAIN_CHECK

    def check(self, value: bytes) -> None:
        """Refuse a store that has a key.

        Raises:
            SealError: it has.
        """
        if value != _PLAIN_CHECK:
            raise SealError(
                "this store is encrypted and no key was given. Cure: name its key with --key-file"
            )


class KeyedSeal:
    """Content sealed with a key; ids as HMAC-SHA256.

    Args:
        key: 32 random bytes.

    Raises:
        MissingExtraError: the library that seals is not installed.
    """

    def __init__(self, key: bytes) -> None:
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError:
            raise MissingExtraError("encryption of a profile store", "store") from None
        self._invalid, self._cipher = InvalidTag, AESGCM
        self._name_key, self._content_key = _derived(key, b"name"), _derived(key, b"content")

    def name(self, *parts: str) -> str:
        """64 hex digits that stand for an id."""
        return _derived(self._name_key, _joined(parts)).hex()

    def close(self, user_key: str, place: str, content: bytes) -> bytes:
        """Seal `content` for its place: method, nonce, ciphertext with tag."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed: bytes = self._of(user_key).encrypt(nonce, content, _bound(user_key, place))
        return _SEALED + nonce + sealed

    def open(self, user_key: str, place: str, stored: bytes) -> bytes:
        """The content that was sealed for this place.

        Raises:
            SealError: it was made with another key, or changed since, or moved from elsewhere.
        """
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
        """A known text, sealed."""
        return self.close(*_CHECK, _CHECK_TEXT)

    def check(self, value: bytes) -> None:
        """Open the known text.

        Raises:
            SealError: the store has another key, or none.
        """
        if value == _PLAIN_CHECK:
            raise SealError(
                "this store is not encrypted, and a key was given. Cure: leave --key-file out, or name a "
                "new store"
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
        return NoSeal()
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
    return KeyedSeal(key)


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.new(key, purpose, hashlib.sha256).digest()


def _joined(parts: tuple[str, ...]) -> bytes:
    return b"\0".join(part.encode() for part in parts)


def _bound(user_key: str, place: str) -> bytes:
    return f"{user_key}/{place}".encode()

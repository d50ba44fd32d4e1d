"""What lies in the database: keyed names and sealed content with a key file, plain ones without.

With a key, user and pair ids become HMAC-SHA256 names and every text is sealed by AES-256-GCM under a key of
its own user, bound to its row: content that was changed, or moved to another row, does not open. What stays
readable is how many users, pairs and versions there are, when the versions were put, and how long they are.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from synthesizeme.errors import ConfigError, MissingExtraError, SealError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

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

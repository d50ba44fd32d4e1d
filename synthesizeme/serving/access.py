"""Who may do what: bearer tokens with scopes, compared in constant time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

from synthesizeme.errors import ConfigError

Scope = Literal["score", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""Each includes those before it. score: rewards and metrics. write: add pairs and words. admin: export and
delete."""
SHORTEST = 16
"""Fewest characters of a token."""


class Access:
    """The tokens of a server.

    Args:
        tokens: Scope and token of each; more than one token may have the same scope.

    Raises:
        ConfigError: a scope is unknown, a token too short, or there is none.
    """

    def __init__(self, tokens: Iterable[tuple[str, str]]) -> None:
        self._digests: list[tuple[int, bytes]] = []
        problems = []
        for number, (scope, token) in enumerate(tokens, start=1):
            if scope not in SCOPES:
                problems.append(f"token {number}: the scope is {scope!r}; expected {', '.join(SCOPES)}")
            elif len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
                problems.append(f"token {number}: expected at least {SHORTEST} ASCII characters, no spaces")
            else:
                self._digests.append((SCOPES.index(scope), _digest(token.encode())))
        if not problems and not self._digests:
            problems = ["there is no token; expected lines SCOPE TOKEN"]
        if problems:
            raise ConfigError(problems)

    def level(self, authorization: str | None) -> int:
        """Place in `SCOPES` of the highest scope that a header gives; -1 for none.

        The header is ``Bearer TOKEN``, or that of a client which can only be given an address,
        ``http://any:TOKEN@host``: ``Basic`` with the token as password. It takes the same time whichever
        token it is compared with.
        """
        kind, _, token = (authorization or "").partition(" ")
        if kind.lower() == "basic":
            kind, token = "bearer", _password(token)
        found, given = -1, _digest(token.strip().encode("utf-8", "replace"))
        for level, digest in self._digests:
            if hmac.compare_digest(digest, given):
                found = max(found, level)
        return found if kind.lower() == "bearer" else -1


def read_tokens(path: Path) -> Access:
    """The tokens of a file: lines ``SCOPE TOKEN``; what begins with ``#`` is a comment.

    Raises:
        ConfigError: the file cannot be read, or a scope or token in it is wrong. No token is named.
    """
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--token-file {path}: cannot be read: {error}") from None
    found = []
    for number, words in enumerate(lines, start=1):
        if len(words) == 2 and not words[0].startswith("#"):
            found.append((words[0], words[1]))
        elif words and not words[0].startswith("#"):
            problem = f"line {number} has {len(words)} words; expected SCOPE TOKEN"
            raise ConfigError(f"--token-file {path}: {problem}")
    try:
        return Access(found)
    except ConfigError as error:
        raise ConfigError([f"--token-file {path}: {problem}" for problem in error.problems]) from None


@lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def called_locally(host: str) -> bool:
    """Whether a ``Host`` header, with or without a port, calls the server by a name of this machine."""
    return is_loopback(host if host.endswith("]") else host.rpartition(":")[0] or host)


def refuse_strangers(host: str, token_file: object) -> list[str]:
    """What is wrong with an address that other machines can reach while there are no tokens, if anything."""
    if token_file is not None or is_loopback(host):
        return []
    return [f"--host {host} can be reached from other machines; give --token-file FILE, or keep 127.0.0.1"]


def _password(credentials: str) -> str:
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()

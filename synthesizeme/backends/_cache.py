"""Finished calls on disk: a crash loses nothing, and no question is paid for twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from synthesizeme.errors import CacheError, ConfigError
from synthesizeme.key_value import KeyValueFile

_OTHER = "name another folder with --cache-dir"


class CallCache:
    """Replies by key in one SQLite file, each committed as it arrives; several processes may share it.

    Keys are hashes: the file holds replies, never prompts. Failed calls are never stored.

    Args:
        directory: Folder of the file; made if it does not exist.

    Raises:
        ConfigError: the folder cannot be written, or the file in it is not such a cache.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "calls.sqlite"
        with self._named("used", f"{_OTHER}, delete the file, or run with --no-cache", ConfigError):
            self._file = KeyValueFile(self.path, "replies")

    def get(self, key: str) -> str | None:
        """The stored reply, or None.

        Raises:
            CacheError: the file is damaged.
        """
        with self._named("read", f"delete the file, {_OTHER}, or run with --no-cache"):
            found = self._file.get([key])
        return found[key].decode("utf-8", "replace") if found else None

    def put(self, key: str, reply: str) -> None:
        """Store a reply; it is on disk when this returns.

        Raises:
            CacheError: the disk is full or the file went away.
        """
        with self._named("written", f"free disk space or {_OTHER}; finished calls are kept"):
            self._file.put({key: reply.encode()})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> CallCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _named(self, done: str, cure: str, kind: type[ConfigError] = CacheError) -> Iterator[None]:
        """What goes wrong inside as an error that names the file and the cure."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise kind(f"the call cache {self.path} cannot be {done}: {error}. Cure: {cure}") from error

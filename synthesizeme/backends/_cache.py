"""Finished calls on disk: a crash loses nothing, and no question is paid for twice."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path
from types import TracebackType

from synthesizeme.errors import CacheError, ConfigError
from synthesizeme.files import prepare

_PREPARE = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=OFF",  # survives a killed process; not a power cut
    "CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID",
)


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
        self._lock = threading.Lock()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.path, timeout=60, check_same_thread=False, isolation_level=None
            )
            with contextlib.ExitStack() as undo:
                undo.callback(self._connection.close)
                prepare(self._connection, _PREPARE)
                undo.pop_all()
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                f"the call cache {self.path} cannot be used: {error}. "
                "Cure: name another folder with --cache-dir, delete the file, or run with --no-cache"
            ) from error

    def get(self, key: str) -> str | None:
        """The stored reply, or None.

        Raises:
            CacheError: the file is damaged.
        """
        with self._lock:
            try:
                row = self._connection.execute("SELECT reply FROM calls WHERE key = ?", (key,)).fetchone()
            except sqlite3.Error as error:
                raise CacheError(
                    f"the call cache {self.path} cannot be read: {error}. "
                    "Cure: delete the file, name another folder with --cache-dir, or run with --no-cache"
                ) from error
        return row[0] if row else None

    def put(self, key: str, reply: str) -> None:
        """Store a reply; it is on disk when this returns.

        Raises:
            CacheError: the disk is full or the file went away.
        """
        with self._lock:
            try:
                self._connection.execute("INSERT OR REPLACE INTO calls VALUES (?, ?)", (key, reply))
            except sqlite3.Error as error:
                raise CacheError(
                    f"the call cache {self.path} cannot be written: {error}. "
                    "Cure: free disk space or name another folder with --cache-dir; finished calls are kept"
                ) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> CallCache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

"""Values by key in a file of SQLite, which several processes and threads may share: what caches keep."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

_KEYS_AT_ONCE = 500
_PATIENCE_S = 60.0
"""How long another process is waited for, in seconds."""


class KeyValueFile:
    """A table of values by key. What was put is on disk when `put` returns: it survives a killed process.

    Args:
        path: The file; made, with its folder, if it does not exist.
        table: Name of the table in it.

    Raises:
        OSError: the folder cannot be made.
        sqlite3.Error: the file cannot be used, or is none of SQLite; as the methods.
    """

    def __init__(self, path: Path, table: str) -> None:
        import sqlite3

        self._table, self._lock = table, threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(
            path, timeout=_PATIENCE_S, check_same_thread=False, isolation_level=None
        )
        with contextlib.ExitStack() as undo:
            undo.callback(self._connection.close)
            self._prepare()
            undo.pop_all()

    def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The values there are, by key."""
        found: dict[str, bytes] = {}
        with self._lock:
            for start in range(0, len(keys), _KEYS_AT_ONCE):
                some = keys[start : start + _KEYS_AT_ONCE]
                marks = ",".join("?" * len(some))
                query = f"SELECT key, value FROM {self._table} WHERE key IN ({marks})"
                found.update(self._connection.execute(query, some))
        return found

    def put(self, values: Mapping[str, bytes]) -> None:
        """Keep values in place of those there were, all or none of them."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            with self._connection:
                self._connection.executemany(
                    f"INSERT OR REPLACE INTO {self._table} VALUES (?, ?)", list(values.items())
                )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _prepare(self) -> None:
        """Set the file up, again and again while other processes do the same.

        SQLite does not wait where two connections switch a file to write-ahead logging at once: whatever its
        timeout, one of them is told that the file is locked.
        """
        import sqlite3

        columns = "(key TEXT PRIMARY KEY, value BLOB NOT NULL)"
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute(
                    "PRAGMA synchronous=OFF"
                )  # survives a killed process; not a power cut
                self._connection.execute(f"CREATE TABLE IF NOT EXISTS {self._table} {columns}")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.005)

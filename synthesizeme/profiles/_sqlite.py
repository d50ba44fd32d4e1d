"""What only SQLite needs: a private file, write-ahead logging, real transactions, deletion to the byte."""

from __future__ import annotations

import os
import time
from errno import EACCES, EISDIR
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from synthesizeme.errors import StoreUnavailableError
from synthesizeme.files import writing

WRITES = "synthesizeme_writes"
"""Execution option of a connection: whether its transaction takes the write lock at once."""
_PREPARE = (
    "PRAGMA foreign_keys=ON",
    "PRAGMA synchronous=FULL",  # what was acknowledged survives a power cut too
    "PRAGMA secure_delete=ON",
)
BUSY_SECONDS = 0.01
"""How long SQLite itself waits for a lock. Its waits grow to a tenth of a second each, in which a busy writer
comes back again and again; waiting is therefore ours, in short pauses."""
PAUSES = (0.001, 0.008)
"""Seconds between two attempts to get a lock, the first and the longest."""


def make_file(path: Path) -> None:
    """Make the file, and its folder, if there is none; only its owner may read it.

    A file that is there is not opened: closing it would drop the locks that SQLite holds on it elsewhere in
    this process, and another process could then take the log away (sqlite.org/howtocorrupt.html, section
    2.2).

    Raises:
        DataError: the place cannot be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            if path.is_dir():
                raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path)) from None
            if not os.access(path, os.R_OK | os.W_OK):
                raise PermissionError(EACCES, os.strerror(EACCES), str(path)) from None


def prepare(connection: Any, record: object) -> None:
    """Set a new connection up; transactions are begun by `begin`, not by the driver."""
    connection.isolation_level = None
    for statement in _PREPARE:
        connection.execute(statement)


def begin(connection: Connection) -> None:
    """Begin a transaction; one that writes waits for its turn here, where nothing has been read yet."""
    writes = connection.get_execution_options().get(WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def use_write_ahead_log(engine: Engine) -> None:
    """Switch the file to write-ahead logging, so that readers and a writer do not wait for each other."""
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


def scrub(engine: Engine, place: str, patience: float) -> None:
    """Write the file anew without what was deleted, and empty the log.

    `secure_delete` overwrites deleted rows, but of rows that had once been moved to another page it leaves
    traces now and then; only writing everything anew is complete.

    Raises:
        StoreUnavailableError: readers kept the log in use.
    """
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("VACUUM")
        began = time.monotonic()
        while True:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            busy = cursor.fetchall()[0][0]
            if not busy:
                return
            if time.monotonic() - began > patience:
                raise StoreUnavailableError(
                    f"{place}: what was deleted is gone from the store, but others keep its log in use and "
                    "traces may be left there. Cure: delete the user again when they have finished"
                )
            time.sleep(PAUSES[1])
    finally:
        connection.close()

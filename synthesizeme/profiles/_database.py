"""Transactions on one database, with patience for one that is busy or away; and what only SQLite needs."""

from __future__ import annotations

import logging
import math
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from errno import EACCES, EISDIR
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from synthesizeme.errors import DataError, StoreError, StoreUnavailableError, SynthesizeMeError
from synthesizeme.files import writing

PATIENCE = 30.0
"""Seconds a busy or absent database is waited for."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
"""Seconds between two attempts to reach a server; the pause doubles from the first to the longest."""
_SILENCE = 1.0
"""Seconds after which a wait is logged."""
_CONNECT_SECONDS = (2, 10)
"""Shortest and longest wait for one connection; in between it is the patience."""
_logger = logging.getLogger(__name__)
_Result = TypeVar("_Result")


class Database:
    """One database. Work is a function of a connection inside a transaction, and may be run again.

    Args:
        url: Where it is.
        patience: Seconds a busy or absent database is waited for.
    """

    def __init__(self, url: URL, patience: float = PATIENCE) -> None:
        named = url.set(drivername=url.get_backend_name())
        self.place = url.database or "" if _is_sqlite(url) else named.render_as_string(hide_password=True)
        self.patience = patience
        self.embedded = _is_sqlite(url)
        self.engine = _engine(url, patience)

    def prepare_file(self) -> None:
        """Set the file of an embedded database up.

        Raises:
            DataError: it cannot be used.
        """
        self._patiently(lambda: use_write_ahead_log(self.engine))

    def read(self, work: Callable[[Connection], _Result]) -> _Result:
        """Run `work` in a transaction that writes nothing.

        Raises:
            SynthesizeMeError: as `ProfileStore` says.
        """
        return self._run(work, writes=False)

    def write(self, work: Callable[[Connection], _Result]) -> _Result:
        """Run `work` in a transaction that writes; it is durable when this returns.

        When the connection is lost at the commit, nobody knows whether it happened: `work` is run again and
        has to find out.

        Raises:
            SynthesizeMeError: as `ProfileStore` says.
        """
        return self._run(work, writes=True)

    def scrub(self) -> None:
        """Leave no byte of deleted rows in the files of an embedded database. Reads and writes it whole.

        Raises:
            StoreUnavailableError: other processes did not let go of the file in time.
            DataError: there is no room to do it.
        """
        if self.embedded:
            self._patiently(lambda: scrub(self.engine, self.place, self.patience))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _run(self, work: Callable[[Connection], _Result], *, writes: bool) -> _Result:
        def attempt() -> _Result:
            with self.engine.connect() as connection:
                connection = connection.execution_options(**{WRITES: writes})
                with connection.begin():
                    return work(connection)

        return self._patiently(attempt)

    def _patiently(self, attempt: Callable[[], _Result]) -> _Result:
        first, longest = PAUSES if self.embedded else (_FIRST_PAUSE, _LONGEST_PAUSE)
        began, pause, logged = time.monotonic(), first, False
        while True:
            try:
                return attempt()
            except (SQLAlchemyError, sqlite3.Error) as error:
                found = fault(error, self.place)
                waited = time.monotonic() - began
                if not found.passing or waited + pause > self.patience:
                    raise found.error from None
                if waited > _SILENCE and not logged:
                    logged = True
                    _logger.warning("%s (trying again for %.0f seconds)", found.error, self.patience - waited)
            time.sleep(pause)
            pause = min(2 * pause, longest)


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _engine(url: URL, patience: float) -> Engine:
    if _is_sqlite(url):
        engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", prepare)
        event.listen(engine, "begin", begin)
        return engine
    seconds = max(_CONNECT_SECONDS[0], min(math.ceil(patience), _CONNECT_SECONDS[1]))
    given = {} if "connect_timeout" in url.query else {"connect_timeout": seconds}
    return create_engine(url, hide_parameters=True, connect_args=given)


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


_SQLITE_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_SQLITE_PLACE = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_PERM,
)
_SQLITE_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
_PRIMARY_CODE = 0xFF
"""Extended result codes of SQLite carry the primary code in their lowest byte."""
_AWAY = ("08", "57P", "40001", "40P01", "53300", "55P03")
"""SQLSTATE: connection lost, server stops or starts, serialisation, deadlock, too many clients, no lock."""
_DISK_FULL = "53100"
_READ_ONLY = ("25006", "42501")
_NEVER = ("authentication failed", "does not exist", "pg_hba.conf", "could not translate", "resolve host")
"""Words of a refused connection that waiting does not change."""
_SHOWN = 300


@dataclass(frozen=True)
class Fault:
    """One complaint."""

    error: SynthesizeMeError
    """What to raise."""
    passing: bool
    """Whether the same work may succeed a little later."""


def fault(error: SQLAlchemyError | sqlite3.Error, place: str) -> Fault:
    """Read a complaint of the database at `place`; parameters, which hold user text, are never quoted."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return _of_sqlite(cause, place)
    if isinstance(error, DBAPIError):
        return _of_postgresql(error, place)
    return Fault(StoreError(f"{place}: {_words(error)}"), passing=False)


def _of_sqlite(cause: sqlite3.Error, place: str) -> Fault:
    code = getattr(cause, "sqlite_errorcode", 0) & _PRIMARY_CODE
    if code in _SQLITE_BUSY:
        problem = f"{place}: another process keeps it busy ({cause}). Cure: try again when that has finished"
        return Fault(StoreUnavailableError(problem), passing=True)
    if code in _SQLITE_PLACE:
        cure = "check the path, its permissions and the disk space; what was stored before is kept"
        return Fault(DataError(f"cannot be used: {cause}", source=place, cure=cure), passing=False)
    if code in _SQLITE_DAMAGED:
        cure = "name another file, or restore this one from a backup"
        return Fault(
            DataError(f"is no profile store, or damaged: {cause}", source=place, cure=cure), passing=False
        )
    return Fault(StoreError(f"{place}: {_words(cause)}"), passing=False)


def _of_postgresql(error: DBAPIError, place: str) -> Fault:
    state, words = getattr(error.orig, "sqlstate", None) or "", _words(error.orig)
    if state == _DISK_FULL:
        cure = "free disk space on the server; what was stored before is kept"
        return Fault(DataError(f"cannot be written: {words}", source=place, cure=cure), passing=False)
    if state.startswith(_READ_ONLY):
        cure = "name a database and a role that may write"
        return Fault(DataError(f"may not be written: {words}", source=place, cure=cure), passing=False)
    refused = any(word in words for word in _NEVER)
    lost = error.connection_invalidated or (not state and type(error.orig).__name__ == "OperationalError")
    if refused or lost or state.startswith(_AWAY):
        problem = f"{place}: cannot be reached: {words}. Cure: check the URL and that the server runs"
        return Fault(StoreUnavailableError(problem), passing=not refused)
    return Fault(StoreError(f"{place}: {words}"), passing=False)


def _words(error: BaseException | None) -> str:
    """What the error says, on one line and not too long."""
    text = " ".join(str(error).split()).rstrip(".")
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

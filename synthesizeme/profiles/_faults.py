"""What a database complains of, as our exceptions, and whether to try again."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from synthesizeme.errors import DataError, StoreError, StoreUnavailableError, SynthesizeMeError

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

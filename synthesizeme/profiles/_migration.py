"""Bringing a database to the tables of this version, and refusing one that is newer."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import Connection, text
from sqlalchemy import inspect as look_into

from synthesizeme.errors import StoreError
from synthesizeme.profiles._database import Database

REVISIONS = ("0001", "0002", "0003")
"""Every revision of the tables, oldest first: the files of `migrations/versions`."""
FOLDER = Path(__file__).parent / "migrations"
VERSION_TABLE = "profile_store_version"
"""Table of Alembic, beside those of other applications."""
_ADVISORY_LOCK = 7_205_759_403_792_794
"""Names the lock that lets one process at a time change the tables of a PostgreSQL database."""
_one_at_a_time = threading.Lock()
"""Alembic's context is one per process."""


def bring_up_to_date(database: Database, *, migrate: bool) -> str | None:
    """Check the revision of a database; make or change its tables if that is wanted.

    Returns:
        The revision it was at; None for one without tables.

    Raises:
        StoreError: it is of a newer version, or has to be migrated and `migrate` is not set.
    """
    found = database.read(_revision)
    _refuse_newer(found, database.place)
    if found == REVISIONS[-1]:
        return found
    if not migrate:
        state = (
            "holds no tables of a profile store" if found is None else f"has the tables of revision {found}"
        )
        raise StoreError(
            f"{database.place}: {state}; expected revision {REVISIONS[-1]}. "
            "Cure: run `synthesizeme profiles migrate --store URL`, or add --migrate"
        )
    with _one_at_a_time:
        return database.write(lambda connection: _upgrade(connection, database))


def _upgrade(connection: Connection, database: Database) -> str | None:
    from alembic import command
    from alembic.config import Config

    if not database.embedded:
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _ADVISORY_LOCK})
    found = _revision(connection)  # another process may have been first
    _refuse_newer(found, database.place)
    if found != REVISIONS[-1]:
        config = Config(attributes={"connection": connection, "version_table": VERSION_TABLE})
        config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        command.upgrade(config, "head")
    return found


def _revision(connection: Connection) -> str | None:
    if not look_into(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


def _refuse_newer(found: str | None, place: str) -> None:
    if found is not None and found not in REVISIONS:
        raise StoreError(
            f"{place}: was made by a newer version of this program (revision {found}); this one knows "
            f"{', '.join(REVISIONS)}. Cure: update synthesizeme-rewards"
        )

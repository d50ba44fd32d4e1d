"""The tables, the same in both databases; made and changed by migrations, and refused where they are newer.

Their names begin alike, since a PostgreSQL database may hold other applications too.

Ids are stored twice: as 64 hex digits to find a row by, and in the content. Content is bytes: JSON in UTF-8,
or that sealed (see `_contents`).
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy import inspect as look_into

from synthesizeme.errors import DataError, StoreError
from synthesizeme.profiles._database import Database

KEY_LENGTH = 64


class UtcTime(TypeDecorator[datetime]):
    """A moment, UTC whatever the database or its session makes of zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment as UTC; SQLite keeps no zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

facts = Table(
    "profile_store_facts",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
"""About the store itself: what its seal is recognised by, whether a deletion is still to be finished."""

users = Table(
    "profile_store_users",
    metadata,
    Column("user_key", String(KEY_LENGTH), primary_key=True),
    Column("user_id", LargeBinary, nullable=False),
)
"""One row a user; a writer of anything about the user locks it."""


def _numbered(name: str, key: str) -> Table:
    """A table of what users gave, each piece under a key of its own and numbered in the order it came."""
    return Table(
        f"profile_store_{name}",
        metadata,
        Column("user_key", String(KEY_LENGTH), ForeignKey("profile_store_users.user_key"), primary_key=True),
        Column(key, String(KEY_LENGTH), primary_key=True),
        Column("number", Integer, nullable=False),
        Column("content", LargeBinary, nullable=False),
        UniqueConstraint("user_key", "number", name=f"profile_store_{name}_in_order"),
    )


pairs = _numbered("pairs", "pair_key")
"""Preference pairs; `number` counts those of one user from 1."""

profiles = Table(
    "profile_store_profiles",
    metadata,
    Column("user_key", String(KEY_LENGTH), ForeignKey("profile_store_users.user_key"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("created_at", UtcTime, nullable=False),
    Column("made_from", LargeBinary, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("write_id", String(32), nullable=False),
)
"""Versions of profiles; `write_id` tells a repeated write from a second one."""

feedback = _numbered("feedback", "feedback_key")
"""What users said of responses beside pairs; `number` counts that of one user from 1."""

words = Table(
    "profile_store_words",
    metadata,
    Column("user_key", String(KEY_LENGTH), ForeignKey("profile_store_users.user_key"), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
"""What users said beside choices, one row for each who did."""

inductions = Table(
    "profile_store_inductions",
    metadata,
    Column("user_key", String(KEY_LENGTH), ForeignKey("profile_store_users.user_key"), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("pairs", Integer, nullable=False),
    Column("settings", String(64), nullable=False),
    Column("drifted", Boolean, nullable=False),
    Column("content", LargeBinary, nullable=False),
)
"""The latest induction of each user; the content is the whole record, other columns repeat parts of it."""


REVISIONS = ("0001", "0002", "0003", "0004")
"""Every revision of the tables, oldest first: the files of `migrations/versions`."""
FOLDER = Path(__file__).parent / "migrations"
VERSION_TABLE = "profile_store_version"
"""Table of Alembic, beside those of other applications."""
_ADVISORY_LOCK = 7_205_759_403_792_794
"""Names the lock that lets one process at a time change the tables of a PostgreSQL database."""
_NAMED = 3
_one_at_a_time = threading.Lock()
"""Alembic's context is one per process."""


def bring_up_to_date(database: Database, *, create: bool, migrate: bool | None) -> str | None:
    """Check what a database holds; make its tables, or change them, if that is wanted.

    Nothing is changed before it is known that the database is a store, or empty where one may be made.

    Args:
        database: The database.
        create: Whether an empty file may become a store. An empty PostgreSQL database always may.
        migrate: Whether tables are made and changed; None: in a file, and in a PostgreSQL database that is
            empty. One with tables of something else gets ours beside them only where this is set.

    Returns:
        The revision it was at; None for one without tables.

    Raises:
        DataError: a file is empty and no store is to be made, or is the database of something else.
        StoreError: it is of a newer version, or has to be migrated and that is not wanted.
    """
    found, others = database.read(lambda connection: (_revision(connection), _others(connection)))
    _refuse_newer(found, database.place)
    if database.embedded:
        _refuse_other_file(database, found, others, create=create)
        database.prepare_file()
    if found == REVISIONS[-1]:
        return found
    if migrate is None:
        migrate = database.embedded or not (found or others)
    if not migrate:
        state = f"has the tables of revision {found}" if found else "holds no tables of a profile store"
        beside = f", but {_named(others)}" if others and not found else ""
        raise StoreError(
            f"{database.place}: {state}{beside}; expected revision {REVISIONS[-1]}. "
            "Cure: run `synthesizeme profiles migrate --store URL` with this store's address"
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


def _others(connection: Connection) -> list[str]:
    """Tables, where none of them is ours."""
    tables = look_into(connection).get_table_names()
    return [] if VERSION_TABLE in tables else sorted(tables)


def _named(tables: list[str]) -> str:
    more = f" and {len(tables) - _NAMED} more" if len(tables) > _NAMED else ""
    return f"tables of something else: {', '.join(name[:60] for name in tables[:_NAMED])}{more}"


def _refuse_other_file(database: Database, found: str | None, others: list[str], *, create: bool) -> None:
    if found is not None or (create and not others):
        return
    problem = (
        f"holds no profile store, but {_named(others)}" if others else "is empty; expected a profile store"
    )
    cure = "name another file; `synthesizeme profiles import` makes a store"
    raise DataError(problem, source=database.place, cure=cure)


def _refuse_newer(found: str | None, place: str) -> None:
    if found is not None and found not in REVISIONS:
        raise StoreError(
            f"{place}: was made by a newer version of this program (revision {found}); this one knows "
            f"{', '.join(REVISIONS)}. Cure: update synthesizeme-rewards"
        )

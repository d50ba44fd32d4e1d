"""The tables, the same in both databases; `synthesizeme.profiles.migrations` makes them.

Their names begin alike, since a PostgreSQL database may hold other applications too.

Ids are stored twice: as 64 hex digits to find a row by, and in the content. Content is bytes: JSON in UTF-8,
or that sealed (see `_seal`).
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    Boolean,
    Column,
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
)

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

pairs = Table(
    "profile_store_pairs",
    metadata,
    Column("user_key", String(KEY_LENGTH), ForeignKey("profile_store_users.user_key"), primary_key=True),
    Column("pair_key", String(KEY_LENGTH), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    UniqueConstraint("user_key", "number", name="profile_store_pairs_in_order"),
)
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

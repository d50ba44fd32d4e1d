"""The rows of one user, inside a transaction that the caller opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Row, Select, Table, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from synthesizeme.errors import StoreUnavailableError
from synthesizeme.feedback import Judgement, UserWords
from synthesizeme.profile import UserProfile
from synthesizeme.profiles._contents import Seal, parsed, parsed_feedback
from synthesizeme.profiles._tables import facts, feedback, inductions, pairs, profiles, users, words
from synthesizeme.profiles.store import Deleted, InductionRecord, ProfileVersion, VersionNote
from synthesizeme.types import PreferencePair


class Kept(NamedTuple):
    """A table of things of users in the order in which they came; one is dropped at most, never changed."""

    table: Table
    key: Column[str]
    """What one is stored under."""
    noun: str
    """What one is called."""


PAIRS = Kept(pairs, pairs.c.pair_key, "pair")
FEEDBACK = Kept(feedback, feedback.c.feedback_key, "feedback")
_KEYS_AT_ONCE = 500
_TURNS = 100
"""How often a writer looks again for a user whom others delete at the same moment."""


def insert_new(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row unless there is one with the same primary key."""
    dialect: Any = sqlite if connection.dialect.name == "sqlite" else postgresql
    connection.execute(dialect.insert(table).values(**values).on_conflict_do_nothing())


def read_facts(connection: Connection) -> dict[str, bytes]:
    """What the store keeps about itself."""
    return {name: value for name, value in connection.execute(select(facts.c.name, facts.c.value))}


class Rows:
    """Everything of one user.

    Args:
        connection: Inside a transaction.
        seal: How contents are written.
        key: What the user is stored under.
    """

    def __init__(self, connection: Connection, seal: Seal, key: str) -> None:
        self.connection, self.seal, self.key = connection, seal, key

    def lock(self) -> bool:
        """Let no other writer of this user in until the transaction ends; whether the user is there."""
        row = select(users.c.user_key).where(users.c.user_key == self.key).with_for_update()
        return self.connection.execute(row).first() is not None

    def enter(self, user_id: str) -> None:
        """`lock` the user, who is entered if not there.

        Raises:
            StoreUnavailableError: others keep deleting the user.
        """
        name = {"user_key": self.key, "user_id": self.seal.close(self.key, "id", user_id.encode())}
        for _ in range(_TURNS):
            insert_new(self.connection, users, name)
            if self.lock():
                return
        raise StoreUnavailableError("others keep deleting this user. Cure: try again when they have finished")

    def there(self) -> bool:
        """Whether the user is there."""
        return self.connection.execute(self._of(users, users.c.user_key)).first() is not None

    def pairs(self) -> tuple[PreferencePair, ...]:
        """The pairs in the order in which they came."""
        return tuple(parsed(PreferencePair, content, "a pair") for content in self._in_order(PAIRS))

    def feedback(self) -> tuple[Judgement, ...]:
        """The other feedback in the order in which it came."""
        return tuple(parsed_feedback(content) for content in self._in_order(FEEDBACK))

    def stored(self, kept: Kept, names: Sequence[str]) -> dict[str, bytes]:
        """Contents of what there is of these, by what they are stored under."""
        found: dict[str, bytes] = {}
        for start in range(0, len(names), _KEYS_AT_ONCE):
            some = kept.key.in_(names[start : start + _KEYS_AT_ONCE])
            rows = self.connection.execute(self._of(kept.table, kept.key, kept.table.c.content).where(some))
            found.update({name: self._opened(kept, name, content) for name, content in rows})
        return found

    def append(self, kept: Kept, contents: Mapping[str, bytes]) -> None:
        """Append pairs or feedback, by what they are to be stored under; the user is locked."""
        last = self.connection.execute(self._of(kept.table, func.max(kept.table.c.number))).scalar() or 0
        rows = [
            {
                "user_key": self.key,
                kept.key.name: name,
                "number": number,
                "content": self.seal.close(self.key, f"{kept.noun} {name}", content),
            }
            for number, (name, content) in enumerate(contents.items(), start=last + 1)
        ]
        if rows:
            self.connection.execute(insert(kept.table), rows)

    def take_back(self, kept: Kept, names: Sequence[str]) -> None:
        """Drop pairs or feedback by what they are stored under; the user is locked."""
        for start in range(0, len(names), _KEYS_AT_ONCE):
            some = kept.key.in_(names[start : start + _KEYS_AT_ONCE])
            self.connection.execute(delete(kept.table).where(kept.table.c.user_key == self.key, some))

    def words(self) -> UserWords | None:
        """What the user said beside choices, if anything."""
        row = self.connection.execute(self._of(words, words.c.content)).first()
        if row is None:
            return None
        return parsed(UserWords, self.seal.open(self.key, "words", row[0]), "words")

    def put_words(self, content: bytes | None) -> None:
        """Store what the user said in place of what was there, or drop it; the user is locked."""
        self.connection.execute(delete(words).where(words.c.user_key == self.key))
        if content is not None:
            row = {"user_key": self.key, "content": self.seal.close(self.key, "words", content)}
            self.connection.execute(insert(words), [row])

    def latest(self) -> tuple[int, datetime | None]:
        """Number and time of the latest version; 0 and None when there is none."""
        query = self._of(profiles, profiles.c.version, profiles.c.created_at)
        row = self.connection.execute(query.order_by(profiles.c.version.desc()).limit(1)).first()
        return (0, None) if row is None else (row[0], row[1])

    def written(self, write_id: str) -> VersionNote | None:
        """The version that this write made, if it did."""
        query = self._of(profiles, profiles.c.version, profiles.c.created_at, profiles.c.made_from)
        row = self.connection.execute(query.where(profiles.c.write_id == write_id)).first()
        return None if row is None else self._note(row)

    def put(self, note: VersionNote, content: bytes, write_id: str) -> None:
        """Store a version of the profile; the user is locked."""
        row = {
            "user_key": self.key,
            "version": note.version,
            "created_at": note.created_at,
            "made_from": self.seal.close(self.key, f"origin {note.version}", note.made_from.encode()),
            "content": self.seal.close(self.key, f"profile {note.version}", content),
            "write_id": write_id,
        }
        self.connection.execute(insert(profiles), [row])

    def record(self) -> InductionRecord | None:
        """The latest induction, if there was one."""
        row = self.connection.execute(self._of(inductions, inductions.c.content)).first()
        if row is None:
            return None
        return parsed(InductionRecord, self.seal.open(self.key, "induction", row[0]), "an induction")

    def put_record(self, record: InductionRecord) -> None:
        """Store the latest induction in place of the one before; the user is locked."""
        row = {
            "user_key": self.key,
            "state": record.state,
            "pairs": record.pairs,
            "settings": record.settings,
            "drifted": record.drifted,
            "content": self.seal.close(self.key, "induction", record.model_dump_json().encode()),
        }
        self.connection.execute(delete(inductions).where(inductions.c.user_key == self.key))
        self.connection.execute(insert(inductions), [row])

    def notes(self) -> tuple[VersionNote, ...]:
        """All versions without their profiles, oldest first."""
        query = self._of(profiles, profiles.c.version, profiles.c.created_at, profiles.c.made_from)
        return tuple(self._note(row) for row in self.connection.execute(query.order_by(profiles.c.version)))

    def version(self, number: int | None) -> ProfileVersion | None:
        """A version, by default the latest."""
        query = self._versions().order_by(profiles.c.version.desc()).limit(1)
        if number is not None:
            query = query.where(profiles.c.version == number)
        row = self.connection.execute(query).first()
        return None if row is None else self._version(row)

    def all_versions(self) -> tuple[ProfileVersion, ...]:
        """All versions with their profiles, oldest first."""
        rows = self.connection.execute(self._versions().order_by(profiles.c.version))
        return tuple(self._version(row) for row in rows)

    def drop(self) -> Deleted:
        """Delete everything of the user, who is locked; what there was."""
        counts = [
            self.connection.execute(delete(table).where(table.c.user_key == self.key)).rowcount
            for table in (pairs, profiles, words, feedback, inductions, users)
        ]
        return Deleted(pairs=counts[0], versions=counts[1], words=bool(counts[2]), feedback=counts[3])

    def _of(self, table: Table, *columns: Any) -> Select[Any]:
        return select(*columns).where(table.c.user_key == self.key)

    def _versions(self) -> Select[Any]:
        columns = profiles.c
        return self._of(profiles, columns.version, columns.created_at, columns.made_from, columns.content)

    def _in_order(self, kept: Kept) -> Iterator[bytes]:
        query = self._of(kept.table, kept.key, kept.table.c.content).order_by(kept.table.c.number)
        return (self._opened(kept, *row) for row in self.connection.execute(query))

    def _opened(self, kept: Kept, name: str, stored: bytes) -> bytes:
        return self.seal.open(self.key, f"{kept.noun} {name}", stored)

    def _note(self, row: Row[Any]) -> VersionNote:
        made_from = self.seal.open(self.key, f"origin {row.version}", row.made_from)
        return VersionNote(version=row.version, created_at=row.created_at, made_from=made_from.decode())

    def _version(self, row: Row[Any]) -> ProfileVersion:
        content = self.seal.open(self.key, f"profile {row.version}", row.content)
        note = self._note(row)
        profile = parsed(UserProfile, content, f"version {row.version} of the profile")
        return ProfileVersion(**dict(note), profile=profile)

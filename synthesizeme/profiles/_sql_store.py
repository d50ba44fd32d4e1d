"""The store on SQL, one path for SQLite and PostgreSQL: each method is one transaction."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, func, select

from synthesizeme.errors import DataError
from synthesizeme.feedback import Given, Judgement, UserWords
from synthesizeme.profile import UserProfile
from synthesizeme.profiles._contents import (
    Seal,
    checked_user,
    contents_by_id,
    origin,
    profile_bytes,
    refuse_conflict,
    words_bytes,
)
from synthesizeme.profiles._database import Database
from synthesizeme.profiles._rows import FEEDBACK, PAIRS, Kept, Rows, insert_new, read_facts
from synthesizeme.profiles._tables import facts, feedback, inductions, pairs, profiles, users, words
from synthesizeme.profiles.store import (
    EXPORT_FORMAT,
    PAGE,
    Deleted,
    InductionNote,
    InductionRecord,
    ProfileChange,
    ProfileVersion,
    StoreTotals,
    UserSummary,
    VersionNote,
    difference,
    refuse_other_version,
)
from synthesizeme.types import PreferencePair

_SEAL, _SCRUB_DUE = "seal", "scrub_due"
_Result = TypeVar("_Result")


def _now() -> datetime:
    return datetime.now(UTC)


class SqlProfileStore:
    """A `ProfileStore` in a database whose tables are up to date.

    Args:
        database: The database.
        seal: How its contents are written.
        clock: Tells the time, UTC.
    """

    def __init__(self, database: Database, seal: Seal, clock: Callable[[], datetime] = _now) -> None:
        self.database, self._seal, self._clock = database, seal, clock
        self._seal_checked = False

    def settle(self) -> None:
        """Check the seal of a store that has one, and finish a deletion that was cut short.

        Raises:
            SealError: the store was made with another key, without one, or with one that is not given.
        """
        found = self.database.read(read_facts)
        if _SEAL in found:
            self._seal.check(found[_SEAL])
            self._seal_checked = True
        if _SCRUB_DUE in found:
            self._finish_deletion(found[_SCRUB_DUE])

    def add_pairs(
        self,
        user_id: str,
        pairs: Sequence[PreferencePair],
        *,
        words: UserWords | None = None,
        feedback: Sequence[Judgement] = (),
        taken_back: Collection[str] = (),
    ) -> int:
        """See `ProfileStore.add_pairs`."""
        key = self._key(user_id)
        new_pairs = self._sealed_names(PAIRS, key, contents_by_id(pairs, user_id))
        new_feedback = self._sealed_names(FEEDBACK, key, contents_by_id(feedback, user_id))
        said = None if words is None else words_bytes(words, user_id)
        something = new_pairs or new_feedback or said is not None
        if not something and words is None and not taken_back:
            return 0

        def work(rows: Rows) -> int:
            if something:
                rows.enter(user_id)
            elif not rows.lock():
                return 0  # nothing of nobody
            for kept in (PAIRS, FEEDBACK) if taken_back else ():
                rows.take_back(kept, [self._seal.name(kept.noun, key, it) for it in taken_back])
            if words is not None:
                rows.put_words(said)
            _append(rows, FEEDBACK, new_feedback)
            return _append(rows, PAIRS, new_pairs)

        return self._write(key, work)

    def pairs(self, user_id: str) -> tuple[PreferencePair, ...]:
        """See `ProfileStore.pairs`."""
        return self._read(user_id, Rows.pairs)

    def feedback(self, user_id: str) -> tuple[Judgement, ...]:
        """See `ProfileStore.feedback`."""
        return self._read(user_id, Rows.feedback)

    def put_words(self, words: UserWords) -> None:
        """See `ProfileStore.put_words`."""
        self.add_pairs(words.user_id, (), words=words)

    def words(self, user_id: str) -> UserWords | None:
        """See `ProfileStore.words`."""
        return self._read(user_id, Rows.words)

    def put_profile(
        self, profile: UserProfile, *, made_from: str | None = None, expected_version: int | None = None
    ) -> VersionNote:
        """See `ProfileStore.put_profile`."""
        key, write_id = self._key(profile.user_id), secrets.token_hex(16)
        words = origin(profile) if made_from is None else made_from
        return self._write(key, lambda rows: self._put(rows, profile, words, write_id, expected_version))

    def put_induction(
        self,
        user_id: str,
        record: InductionRecord,
        profile: UserProfile | None = None,
        *,
        expected_version: int | None = None,
    ) -> InductionRecord:
        """See `ProfileStore.put_induction`."""
        key, write_id = self._key(user_id), secrets.token_hex(16)

        def work(rows: Rows) -> InductionRecord:
            rows.enter(user_id)
            kept = record
            if profile is None:
                refuse_other_version(rows.latest()[0], expected_version, user_id)
            else:
                note = self._put(rows, profile, origin(profile), write_id, expected_version)
                kept = record.model_copy(update={"version": note.version})
            rows.put_record(kept)
            return kept

        return self._write(key, work)

    def induction(self, user_id: str) -> InductionRecord | None:
        """See `ProfileStore.induction`."""
        return self._read(user_id, Rows.record)

    def profile(self, user_id: str, version: int | None = None) -> ProfileVersion | None:
        """See `ProfileStore.profile`."""
        return self._read(user_id, lambda rows: rows.version(version))

    def versions(self, user_id: str) -> tuple[VersionNote, ...]:
        """See `ProfileStore.versions`."""
        return self._read(user_id, Rows.notes)

    def diff(self, user_id: str, earlier: int, later: int) -> ProfileChange:
        """See `ProfileStore.diff`."""
        one, other = self._read(user_id, lambda rows: (_known(rows, earlier), _known(rows, later)))
        return difference(one.profile, other.profile)

    def roll_back(self, user_id: str, version: int) -> VersionNote:
        """See `ProfileStore.roll_back`."""
        key, write_id = self._key(user_id), secrets.token_hex(16)

        def work(rows: Rows) -> VersionNote:
            old = _known(rows, version)
            words = f"version {version} again, which was made from: {old.made_from}"
            return self._put(rows, old.profile, words, write_id, None)

        return self._write(key, work)

    def export(self, user_id: str) -> dict[str, Any] | None:
        """See `ProfileStore.export`."""

        def work(rows: Rows) -> dict[str, Any] | None:
            if not rows.there():
                return None
            record, said = rows.record(), rows.words()
            spoken = {} if said is None else {"words": said.model_dump(mode="json")}
            heard = [it.model_dump(mode="json") for it in rows.feedback()]
            induced = {} if record is None else {"induction": record.model_dump(mode="json")}
            return {
                "format": EXPORT_FORMAT,
                "user_id": user_id,
                "pairs": [pair.model_dump(mode="json") for pair in rows.pairs()],
                **({"feedback": heard} if heard else {}),
                **spoken,
                "profiles": [version.model_dump(mode="json") for version in rows.all_versions()],
                **induced,
            }

        return self._read(user_id, work)

    def delete(self, user_id: str) -> Deleted:
        """See `ProfileStore.delete`."""
        mark = secrets.token_bytes(16)

        def work(rows: Rows) -> tuple[Deleted, bytes | None]:
            gone = rows.drop() if rows.lock() else None
            if gone and self.database.embedded:
                rows.connection.execute(facts.delete().where(facts.c.name == _SCRUB_DUE))
                insert_new(rows.connection, facts, {"name": _SCRUB_DUE, "value": mark})
            due = read_facts(rows.connection).get(_SCRUB_DUE)
            return gone or Deleted(pairs=0, versions=0), due

        deleted, due = self._write(self._key(user_id), work)
        if due is not None:
            self._finish_deletion(due)
        return deleted

    def users(self, after: str | None = None, limit: int = PAGE) -> tuple[UserSummary, ...]:
        """See `ProfileStore.users`."""
        mine = users.c.user_key
        counted = select(func.count()).where(pairs.c.user_key == mine).scalar_subquery()
        heard = select(func.count()).where(feedback.c.user_key == mine).scalar_subquery()
        said = select(words.c.user_key).where(words.c.user_key == mine).exists()
        latest = select(func.max(profiles.c.version)).where(profiles.c.user_key == mine).scalar_subquery()
        note = [inductions.c[name] for name in InductionNote.model_fields]
        page = (
            select(mine, users.c.user_id, counted, latest, said, heard, *note)
            .outerjoin(inductions, inductions.c.user_key == mine)
            .order_by(mine)
            .limit(limit)
        )
        if after is not None:
            page = page.where(mine > self._key(after))
        found = self.database.read(lambda connection: connection.execute(page).all())
        return tuple(
            UserSummary(
                user_id=self._seal.open(key, "id", name).decode(), pairs=number, version=version or 0,
                words=bool(spoke), feedback=others, induced=None if note[0] is None else _note(note),
            )
            for key, name, number, version, spoke, others, *note in found
        )  # fmt: skip

    def totals(self) -> StoreTotals:
        """See `ProfileStore.totals`."""
        by_state = select(inductions.c.state, inductions.c.drifted, func.count())
        tables = (users, pairs, words, feedback)
        counts = select(*(select(func.count()).select_from(table).scalar_subquery() for table in tables))

        def work(connection: Connection) -> StoreTotals:
            grouped = connection.execute(by_state.group_by(inductions.c.state, inductions.c.drifted)).all()
            n_users, n_pairs, n_words, n_feedback = connection.execute(counts).one()
            done, failed = (sum(n for state, _, n in grouped if state == name) for name in ("done", "failed"))
            drifted = sum(n for _, drift, n in grouped if drift)
            return StoreTotals(
                users=n_users, pairs=n_pairs, words=n_words, feedback=n_feedback, done=done, failed=failed,
                drifted=drifted,
            )  # fmt: skip

        return self.database.read(work)

    def close(self) -> None:
        """See `ProfileStore.close`."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.close()

    def _key(self, user_id: str) -> str:
        return self._seal.name("user", checked_user(user_id))

    def _sealed_names(
        self, kept: Kept, key: str, given: Mapping[str, tuple[Given, bytes]]
    ) -> dict[str, tuple[Given, bytes]]:
        return {self._seal.name(kept.noun, key, name): it for name, it in given.items()}

    def _read(self, user_id: str, work: Callable[[Rows], _Result]) -> _Result:
        key = self._key(user_id)
        return self.database.read(lambda connection: work(Rows(connection, self._seal, key)))

    def _write(self, key: str, work: Callable[[Rows], _Result]) -> _Result:
        """Run `work`; the first write into a new store settles how it is sealed."""

        def sealed(connection: Connection) -> _Result:
            if not self._seal_checked:
                insert_new(connection, facts, {"name": _SEAL, "value": self._seal.check_value()})
                self._seal.check(read_facts(connection)[_SEAL])
            return work(Rows(connection, self._seal, key))

        result = self.database.write(sealed)
        self._seal_checked = True
        return result

    def _put(
        self, rows: Rows, profile: UserProfile, made_from: str, write_id: str, expected: int | None
    ) -> VersionNote:
        content = profile_bytes(profile)
        rows.enter(profile.user_id)
        if (before := rows.written(write_id)) is not None:
            return before  # the connection was lost after the commit
        version, moment = rows.latest()
        refuse_other_version(version, expected, profile.user_id)
        now = self._clock()
        created_at = now if moment is None else max(now, moment)
        note = VersionNote(version=version + 1, created_at=created_at, made_from=made_from)
        rows.put(note, content, write_id)
        return note

    def _finish_deletion(self, mark: bytes) -> None:
        """Rewrite the files without what was deleted. Cut short, the next one to open the store does it."""
        self.database.scrub()
        done = facts.delete().where(facts.c.name == _SCRUB_DUE, facts.c.value == mark)
        self.database.write(lambda connection: connection.execute(done))


def _append(rows: Rows, kept: Kept, given: Mapping[str, tuple[Given, bytes]]) -> int:
    """Append what is not stored yet; how much that is.

    Raises:
        DataError: something differs from what is stored under the same id.
    """
    stored = rows.stored(kept, list(given))
    for name, content in stored.items():
        refuse_conflict(*given[name], content)
    fresh = {name: content for name, (_, content) in given.items() if name not in stored}
    rows.append(kept, fresh)
    return len(fresh)


def _note(values: Sequence[Any]) -> InductionNote:
    return InductionNote(**dict(zip(InductionNote.model_fields, values, strict=True)))


def _known(rows: Rows, version: int) -> ProfileVersion:
    found = rows.version(version)
    if found is None:
        numbers = [note.version for note in rows.notes()]
        there = f"there are {numbers[0]} to {numbers[-1]}" if numbers else "the user has none"
        raise DataError(
            f"there is no version {version} of this profile; {there}",
            field="version",
            cure="name one that `synthesizeme profiles show --user ID` lists",
        )
    return found

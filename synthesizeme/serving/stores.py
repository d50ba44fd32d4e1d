"""Users as a server keeps them: in memory, in a store that may be away, and shared by several processes."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from synthesizeme.errors import StoreUnavailableError
from synthesizeme.feedback import Judgement, UserWords
from synthesizeme.profile import UserProfile
from synthesizeme.profiles.store import (
    PAGE,
    Deleted,
    ProfileVersion,
    UserStore,
    UserSummary,
    VersionNote,
    refuse_other_version,
)
from synthesizeme.types import PreferencePair

PATIENCE_S = 1.0
"""How long a request waits for a store that is busy or away. All that touches the model is done one after the
other, so scores wait that long too."""
REST_S = 1.0
"""How long a store that was away is not asked again."""


@dataclass
class _Kept:
    """What is kept of one user."""

    pairs: tuple[PreferencePair, ...] = ()
    feedback: tuple[Judgement, ...] = ()
    words: UserWords | None = None
    profiles: tuple[ProfileVersion, ...] = ()


_NOTHING = _Kept()


class MemoryUsers:
    """A `UserStore` that ends with the process."""

    def __init__(self) -> None:
        self._users: dict[str, _Kept] = {}

    def _of(self, user_id: str) -> _Kept:
        return self._users.get(user_id, _NOTHING)

    def pairs(self, user_id: str) -> tuple[PreferencePair, ...]:
        """See `UserStore.pairs`."""
        return self._of(user_id).pairs

    def feedback(self, user_id: str) -> tuple[Judgement, ...]:
        """See `UserStore.feedback`."""
        return self._of(user_id).feedback

    def words(self, user_id: str) -> UserWords | None:
        """See `UserStore.words`."""
        return self._of(user_id).words

    def add_pairs(
        self,
        user_id: str,
        pairs: Sequence[PreferencePair],
        *,
        words: UserWords | None = None,
        feedback: Sequence[Judgement] = (),
        taken_back: Collection[str] = (),
    ) -> int:
        """See `UserStore.add_pairs`; nothing of it is stored already."""
        before = self._of(user_id)
        left = (it for it in before.pairs if it.pair_id not in taken_back)
        heard = (it for it in before.feedback if it.feedback_id not in taken_back)
        said = before.words if words is None else words or None
        kept = _Kept((*left, *pairs), (*heard, *feedback), said, before.profiles)
        if kept != _NOTHING:
            self._users[user_id] = kept
        else:
            self._users.pop(user_id, None)
        return len(pairs)

    def put_profile(
        self, profile: UserProfile, *, made_from: str | None = None, expected_version: int | None = None
    ) -> VersionNote:
        """See `UserStore.put_profile`."""
        before = self._of(profile.user_id)
        version = len(before.profiles)
        refuse_other_version(version, expected_version, profile.user_id)
        made = made_from or "by hand"
        note = VersionNote(version=version + 1, created_at=datetime.now(UTC), made_from=made)
        versions = (*before.profiles, ProfileVersion(**dict(note), profile=profile))
        self._users[profile.user_id] = replace(before, profiles=versions)
        return note

    def profile(self, user_id: str, version: int | None = None) -> ProfileVersion | None:
        """See `UserStore.profile`."""
        found = self._of(user_id).profiles
        return next((it for it in reversed(found) if version in (None, it.version)), None)

    def versions(self, user_id: str) -> tuple[VersionNote, ...]:
        """See `UserStore.versions`."""
        return self._of(user_id).profiles

    def delete(self, user_id: str) -> Deleted:
        """See `UserStore.delete`."""
        found = self._summary(user_id)
        self._users.pop(user_id, None)
        return Deleted(pairs=found.pairs, versions=found.version, words=found.words, feedback=found.feedback)

    def users(self, after: str | None = None, limit: int = PAGE) -> tuple[UserSummary, ...]:
        """See `UserStore.users`."""
        names = list(self._users)
        start = 0 if after is None else names.index(after) + 1
        return tuple(map(self._summary, names[start : start + limit]))

    def _summary(self, user_id: str) -> UserSummary:
        it = self._of(user_id)
        return UserSummary(
            user_id=user_id, pairs=len(it.pairs), version=len(it.profiles), words=it.words is not None,
            feedback=len(it.feedback),
        )  # fmt: skip

    def close(self) -> None:
        """Nothing is open."""


class Breaker:
    """A `UserStore` in front of another, which is left alone for a moment when it is out of reach.

    While that one rests, every request to it fails at once, so that requests do not queue up behind it.

    Args:
        store: The store, which raises `StoreUnavailableError` when it is out of reach.
        rest_s: Seconds of rest.
        clock: Seconds that never go back.
    """

    def __init__(
        self, store: UserStore, rest_s: float = REST_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._rest_s, self._clock = store, rest_s, clock
        self._until = float("-inf")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """A method of the store, which does not reach it while it rests."""
        method = getattr(self._store, name)

        def asked(*given: Any, **named: Any) -> Any:
            if self._clock() < self._until:
                raise StoreUnavailableError("the store was out of reach a moment ago. Cure: try again soon")
            try:
                return method(*given, **named)
            except StoreUnavailableError:
                self._until = self._clock() + self._rest_s
                raise

        return asked

    def close(self) -> None:
        """See `UserStore.close`."""
        self._store.close()


_OWNER, _DIGEST = 8, 16
_RECORD = _OWNER + _DIGEST


class Changes:
    """A file that every process appends to when it has changed a user, and reads before it answers.

    It holds no id, only digests under a key that is written nowhere. An append of a few bytes is whole or not
    there, so no lock is needed; that nothing is new costs one look at the size of the file.

    Args:
        path: The file; made if it does not exist. All that it holds is news to a process that opens it.
        key: The same in all processes.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._key, self._own = key, secrets.token_bytes(_OWNER)
        self._read = 0

    def digest(self, user_id: str) -> bytes:
        """What stands for a user."""
        return hashlib.blake2b(
            user_id.encode("utf-8", "surrogatepass"), key=self._key, digest_size=_DIGEST
        ).digest()

    def tell(self, user_id: str) -> None:
        """Let the others know that a user was changed; call it when the change can be seen."""
        os.write(self._file, self._own + self.digest(user_id))

    def any(self) -> bool:
        """Whether there may be news."""
        return self._size() > self._read

    def news(self) -> set[bytes]:
        """Digests of the users that others have changed since the last call."""
        data = os.pread(self._file, self._size() - self._read, self._read)
        whole = len(data) - len(data) % _RECORD
        self._read += whole
        records = (data[start : start + _RECORD] for start in range(0, whole, _RECORD))
        return {record[_OWNER:] for record in records if record[:_OWNER] != self._own}

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def _size(self) -> int:
        return os.fstat(self._file).st_size

"""Users of a served model: their pairs and words, and the state refitted from them at once."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from synthesizeme.datasets.rows import SourceRow, messages, strict_pair
from synthesizeme.errors import DataError, StoreError, StoreUnavailableError
from synthesizeme.feedback import UserWords
from synthesizeme.profiles.store import PAGE, Deleted, UserStore, UserSummary
from synthesizeme.profiles.views import every_user
from synthesizeme.scoring import PersonalRewards
from synthesizeme.types import PreferencePair

SOURCE = "pairs"
PATIENCE_S = 1.0
"""How long a request waits for a store that is busy or away. All that touches the model is done one after the
other, so scores wait that long too."""
REST_S = 1.0
"""How long a store that was away is not asked again."""
_Result = TypeVar("_Result")


class MemoryUsers:
    """A `UserStore` that ends with the process."""

    def __init__(self) -> None:
        self._pairs: dict[str, tuple[PreferencePair, ...]] = {}
        self._words: dict[str, UserWords] = {}

    def pairs(self, user_id: str) -> tuple[PreferencePair, ...]:
        """See `UserStore.pairs`."""
        return self._pairs.get(user_id, ())

    def words(self, user_id: str) -> UserWords | None:
        """See `UserStore.words`."""
        return self._words.get(user_id)

    def add_pairs(
        self, user_id: str, pairs: Sequence[PreferencePair], *, words: UserWords | None = None
    ) -> int:
        """See `UserStore.add_pairs`; none of the pairs is stored already."""
        if pairs:
            self._pairs[user_id] = (*self.pairs(user_id), *pairs)
        if words:
            self._words[user_id] = words
        elif words is not None:
            self._words.pop(user_id, None)
        return len(pairs)

    def delete(self, user_id: str) -> Deleted:
        """See `UserStore.delete`."""
        pairs, words = self._pairs.pop(user_id, ()), self._words.pop(user_id, None)
        return Deleted(pairs=len(pairs), versions=0, words=words is not None)

    def users(self, after: str | None = None, limit: int = PAGE) -> tuple[UserSummary, ...]:
        """See `UserStore.users`."""
        names = [*dict.fromkeys((*self._pairs, *self._words))]
        start = 0 if after is None else names.index(after) + 1
        return tuple(
            UserSummary(user_id=user, pairs=len(self.pairs(user)), version=0, words=user in self._words)
            for user in names[start : start + limit]
        )

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

    def pairs(self, user_id: str) -> tuple[PreferencePair, ...]:
        """See `UserStore.pairs`."""
        return self._ask(lambda: self._store.pairs(user_id))

    def words(self, user_id: str) -> UserWords | None:
        """See `UserStore.words`."""
        return self._ask(lambda: self._store.words(user_id))

    def add_pairs(
        self, user_id: str, pairs: Sequence[PreferencePair], *, words: UserWords | None = None
    ) -> int:
        """See `UserStore.add_pairs`."""
        return self._ask(lambda: self._store.add_pairs(user_id, pairs, words=words))

    def delete(self, user_id: str) -> Deleted:
        """See `UserStore.delete`."""
        return self._ask(lambda: self._store.delete(user_id))

    def users(self, after: str | None = None, limit: int = PAGE) -> tuple[UserSummary, ...]:
        """See `UserStore.users`."""
        return self._ask(lambda: self._store.users(after, limit))

    def close(self) -> None:
        """See `UserStore.close`."""
        self._store.close()

    def _ask(self, work: Callable[[], _Result]) -> _Result:
        if self._clock() < self._until:
            raise StoreUnavailableError("the store was out of reach a moment ago. Cure: try again soon")
        try:
            return work()
        except StoreUnavailableError:
            self._until = self._clock() + self._rest_s
            raise


class HistoryMissingError(DataError):
    """A user's state came with the checkpoint and the pairs behind it are not here to be added to."""


class Users:
    """Adds, exports and deletes users of a model. Not to be called while the model is scoring.

    Args:
        model: A fitted model.
        store: Where pairs and words are kept.
        most_pairs: Most pairs of one user.
        changes: How processes that share the store tell one another of changed users.
    """

    def __init__(
        self,
        model: PersonalRewards,
        store: UserStore,
        *,
        most_pairs: int = 2000,
        changes: Changes | None = None,
    ) -> None:
        self.model, self.store, self.most_pairs = model, store, most_pairs
        self._changes = changes
        self._by_words: set[str] = set()
        """Users whose state rests on stored words alone."""
        self._stale: set[bytes] = set()
        """Digests of users that others changed and that were not read again yet."""

    def fit_stored(self) -> int:
        """Fit every user of the store, see `fit_stored`; how many there are."""
        known = frozenset(self.model.users_)
        number = fit_stored(self.model, self.store)
        self._by_words |= self.model.users_.keys() - known
        return number

    def behind(self, user_ids: Iterable[str]) -> bool:
        """Whether `catch_up` with these users has something to do; quick, and reads no store."""
        changes = self._changes
        if changes is None:
            return False
        return changes.any() or any(changes.digest(user) in self._stale for user in user_ids if self._stale)

    def catch_up(self, user_ids: Iterable[str]) -> None:
        """Take over what other processes changed: of users the model knows, and of these.

        Raises:
            StoreError: the store cannot be read for one of these; they are taken over at the next call.
        """
        changes = self._changes
        if changes is None:
            return
        asked = list(user_ids)
        known: list[str] = []
        if news := changes.news():
            self._stale |= news
            known = [user for user in self.model.users_ if changes.digest(user) in self._stale]
        for user in asked if self._stale else ():
            self._take_over(user, changes)
        with suppress(StoreError):  # nobody waits for them
            for user in known:
                self._take_over(user, changes)

    def _take_over(self, user: str, changes: Changes) -> None:
        if (digest := changes.digest(user)) in self._stale:
            self._fit(user, self.store.pairs(user), self.store.words(user))
            self._stale.discard(digest)

    def _fit(self, user: str, pairs: Sequence[PreferencePair], words: UserWords | None) -> None:
        self.model.fit_user(user, pairs, words)
        if words is not None and not pairs:
            self._by_words.add(user)

    def add(
        self,
        user_id: str,
        pairs: Sequence[PreferencePair],
        words: UserWords | None = None,
        *,
        replace: bool = False,
    ) -> dict[str, Any]:
        """Refit a user, known or new, to their stored pairs and these, and to what they said.

        Args:
            user_id: The owner of every pair.
            pairs: Further pairs; one that is stored already is left out, so that a request may be repeated.
            words: What the user said beside choices, in place of what is stored of it; None leaves that.
            replace: Forget what the checkpoint knew of a user whose earlier pairs are not stored.

        Returns:
            How many pairs were added and how many there are now; with words, whether the model reads them.

        Raises:
            HistoryMissingError: the earlier pairs are not stored and `replace` is not set.
            DataError: a pair cannot be learned from, has the id of another one, or is one too many.
            StoreError: they cannot be stored; the model is as it was before.
        """
        self.catch_up([user_id])
        stored = self.store.pairs(user_id)
        said = self.store.words(user_id)
        if words is not None and not (pairs or self.model.reads_words):
            return self._kept(user_id, words)
        trained = user_id in self.model.users_ and user_id not in self._by_words
        if trained and not stored and not replace:
            raise HistoryMissingError(
                "the user's state came with the checkpoint and the pairs behind it are not here; what was "
                "sent alone would replace it",
                cure="start the server with --data and the user's history, or add ?replace=true.",
            )
        known = {pair.pair_id: pair for pair in stored}
        new: dict[str, PreferencePair] = {}
        for pair in pairs:
            twin = known.get(pair.pair_id) or new.get(pair.pair_id)
            if twin is None:
                new[pair.pair_id] = pair
            elif twin != pair:
                raise DataError("two different pairs have the same id", field="pair_id", cure="rename one.")
        together = [*stored, *new.values()]
        if len(together) > self.most_pairs:
            raise DataError(f"the user would have {len(together)} pairs; expected at most {self.most_pairs}")
        spoken = words is not None and words != said
        if new or spoken:
            before = self.model.users_.get(user_id)
            self._fit(user_id, together, words or said)
            try:
                self.store.add_pairs(user_id, list(new.values()), words=words)
            except Exception:
                self._put_back(user_id, before)
                raise
            self._tell(user_id)
        read = {} if words is None else {"read": self.model.reads_words}
        return {"added": len(new), "pairs": len(together), **read}

    def _kept(self, user_id: str, words: UserWords) -> dict[str, Any]:
        """Store words that the model does not read, for one that does."""
        self.store.add_pairs(user_id, (), words=words)
        return {"added": 0, "pairs": len(self.store.pairs(user_id)), "read": False}

    def export(self, user_id: str) -> dict[str, Any] | None:
        """Everything that is known of a user, or None: pairs, own words, what the model learned of them."""
        self.catch_up([user_id])
        pairs, said = self.store.pairs(user_id), self.store.words(user_id)
        known = user_id in self.model.users_
        if not pairs and said is None and not known:
            return None
        evidence = getattr(self.model, "evidence", None)
        learned = evidence(user_id, limit=None) if callable(evidence) and known else []
        return {
            "user_id": user_id,
            "known_to_model": known,
            "pairs": [pair.model_dump(mode="json", exclude_none=True) for pair in pairs],
            "words": None if said is None else said.model_dump(mode="json", exclude_none=True),
            "learned": [item.model_dump(mode="json") for item in learned],
        }

    def delete(self, user_id: str) -> dict[str, Any] | None:
        """Drop a user's pairs, words and state; what there was, or None."""
        self.catch_up([user_id])
        known = user_id in self.model.users_
        dropped = self.store.delete(user_id)
        self.model.forget_user(user_id)
        if not dropped.pairs and not dropped.words and not known:
            return None
        self._tell(user_id)
        return {"pairs": dropped.pairs, "words": dropped.words, "state": known}

    def _put_back(self, user_id: str, state: Any) -> None:
        if state is None:
            self.model.forget_user(user_id)
        else:
            self.model.users_[user_id] = state

    def _tell(self, user_id: str) -> None:
        if self._changes is not None:
            self._changes.tell(user_id)


def fit_stored(model: PersonalRewards, store: UserStore) -> int:
    """Fit every user of a store from all of their pairs and words; how many there are.

    Who has words alone is fitted to them, unless the model knows that user from its training already.
    """
    stored = (user for user in every_user(store) if user.pairs or user.words)
    histories = {user.user_id: store.pairs(user.user_id) for user in stored}
    words = {user: said for user in histories if (said := store.words(user)) is not None}
    told = {user: pairs for user, pairs in histories.items() if pairs or user not in model.users_}
    model.fit_users(told, words)
    return len(histories)


def read_pair(row: dict[str, Any], user_id: str, number: int) -> PreferencePair:
    """A pair of a request; prompt and responses may be bare text, the user is the one of the request.

    Raises:
        DataError: it is no pair, names another user, or is of the test split.
    """
    place = SourceRow(SOURCE, number, row)
    if row.get("user_id", user_id) != user_id:
        raise place.error("is another user than that of the request", field="user_id")
    if row.get("split") == "test":
        raise place.error("is of the test split, which nothing may be learned from", field="split")
    texts = {
        field: messages(place, field, row[field], role=role)
        for field, role in (("prompt", "user"), ("chosen", "assistant"), ("rejected", "assistant"))
        if row.get(field) is not None
    }
    return strict_pair(SourceRow(SOURCE, number, {**row, **texts, "user_id": user_id}))


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

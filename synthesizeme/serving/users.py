"""Users of a served model: their pairs, and the state refitted from them at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from synthesizeme.datasets._intake import SourceRow
from synthesizeme.datasets._pairs import messages, strict_pair
from synthesizeme.errors import DataError, StoreError
from synthesizeme.scoring import PersonalRewards
from synthesizeme.serving._changes import Changes
from synthesizeme.types import PreferencePair

SOURCE = "pairs"


class PairStore(Protocol):
    """Where the pairs of users are kept; a persistent store plugs in here.

    Methods may be called from one thread at a time.
    """

    def pairs(self, user_id: str) -> Sequence[PreferencePair]:
        """All pairs of a user, oldest first; none for a user that is not there."""

    def append(self, user_id: str, pairs: Sequence[PreferencePair]) -> None:
        """Keep further pairs of a user, all of them or, if it raises, none."""

    def delete(self, user_id: str) -> int:
        """Drop every pair of a user; how many there were."""

    def users(self) -> Iterable[str]:
        """Ids of the users that have pairs here."""

    def close(self) -> None:
        """Let go of what it holds open."""


class MemoryPairs:
    """A `PairStore` that ends with the process."""

    def __init__(self) -> None:
        self._pairs: dict[str, tuple[PreferencePair, ...]] = {}

    def pairs(self, user_id: str) -> Sequence[PreferencePair]:
        """All pairs of a user, oldest first; none for a user that is not there."""
        return self._pairs.get(user_id, ())

    def append(self, user_id: str, pairs: Sequence[PreferencePair]) -> None:
        """Keep further pairs of a user."""
        self._pairs[user_id] = (*self.pairs(user_id), *pairs)

    def delete(self, user_id: str) -> int:
        """Drop every pair of a user; how many there were."""
        return len(self._pairs.pop(user_id, ()))

    def users(self) -> Iterable[str]:
        """Ids of the users that have pairs here."""
        return tuple(self._pairs)

    def close(self) -> None:
        """Nothing is open."""


class HistoryMissingError(DataError):
    """A user's state came with the checkpoint and the pairs behind it are not here to be added to."""


class Users:
    """Adds, exports and deletes users of a model. Not to be called while the model is scoring.

    Args:
        model: A fitted model.
        store: Where pairs are kept.
        most_pairs: Most pairs of one user.
        changes: How processes that share the store tell one another of changed users.
    """

    def __init__(
        self,
        model: PersonalRewards,
        store: PairStore,
        *,
        most_pairs: int = 2000,
        changes: Changes | None = None,
    ) -> None:
        self.model, self.store, self.most_pairs = model, store, most_pairs
        self._changes = changes
        self._stale: set[bytes] = set()
        """Digests of users that others changed and that were not read again yet."""

    def fit_stored(self) -> int:
        """Fit every user of the store from all of their pairs; how many there are."""
        histories = {user: self.store.pairs(user) for user in self.store.users()}
        self.model.fit_users(histories)
        return len(histories)

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
            pairs = self.store.pairs(user)
            if pairs:
                self.model.fit_user(user, pairs)
            else:
                self.model.forget_user(user)
            self._stale.discard(digest)

    def add(self, user_id: str, pairs: Sequence[PreferencePair], *, replace: bool = False) -> dict[str, Any]:
        """Refit a user, known or new, to their stored pairs and these.

        Args:
            user_id: The owner of every pair.
            pairs: Further pairs; one that is stored already is left out, so that a request may be repeated.
            replace: Forget what the checkpoint knew of a user whose earlier pairs are not stored.

        Returns:
            How many pairs were added and how many there are now.

        Raises:
            HistoryMissingError: the earlier pairs are not stored and `replace` is not set.
            DataError: a pair cannot be learned from, has the id of another one, or is one too many.
            StoreError: the pairs cannot be stored; the model is as it was before.
        """
        self.catch_up([user_id])
        stored = self.store.pairs(user_id)
        if not stored and user_id in self.model.users_ and not replace:
            raise HistoryMissingError(
                "the user's state came with the checkpoint and the pairs behind it are not here; these pairs "
                "alone would replace it",
                cure="start the server with --pairs and the user's history, or add ?replace=true.",
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
        if new:
            before = self.model.users_.get(user_id)
            self.model.fit_user(user_id, together)
            try:
                self.store.append(user_id, list(new.values()))
            except Exception:
                self._put_back(user_id, before)
                raise
            self._tell(user_id)
        return {"added": len(new), "pairs": len(together)}

    def export(self, user_id: str) -> dict[str, Any] | None:
        """Everything that is known of a user, or None: pairs, and what the model learned in words."""
        self.catch_up([user_id])
        pairs, known = self.store.pairs(user_id), user_id in self.model.users_
        if not pairs and not known:
            return None
        evidence = getattr(self.model, "evidence", None)
        learned = evidence(user_id, limit=None) if callable(evidence) and known else []
        return {
            "user_id": user_id,
            "known_to_model": known,
            "pairs": [pair.model_dump(mode="json", exclude_none=True) for pair in pairs],
            "learned": [item.model_dump(mode="json") for item in learned],
        }

    def delete(self, user_id: str) -> dict[str, Any] | None:
        """Drop a user's pairs and state; what there was, or None."""
        self.catch_up([user_id])
        known = user_id in self.model.users_
        dropped = self.store.delete(user_id)
        self.model.forget_user(user_id)
        if not dropped and not known:
            return None
        self._tell(user_id)
        return {"pairs": dropped, "state": known}

    def _put_back(self, user_id: str, state: Any) -> None:
        if state is None:
            self.model.forget_user(user_id)
        else:
            self.model.users_[user_id] = state

    def _tell(self, user_id: str) -> None:
        if self._changes is not None:
            self._changes.tell(user_id)


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

"""Users of a served model: their pairs and words, and the state refitted from them at once."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from synthesizeme.datasets.rows import ReadReport, SourceRow, messages, strict_feedback, strict_pair
from synthesizeme.errors import DataError, StoreError
from synthesizeme.feedback import Judgement, UserWords
from synthesizeme.profiles.store import Deleted, UserStore
from synthesizeme.profiles.views import every_user
from synthesizeme.scoring import PersonalRewards
from synthesizeme.types import PreferencePair

SOURCE, FEEDBACK = "pairs", "feedback"
_Thing = TypeVar("_Thing")


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
        """Users whose state rests on stored words and feedback alone, without pairs."""
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
            self._fit(user, self.store.pairs(user), self.store.words(user), self.store.feedback(user))
            self._stale.discard(digest)

    def _fit(
        self,
        user: str,
        pairs: Sequence[PreferencePair],
        words: UserWords | None,
        feedback: Sequence[Judgement],
    ) -> None:
        self.model.fit_user(user, pairs, words, feedback)
        if (words is not None or feedback) and not pairs:
            self._by_words.add(user)

    def add(
        self,
        user_id: str,
        pairs: Sequence[PreferencePair],
        words: UserWords | None = None,
        feedback: Sequence[Judgement] = (),
        *,
        replace: bool = False,
        taken_back: Collection[str] = (),
    ) -> dict[str, Any]:
        """Refit a user, known or new, to what is stored of them and to this.

        Args:
            user_id: The owner of every pair.
            pairs: Further pairs; one that is stored already is left out: a request may be repeated.
            words: What the user said beside choices, in place of what is stored; None leaves that.
            feedback: Further feedback; what the model does not learn from is stored all the same.
            replace: Forget what the checkpoint knew of a user whose earlier pairs are not stored.
            taken_back: Ids of stored pairs and feedback that the user takes back.

        Returns:
            How many pairs were added and how many there are; with words, whether the model reads them; with
            feedback, the same of it, and by kind how much of that the model does not learn from.

        Raises:
            HistoryMissingError: the earlier pairs are not stored and `replace` is not set.
            DataError: a pair cannot be learned from, has the id of another one, or is one too many.
            StoreError: they cannot be stored; the model is as it was before.
        """
        self.catch_up([user_id])
        before, said = self.store.pairs(user_id), self.store.words(user_id)
        listened = self.store.feedback(user_id)
        stored = [it for it in before if it.pair_id not in taken_back]
        heard = [it for it in listened if it.feedback_id not in taken_back]
        fewer = len(stored) + len(heard) < len(before) + len(listened)
        further = _new(feedback, heard, lambda it: it.feedback_id, "feedback")
        learned = any(it.kind in self.model.reads_feedback for it in further)
        if not (pairs or learned or fewer or (words is not None and self.model.reads_words)):
            return self._kept(user_id, words, feedback, further)
        trained = user_id in self.model.users_ and user_id not in self._by_words
        if trained and not before and not replace:
            raise HistoryMissingError(
                "the user's state came with the checkpoint and the pairs behind it are not here; what was "
                "sent alone would replace it",
                cure="start the server with --data and the user's history, or add ?replace=true.",
            )
        new = _new(pairs, stored, lambda it: it.pair_id, "pair")
        together, all_heard = [*stored, *new], [*heard, *further]
        self._refuse_more(len(together), len(all_heard))
        spoken = words is not None and words != said
        if new or spoken or further or fewer:
            state = self.model.users_.get(user_id)
            self._fit(user_id, together, words or said, all_heard)
            try:
                self.store.add_pairs(user_id, new, words=words, feedback=further, taken_back=taken_back)
            except Exception:
                self._put_back(user_id, state)
                raise
            self._tell(user_id)
        return {"added": len(new), "pairs": len(together), **self._told(words, feedback, further, all_heard)}

    def _refuse_more(self, pairs: int, feedback: int) -> None:
        if (most := max(pairs, feedback)) > self.most_pairs:
            noun = "pairs" if pairs == most else "pieces of feedback"
            raise DataError(f"the user would have {most} {noun}; expected at most {self.most_pairs}")

    def _kept(
        self,
        user_id: str,
        words: UserWords | None,
        feedback: Sequence[Judgement],
        further: Sequence[Judgement],
    ) -> dict[str, Any]:
        """Store what the model does not read, for one that does."""
        self.store.add_pairs(user_id, (), words=words, feedback=further)
        all_heard = self.store.feedback(user_id)
        number = len(self.store.pairs(user_id))
        return {"added": 0, "pairs": number, **self._told(words, feedback, further, all_heard)}

    def _told(
        self,
        words: UserWords | None,
        feedback: Sequence[Judgement],
        further: Sequence[Judgement],
        all_heard: Sequence[Judgement],
    ) -> dict[str, Any]:
        """What became of words and feedback, where there were some."""
        told: dict[str, Any] = {} if words is None else {"read": self.model.reads_words}
        if feedback:
            unread = (it for it in feedback if it.kind not in self.model.reads_feedback)
            told |= {
                "feedback_added": len(further), "feedback": len(all_heard),
                "not_learned_from": dict(Counter(it.kind for it in unread)),
            }  # fmt: skip
        return told

    def export(self, user_id: str) -> dict[str, Any] | None:
        """Everything that is known of a user, or None: pairs, own words, profiles, what the model learned."""
        self.catch_up([user_id])
        pairs, said = self.store.pairs(user_id), self.store.words(user_id)
        heard = self.store.feedback(user_id)
        known = user_id in self.model.users_
        notes = self.store.versions(user_id)
        if not pairs and not heard and not notes and said is None and not known:
            return None
        versions = [found for note in notes if (found := self.store.profile(user_id, note.version))]
        evidence = getattr(self.model, "evidence", None)
        learned = evidence(user_id, limit=None) if callable(evidence) and known else []
        return {
            "user_id": user_id,
            "known_to_model": known,
            "pairs": [pair.model_dump(mode="json", exclude_none=True) for pair in pairs],
            "feedback": [it.model_dump(mode="json", exclude_none=True) for it in heard],
            "words": None if said is None else said.model_dump(mode="json", exclude_none=True),
            "profiles": [found.model_dump(mode="json") for found in versions],
            "learned": [item.model_dump(mode="json") for item in learned],
        }

    def delete(self, user_id: str) -> dict[str, Any] | None:
        """Drop a user's pairs, feedback, words, profiles and state; what there was, or None."""
        self.catch_up([user_id])
        known = user_id in self.model.users_
        dropped = self.store.delete(user_id)
        self.model.forget_user(user_id)
        if not known and dropped == Deleted(pairs=0, versions=0):
            return None
        self._tell(user_id)
        return {
            "pairs": dropped.pairs, "feedback": dropped.feedback, "words": dropped.words,
            "versions": dropped.versions, "state": known,
        }  # fmt: skip

    def _put_back(self, user_id: str, state: Any) -> None:
        if state is None:
            self.model.forget_user(user_id)
        else:
            self.model.users_[user_id] = state

    def _tell(self, user_id: str) -> None:
        if self._changes is not None:
            self._changes.tell(user_id)


def fit_stored(model: PersonalRewards, store: UserStore) -> int:
    """Fit every user of a store from all of their pairs, feedback and words; how many there are.

    Who has no pairs is fitted to the rest, unless the model knows that user from its training already.
    """
    stored = (user for user in every_user(store) if user.pairs or user.words or user.feedback)
    histories = {user.user_id: store.pairs(user.user_id) for user in stored}
    words = {user: said for user in histories if (said := store.words(user)) is not None}
    told = {user: pairs for user, pairs in histories.items() if pairs or user not in model.users_}
    model.fit_users(told, words, {user: store.feedback(user) for user in told})
    return len(histories)


def _new(
    given: Sequence[_Thing], stored: Sequence[_Thing], name: Callable[[_Thing], str], noun: str
) -> list[_Thing]:
    """What is not stored yet of what was sent, each once.

    Raises:
        DataError: two of one id differ.
    """
    known = {name(it): it for it in stored}
    new: dict[str, _Thing] = {}
    for it in given:
        twin = known.get(name(it)) or new.get(name(it))
        if twin is None:
            new[name(it)] = it
        elif twin != it:
            what = "pairs" if noun == "pair" else noun
            raise DataError(f"two different {what} have the same id", field=f"{noun}_id", cure="rename one.")
    return list(new.values())


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


def read_feedback(row: dict[str, Any], user_id: str, number: int) -> Judgement:
    """Feedback of a request: a row of our own format, of its user; the prompt may be bare text.

    Raises:
        DataError: it is none, names another user, or is of the test split.
    """
    place = SourceRow(FEEDBACK, number, row)
    if row.get("user_id", user_id) != user_id:
        raise place.error("is another user than that of the request", field="user_id")
    if row.get("split") == "test":
        raise place.error("is of the test split, which nothing may be learned from", field="split")
    prompt = row.get("prompt")
    asked = {} if prompt is None else {"prompt": messages(place, "prompt", prompt, role="user")}
    made = strict_feedback(SourceRow(FEEDBACK, number, {**row, **asked, "user_id": user_id}), ReadReport())
    assert made is not None, "a report of one row has seen no other"
    return made


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

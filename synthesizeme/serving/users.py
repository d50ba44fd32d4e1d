"""Users of a model: their pairs and words, and the states that are fitted to them, in a server at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import TYPE_CHECKING, Any, TypeVar

from synthesizeme.datasets import by_user
from synthesizeme.datasets.rows import ReadReport, SourceRow, messages, strict_feedback, strict_pair
from synthesizeme.errors import DataError, StoreError
from synthesizeme.evaluation.selective import Abstainer, rule_of_model
from synthesizeme.feedback import Judgement, UserWords
from synthesizeme.plain_text import id_list, printable
from synthesizeme.profiles.store import Deleted, UserStore
from synthesizeme.profiles.views import every_user
from synthesizeme.scoring import PersonalRewards
from synthesizeme.serving.stores import Changes
from synthesizeme.types import PreferencePair, Role

if TYPE_CHECKING:
    from reward_models import RewardModel


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
        before, listened = self.store.pairs(user_id), self.store.feedback(user_id)
        said = self.store.words(user_id)
        stored = [it for it in before if it.pair_id not in taken_back]
        heard = [it for it in listened if it.feedback_id not in taken_back]
        new = _new(pairs, stored, lambda it: it.pair_id, "pair")
        further = _new(feedback, heard, lambda it: it.feedback_id, "feedback")
        fewer = len(stored) + len(heard) < len(before) + len(listened)
        learned = any(it.kind in self.model.reads_feedback for it in further)
        refits = bool(pairs) or fewer or learned or (words is not None and self.model.reads_words)
        together, all_heard = [*stored, *new], [*heard, *further]
        if refits:
            self._check(user_id, before, together, all_heard, replace)
        if new or further or fewer or (words is not None and words != said):
            state = self.model.users_.get(user_id)
            if refits:
                self._fit(user_id, together, words or said, all_heard)
            try:
                self.store.add_pairs(user_id, new, words=words, feedback=further, taken_back=taken_back)
            except Exception:
                self._put_back(user_id, state)
                raise
            if refits:
                self._tell(user_id)
        told: dict[str, Any] = {"added": len(new), "pairs": len(together)}
        if words is not None:
            told["read"] = self.model.reads_words
        if feedback:
            told |= {"feedback_added": len(further), "feedback": len(all_heard)}
            told["not_learned_from"] = self._unread(feedback)
        return told

    def _unread(self, feedback: Sequence[Judgement]) -> dict[str, int]:
        return dict(Counter(it.kind for it in feedback if it.kind not in self.model.reads_feedback))

    def _check(
        self,
        user_id: str,
        before: Sequence[PreferencePair],
        pairs: Sequence[PreferencePair],
        feedback: Sequence[Judgement],
        replace: bool,
    ) -> None:
        """Refuse to lose the history that a checkpoint was trained on, and more of one user than is kept."""
        trained = user_id in self.model.users_ and user_id not in self._by_words
        if trained and not before and not replace:
            raise HistoryMissingError(
                "the user's state came with the checkpoint and the pairs behind it are not here; what was "
                "sent alone would replace it",
                cure="start the server with --data and the user's history, or add ?replace=true.",
            )
        for noun, number in (("pairs", len(pairs)), ("pieces of feedback", len(feedback))):
            if number > self.most_pairs:
                raise DataError(f"the user would have {number} {noun}; expected at most {self.most_pairs}")

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


def read_pair(place: SourceRow, user_id: str) -> PreferencePair:
    """A pair of a request; prompt and responses may be bare text, the user is the one of the request.

    Raises:
        DataError: it is no pair, names another user, or is of the test split.
    """
    return strict_pair(_of_user(place, user_id, prompt="user", chosen="assistant", rejected="assistant"))


def read_feedback(place: SourceRow, user_id: str) -> Judgement:
    """Feedback of a request: a row of our own format, of its user; the prompt may be bare text.

    Raises:
        DataError: it is none, names another user, or is of the test split.
    """
    made = strict_feedback(_of_user(place, user_id, prompt="user"), ReadReport())
    assert made is not None, "a report of one row has seen no other"
    return made


def _of_user(place: SourceRow, user_id: str, **texts: Role) -> SourceRow:
    """A row of a request as one of its user's, with messages in place of bare texts, by their roles.

    Raises:
        DataError: it names another user, or is of the test split.
    """
    row = place.row
    if row.get("user_id", user_id) != user_id:
        raise place.error("is another user than that of the request", field="user_id")
    if row.get("split") == "test":
        raise place.error("is of the test split, which nothing may be learned from", field="split")
    given = [name for name in texts if row.get(name) is not None]
    turns = {name: messages(place, name, row[name], role=texts[name]) for name in given}
    return changed(place, row={**row, **turns, "user_id": user_id})


@dataclass(frozen=True)
class FittedUsers:
    """To what users were fitted."""

    histories: dict[str, list[PreferencePair]]
    """Pairs by user; none of a user who only spoke."""
    words: dict[str, UserWords]
    """Words by user."""
    left_out: Counter[str]
    """Pairs of the test split by user, which are not learned from."""
    known: list[str]
    """Users whose words alone were not taken, since the model knows them from training."""
    abstainer: Abstainer | None
    """Says which comparisons are answered; None without a promise."""


def fit_users(
    model: RewardModel,
    pairs: Sequence[PreferencePair] | None,
    words: Mapping[str, UserWords],
    *,
    user: str | None = None,
    max_error: float | None = None,
    sources: tuple[str, str] = ("pairs", "words"),
) -> FittedUsers:
    """Fit users to their pairs and words; the shared weights of the model stay.

    Args:
        model: A fitted model.
        pairs: Pairs of any users; those of the test split are left out. None gives none.
        words: What users said beside choices, by user; unread by a model that reads no words.
        user: The only user that is fitted; by default all of them.
        max_error: The error that is promised: pairs of the split validation are then not fitted to, and say
            from which confidence on a comparison is answered.
        sources: Where pairs and words come from, for messages.

    Raises:
        DataError: there is nothing of anybody who is asked about, or with `max_error` there are too few
            validation pairs, or pairs that the model learned from.
        ConfigError: `max_error` is not within (0, 1).
    """
    histories, left_out = ({}, Counter[str]()) if pairs is None else _histories(pairs, user, sources[0])
    validation: list[PreferencePair] = []
    if max_error is not None:
        validation = [it for own in histories.values() for it in own if it.split == "validation"]
        histories = {name: [it for it in own if it.split != "validation"] for name, own in histories.items()}
    spoken = dict(words)
    if spoken and user is not None:
        if user not in spoken:
            problem = f"has no words of user {printable(user, 60)!r}; it has those of {id_list(spoken)}"
            raise DataError(problem, source=sources[1], cure="check --user.")
        spoken = {user: spoken[user]}
    spoken = spoken if model.reads_words else {}
    known = [name for name in spoken if name in model.users_ and name not in histories]
    spoken = {name: said for name, said in spoken.items() if name not in known}
    told = {**histories, **{name: [] for name in spoken if name not in histories}}
    model.fit_users(told, spoken)
    rule = None if max_error is None else rule_of_model(model, validation, max_error, sources[0])
    return FittedUsers(told, spoken, left_out, known, None if rule is None else Abstainer(rule))


def _histories(
    pairs: Sequence[PreferencePair], user: str | None, source: str
) -> tuple[dict[str, list[PreferencePair]], Counter[str]]:
    """The pairs that may be learned from, and how many of the test split there are, by user."""
    users = by_user(pairs)
    asked = {name: users.get(name, []) for name in (users if user is None else [user])}
    left_out = Counter({name: sum(it.split == "test" for it in own) for name, own in asked.items()})
    found = {name: [it for it in own if it.split != "test"] for name, own in asked.items()}
    histories = {name: own for name, own in found.items() if own}
    if not histories:
        whose = "anybody" if user is None else f"user {printable(user, 60)!r}"
        raise DataError(
            f"has no train or validation pair of {whose}",
            source=source,
            cure="check --user, or the `split` of the rows.",
        )
    return histories, left_out

"""The one contract of every reward model: fit, fit a user, score, compare, save, load.

What is learned has two parts. *Shared weights* come from many users and change in `fit` alone. A *user
state* is a handful of arrays that says who one user is (weights, or the encoded history itself); it is a
pure function of the shared weights and of that user's pairs, so that `fit_user` can replace it, another
user's can be lent, and it can be forgotten, all without touching anything shared.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, dataclass_transform

from numpy.typing import NDArray

from reward_models._checkpoint import Checkpoint, write
from reward_models._settings import method_parameters, wrong_settings
from reward_models._standing import Standing, reward_scale
from reward_models._training_pairs import (
    Sampled,
    refuse_foreign,
    refuse_lent,
    refuse_test_rows,
    sampled,
    user_effect,
)
from reward_models._types import Asked, Estimates, Histories, UserState, Words, active, sides_of, sigmoid
from synthesizeme.errors import ConfigError, DataError, NotFittedError
from synthesizeme.feedback import NO_WORDS, UserWords
from synthesizeme.pairs import by_user
from synthesizeme.progress import ShowProgress, waiting
from synthesizeme.scoring import Answer, RewardScale
from synthesizeme.types import Comparison, Failure, PreferencePair, Reward, Verdict

UnknownUser = Literal["population", "refuse"]


def method_name(method: type) -> str:
    """Name of a method: that of its module, with dashes."""
    return method.__module__.rpartition(".")[2].replace("_", "-")


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
@dataclass(kw_only=True, eq=False, repr=False)
class RewardModel(ABC):
    """Base of every method; the file it stands in is its registration.

    A subclass names its arguments as annotated attributes with defaults, as a dataclass does; they are given
    by keyword. What it learns ends in an underscore. It implements `_fit`, `_user_state`, `_rewards`,
    `_arrays` and `_restore`.

    Args:
        unknown_user: What a user without a state gets: ``population`` (the model without the user, with
            that status) or ``refuse`` (a `Failure` of kind ``unknown_user``).
        seed: Seed of every random choice.
        floor: What rewards stand on: ``base``, ``none``, ``lm:NAME`` (`reward_models.floor.open_floor`).
    """

    order_sensitive: ClassVar[bool] = False
    """Rewards are given response by response, so the order of showing cannot matter."""
    unsaved: ClassVar[tuple[str, ...]] = ()
    """Arguments that are no plain values and do not go into a checkpoint."""
    limits: ClassVar[Mapping[str, float | str]] = {}
    """Which values its own arguments take, see `reward_models._settings`."""
    standard_errors: ClassVar[bool] = False
    """Whether every reward has a standard error."""
    reads_words = False
    """Whether the method reads what users said beside their choices; one that does not ignores it."""
    population = False
    """Whether it was made for people elsewhere, knows none of those it learned from, and is not measured on
    any data of theirs, not even on pairs that were kept back."""

    unknown_user: UnknownUser = "population"
    seed: int = 0
    floor: str = "base"
    users_: dict[str, UserState] = field(init=False)
    learned_from: frozenset[str] | None = field(init=False, default=None)
    """`PreferencePair.fingerprint` of every pair that `fit` was given; None if a checkpoint does not say."""
    reward_scale: RewardScale | None = field(init=False, default=None)
    """What the rewards of training answers were like after `fit`; None if a checkpoint does not say."""
    _sampled: Sampled = field(init=False, default=Sampled())
    """Training users that `fit_report` asks about."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(kw_only=True, eq=False, repr=False)(cls)

    def __post_init__(self) -> None:
        self.standing = Standing(self.floor)
        problems = [f"{self.name}: {problem}" for problem in self._problems()]
        if problems:
            raise ConfigError(problems)

    def _problems(self) -> list[str]:
        """What is wrong with the arguments."""
        return wrong_settings(self)

    @abstractmethod
    def _fit(self, histories: Histories, words: Words) -> dict[str, UserState]:
        """Learn the shared weights from scratch; return the state of every user."""

    @abstractmethod
    def _user_state(self, pairs: Sequence[PreferencePair], words: UserWords | None = None) -> UserState:
        """What `pairs`, all of one user, and the user's words say about that user.

        Shared weights are only read. There is at least one pair, or, where the method `reads_words`, words.
        """

    def _user_states(self, histories: Histories, words: Words = NO_WORDS) -> dict[str, UserState]:
        """State of every user, where `_fit` ends; an engine in use spreads them (`reward_models._types`)."""
        engine = active()
        if engine is not None and histories:
            return engine.user_states(self, histories, words)
        return {user: self._user_state(pairs, words.get(user)) for user, pairs in histories.items()}

    @abstractmethod
    def _rewards(self, asked: Asked) -> Estimates:
        """Reward of each response, shape (n,)."""

    @abstractmethod
    def _arrays(self) -> dict[str, NDArray[Any]]:
        """The shared weights by name, for a checkpoint; empty where `_save_files` writes them."""

    @abstractmethod
    def _restore(self, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
        """Take the shared weights of a checkpoint and the `_facts` that were stored with them."""

    def _facts(self) -> dict[str, Any]:
        """Learned plain values that go beside the arrays as JSON, e.g. the identity of the features."""
        return {}

    def _told(self) -> dict[str, float]:
        """The numbers of `fit_report`; by default none."""
        return {}

    def _save_files(self, folder: Path) -> None:  # noqa: B027 - most methods have none
        """Write further files of a checkpoint, e.g. a backbone in its own format. By default none."""

    def _load_files(self, folder: Path) -> None:  # noqa: B027
        """Read what `_save_files` wrote; runs before `_restore`."""

    def _margins(self, firsts: Asked, seconds: Asked) -> Estimates:
        """Reward of the first response minus that of the second, and P(first), each of shape (n,).

        Both sides are scored in one batch. A method whose rewards of two responses are correlated overrides
        this to know the standard error of their difference.
        """
        both = self._rewards(firsts.then(seconds)).value
        margin = both[: len(firsts.responses)] - both[len(firsts.responses) :]
        return Estimates(margin, sigmoid(margin))

    def __repr__(self) -> str:
        fitted = f"{len(self.users_):,} users" if hasattr(self, "users_") else "not fitted"
        return f"{type(self).__name__}({fitted})"

    @property
    def name(self) -> str:
        """Name on the command line and in reports."""
        return method_name(type(self))

    @property
    def users(self) -> tuple[str, ...]:
        """Users with a state, in the order they came."""
        return tuple(self._fitted())

    @property
    def parameters(self) -> int:
        """Learned numbers: shared weights and user states.

        Raises:
            NotFittedError: before `fit`.
        """
        states = self._fitted().values()
        shared = sum(int(array.size) for array in self._arrays().values())
        return shared + sum(int(array.size) for state in states for array in state.values())

    def fit_report(self) -> dict[str, float]:
        """What a reader should know of the last fit, by name, e.g. the pairs that were kept and dropped.

        A model that was fitted here also says whether own, nobody's and swapped history differ, measured on
        a few training users (`reward_models._training_pairs.user_effect`) who were not refitted or forgotten
        since. One that was loaded has none of their pairs, and does not.

        Raises:
            NotFittedError: before `fit`.
        """
        self._fitted()
        return {**self._told(), **user_effect(self._user_state, self._margins, self._sampled)}

    def params(self) -> dict[str, Any]:
        """The arguments it was made with, plain values only."""
        return {
            name: getattr(self, name) for name in method_parameters(type(self)) if name not in self.unsaved
        }

    def fit(
        self, pairs: Sequence[PreferencePair], words: Words = NO_WORDS, *, progress: ShowProgress = None
    ) -> Self:
        """Learn shared weights and the state of every user from scratch; a second fit forgets the first.

        Args:
            pairs: Pairs of any number of users; `split` is train, validation or None. A method that stops
                early or calibrates does so on the validation rows.
            words: What users said beside their choices; read by a method that `reads_words`. A user who
                has words and no pair gets a state too.
            progress: True shows that it goes on if it takes longer than two seconds.

        Raises:
            DataError: there is no pair, or one of the test split.
        """
        refuse_test_rows(pairs)
        if not len(pairs):
            raise DataError(
                f"{self.name}: fit got no pair; expected at least one",
                cure="check the file and its `split` column: train and validation rows are used, never test.",
            )
        histories = by_user(pairs)
        refuse_lent(words)
        with waiting(progress, self.name, "fitting"):
            self.users_ = self._fit(histories, words)
        self._sampled = sampled(histories, words, self.seed)
        self.learned_from = frozenset(pair.fingerprint for pair in pairs)
        silent = {user: () for user, said in words.items() if said and user not in histories}
        self.fit_users(silent, words)
        self.reward_scale = reward_scale(self.taste_rewards, pairs, self.seed)
        self.standing.learn(pairs, self.reward_scale)
        return self

    def fit_user(self, user_id: str, pairs: Sequence[PreferencePair], words: UserWords | None = None) -> Self:
        """Learn who one user is, known or new, from these pairs and words alone; shared weights stay.

        Without pairs, and without words that the method reads, the user is forgotten and answered as unknown.

        Raises:
            NotFittedError: before `fit`.
            DataError: a pair is of the test split or of another user, or the words are another user's.
        """
        return self.fit_users({user_id: pairs}, NO_WORDS if words is None else {user_id: words})

    def fit_users(self, histories: Histories, words: Words = NO_WORDS) -> Self:
        """`fit_user` for the users of `histories`, each from their own pairs and words.

        An engine in use spreads them. Words of users who are not among `histories` are not read.

        Raises:
            NotFittedError: before `fit`.
            DataError: a pair is of the test split or of another user, or words are of another user; no user
                has been changed then.
        """
        users = self._fitted()
        refuse_foreign(histories)
        refuse_lent(words)
        read = {user for user, said in words.items() if self._reads(said)}
        told = {user: pairs for user, pairs in histories.items() if pairs or user in read}
        users |= self._user_states(told, words)
        for user_id in histories.keys() - told.keys():
            users.pop(user_id, None)
        self._sampled = self._sampled.without(set(histories))
        return self

    def forget_user(self, user_id: str) -> Self:
        """Drop what is known of a user; nothing happens if nothing is."""
        self._fitted().pop(user_id, None)
        self._sampled = self._sampled.without({user_id})
        self.standing.forget()
        return self

    def score(self, answers: Sequence[Answer]) -> list[Reward | Failure]:
        """Reward of each answer for its user, taste and floor, in the order given.

        Raises:
            NotFittedError: before `fit`.
            DataError: what is given are no answers.
        """
        return self.standing.rewards(answers, self.taste_rewards(answers))

    def taste_rewards(self, answers: Sequence[Answer]) -> list[Reward | Failure]:
        """`score` without a floor.

        Raises:
            NotFittedError: before `fit`.
            DataError: what is given are no answers.
        """
        if not all(isinstance(it, Answer) for it in answers):
            cure = "load_reward_model(model).score(prompt, response, user=ID) takes a response and its prompt"
            raise DataError("found something else than answers; expected a list of Answer", cure=cure)
        users = self._fitted()
        states = [users.get(it.user_id) for it in answers]

        def read(rows: Sequence[int]) -> list[Reward]:
            some = [answers[i] for i in rows]
            asked = Asked([it.prompt for it in some], [it.response for it in some], [states[i] for i in rows])
            found = self._rewards(asked)
            return [found.reward(row, known=states[i] is not None) for row, i in enumerate(rows)]

        return self._answered(answers, states, read)

    def rewards(self, answers: Sequence[Answer]) -> list[float]:
        """The values of `score` alone.

        Raises:
            DataError: a user is unknown and `unknown_user` is ``refuse``.
        """
        results = self.score(answers)
        refused = [r.detail for r in results if isinstance(r, Failure)]
        if refused:
            raise DataError(refused[0], field="user_id", cure="call fit_user first, or answer by population.")
        return [r.value for r in results if isinstance(r, Reward)]

    def compare(self, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
        """Which response each user prefers, floors included; exchanging the two negates the margin.

        Raises:
            NotFittedError: before `fit`.
        """
        states = self._states_as_of(comparisons)

        def read(rows: Sequence[int]) -> list[Verdict]:
            found = self._margins(*sides_of([comparisons[i] for i in rows], [states[i] for i in rows]))
            return [found.verdict(row) for row in range(len(rows))]

        return self.standing.verdicts(comparisons, self._answered(comparisons, states, read))

    def _answered(
        self,
        asked: Sequence[Any],
        states: Sequence[UserState | None],
        read: Callable[[Sequence[int]], Sequence[Any]],
    ) -> list[Any]:
        """What `read` says of the answers or comparisons whose users may be answered; else a `Failure`."""
        rows = [i for i, state in enumerate(states) if state is not None or self.unknown_user != "refuse"]
        found = dict(zip(rows, read(rows) if rows else (), strict=True))
        detail = "user {!r} is unknown to this model, and unknown users are refused"
        return [
            found[i] if i in found else Failure(kind="unknown_user", detail=detail.format(it.user_id))
            for i, it in enumerate(asked)
        ]

    def stand_on(self, floor: str) -> Self:
        """Exchange the floor of all rewards, e.g. for ``none``; nothing is learned anew."""
        self.standing, self.floor = self.standing.on(floor), floor
        return self

    def save(self, folder: Path | str) -> None:
        """Write a checkpoint folder, whole or not at all; see `reward_models._checkpoint`.

        Raises:
            NotFittedError: before `fit`.
            DataError: the place cannot be written, or holds something that is no checkpoint.
        """
        states = self._fitted()
        limits, known = self.standing.kept()
        stored = Checkpoint(
            method=self.name, params=self.params(), facts=self._facts(), arrays=self._arrays(), users=states,
            reward_scale=self.reward_scale, limits=limits, known=known, learned_from=self.learned_from,
        )  # fmt: skip
        write(stored, Path(folder), self._save_files)

    def _take(self, stored: Checkpoint) -> None:
        """Become the fitted model of a checkpoint; `_load_files` ran before. See `reward_models.load`."""
        self._restore(stored.arrays, stored.facts)
        self.users_ = stored.users
        self.reward_scale, self.learned_from = stored.reward_scale, stored.learned_from
        unit = 1.0 if stored.reward_scale is None else stored.reward_scale.scale
        self.standing.restore(stored.limits, stored.known, unit)

    def _fitted(self) -> dict[str, UserState]:
        try:
            return self.users_
        except AttributeError:
            raise NotFittedError(
                f"{self.name} is not fitted; call fit(pairs), or load a checkpoint"
            ) from None

    def _reads(self, words: UserWords) -> bool:
        return self.reads_words and bool(words)

    def _as_of(self, state: UserState, moment: datetime | None) -> UserState:
        """A state without what the user said later than a moment; by default nothing is left out."""
        return state

    def _states_as_of(self, comparisons: Sequence[Comparison]) -> list[UserState | None]:
        """States of the users as of when they are asked; equal questions share one object."""
        users, asked = self._fitted(), dict.fromkeys((c.user_id, c.created_at) for c in comparisons)
        known = {key: self._as_of(users[key[0]], key[1]) if key[0] in users else None for key in asked}
        return [known[c.user_id, c.created_at] for c in comparisons]

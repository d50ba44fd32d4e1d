"""The one contract of every reward model: fit, fit a user, score, compare, save, load.

What is learned has two parts. *Shared weights* come from many users and change in `fit` alone. A *user
state* is a handful of arrays that says who one user is (weights, or the encoded history itself); it is a
pure function of the shared weights and of that user's pairs, so that `fit_user` can replace it, another
user's can be lent, and it can be forgotten, all without touching anything shared.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self, dataclass_transform

from numpy.typing import NDArray

from reward_models._answering import Answering, UnknownUser
from reward_models._checkpoint import Checkpoint, write
from reward_models._settings import method_parameters, wrong_settings
from reward_models._standing import Standing, reward_scale
from reward_models._training_pairs import (
    Sampled,
    refuse_foreign,
    refuse_lent,
    refuse_test_feedback,
    refuse_test_rows,
    sampled,
    user_effect,
)
from reward_models._types import SILENT, Feedback, Histories, Said, Sayings, UserState, Words, active
from synthesizeme.errors import ConfigError, DataError
from synthesizeme.feedback import NO_WORDS, Judgement, UserWords
from synthesizeme.pairs import by_user
from synthesizeme.progress import ShowProgress, waiting
from synthesizeme.scoring import RewardScale
from synthesizeme.types import PreferencePair


@dataclass_transform(kw_only_default=True, eq_default=False, field_specifiers=(field,))
@dataclass(kw_only=True, eq=False, repr=False)
class RewardModel(Answering):
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
    """Whether the method reads what users said of themselves; one that does not ignores it."""
    reads_feedback = frozenset[str]()
    """Kinds of feedback that the method learns from, of ``strength`` (of a pair), ``tie``, ``ranking``,
    ``rating`` and ``edit``. Others are left out, and counted in `fit_report`."""
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
    _heard: Mapping[str, int] = field(init=False, default_factory=dict)
    """How much feedback of each kind `fit` read and left out, by what `fit_report` calls it."""
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
    def _fit(self, histories: Histories, sayings: Sayings) -> dict[str, UserState]:
        """Learn the shared weights from scratch; return the state of every user of `histories`."""

    @abstractmethod
    def _user_state(self, pairs: Sequence[PreferencePair], said: Said = SILENT) -> UserState:
        """What `pairs`, all of one user, and what else the user said tell about that user.

        Shared weights are only read. There is at least one pair, or words or feedback that the method reads.
        """

    def _user_states(
        self, histories: Histories, sayings: Sayings = MappingProxyType({})
    ) -> dict[str, UserState]:
        """State of every user, where `_fit` ends; an engine in use spreads them (`reward_models._types`)."""
        engine = active()
        if engine is not None and histories:
            return engine.user_states(self, histories, sayings)
        return {user: self._user_state(pairs, sayings.get(user, SILENT)) for user, pairs in histories.items()}

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

    def _save_files(self, folder: Path) -> None:
        """Write further files of a checkpoint, e.g. a backbone in its own format. By default none."""

    def _load_files(self, folder: Path) -> None:
        """Read what `_save_files` wrote; runs before `_restore`."""

    def __repr__(self) -> str:
        fitted = f"{len(self.users_):,} users" if hasattr(self, "users_") else "not fitted"
        return f"{type(self).__name__}({fitted})"

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
        return {
            **self._told(), **self._heard, **user_effect(self._user_state, self._margins, self._sampled)
        }  # fmt: skip

    def params(self) -> dict[str, Any]:
        """The arguments it was made with, plain values only."""
        return {
            name: getattr(self, name) for name in method_parameters(type(self)) if name not in self.unsaved
        }

    def fit(
        self,
        pairs: Sequence[PreferencePair],
        words: Words = NO_WORDS,
        feedback: Sequence[Judgement] = (),
        *,
        progress: ShowProgress = None,
    ) -> Self:
        """Learn shared weights and the state of every user from scratch; a second fit forgets the first.

        Args:
            pairs: Pairs of any number of users; `split` is train, validation or None. A method that stops
                early or calibrates does so on the validation rows.
            words: What users said of themselves; read by a method that `reads_words`. A user who has words
                and no pair gets a state too.
            feedback: What users said of responses beside their choices, `split` as that of pairs; read by a
                method that `reads_feedback`. A user who gave some and has no pair gets a state too.
            progress: True shows that it goes on if it takes longer than two seconds.

        Raises:
            DataError: there is no pair, or one of the test split, or feedback of it.
        """
        refuse_test_rows(pairs)
        refuse_test_feedback(feedback)
        if not len(pairs):
            raise DataError(
                f"{self.name}: fit got no pair; expected at least one",
                cure="check the file and its `split` column: train and validation rows are used, never test.",
            )
        histories, heard = by_user(pairs), by_user(feedback)
        refuse_lent(words)
        sayings = self._sayings(words, heard)
        with waiting(progress, self.name, "fitting"):
            self.users_ = self._fit(histories, sayings)
        self._sampled = sampled(histories, sayings, self.seed)
        self._heard = self._counted(pairs, feedback)
        self.learned_from = frozenset(pair.fingerprint for pair in pairs)
        silent = {user: () for user in (*words, *heard) if user not in histories}
        self.fit_users(silent, words, heard)
        self.reward_scale = reward_scale(self.taste_rewards, pairs, self.seed)
        self.standing.learn(pairs, self.reward_scale)
        return self

    def fit_user(
        self,
        user_id: str,
        pairs: Sequence[PreferencePair],
        words: UserWords | None = None,
        feedback: Sequence[Judgement] = (),
    ) -> Self:
        """Learn who one user is, known or new, from what is given alone; shared weights stay.

        Without pairs, and without words or feedback that the method reads, the user is forgotten and answered
        as unknown.

        Raises:
            NotFittedError: before `fit`.
            DataError: something is of another user, or a pair or a piece of feedback of the test split.
        """
        return self.fit_users(
            {user_id: pairs}, NO_WORDS if words is None else {user_id: words}, {user_id: feedback}
        )

    def fit_users(
        self, histories: Histories, words: Words = NO_WORDS, feedback: Feedback = MappingProxyType({})
    ) -> Self:
        """`fit_user` for the users of `histories`, each from their own pairs, words and feedback.

        An engine in use spreads them. What users said who are not among `histories` is not read.

        Raises:
            NotFittedError: before `fit`.
            DataError: something is of another user, or a pair or a piece of feedback of the test split; no
                user has been changed then.
        """
        users = self._fitted()
        refuse_foreign(histories, feedback)
        refuse_lent(words)
        sayings = self._sayings(words, feedback)
        read = {user for user, said in sayings.items() if said.feedback or self._reads(said.words)}
        told = {user: pairs for user, pairs in histories.items() if pairs or user in read}
        users |= self._user_states(told, sayings)
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

    def _reads(self, words: UserWords | None) -> bool:
        return self.reads_words and bool(words)

    def _hears(self, judgement: Judgement) -> bool:
        """Whether the method learns anything from a piece of feedback."""
        return judgement.kind in self.reads_feedback

    def _sayings(self, words: Words, feedback: Feedback) -> Sayings:
        """What users said, of feedback what the method reads."""
        return {
            user: Said(words.get(user), [it for it in feedback.get(user, ()) if self._hears(it)])
            for user in {**words, **feedback}
        }

    def _counted(self, pairs: Sequence[PreferencePair], feedback: Sequence[Judgement]) -> dict[str, int]:
        """How much feedback of each kind is read and left out, for `fit_report`."""
        kinds = [
            ("strength", "strength" in self.reads_feedback) for pair in pairs if pair.strength is not None
        ]
        kinds += [(it.kind, self._hears(it)) for it in feedback]
        return {
            f"feedback {'read' if heard else 'left out'}: {kind}": n
            for (kind, heard), n in sorted(Counter(kinds).items())
        }

"""The two questions a scorer can answer. Judges and reward models meet only here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from pydantic import Field

from synthesizeme.feedback import Judgement, UserWords
from synthesizeme.types import Comparison, Failure, Frozen, Message, PreferencePair, Reward, Verdict


class Answer(NamedTuple):
    """One response to a prompt, to be scored for a user: what `Comparison` is for two of them."""

    prompt: Sequence[Message]
    """The conversation; ends with a user turn."""
    response: str
    """The text that is scored."""
    user_id: str
    """The user whose reward is asked for."""


def as_answers(
    prompts: Sequence[Sequence[Message]], responses: Sequence[str], user_ids: Sequence[str]
) -> list[Answer]:
    """Answers of three columns.

    Raises:
        ValueError: the columns differ in length.
    """
    return [Answer(*row) for row in zip(prompts, responses, user_ids, strict=True)]


class RewardScale(Frozen):
    """What the rewards of training answers are like, so that others can be brought to their scale."""

    mean: float = Field(allow_inf_nan=False)
    """Mean reward of the answers, each for the user who judged it."""
    scale: float = Field(gt=0, allow_inf_nan=False)
    """Their standard deviation."""
    standard_error: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Mean of their standard errors, where the model knows them."""
    answers: int = Field(ge=2)
    """How many answers there were."""


class Standing(Protocol):
    """What the rewards of a scorer stand on (`reward_models.Standing`)."""

    @property
    def name(self) -> str:
        """Name of the floor: ``base``, ``none`` or ``lm:NAME``."""

    @property
    def unit(self) -> float:
        """Standard deviation of the tastes of real answers, in whose multiples the floor is deep."""

    def on(self, name: str) -> Standing:
        """The same unit on the floor of that name."""

    def rewards(
        self, answers: Sequence[Answer], tastes: Sequence[Reward | Failure]
    ) -> list[Reward | Failure]:
        """Rewards on the floor; failures stay."""

    def verdicts(
        self, comparisons: Sequence[Comparison], found: Sequence[Verdict | Failure]
    ) -> list[Verdict | Failure]:
        """Verdicts with the floors of both responses; failures stay."""


@runtime_checkable
class PairwiseScorer(Protocol):
    """Anything that says which of two responses a user prefers."""

    @property
    def name(self) -> str:
        """Name in reports."""

    @property
    def order_sensitive(self) -> bool:
        """Whether the verdict may depend on which response is shown first; then both orders are asked."""

    def compare(self, comparisons: Sequence[Comparison]) -> list[Verdict | Failure]:
        """One result per comparison, in the same order; never fewer."""


@runtime_checkable
class ResponseScorer(Protocol):
    """Anything that gives one response of a user's conversation a scalar reward."""

    def rewards(self, answers: Sequence[Answer]) -> list[float]:
        """One reward per answer; larger is preferred, scale is the model's own."""


@runtime_checkable
class RewardScorer(Protocol):
    """Anything that gives a response of a user's conversation a reward and says what it is made of."""

    def score(self, answers: Sequence[Answer]) -> list[Reward | Failure]:
        """The reward of each answer for its user, in the order given."""


class PersonalScorer(PairwiseScorer, Protocol):
    """A pairwise scorer that learns from many users, and who a user is from that user's pairs alone."""

    users_: dict[str, Any]
    """What is known of each user, empty where the method knows nobody; never changed in place."""

    @property
    def reads_words(self) -> bool:
        """Whether what users said beside their choices is read; else it changes nothing."""

    @property
    def parameters(self) -> int:
        """Learned numbers, those of the users included."""

    def fit(self, pairs: Sequence[PreferencePair], words: Mapping[str, UserWords] = ...) -> object:
        """Learn everything from scratch, from choices and from what users said beside them."""

    def fit_users(
        self, histories: Mapping[str, Sequence[PreferencePair]], words: Mapping[str, UserWords] = ...
    ) -> object:
        """Learn who these users are from their own pairs and words, shared weights untouched.

        A user without pairs, and without words that the method reads, is forgotten.
        """


class SavedScorer(PersonalScorer, Protocol):
    """A personal scorer that was fitted earlier, maybe on pairs that it is now asked about."""

    @property
    def learned_from(self) -> frozenset[str] | None:
        """`PreferencePair.fingerprint` of every pair that `fit` was given; None if that is not known."""

    @property
    def population(self) -> bool:
        """Whether it was made for people elsewhere, and no pair of data that it was made from tests it."""


@runtime_checkable
class PersonalRewards(PersonalScorer, RewardScorer, Protocol):
    """A fitted reward model as it is served: users come, are scored, and go."""

    unknown_user: Literal["population", "refuse"]
    """What a user without a state gets."""

    @property
    def reads_feedback(self) -> frozenset[str]:
        """Kinds of feedback beside pairs that are learned from; others change nothing."""

    @property
    def standard_errors(self) -> bool:
        """Whether every reward has a standard error."""

    @property
    def reward_scale(self) -> RewardScale | None:
        """Mean and scale of the rewards of the training answers; None if they are not known."""

    def stand_on(self, floor: str) -> object:
        """Exchange the floor of all rewards, by its name."""

    def fit_users(
        self,
        histories: Mapping[str, Sequence[PreferencePair]],
        words: Mapping[str, UserWords] = ...,
        feedback: Mapping[str, Sequence[Judgement]] = ...,
    ) -> object:
        """Learn who these users are from their own pairs, words and feedback, shared weights untouched."""

    def fit_user(
        self,
        user_id: str,
        pairs: Sequence[PreferencePair],
        words: UserWords | None = None,
        feedback: Sequence[Judgement] = ...,
    ) -> object:
        """Learn who one user is from what is given alone; without anything the user is forgotten."""

    def forget_user(self, user_id: str) -> object:
        """Drop what is known of a user."""

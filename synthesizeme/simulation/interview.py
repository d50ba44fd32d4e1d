"""Asking one user the questions that tell most about them, refitted after every answer."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple, Protocol

from synthesizeme.errors import ConfigError, DataError
from synthesizeme.feedback import STARS, Given, Judgement, Rating, Scale, Trait, pairs_in
from synthesizeme.questions import (
    FAULTS,
    KINDS,
    AnswerBeliefs,
    Kind,
    Question,
    ResponseQuestion,
    TraitQuestion,
)
from synthesizeme.scoring import PersonalRewards
from synthesizeme.simulation.answers import Answer, answer_id, given_answer
from synthesizeme.simulation.information import choose
from synthesizeme.simulation.pool import asked_of
from synthesizeme.stylometry import FEATURE
from synthesizeme.types import Comparison, PreferencePair, Verdict


class KnowsAnswers(PersonalRewards, Protocol):
    """A fitted reward model that knows how its expectations of one user's answers hang together."""

    def answer_posterior(self, user_id: str, questions: Sequence[Question]) -> AnswerBeliefs:
        """What is believed of the user's answers and of the taste behind them."""


class InterviewQuestion(NamedTuple):
    """Something to ask the user."""

    asked: Question
    """The question; a comparison is in the order in which it is to be shown."""
    bits: float
    """What the answer is expected to tell, in bits."""
    probability: float | None = None
    """Of a comparison, P(the user prefers the first), as the model sees it now, in [0, 1]."""


class Interview:
    """Questions to one user about a pool of comparisons, and the answers so far.

    Args:
        model: A fitted model; the user is refitted in it.
        user_id: Whom to ask, known to the model or new.
        pool: What can be asked about; what `history` answers already is left out.
        history: What the user said earlier, nothing of the test split; with any, the user is fitted to it
            first.
        kinds: What is asked for: choices between the two responses of a comparison, ratings of one of them,
            traits of responses in words. One kind or more.
        scale: What a rating can be.

    Raises:
        ConfigError: the model has no joint posterior of answers, or a kind is none.
        DataError: the history cannot be learned from.
    """

    def __init__(
        self,
        model: KnowsAnswers,
        user_id: str,
        pool: Sequence[Comparison],
        history: Sequence[Given] = (),
        *,
        kinds: Sequence[Kind] = ("pair",),
        scale: Scale = STARS,
    ) -> None:
        unknown = [repr(kind) for kind in kinds if kind not in KINDS]
        if unknown or not kinds:
            found = ", ".join(unknown) or "none"
            raise ConfigError(f"kinds of questions: found {found}; expected some of {', '.join(KINDS)}")
        if not callable(getattr(model, "answer_posterior", None)):
            raise ConfigError(
                f"{model.name} does not know how sure it is of a user's answers together, so no question can "
                "be chosen; expected hierarchical or hierarchical-stylometric"
            )
        self.model, self.user_id = model, user_id
        self.history = list(history)
        if self.history:
            self._fit()
        known = {name for said in history for name in _answers(said)}
        self._open = {
            answer_id(it): it
            for kind in KINDS
            if kind in kinds
            for it in _questions(kind, user_id, pool, scale)
            if known.isdisjoint(_asks(it))
        }

    @property
    def open(self) -> list[Question]:
        """Questions that were neither answered nor skipped."""
        return list(self._open.values())

    @property
    def left(self) -> int:
        """How many there are."""
        return len(self._open)

    @property
    def would_forget(self) -> bool:
        """Whether the model knows the user from what is not here: an answer would replace it."""
        return not self.history and self.user_id in self.model.users_

    def next(self, n: int = 1) -> list[InterviewQuestion]:
        """The `n` questions that tell most together, best first; fewer where no more are left.

        Raises:
            ConfigError: `n` is less than 1.
        """
        pool = self.open
        if not pool:
            return []
        chosen = choose(self.model.answer_posterior(self.user_id, pool), n)
        return [
            InterviewQuestion(pool[it.place], it.bits, self._probability(pool[it.place])) for it in chosen
        ]

    def answer(self, question: InterviewQuestion, answer: Answer) -> Given:
        """Record an answer as a pair or as feedback and refit the user at once.

        Args:
            question: One of `next`.
            answer: ``first`` or ``second`` of a comparison, a value of the scale of a rating, ``yes``,
                ``no`` or ``no matter`` of a trait.

        Raises:
            DataError: it is no answer to the question, or the model knows the user from what is not here.
        """
        if self.would_forget:
            raise DataError(
                f"the model knows user {self.user_id[:80]!r} from pairs that are not here; this answer alone "
                "would replace them",
                field="user_id",
                cure="give the user's history, or forget the user first.",
            )
        said = given_answer(question.asked, answer, {"information_bits": round(question.bits, 6)})
        self.history.append(said)
        try:
            self._fit()
        except DataError:
            self.history.pop()
            raise
        self.skip(question)
        return said

    def skip(self, question: InterviewQuestion) -> None:
        """Do not ask this one (again)."""
        self._open.pop(answer_id(question.asked), None)

    def _fit(self) -> None:
        feedback: list[Judgement] = [it for it in self.history if not isinstance(it, PreferencePair)]
        self.model.fit_user(self.user_id, list(pairs_in(self.history)), None, feedback)

    def _probability(self, question: Question) -> float | None:
        if not isinstance(question, Comparison):
            return None
        [verdict] = self.model.compare([question])
        return verdict.probability if isinstance(verdict, Verdict) else 0.5


def _questions(kind: Kind, user_id: str, pool: Sequence[Comparison], scale: Scale) -> list[Question]:
    """Everything of a kind that a user can be asked."""
    if kind == "pair":
        return [asked_of(user_id, it) for it in pool]
    if kind == "trait":
        return [TraitQuestion(user_id=user_id, feature=name) for name in FEATURE if name not in FAULTS]
    responses = dict.fromkeys((it.prompt, text) for it in pool for text in (it.first, it.second))
    return [
        ResponseQuestion(user_id=user_id, prompt=prompt, response=text, scale=scale)
        for prompt, text in responses
    ]


def _asks(question: Question) -> set[Hashable]:
    """What a question is about, by the names that `_answers` has for it."""
    match question:
        case TraitQuestion():
            return {("trait", question.feature)}
        case ResponseQuestion():
            return {("rating", question.prompt, question.response)}
    texts = sorted((question.first, question.second))
    return {("pair", question.prompt, *texts), ("id", question.pair_id), ("id", answer_id(question))}


def _answers(said: Given) -> set[Hashable]:
    """What was asked where this is the answer; nothing of what is never asked here."""
    match said:
        case PreferencePair():
            texts = sorted((said.chosen_text, said.rejected_text))
            return {("pair", said.prompt, *texts), ("id", said.pair_id)}
        case Rating(aspect=None):
            return {("rating", said.prompt, said.response)}
        case Trait():
            return {("trait", said.feature)}
    return set()

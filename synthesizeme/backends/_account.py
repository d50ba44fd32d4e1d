"""Counting what is asked: one account for each thing whose cost is told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from synthesizeme.backends._answer import Answer
from synthesizeme.backends._calls import Question
from synthesizeme.progress import OnProgress, Progress
from synthesizeme.types import Failure, Usage

if TYPE_CHECKING:
    from synthesizeme.backends._base import Model
    from synthesizeme.backends._readings import Readings

_TAKEN = ("prompt_tokens", "completion_tokens", "cost_usd")


@dataclass(frozen=True)
class Reply:
    """An outcome with what it took to get it."""

    outcome: Answer | Failure
    retries: int = 0
    cached: bool = False
    follow_ups: int = 0


Report = Callable[[Question, Reply], None]
"""Told of each question as it is answered."""


class Asking(Protocol):
    """What an account asks through: a `Session`, which makes the account."""

    model: Model
    progress: OnProgress | None
    readings: Readings

    def answer(self, questions: Sequence[Question], report: Report) -> list[Reply]:
        """Answer distinct questions, in order; `report` is called as each one finishes."""


class Account:
    """One scope of counting, e.g. one user's induction. Identical questions in it are asked once.

    Args:
        session: Through which the questions are asked.
        within: A wider account: what it knows is not asked again but counts here all the same, so that
            whoever decides by the counts decides alike whatever was asked before.
        progress: Called after every finished call, in place of the session's own.
    """

    def __init__(
        self, session: Asking, within: Account | None = None, progress: OnProgress | None = None
    ) -> None:
        self.session = session
        self._within = within
        self._progress = progress or session.progress
        self.usage = Usage()
        self.failures: dict[str, int] = {}
        self._known: dict[Question, Answer | Failure] = {}

    @property
    def model(self) -> Model:
        """The model behind the session."""
        return self.session.model

    def part(self) -> Account:
        """An account inside this one, which begins to count at zero."""
        return Account(self.session, self)

    def ask(self, questions: Sequence[Question], *, stage: str = "asking") -> list[Answer | Failure]:
        """One outcome per question, in order. A failed call is a `Failure`, never an exception.

        A reply that came and cannot be read is an `Answer` that is not `readable`.

        Raises:
            BackendError: the endpoint is unreachable or refuses every call.
            UnreadableError: too few replies can be read, where the form of the questions insists on a share.
            CredentialError: the key is missing or was rejected.
            CacheError: a reply cannot be kept.
        """
        fresh = [question for question in dict.fromkeys(questions) if question not in self._known]
        self.usage += Usage(calls=len(questions))
        if self._within is not None:
            found = dict(zip(questions, self._within.ask(questions, stage=stage), strict=True))
            for question in fresh:
                self._known[question] = found[question]
                self._count(question, Reply(found[question]))
        else:
            for question, reply in zip(fresh, self._ask_fresh(fresh, stage), strict=True):
                self._known[question] = reply.outcome
        return [self._known[question] for question in questions]

    def _ask_fresh(self, fresh: Sequence[Question], stage: str) -> list[Reply]:
        done = 0
        for question in fresh:
            self.session.readings.check(question)

        def report(question: Question, reply: Reply) -> None:
            nonlocal done
            done += 1
            self._count(question, reply)
            if self._progress:
                self._progress(Progress(stage, done, len(fresh), self.usage))
            self.session.readings.add(question, reply.outcome)

        return self.session.answer(fresh, report)

    def _count(self, question: Question, reply: Reply) -> None:
        outcome = reply.outcome
        took = {"distinct_calls": 1, "cached_calls": int(reply.cached)}
        took |= {"retries": reply.retries, "follow_ups": reply.follow_ups}
        if isinstance(outcome, Failure):
            self.failures[outcome.kind] = self.failures.get(outcome.kind, 0) + 1
            took["refused" if outcome.kind == "refusal" else "failed"] = 1
        else:
            took |= {name: getattr(outcome, name) for name in _TAKEN}
            took |= {"constrained": int(outcome.constrained), "mended": int(outcome.mended)}
            if not outcome.readable:
                refuses = question.form is not None and question.form.refuses(outcome.text)
                took["refused" if refuses else "unreadable"] = 1
        self.usage += Usage(**took)

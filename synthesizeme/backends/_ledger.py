"""What is asked is counted and held to limits: the ledger of one scope, the share that can be read, caps."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from synthesizeme.backends._base import Model
from synthesizeme.backends._reply import Answer, Question, Sending
from synthesizeme.errors import BudgetError, ConfigError, UnreadableError
from synthesizeme.progress import OnProgress, Progress
from synthesizeme.types import Failure, Usage

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
    """What a ledger asks through: a `Session`, which makes the ledger."""

    model: Model
    progress: OnProgress | None
    readings: Readings

    def answer(self, questions: Sequence[Question], report: Report) -> list[Reply]:
        """Answer distinct questions, in order; `report` is called as each one finishes."""


class Ledger:
    """One scope of counting, e.g. one user's induction. Identical questions in it are asked once.

    Args:
        session: Through which the questions are asked.
        within: A wider ledger: what it knows is not asked again but counts here all the same, so that
            whoever decides by the counts decides alike whatever was asked before.
        progress: Called after every finished call, in place of the session's own.
    """

    def __init__(
        self, session: Asking, within: Ledger | None = None, progress: OnProgress | None = None
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

    def part(self) -> Ledger:
        """A ledger inside this one, which begins to count at zero."""
        return Ledger(self.session, self)

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


LEAST_REPLIES = 8
"""Replies before which nothing is concluded."""
RECENT = 200
"""Replies over which the share is taken: the latest ones."""
_SHOWN = 300


class Readings:
    """Which of a session's latest replies could be read, for the forms that insist on a share of them.

    A failed call is no reply. Safe to use from several threads.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self._latest: dict[str, deque[bool]] = {}
        self._cut_off = 0
        self._stopped: dict[str, UnreadableError] = {}

    def check(self, question: Question) -> None:
        """Refuse to ask for what the model mostly does not give.

        Raises:
            UnreadableError: too few replies of this form could be read.
        """
        if question.form is not None and question.form.name in self._stopped:
            raise self._stopped[question.form.name]

    def add(self, question: Question, outcome: Answer | Failure) -> None:
        """Take note of what came for a question.

        Raises:
            UnreadableError: with it, too few replies of this form could be read.
        """
        form = question.form
        if form is None or not form.least_readable or isinstance(outcome, Failure):
            return
        latest = self._latest.setdefault(form.name, deque(maxlen=RECENT))
        latest.append(outcome.readable)
        self._cut_off += outcome.cut_off and not outcome.readable
        read, asked = sum(latest), len(latest)
        if outcome.readable or asked < LEAST_REPLIES or read >= form.least_readable * asked:
            return
        self._stopped[form.name] = UnreadableError(
            f"{self._model.name}: only {read} of its {'latest ' * (asked == RECENT)}{asked} replies can be "
            f"read as a {form.name}, {100 * form.least_readable:.0f} % are wanted",
            reply=" ".join(outcome.text.split())[:_SHOWN],
            cure="another model (--model), --structure json or continue, which hold it to the form, or more "
            f"--max-tokens, since {self._cut_off} were cut off"
            if self._cut_off
            else "another model (--model), or --structure json or continue, which hold it to the form; more "
            "--max-tokens where it thinks for long",
        )
        self._stopped[form.name].question = question
        raise self._stopped[form.name]


Price = Callable[[int, int], float]
"""US dollars for so many prompt and completion tokens."""
_PER_MESSAGE = 16
"""Tokens that a chat template may put around a message."""


@dataclass(frozen=True)
class Caps:
    """Most that may be taken; None for no limit."""

    calls: int | None = None
    """Calls sent, those that mend a reply among them; retries of one call count once."""
    tokens: int | None = None
    """Tokens sent and received."""
    cost_usd: float | None = None
    """US dollars by the price list."""

    def __post_init__(self) -> None:
        problems = [
            f"the budget of {name} is {value:g}; expected more than 0"
            for name, value in (("calls", self.calls), ("tokens", self.tokens), ("cost", self.cost_usd))
            if value is not None and not value > 0
        ]
        if problems:
            raise ConfigError(problems)

    @property
    def any(self) -> bool:
        """Whether there is a limit."""
        return any(value is not None for value in (self.calls, self.tokens, self.cost_usd))

    def divided(self, parts: int) -> Caps:
        """The share of one of so many, rounded down: together they keep to the whole."""
        return Caps(
            None if self.calls is None else self.calls // parts,
            None if self.tokens is None else self.tokens // parts,
            None if self.cost_usd is None else self.cost_usd / parts,
        )


@dataclass
class _Amount:
    calls: int = 0
    tokens: int = 0
    cost_usd: float = 0.0

    def add(self, other: _Amount, sign: int = 1) -> None:
        self.calls += sign * other.calls
        self.tokens += sign * other.tokens
        self.cost_usd += sign * other.cost_usd


class Budget:
    """What is spent and set aside, against caps. Used from one thread: the one that sends the calls.

    Before a call is sent, the most it can take is set aside: one token for each byte of its messages, and
    `max_tokens` for the reply. A call that would not fit waits for those in flight, which give back what they
    did not need; when none is left in flight and it still does not fit, the run ends.

    Args:
        caps: The limits; none by default.
        max_tokens: Most tokens of a reply.
        price: Price of tokens; needed for a cap on cost.
    """

    def __init__(
        self, caps: Caps | None = None, *, max_tokens: int = 1024, price: Price | None = None
    ) -> None:
        self.caps = caps or Caps()
        if self.caps.cost_usd is not None and price is None:
            raise ConfigError(
                "the price of this model is not known, so its cost cannot be capped; "
                "cap calls or tokens instead"
            )
        self._max_tokens, self._price = max_tokens, price
        self._spent, self._aside = _Amount(), _Amount()
        self._returned: asyncio.Event | None = None

    @asynccontextmanager
    async def admitted(self, sending: Sending) -> AsyncIterator[list[Answer]]:
        """Send one call inside, and put its answer into the list that this gives; waits for room.

        Raises:
            BudgetError: the call might exceed a cap, whatever those in flight give back.
        """
        most = self._most(sending) if self.caps.any else None
        if most is None:
            yield []
            return
        while problem := self._exceeded(most):
            if not self._aside.calls:
                raise BudgetError(problem)
            self._returned = self._returned or asyncio.Event()
            await self._returned.wait()
        with self._set_aside(most) as answers:
            yield answers

    @contextmanager
    def _set_aside(self, most: _Amount) -> Iterator[list[Answer]]:
        self._aside.add(most)
        answers: list[Answer] = []
        try:
            yield answers
        finally:
            self._aside.add(most, -1)
            self._spent.add(self._taken(answers, most))
            if self._returned is not None:
                self._returned.set()
                self._returned = None

    def _most(self, sending: Sending) -> _Amount:
        """The most that a call may take."""
        sent = sum(
            len(message.content.encode("utf-8", "replace")) + _PER_MESSAGE for message in sending.messages
        )
        return _Amount(1, sent + self._max_tokens, self._cost(sent, self._max_tokens))

    def _taken(self, answers: list[Answer], most: _Amount) -> _Amount:
        """What a call did take; one without an answer counts as a call, its tokens are not known."""
        if not answers:
            return _Amount(most.calls)
        sent, received = answers[-1].prompt_tokens, answers[-1].completion_tokens
        return _Amount(most.calls, sent + received, answers[-1].cost_usd)

    def _cost(self, sent: int, received: int) -> float:
        return self._price(sent, received) if self._price is not None else 0.0

    def _exceeded(self, more: _Amount) -> str:
        """Which cap `more` would break, in words; empty when none."""
        wanted = _Amount()
        for part in (self._spent, self._aside, more):
            wanted.add(part)
        for name, what in (("calls", "calls"), ("tokens", "tokens"), ("cost_usd", "US dollars")):
            cap, spent = getattr(self.caps, name), getattr(self._spent, name)
            if cap is not None and getattr(wanted, name) > cap:
                return (
                    f"the budget of {cap:g} {what} is used up: {spent:g} are spent, and the next call might "
                    "take more than is left. Cure: finished calls are kept; run again with a new budget"
                )
        return ""

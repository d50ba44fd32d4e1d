"""The one way a question reaches a model: cached, retried, overlapped, counted, in a fixed order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING

from synthesizeme.backends._base import Model
from synthesizeme.backends._budget import Budget
from synthesizeme.backends._cache import CallCache
from synthesizeme.backends._calls import Answer, Question, build_request, question_key, read_response
from synthesizeme.backends._engines import ask, ask_in_turn
from synthesizeme.backends._faults import Fault, classify
from synthesizeme.backends._loop import LoopThread
from synthesizeme.errors import BackendError, CacheError, ConfigError
from synthesizeme.types import Failure, Usage

if TYPE_CHECKING:
    from dspy.lm15 import Response

MAX_DELAY_S = 120.0
_TAKEN = ("prompt_tokens", "completion_tokens", "cost_usd")
FIRST_CONTACT_RETRIES = 2
"""Retries when no connection can be made and none ever was in this session."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands, for a progress display."""

    stage: str
    done: int
    total: int
    usage: Usage
    failures: int


@dataclass(frozen=True)
class RetryPolicy:
    """What to do about transient faults (429, 5xx, resets, time-outs, empty replies)."""

    retries: int = 5
    """Attempts after the first one."""
    backoff_s: float = 1.0
    """Delay before the first retry in seconds; doubles each time, with jitter; Retry-After wins."""
    give_up_after: int = 16
    """Calls in a row that fail for good before the endpoint counts as unreachable."""

    def __post_init__(self) -> None:
        problems = [
            f"{name} is {getattr(self, name)}; expected {least} or more"
            for name, least in (("retries", 0), ("backoff_s", 0), ("give_up_after", 1))
            if getattr(self, name) < least
        ]
        if problems:
            raise ConfigError(problems)

    def delay(self, attempt: int, retry_after: float | None, rng: random.Random) -> float:
        """Seconds to wait before retry number `attempt` (0-based)."""
        if retry_after is not None:
            return min(max(retry_after, 0.0), MAX_DELAY_S)
        return min(self.backoff_s * 2.0**attempt * (0.5 + rng.random() / 2), MAX_DELAY_S)


@dataclass(frozen=True)
class _Reply:
    """An outcome with what it took to get it."""

    outcome: Answer | Failure
    retries: int = 0
    cached: bool = False


class Session:
    """A model with a cache, a concurrency limit and a retry policy. Use it as a context.

    Answers come back in the order of the questions, so results do not depend on `concurrency`. Threads may
    share a session of an asynchronous model: the limits hold for all of them together.

    Args:
        model: The opened model.
        cache: Where finished calls are kept; None keeps them in memory only.
        concurrency: Most calls in flight.
        retry: What to do about transient faults.
        progress: Called after every finished call, from another thread for models behind a network.
        budget: What the calls of this session may take; a call that the cache answers takes nothing.
    """

    def __init__(
        self,
        model: Model,
        *,
        cache: CallCache | None = None,
        concurrency: int = 8,
        retry: RetryPolicy | None = None,
        progress: Callable[[Progress], None] | None = None,
        budget: Budget | None = None,
    ) -> None:
        if concurrency < 1:
            raise ConfigError(f"concurrency is {concurrency}; expected 1 or more")
        self.model = model
        self.concurrency = concurrency
        self._cache = cache
        self._retry = retry or RetryPolicy()
        self._progress = progress
        self._budget = budget or Budget()
        self._loop = LoopThread()
        self._slots: asyncio.Semaphore | None = None
        self._jitter = random.Random(0)
        self._ask_logprobs = model.settings.logprobs
        self._reached = False
        self._failed_in_a_row = 0
        self._unkept: CacheError | None = None
        """Why the last reply could not be kept: nothing is sent after it."""

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close connections. The session can be used again; it reconnects."""
        self._end(for_good=False)

    def abandon(self) -> None:
        """Cancel the calls in flight and send no other one: whoever asks gets a `CancelledError`."""
        self._end(for_good=True)

    def _end(self, *, for_good: bool) -> None:
        engine = self.model.lm._async_engine_spec
        disconnect = engine.aclose if hasattr(engine, "aclose") else self.model.lm.aclose
        self._loop.close(disconnect, for_good=for_good)
        self._slots = None  # belongs to the loop that has ended
        self._unkept = None

    def account(self) -> Account:
        """A fresh account: asks through this session and counts what it asked."""
        return Account(self)

    def answer(self, questions: Sequence[Question], report: Callable[[_Reply], None]) -> list[_Reply]:
        """Answer distinct questions; `report` is called as each one finishes."""
        if not self.model.asynchronous:
            replies = []
            for question in questions:
                replies.append(self._answer_here(question))
                report(replies[-1])
            return replies
        return self._loop.run(self._answer_all(questions, report))

    async def _answer_all(
        self, questions: Sequence[Question], report: Callable[[_Reply], None]
    ) -> list[_Reply]:
        slots = self._slots = self._slots or asyncio.Semaphore(self.concurrency)
        over = False

        async def one(question: Question) -> _Reply | None:
            nonlocal over
            async with slots:
                if over:  # the slot of the call that ended the run; nothing more is sent
                    return None
                try:
                    reply = await self._answer_there(question)
                except Exception:
                    over = True
                    raise
            report(reply)
            return reply

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(question)) for question in questions]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return [reply for task in tasks if (reply := task.result()) is not None]

    def _key(self, question: Question) -> str:
        """What the question is kept under; nothing where nothing is kept."""
        return question_key(self.model, question) if self._cache else ""

    def _recall(self, key: str) -> _Reply | None:
        stored = self._cache.get(key) if self._cache else None
        try:
            return _Reply(Answer.from_json(stored), cached=True) if stored is not None else None
        except (ValueError, TypeError, KeyError):  # a damaged row is no answer: ask again
            return None

    def _finish(self, key: str, outcome: Answer | Failure, retries: int) -> _Reply:
        if isinstance(outcome, Answer):
            self._failed_in_a_row = 0
            self._keep(key, outcome)
        elif outcome.kind == "transport":
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= self._retry.give_up_after:
                raise self._give_up(f"{self._failed_in_a_row} calls in a row failed", outcome)
        return _Reply(outcome, retries)

    def _keep(self, key: str, answer: Answer) -> None:
        try:
            if self._cache:
                self._cache.put(key, answer.to_json())
        except CacheError as error:
            self._unkept = error
            raise

    def _give_up(self, what: str, last: Failure) -> BackendError:
        self._failed_in_a_row = 0
        where = f" at {self.model.settings.api_base}" if self.model.settings.api_base else ""
        return BackendError(
            f"{self.model.name}{where}: {what}; the last error was: {last.detail} "
            "Cure: check that the server is up and its address right, then run again"
        )

    def _answer_here(self, question: Question) -> _Reply:
        """A model of this process that answers at once: no overlap, no retry."""
        key = self._key(question)
        if (reply := self._recall(key)) is not None:
            return reply
        with self._budget.admitted(question) as taken:
            request = build_request(self.model, question, logprobs=self._ask_logprobs)
            try:
                outcome = self._read(ask(self.model, request))
            except Exception as error:
                outcome = classify(error, self.model)
            if isinstance(outcome, Answer):
                taken.append(outcome)
        if isinstance(outcome, Answer):
            return self._finish(key, outcome, 0)
        if outcome.fatal is not None:
            raise outcome.fatal
        return self._finish(key, outcome.failure, 0)

    async def _answer_there(self, question: Question) -> _Reply:
        key = self._key(question)
        if (reply := self._recall(key)) is not None:
            return reply
        async with self._budget.admitted_in_turn(question) as taken:
            reply = await self._tried(key, question)
            if isinstance(reply.outcome, Answer) and not reply.cached:
                taken.append(reply.outcome)
        return reply if reply.cached else self._finish(key, reply.outcome, reply.retries)

    async def _tried(self, key: str, question: Question) -> _Reply:
        """The outcome of one question, which another process may have got while this one waited."""
        retries = 0
        while not isinstance(outcome := await self._attempt(question), Answer):
            if outcome.fatal is not None:
                raise outcome.fatal
            self._reached = self._reached or not outcome.unreachable
            if retries >= self._most_retries(outcome):
                if not self._reached:
                    raise self._give_up("no connection can be made", outcome.failure)
                return _Reply(outcome.failure, retries)
            await asyncio.sleep(self._retry.delay(retries, outcome.retry_after, self._jitter))
            if (known := self._recall(key)) is not None:
                return replace(known, retries=retries)
            retries += 1
        self._reached = True
        return _Reply(outcome, retries)

    def _most_retries(self, fault: Fault) -> int:
        if not fault.transient:
            return 0
        limit = fault.most_retries
        if fault.unreachable and not self._reached:
            limit = FIRST_CONTACT_RETRIES
        return self._retry.retries if limit is None else min(limit, self._retry.retries)

    async def _attempt(self, question: Question) -> Answer | Fault:
        if self._unkept is not None:
            raise self._unkept
        asked_logprobs = self._ask_logprobs
        request = build_request(self.model, question, logprobs=asked_logprobs)
        timed = getattr(self.model.lm._async_engine_spec, "timed", True)
        try:
            async with asyncio.timeout(self.model.settings.timeout_s if timed else None):
                return self._read(await ask_in_turn(self.model, request))
        except Exception as error:
            fault = classify(error, self.model)
        if fault.about_logprobs and asked_logprobs:
            self._ask_logprobs = False
            return await self._attempt(question)
        return fault

    def _read(self, response: Response) -> Answer | Fault:
        if response.finish_reason == "content_filter":
            return Fault(Failure(kind="refusal", detail="the endpoint withheld the reply (content filter)"))
        answer = read_response(self.model, response)
        return answer if answer.text.strip() else Fault.empty_reply(answer)


class Account:
    """One scope of counting, e.g. one user's induction. Identical questions in it are asked once.

    Args:
        session: Through which the questions are asked.
        within: A wider account: what it knows is not asked again but counts here all the same, so that
            whoever decides by the counts decides alike whatever was asked before.
    """

    def __init__(self, session: Session, within: Account | None = None) -> None:
        self.session = session
        self._within = within
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

        Raises:
            BackendError: the endpoint is unreachable or refuses every call.
            CredentialError: the key is missing or was rejected.
            CacheError: a reply cannot be kept.
        """
        fresh = [question for question in dict.fromkeys(questions) if question not in self._known]
        self.usage += Usage(calls=len(questions))
        if self._within is not None:
            found = dict(zip(questions, self._within.ask(questions, stage=stage), strict=True))
            for question in fresh:
                self._known[question] = found[question]
                self._count(_Reply(found[question]))
        else:
            for question, reply in zip(fresh, self._ask_fresh(fresh, stage), strict=True):
                self._known[question] = reply.outcome
        return [self._known[question] for question in questions]

    def _ask_fresh(self, fresh: Sequence[Question], stage: str) -> list[_Reply]:
        done = 0

        def report(reply: _Reply) -> None:
            nonlocal done
            done += 1
            self._count(reply)
            if self.session._progress:
                failed = sum(self.failures.values())
                self.session._progress(Progress(stage, done, len(fresh), self.usage, failed))

        return self.session.answer(fresh, report)

    def _count(self, reply: _Reply) -> None:
        outcome, took = reply.outcome, {}
        if isinstance(outcome, Failure):
            self.failures[outcome.kind] = self.failures.get(outcome.kind, 0) + 1
        else:
            took = {name: getattr(outcome, name) for name in _TAKEN}
        self.usage += Usage(distinct_calls=1, cached_calls=int(reply.cached), retries=reply.retries, **took)

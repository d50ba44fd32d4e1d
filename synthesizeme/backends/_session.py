"""The one way a question reaches a model: cached, retried, overlapped, counted, in a fixed order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

from synthesizeme.backends._base import Model, open_model
from synthesizeme.backends._calls import (
    CallCache,
    ask,
    build_request,
    called_in,
    features,
    question_key,
    read_response,
    remarks,
    thoughts_of,
)
from synthesizeme.backends._endpoint import NEEDS, Endpoint, endpoint_key, steps
from synthesizeme.backends._faults import Experiment, Fault, RetryPolicy, classify
from synthesizeme.backends._ledger import Budget, Ledger, Readings, Reply, Report
from synthesizeme.backends._reply import Answer, Question, Sending
from synthesizeme.backends._threads import LoopThread
from synthesizeme.errors import BackendError, CacheError, ConfigError
from synthesizeme.progress import OnProgress
from synthesizeme.types import Failure

if TYPE_CHECKING:
    from dspy.lm15 import Response

T = TypeVar("T")
DENIED_AT_FIRST = 3
"""Calls that are denied without a word why, before any answer, until that counts as a matter of the key."""
FIRST_TRIES = 3
"""Questions with a form that are put one at a time, at most, until the way to ask is known."""


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
        progress: OnProgress | None = None,
        budget: Budget | None = None,
    ) -> None:
        if concurrency < 1:
            raise ConfigError(f"concurrency is {concurrency}; expected 1 or more")
        self.model = model
        self.concurrency = concurrency
        self._cache = cache
        self._retry = retry or RetryPolicy()
        if not model.asynchronous:
            self._retry = replace(self._retry, retries=0)
        self.progress = progress
        self._budget = budget or Budget()
        self._loop = LoopThread()
        self._slots: asyncio.Semaphore | None = None
        self._jitter = random.Random(0)
        self.endpoint = Endpoint(model.name)
        self._endpoint_known = ""
        self._recall_endpoint()
        self._experiment = Experiment(self.endpoint)
        self.readings = Readings(model)
        self._settling: asyncio.Lock | None = None
        self._reached = self._answered = not model.asynchronous  # a model of this process is there
        self._denied_in_a_row = 0
        self._failed_in_a_row = 0
        self._last_denial: BackendError | None = None
        self._unkept: CacheError | None = None
        """Why the last reply could not be kept: nothing is sent after it."""
        self._unread_now: set[str] = set()
        """Keys of this session's own replies that could not be read: they are not asked again by it."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *reason: object) -> None:
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
        self._slots = self._settling = None  # belong to the loop that has ended
        self._experiment.end()
        self._unkept = None

    def ledger(self, progress: OnProgress | None = None) -> Ledger:
        """A fresh ledger: asks through this session and counts what it asked.

        Args:
            progress: Called after every finished call of this ledger, in place of the session's own.
        """
        return Ledger(self, progress=progress)

    def answer(self, questions: Sequence[Question], report: Report) -> list[Reply]:
        """Answer distinct questions; `report` is called as each one finishes."""
        if not self.model.asynchronous:
            replies = []
            for question in questions:
                replies.append(_at_once(self._answer(question)))
                report(question, replies[-1])
            return replies
        return self._loop.run(self._answer_all(questions, report))

    async def _answer_all(self, questions: Sequence[Question], report: Report) -> list[Reply]:
        slots = self._slots = self._slots or asyncio.Semaphore(self.concurrency)
        over = False

        async def one(question: Question) -> Reply | None:
            nonlocal over
            async with slots:
                if over:  # the slot of the call that ended the run; nothing more is sent
                    return None
                try:
                    reply = await self._answer(question)
                except Exception:
                    over = True
                    raise
            report(question, reply)
            return reply

        try:
            first = await self._first_of(questions, one)
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(question)) for question in questions if question not in first]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        others = iter([reply for task in tasks if (reply := task.result()) is not None])
        return [first.get(question) or next(others) for question in questions]

    async def _first_of(
        self, questions: Sequence[Question], one: Callable[[Question], Coroutine[Any, Any, Reply | None]]
    ) -> dict[Question, Reply]:
        """The replies to the first questions with a form, asked one at a time until the way to ask is known.

        So which way that is depends on the order of the questions alone, and not on who was answered first.
        """
        found: dict[Question, Reply] = {}
        settles = bool(self.model.ways) and self.model.settings.structure == "auto"
        formed = [it for it in questions if settles and it.form is not None and it.form.has_ways]
        lock = self._settling = self._settling or asyncio.Lock()
        for question in formed[:FIRST_TRIES]:
            async with lock:
                if self.endpoint.way is not None or (reply := await one(question)) is None:
                    break
                found[question] = reply
        if formed:
            self.endpoint.way = self.endpoint.way or "words"
        return found

    def _key(self, question: Question) -> str:
        """What the question is kept under; nothing where nothing is kept."""
        return question_key(self.model, question) if self._cache else ""

    def _recall(self, key: str) -> Reply | None:
        """What is known of a question; of replies that cannot be read only those of this session."""
        stored = self._cache.get(key) if self._cache else None
        try:
            answer = Answer.from_json(stored) if stored is not None else None
        except (ValueError, TypeError, KeyError):  # a damaged row is no answer: ask again
            return None
        if answer is None or not (answer.readable or key in self._unread_now):
            return None
        return Reply(answer, cached=True)

    def _finish(self, key: str, outcome: Answer | Failure, retries: int, follow_ups: int) -> Reply:
        if isinstance(outcome, Answer):
            self._failed_in_a_row = 0
            if not outcome.readable:
                self._unread_now.add(key)
            self._keep(key, outcome.to_json())
        elif outcome.kind == "transport":
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= self._retry.give_up_after:
                raise self._last_denial or self._give_up(
                    f"{self._failed_in_a_row} calls in a row failed", outcome
                )
        self._keep_endpoint()
        return Reply(outcome, retries, follow_ups=follow_ups)

    def _keep(self, key: str, text: str) -> None:
        try:
            if self._cache:
                self._cache.put(key, text)
        except CacheError as error:
            self._unkept = error
            raise

    def _recall_endpoint(self) -> None:
        if self._cache:
            self.endpoint.recall(self._cache.get(endpoint_key(self.model)))
        self._endpoint_known = self.endpoint.to_json()

    def _keep_endpoint(self) -> None:
        if (known := self.endpoint.to_json()) != self._endpoint_known:
            self._endpoint_known = known
            self._keep(endpoint_key(self.model), known)

    def _give_up(self, what: str, last: Failure) -> BackendError:
        self._failed_in_a_row = 0
        return BackendError(
            f"{self.model.full_name}: {what}; the last error was: {last.detail} "
            "Cure: check that the server is up and its address right, then run again"
        )

    async def _answer(self, question: Question) -> Reply:
        key = self._key(question)
        if (reply := self._recall(key)) is not None:
            return reply
        ladder = steps(question, self.model, self.endpoint)
        sending, retries, follow_ups = next(ladder), 0, 0
        while True:
            async with self._budget.admitted(sending) as taken:
                reply = await self._tried(key, sending)
                if isinstance(reply.outcome, Answer) and not reply.cached:
                    taken.append(reply.outcome)
            retries += reply.retries
            if reply.cached:
                return replace(reply, retries=retries, follow_ups=follow_ups)
            try:
                sending = ladder.send(reply.outcome)
            except StopIteration as end:
                return self._finish(key, end.value, retries, follow_ups)
            follow_ups += 1

    async def _tried(self, key: str, sending: Sending) -> Reply:
        """The outcome of one request, or of its question, which another process got while this one waited."""
        retries = capped = 0
        while not isinstance(outcome := await self._attempt(sending), Answer):
            if outcome.fatal is not None:
                raise outcome.fatal
            if outcome.denied is not None and not self._answered:
                self._denied_in_a_row += 1
                if self._denied_in_a_row >= DENIED_AT_FIRST:
                    raise outcome.denied
            self._reached = self._reached or not outcome.unreachable
            made = retries if outcome.most_retries is None else capped
            if made >= self._retry.most_retries(outcome, reached=self._reached):
                if not self._reached:
                    raise self._give_up("no connection can be made", outcome.failure)
                self._last_denial = outcome.denied
                return Reply(outcome.failure, retries)
            await asyncio.sleep(self._retry.delay(retries, outcome.retry_after, self._jitter))
            if (known := self._recall(key)) is not None:
                return replace(known, retries=retries)
            capped += outcome.most_retries is not None
            retries += 1
        self._reached = self._answered = True
        return Reply(outcome, retries)

    async def _attempt(self, sending: Sending) -> Answer | Fault:
        """One request, and again without what the endpoint objects to, one thing at a time.

        What that is its words tell; where they do not and nothing was answered yet, an `Experiment` does.
        """
        if self._unkept is not None:
            raise self._unkept
        sent = features(self.model, sending, self.endpoint)
        asked = self.endpoint.top_logprobs
        outcome = await self._once(sending, self.endpoint)
        if isinstance(outcome, Answer):
            return outcome
        if outcome.objects_to is not None:
            self.endpoint.refuse(outcome.objects_to, outcome.failure.detail, asked=asked)
            return outcome if outcome.objects_to == NEEDS.get(sending.way) else await self._attempt(sending)
        if outcome.unexplained and not self._answered and sending.way == "words":
            return await self._experiment.make(outcome, sent, partial(self._once, sending))
        return outcome

    async def _once(self, sending: Sending, endpoint: Endpoint) -> Answer | Fault:
        """One request, without what is known to be refused."""
        sent = features(self.model, sending, endpoint)
        request = build_request(self.model, sending, sent, top_logprobs=endpoint.top_logprobs)
        timed = self.model.asynchronous and getattr(self.model.lm._async_engine_spec, "timed", True)
        limit = asyncio.timeout(self.model.settings.timeout_s) if timed else nullcontext()
        try:
            async with limit:
                return self._read(sending, await ask(self.model, request))
        except Exception as error:
            return classify(error, self.model, sent)

    def _read(self, sending: Sending, response: Response) -> Answer | Fault:
        if response.finish_reason == "content_filter":
            return Fault(Failure(kind="refusal", detail="the endpoint withheld the reply (content filter)"))
        answer = read_response(self.model, response)
        for kind, words in remarks(response):
            self.endpoint.note(kind, words)
        if answer.text.strip():
            return answer
        called, thoughts = called_in(response), thoughts_of(response)
        elsewhere = [arguments for _, arguments in called] + [thoughts] * (not answer.cut_off)
        for text in elsewhere:
            spoken = replace(answer, text=text, tokens=())
            if text and sending.form is not None and sending.form.readable(spoken):
                return spoken
        return Fault.empty_reply(answer, thoughts, [name for name, _ in called])


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives that waits for nothing, as with a model of this process that answers at once."""
    try:
        work.send(None)
    except StopIteration as end:
        return cast(T, end.value)
    raise RuntimeError("a model that answers at once had a call wait")


def session_with(model: str | Model | Session) -> Session:
    """A session with a model; one that is given is given back.

    Args:
        model: Name of a model (`open_model`), an opened model, or a session.

    Raises:
        ConfigError: it is none of these.
        SynthesizeMeError: as `open_model`.
    """
    if isinstance(model, Session):
        return model
    if isinstance(model, str | Model):
        return Session(open_model(model) if isinstance(model, str) else model)
    raise ConfigError(
        f"model is {model!r}, a {type(model).__name__}; expected the name of a model such as 'builtin', an "
        "opened model, or a Session"
    )


@contextmanager
def using(model: str | Model | Session) -> Iterator[Session]:
    """`session_with` a model for a block, at whose end it is closed, unless it was given open.

    Raises:
        SynthesizeMeError: as `session_with`.
    """
    session = session_with(model)
    try:
        yield session
    finally:
        if session is not model:
            session.close()

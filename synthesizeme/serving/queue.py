"""Requests that wait together are scored together: one queue, one caller of the model at a time."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

from synthesizeme.serving.rewards import Margin, RewardQuestion, ScalarRewards, Score
from synthesizeme.serving.users import Users
from synthesizeme.types import Comparison

Result = TypeVar("Result")
MOST_TASKS = 64
"""Most refits, exports and deletions that may wait."""
AT_ONCE = 0.025
"""Seconds for which a batch may keep other requests from being read. One that is expected to take less is
scored where it is, without a thread: two threads of one interpreter make each other wait for longer."""
_ROW = 250
"""What a row costs beside its texts, in characters."""


class BusyError(Exception):
    """The queue is full; `seconds` from now it should have room."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many requests wait; try again in {seconds} s")
        self.seconds = seconds


class LateError(Exception):
    """The deadline of a request passed before its answer."""


class _Entry(NamedTuple):
    rows: Sequence[RewardQuestion] | Sequence[Comparison]
    answer: asyncio.Future[list[Score] | list[Margin]]
    expires: float


class _Batch(NamedTuple):
    entries: list[_Entry]
    rows: int
    size: int
    """Characters to read, and `_ROW` for every row."""
    started: float


class ModelQueue:
    """Everything that touches the model, one after the other: quick batches at once, the rest in a thread.

    While a batch is scored, what arrives waits and becomes the next batch.

    Args:
        rewards: The scalar path.
        most_rows: Most rows of a batch.
        most_waiting: Most rows that wait; more are refused.
        deadline: Seconds from arrival to answer.
        users: Who may have been changed by other processes, and is then read again before a batch.
    """

    def __init__(
        self,
        rewards: ScalarRewards,
        *,
        most_rows: int,
        most_waiting: int,
        deadline: float,
        users: Users | None = None,
    ) -> None:
        self.rewards, self._users = rewards, users
        self.most_rows, self.most_waiting = most_rows, most_waiting
        self.deadline = deadline
        self.waiting = 0
        """Rows that wait now."""
        self.batches = self.batched_rows = 0
        """Batches scored so far, and the rows in them."""
        self._entries: deque[_Entry] = deque()
        self._open: deque[_Entry] = deque()
        self._running = self._scheduled = False
        self._sweep: asyncio.TimerHandle | None = None
        self._seconds_a_row = 1e-3
        self._seconds_of_size: float | None = None
        self._tasks = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")

    def ask(
        self, rows: Sequence[RewardQuestion] | Sequence[Comparison]
    ) -> asyncio.Future[list[Score] | list[Margin]]:
        """The answers to rows of one kind, later.

        Raises:
            BusyError: too many rows wait already.
            LateError: through the future, when the deadline has passed.
        """
        if self.waiting and self.waiting + len(rows) > self.most_waiting:
            raise BusyError(max(1, math.ceil(self.waiting * self._seconds_a_row)))
        loop = asyncio.get_running_loop()
        entry = _Entry(rows, loop.create_future(), loop.time() + self.deadline)
        self._entries.append(entry)
        self._open.append(entry)
        self.waiting += len(rows)
        if self._sweep is None:
            self._sweep = loop.call_at(entry.expires, self._expire)
        if not self._running and not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._drain)
        return entry.answer

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work` returns, run alone at the model. One that is late is not undone.

        Raises:
            BusyError: too many such tasks wait.
            LateError: the deadline has passed.
        """
        if self._tasks >= MOST_TASKS:
            raise BusyError(1)
        self._tasks += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        future.add_done_callback(self._task_done)
        done, _ = await asyncio.wait([future], timeout=self.deadline)
        if not done:
            raise LateError
        return future.result()

    async def close(self) -> None:
        """Answer what was accepted, then end the thread."""
        while self._entries or self._running or self._tasks:
            await asyncio.sleep(0.005)
        if self._sweep is not None:
            self._sweep.cancel()
        self._thread.shutdown()

    def _task_done(self, future: asyncio.Future[Any]) -> None:
        self._tasks -= 1
        if not future.cancelled():
            future.exception()  # of a late one nobody else asks

    def _drain(self) -> None:
        """Take what waits, up to a batch, and have it scored."""
        self._scheduled = False
        if self._running or not (batch := self._next()).entries:
            return
        self.batches, self.batched_rows = self.batches + 1, self.batched_rows + batch.rows
        quick = (
            not self.rewards.waits
            and self._seconds_of_size is not None
            and batch.size * self._seconds_of_size <= AT_ONCE
        )
        behind = self._users is not None and self._users.behind(_asked(batch.entries))
        if quick and not behind and not self._tasks:
            done: Future[list[list[Score] | list[Margin]]] = Future()
            try:
                done.set_result(self._answers(batch.entries))
            except Exception as error:
                done.set_exception(error)
            self._deliver(batch, done)
            return
        self._running = True
        loop = asyncio.get_running_loop()
        working = self._thread.submit(self._answers, batch.entries)
        working.add_done_callback(lambda done: loop.call_soon_threadsafe(self._deliver, batch, done))

    def _next(self) -> _Batch:
        """The entries that are scored next, those that are late already left out."""
        entries: list[_Entry] = []
        rows = size = 0
        while self._entries and (not entries or rows + len(self._entries[0].rows) <= self.most_rows):
            entry = self._entries.popleft()
            self.waiting -= len(entry.rows)
            if not entry.answer.done():
                entries.append(entry)
                rows += len(entry.rows)
                size += sum(map(_size, entry.rows))
        return _Batch(entries, rows, size, asyncio.get_running_loop().time())

    def _answers(self, batch: Sequence[_Entry]) -> list[list[Score] | list[Margin]]:
        """Answers to every entry, one call of the model for each kind of row."""
        if self._users is not None:
            self._users.catch_up(_asked(batch))
        questions = [row for entry in batch for row in entry.rows if isinstance(row, RewardQuestion)]
        comparisons = [row for entry in batch for row in entry.rows if isinstance(row, Comparison)]
        scores = iter(self.rewards.scores(questions) if questions else [])
        margins = iter(self.rewards.margins(comparisons) if comparisons else [])
        return [
            [next(scores) for _ in entry.rows]
            if isinstance(entry.rows[0], RewardQuestion)
            else [next(margins) for _ in entry.rows]
            for entry in batch
        ]

    def _deliver(self, batch: _Batch, done: Future[list[list[Score] | list[Margin]]]) -> None:
        loop = asyncio.get_running_loop()
        self._running = False
        took = loop.time() - batch.started
        self._seconds_a_row = 0.8 * self._seconds_a_row + 0.2 * took / batch.rows
        before = took / batch.size if self._seconds_of_size is None else self._seconds_of_size
        self._seconds_of_size = 0.8 * before + 0.2 * took / batch.size
        if (error := done.exception()) is not None:
            for entry in batch.entries:
                if not entry.answer.done():
                    entry.answer.set_exception(error)
        else:
            for entry, answer in zip(batch.entries, done.result(), strict=True):
                if not entry.answer.done():
                    entry.answer.set_result(answer)
        while self._open and self._open[0].answer.done():
            self._open.popleft()
        if self._entries and not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._drain)

    def _expire(self) -> None:
        """Give up on what is late; look again when the next one would be."""
        loop = asyncio.get_running_loop()
        while self._open and (self._open[0].answer.done() or self._open[0].expires <= loop.time()):
            entry = self._open.popleft()
            if not entry.answer.done():
                entry.answer.set_exception(LateError())
        self._sweep = loop.call_at(self._open[0].expires, self._expire) if self._open else None


def _asked(batch: Sequence[_Entry]) -> Iterator[str]:
    return (row.user_id for entry in batch for row in entry.rows)


def _size(row: RewardQuestion | Comparison) -> int:
    texts = len(row.response) if isinstance(row, RewardQuestion) else len(row.first) + len(row.second)
    return _ROW + texts + sum(len(turn.content) for turn in row.prompt)

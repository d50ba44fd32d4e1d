"""Threads of our own: an event loop that blocking code may await on, and a queue that gathers batches."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class LoopThread:
    """Starts at the first `run`; after `close` the next `run` starts a new one. Safe to share by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended = False

    @property
    def running(self) -> bool:
        """Whether the loop has been started and not closed since."""
        return self._loop is not None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for `work` on the loop; what interrupts the waiting cancels the work.

        Raises:
            CancelledError: the loop was closed while the work was on it, or for good before.
        """
        with self._lock:
            if self._ended:
                work.close()
                raise CancelledError
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, daemon=True, name="synthesizeme-calls"
                )
                self._thread.start()
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(
        self, last: Callable[[], Coroutine[Any, Any, None]] | None = None, *, for_good: bool = False
    ) -> None:
        """Stop the loop and its thread; tasks still on it are cancelled first.

        Args:
            last: Run on the loop when they are.
            for_good: Whether no `run` may start another one.
        """
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
            self._ended = self._ended or for_good
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(_finish(last), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _finish(last: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    if last is not None:
        await last()
    await asyncio.get_running_loop().shutdown_default_executor()


Q = TypeVar("Q")
A = TypeVar("A")
_Call = tuple[Q, "Future[A]"]

WINDOW_S = 0.02
"""How long the first call of a batch waits for company."""


class Batcher(Generic[Q, A]):
    """Runs `work` on batches in one thread, in the order of arrival. Safe to share by threads.

    Args:
        work: One answer, or the exception to raise, for each question of a batch.
        size: Most questions in a batch.
    """

    def __init__(self, work: Callable[[Sequence[Q]], Sequence[A | Exception]], *, size: int) -> None:
        self._work = work
        self._size = size
        self._calls: queue.SimpleQueue[_Call[Q, A]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def submit(self, question: Q) -> Future[A]:
        """A future for the answer; cancelling it before its batch starts takes it out."""
        future: Future[A] = Future()
        self._calls.put((question, future))
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, daemon=True, name="synthesizeme-batches")
                self._thread.start()
        return future

    def _serve(self) -> None:
        while True:
            batch = [call for call in self._gather() if call[1].set_running_or_notify_cancel()]
            if not batch:
                continue
            try:
                answers = self._work([question for question, _ in batch])
            except Exception as error:
                answers = [error] * len(batch)
            for (_, future), answer in zip(batch, answers, strict=True):
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)

    def _gather(self) -> list[_Call[Q, A]]:
        batch = [self._calls.get()]
        end = time.monotonic() + WINDOW_S
        while len(batch) < self._size:
            try:
                batch.append(self._calls.get(timeout=max(end - time.monotonic(), 0.0)))
            except queue.Empty:
                break
        return batch

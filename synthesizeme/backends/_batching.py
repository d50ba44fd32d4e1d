"""Gathers calls that wait at the same time into batches, for models that are faster that way."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

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

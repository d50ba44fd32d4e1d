"""An event loop in a thread of its own, so that blocking code may await, inside a running loop or not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

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

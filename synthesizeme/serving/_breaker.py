"""A store that is out of reach is left alone for a moment, so that requests do not queue up behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from synthesizeme.errors import StoreUnavailableError
from synthesizeme.serving.users import PairStore
from synthesizeme.types import PreferencePair

_Result = TypeVar("_Result")
PATIENCE_S = 1.0
"""How long a request waits for a store that is busy or away. All that touches the model is done one after the
other, so scores wait that long too."""
REST_S = 1.0
"""How long a store that was away is not asked again."""


class Breaker:
    """A `PairStore` in front of another: while that one rests, every request to it fails at once.

    Args:
        store: The store, which raises `StoreUnavailableError` when it is out of reach.
        rest_s: Seconds of rest.
        clock: Seconds that never go back.
    """

    def __init__(
        self, store: PairStore, rest_s: float = REST_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._rest_s, self._clock = store, rest_s, clock
        self._until = float("-inf")

    def pairs(self, user_id: str) -> Sequence[PreferencePair]:
        """See `PairStore.pairs`."""
        return self._ask(lambda: self._store.pairs(user_id))

    def append(self, user_id: str, pairs: Sequence[PreferencePair]) -> None:
        """See `PairStore.append`."""
        self._ask(lambda: self._store.append(user_id, pairs))

    def delete(self, user_id: str) -> int:
        """See `PairStore.delete`."""
        return self._ask(lambda: self._store.delete(user_id))

    def users(self) -> Iterable[str]:
        """See `PairStore.users`."""
        return self._ask(lambda: tuple(self._store.users()))

    def close(self) -> None:
        """See `PairStore.close`."""
        self._store.close()

    def _ask(self, work: Callable[[], _Result]) -> _Result:
        if self._clock() < self._until:
            raise StoreUnavailableError("the store was out of reach a moment ago. Cure: try again soon")
        try:
            return work()
        except StoreUnavailableError:
            self._until = self._clock() + self._rest_s
            raise

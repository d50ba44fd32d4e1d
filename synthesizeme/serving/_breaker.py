"""A store that is out of reach is left alone for a moment, so that requests do not queue up behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from synthesizeme.errors import StoreUnavailableError
from synthesizeme.feedback import UserWords
from synthesizeme.profiles.store import Deleted
from synthesizeme.serving.users import UserStore
from synthesizeme.types import PreferencePair

_Result = TypeVar("_Result")
PATIENCE_S = 1.0
"""How long a request waits for a store that is busy or away. All that touches the model is done one after the
other, so scores wait that long too."""
REST_S = 1.0
"""How long a store that was away is not asked again."""


class Breaker:
    """A `UserStore` in front of another: while that one rests, every request to it fails at once.

    Args:
        store: The store, which raises `StoreUnavailableError` when it is out of reach.
        rest_s: Seconds of rest.
        clock: Seconds that never go back.
    """

    def __init__(
        self, store: UserStore, rest_s: float = REST_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._rest_s, self._clock = store, rest_s, clock
        self._until = float("-inf")

    def pairs(self, user_id: str) -> Sequence[PreferencePair]:
        """See `UserStore.pairs`."""
        return self._ask(lambda: self._store.pairs(user_id))

    def words(self, user_id: str) -> UserWords | None:
        """See `UserStore.words`."""
        return self._ask(lambda: self._store.words(user_id))

    def append(self, user_id: str, pairs: Sequence[PreferencePair], words: UserWords | None = None) -> None:
        """See `UserStore.append`."""
        self._ask(lambda: self._store.append(user_id, pairs, words))

    def delete(self, user_id: str) -> Deleted:
        """See `UserStore.delete`."""
        return self._ask(lambda: self._store.delete(user_id))

    def users(self) -> Iterable[str]:
        """See `UserStore.users`."""
        return self._ask(lambda: tuple(self._store.users()))

    def close(self) -> None:
        """See `UserStore.close`."""
        self._store.close()

    def _ask(self, work: Callable[[], _Result]) -> _Result:
        if self._clock() < self._until:
            raise StoreUnavailableError("the store was out of reach a moment ago. Cure: try again soon")
        try:
            return work()
        except StoreUnavailableError:
            self._until = self._clock() + self._rest_s
            raise

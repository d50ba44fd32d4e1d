"""Where texts are encoded and users' states are found: in this process, or by an engine that spreads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from reward_models._feature_cache import Unit, Vector
from reward_models._types import Histories, UserState, Words

ENGINES = ("local", "ray")


class Engine(Protocol):
    """Does the same work elsewhere, to the bit."""

    def encode(self, spec: str, identity: str, units: Sequence[Unit]) -> Iterator[Mapping[Unit, Vector]]:
        """Vectors of the encoder with this specification and identity, part by part, in any order."""

    def user_states(self, model: Any, histories: Histories, words: Words) -> dict[str, UserState]:
        """What a `RewardModel` whose shared weights are learned makes of each user's pairs and words."""


_active: ContextVar[Engine | None] = ContextVar("engine", default=None)


def active() -> Engine | None:
    """The engine in use, or None for this process."""
    return _active.get()


@contextmanager
def using(engine: Engine) -> Iterator[None]:
    """Inside, `engine` does the work."""
    token = _active.set(engine)
    try:
        yield
    finally:
        _active.reset(token)

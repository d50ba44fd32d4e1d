"""Where texts are encoded and users' states are found: in this process, or by an engine that spreads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from reward_models._feature_cache import Unit, Vector
from synthesizeme.errors import ConfigError, MissingExtraError, UnknownNameError

if TYPE_CHECKING:
    from reward_models._base import Histories, RewardModel, UserState, Words

ENGINES = ("local", "ray")


class Engine(Protocol):
    """Does the same work elsewhere, to the bit."""

    def encode(self, spec: str, identity: str, units: Sequence[Unit]) -> Iterator[Mapping[Unit, Vector]]:
        """Vectors of the encoder with this specification and identity, part by part, in any order."""

    def user_states(self, model: RewardModel, histories: Histories, words: Words) -> dict[str, UserState]:
        """What `model`, whose shared weights are learned, makes of each user's pairs and words."""


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


@contextmanager
def spread(name: str = "local", workers: int | None = None) -> Iterator[None]:
    """Inside, models are fitted by the engine of that name.

    Args:
        name: ``local``, this process, or ``ray``, the Ray cluster of ``$RAY_ADDRESS`` or one started here.
        workers: Processes to use; by default one for each core of the cluster.

    Raises:
        UnknownNameError: there is no such engine.
        ConfigError: `workers` is below 1, or given for ``local``, or the cluster cannot be joined.
        MissingExtraError: Ray is not installed.
    """
    if name not in ENGINES:
        raise UnknownNameError("engine", name, ENGINES)
    if workers is not None and (workers < 1 or name == "local"):
        raise ConfigError(
            f"workers is {workers} with the engine {name!r}; expected at least 1, with ray only"
        )
    if name == "local":
        yield
        return
    try:
        from reward_models._ray_engine import RayEngine
    except ImportError as error:
        raise MissingExtraError("the engine 'ray'", "ray") from error
    with RayEngine(workers) as engine, using(engine):
        yield

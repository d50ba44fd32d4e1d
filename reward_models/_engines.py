"""Engines by their names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from reward_models._types import Engine, using
from synthesizeme.errors import ConfigError, MissingExtraError, UnknownNameError

ENGINES = ("local", "ray")


@contextmanager
def use_engine(name: str = "local", workers: int | None = None) -> Iterator[Engine | None]:
    """Inside, models are fitted by the engine of that name, which is given; None for this process.

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
        yield None
        return
    try:
        from reward_models._ray_engine import RayEngine
    except ImportError as error:
        raise MissingExtraError("the engine 'ray'", "ray") from error
    with RayEngine(workers) as engine, using(engine):
        yield engine

"""Personalized reward models: one contract, one file per method. Importing this loads no torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reward_models._base import RewardModel
from reward_models._checkpoint import MODEL, check_place
from reward_models._features import encoders_here
from reward_models._hub import push_to_hub
from reward_models._methods import POPULATION, load, method, method_names, packed, unpacked
from reward_models._settings import method_parameters
from reward_models._standing import Standing
from reward_models._types import Engine, using
from synthesizeme.errors import ConfigError, MissingExtraError, UnknownNameError
from synthesizeme.static_embedding import LICENCE as STATIC_LICENCE

__all__ = [
    "POPULATION", "STATIC_LICENCE", "RewardModel", "Standing", "check_place", "encoders_here",
    "is_checkpoint", "load", "method", "method_names", "method_parameters", "packed", "push_to_hub",
    "unpacked", "use_engine",
]  # fmt: skip

ENGINES = ("local", "ray")


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a checkpoint, as far as its document's name tells."""
    return MODEL.is_in(folder)


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

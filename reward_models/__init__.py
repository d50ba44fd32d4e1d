"""Personalized reward models: one contract, one file per method. Importing this loads no torch."""

from __future__ import annotations

import inspect
from pathlib import Path

from reward_models._base import RewardModel
from reward_models._naming import method_parameters
from reward_models._standing import Standing
from synthesizeme import discovery
from synthesizeme.errors import MissingExtraError

__all__ = [
    "POPULATION", "RewardModel", "Standing", "load", "method", "method_names", "method_parameters", "packed",
    "unpacked",
]  # fmt: skip

POPULATION = Path(__file__).parent / "population" / "checkpoint"
"""The checkpoint that is shipped: it knows nobody, and what people have in common; see `load`."""

_EXTRAS = {
    "torch": "hf",
    "transformers": "hf",
    "trl": "train",
    "peft": "train",
    "accelerate": "train",
    "sklearn": "baselines",
    "scipy": "baselines",
}
"""The extra that brings a library in which a method's module may be found wanting."""


def method_names() -> list[str]:
    """Names of all methods, as on the command line."""
    return discovery.names(__name__, folders=False)


def method(name: str) -> type[RewardModel]:
    """The class of a method.

    Raises:
        UnknownNameError: there is no such method; lists those there are.
        MissingExtraError: what it needs is not installed.
    """
    try:
        module = discovery.load(__name__, name, kind="reward model", folders=False)
    except ImportError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        raise MissingExtraError(f"the reward model {name!r}", extra) from error
    own = [
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, RewardModel) and value.__module__ == module.__name__
    ]
    return next(
        value for value in own if not inspect.isabstract(value) and not value.__name__.startswith("_")
    )


def load(folder: Path | str = POPULATION) -> RewardModel:
    """Read a checkpoint folder written by `RewardModel.save`, whatever its method.

    Without a folder it is the population that this package ships: fitted to a user's pairs, it scores for
    that user without any training.

    Raises:
        DataError: a file is missing, truncated or not the one that was written, or of another version.
    """
    from reward_models._checkpoint import load

    return load(Path(folder))


def packed(model: RewardModel) -> bytes:
    """A fitted model as bytes, to travel to another process or machine; `unpacked` reads them.

    Raises:
        NotFittedError: the model is not fitted.
    """
    from reward_models._packing import packed

    return packed(model)


def unpacked(archive: bytes) -> RewardModel:
    """The model that was `packed`."""
    from reward_models._packing import unpacked

    return unpacked(archive)

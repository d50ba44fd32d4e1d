"""Which past items of a user go into a prompt. One retriever is one module, named by its file."""

from __future__ import annotations

import inspect
from typing import Any

from synthesizeme import discovery
from synthesizeme.errors import ConfigError
from synthesizeme.retrieval._base import Encode, Retriever

__all__ = ["Encode", "Retriever", "open_retriever", "retriever", "retriever_names"]


def retriever_names() -> list[str]:
    """Names of all retrievers, as on the command line."""
    return discovery.names(__name__)


def retriever(name: str) -> type[Retriever]:
    """The class of a retriever.

    Raises:
        UnknownNameError: there is no such retriever; lists those there are.
    """
    module = discovery.load(__name__, name, kind="retriever")
    return next(
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, Retriever) and value.__module__ == module.__name__
    )


def open_retriever(name: str, *, seed: int = 0, encode: Encode | None = None) -> Retriever:
    """A retriever with what it needs of the two: the seed, the encoder.

    Raises:
        UnknownNameError: there is no such retriever.
        ConfigError: it needs an encoder and none is given.
        MissingExtraError: the library behind it is not installed.
    """
    kind = retriever(name)
    wanted = inspect.signature(kind).parameters
    arguments: dict[str, Any] = {}
    if "seed" in wanted:
        arguments["seed"] = seed
    if "encode" in wanted:
        if encode is None:
            raise ConfigError(f"the retriever {name!r} needs an encoder of texts; name one with --encoder")
        arguments["encode"] = encode
    return kind(**arguments)

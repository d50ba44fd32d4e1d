"""A frozen encoder as a callable, its vectors kept in the cache of features."""

from __future__ import annotations

from collections.abc import Sequence

from reward_models._features import open_features
from reward_models._types import Matrix
from synthesizeme.types import Message


class FrozenEncoder:
    """Vectors of texts; nothing is encoded twice.

    Args:
        name: Specification of `reward_models._features.open_features`.

    Raises:
        UnknownNameError: no features are called so.
        MissingExtraError: what the encoder needs is not installed.
        DataError: there is no such encoder.
    """

    def __init__(self, name: str = "minilm") -> None:
        self.name = name
        self._features = open_features(name)

    @property
    def identity(self) -> str:
        """Which weights these are."""
        return self._features.identity

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._features.prompt_dim

    def __call__(self, texts: Sequence[str]) -> Matrix:
        """Vectors, shape (n, dim).

        Raises:
            DataError: the encoder gives a number that is not finite.
        """
        return self._features.prompts([(Message(role="user", content=text),) for text in texts])

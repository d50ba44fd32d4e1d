"""What a frozen featurizer says of a response, as numbers: named features, embeddings, hidden states."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from synthesizeme import stylometry
from synthesizeme.errors import UnknownNameError
from synthesizeme.types import Message

Prompt = Sequence[Message]
Matrix = NDArray[np.float32]


class Features(Protocol):
    """A frozen map from texts to vectors; the same text gives the same vector, whatever its batch."""

    identity: str
    """What decides the values, for checkpoints and the cache."""
    dim: int
    """Length D of a response's vector."""
    prompt_dim: int
    """Length of a prompt's vector."""

    def responses(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Matrix:
        """Vectors of the responses to these prompts, shape (n, D)."""

    def prompts(self, prompts: Sequence[Prompt]) -> Matrix:
        """Vectors of the prompts alone, shape (n, prompt_dim)."""


def open_features(spec: str, *, cache_dir: Path | None = None) -> Features:
    """Features by their specification.

    Args:
        spec: ``stylometric``.
        cache_dir: Folder of the cache.

    Raises:
        UnknownNameError: no features are called so.
    """
    if spec == "stylometric":
        return Stylometric()
    raise UnknownNameError("features", spec, ["stylometric"])


class Stylometric:
    """The named features of `synthesizeme.stylometry`, each divided by its typical difference."""

    identity = "stylometric"
    dim = len(stylometry.FEATURES)
    prompt_dim = len(stylometry.FEATURES)

    def responses(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Matrix:
        """Named features, in the order of `stylometry.FEATURES`."""
        rows = [stylometry.measure(r, p[-1].content) for p, r in zip(prompts, responses, strict=True)]
        return np.asarray(rows, dtype=np.float32).reshape(len(rows), self.dim)

    def prompts(self, prompts: Sequence[Prompt]) -> Matrix:
        """Named features of the last user turn."""
        rows = [stylometry.measure(prompt[-1].content) for prompt in prompts]
        return np.asarray(rows, dtype=np.float32).reshape(len(rows), self.dim)

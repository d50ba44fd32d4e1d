"""What reward models, their features and their engines are made of: types that depend on none of these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reward_models._feature_cache import Unit
from synthesizeme.feedback import UserWords
from synthesizeme.types import Message, PreferencePair

Prompt = Sequence[Message]
Matrix = NDArray[np.float32]
UserState = dict[str, NDArray[Any]]
"""What is known of one user: named arrays."""
Histories = Mapping[str, Sequence[PreferencePair]]
"""Pairs by user id, in the order of the data."""
Words = Mapping[str, UserWords]
"""What users said beside their choices, by user id; most users said nothing."""


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


class Encoder(Protocol):
    """A frozen network from texts to vectors."""

    identity: str
    """What decides the values, wherever the network's files lie."""
    dim: int
    """Length of a vector."""

    def of_response(self, prompt: Prompt, response: str) -> Unit:
        """The texts that decide a response's vector."""

    def of_prompt(self, prompt: Prompt) -> Unit:
        """The texts that decide a prompt's vector."""

    def encode(self, units: Sequence[Unit]) -> Matrix:
        """Vectors, shape (n, dim), each the same in any company."""


class TextEncoder(ABC):
    """An encoder that reads a response without its prompt, and a prompt by its last user turn."""

    def of_response(self, prompt: Prompt, response: str) -> Unit:
        """The response."""
        return (response,)

    def of_prompt(self, prompt: Prompt) -> Unit:
        """The last user turn."""
        return (prompt[-1].content,)

    def encode(self, units: Sequence[Unit]) -> Matrix:
        """Vectors, shape (n, dim). Lone surrogates, which are no text, are read as question marks."""
        return self._read([text.encode(errors="replace").decode() for (text,) in units])

    @abstractmethod
    def _read(self, texts: Sequence[str]) -> Matrix:
        """Vectors of texts, shape (n, dim)."""

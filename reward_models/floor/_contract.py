"""What every floor is, and how deep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from synthesizeme.types import Message

Conversation = Sequence[Message]
Floats = NDArray[np.float64]
Meanings = NDArray[np.float32]
NOTHING: Meanings = np.zeros((0, 0), dtype=np.float32)
"""The meanings of no prompts."""
DEPTH = 12.0
"""How far down the floor is where an expert is sure, in standard deviations of the taste of real answers."""


class Floor(Protocol):
    """What says how surely a text is no answer."""

    def shortfalls(self, prompts: Sequence[Conversation], responses: Sequence[str]) -> Floats:
        """0 for an answer up to `DEPTH` for what is none, in standard deviations of taste, shape (n,)."""

    def calibrate(self, prompts: Sequence[Conversation], responses: Sequence[str]) -> None:
        """Find the limits of real answers, where the floor has none of its own."""

    def limits(self) -> dict[str, float]:
        """What `calibrate` found."""

    def take(self, limits: Mapping[str, float]) -> None:
        """Use what `limits` gave."""

    def forget(self) -> None:
        """Drop the texts read lately, which may be a user's."""

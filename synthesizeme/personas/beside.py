"""What is known of a user beside the choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synthesizeme.feedback import UserWords
from synthesizeme.profile import UserProfile
from synthesizeme.types import Evidence


@dataclass(frozen=True)
class Beside:
    """Arguments of `SynthesizeMe.fit` beside a user's choices; any of them may be missing."""

    evidence: Sequence[Evidence] = ()
    """What a reward model learned from this user's train and validation pairs."""
    population: Mapping[str, float] | None = None
    """The probability of each of these choices for anybody, by pair id, in (0, 1)."""
    words: UserWords | None = None
    """What the user wrote of themself, or wished."""
    before: UserProfile | None = None
    """The user's profile before; what the person did to it stays."""
    others: Mapping[str, UserProfile] | None = None
    """Profiles of other users, among whom the nearest are sought."""


NOTHING = Beside()
"""Choices alone."""

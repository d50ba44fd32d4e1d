"""Users as profiles in words: written from their pairs or given, kept as bytes, read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from reward_models._profiler import (
    Floats,
    Profiler,
    StylometricProfiler,
    cross_fitted,
    differences,
    profile_text,
)
from reward_models._types import Histories, UserState
from synthesizeme.profile import UserProfile
from synthesizeme.types import PreferencePair


class WordedUser:
    """What the methods that read a user in words have in common; mixed into a `RewardModel`."""

    profiler: Profiler | None
    """Writes a profile from a user's pairs; by default the strongest named preferences."""
    profiles: Mapping[str, UserProfile | str] | None
    """Profiles by user id, used instead of written ones."""
    baseline_: Floats
    """What everybody prefers and a written profile need not say, (F,)."""

    def _learn_words(self, histories: Histories) -> None:
        self.baseline_ = differences([pair for history in histories.values() for pair in history]).mean(0)

    def _unseeing(self, histories: Histories, *, dropout: float, seed: int) -> list[str]:
        """A profile for every pair, in the order of `histories`, written without the pair."""
        known = {user: profile_text(given) for user, given in (self.profiles or {}).items()}
        return cross_fitted(histories, self._writer(), known, dropout=dropout, seed=seed)

    def _writer(self) -> Profiler:
        return self.profiler or StylometricProfiler(self.baseline_)

    def _words(self, pairs: Sequence[PreferencePair]) -> UserState:
        """The profile of one user as UTF-8 bytes, (length,)."""
        given = (self.profiles or {}).get(pairs[0].user_id)
        text = self._writer()(pairs) if given is None else profile_text(given)
        return {"profile": np.frombuffer(text.encode(errors="replace"), dtype=np.uint8)}

    def _profile(self, state: UserState | None) -> str:
        """The words for a user; empty for nobody, and for one known otherwise."""
        return "" if state is None or "profile" not in state else state["profile"].tobytes().decode()


def pass_seeds(seed: int, passes: int) -> list[int]:
    """A seed for every pass over the pairs."""
    return [int(one) for one in np.random.SeedSequence(seed).generate_state(passes)]

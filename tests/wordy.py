"""A small reward model that reads words: the reward of a response is what it shares with the user's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from reward_models._base import RewardModel
from reward_models._types import SILENT, Estimates, Said, sigmoid

VOCABULARY = ("tea", "coffee", "night", "brief")


class Wordy(RewardModel):
    """Counts; a user's state is how often the vocabulary occurs in chosen texts, less rejected ones, and words."""

    reads_words = True

    def _fit(self, histories: Any, sayings: Any) -> dict[str, Any]:
        return self._user_states(histories, sayings)

    def _user_state(self, pairs: Sequence[Any], said: Said = SILENT) -> dict[str, Any]:
        choices = sum((_counts(it.chosen_text) - _counts(it.rejected_text) for it in pairs), _counts(""))
        written = sum(map(_counts, said.words.texts() if said.words else ()), _counts(""))
        return {"tastes": choices + written}

    def _rewards(self, asked: Any) -> Estimates:
        value = np.array([
            0.0 if state is None else float(state["tastes"] @ _counts(text))
            for text, state in zip(asked.responses, asked.states, strict=True)
        ])  # fmt: skip
        return Estimates(value, sigmoid(value))

    def _arrays(self) -> dict[str, Any]:
        return {}

    def _restore(self, arrays: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """There is nothing."""


def _counts(text: str) -> Any:
    return np.array([float(text.lower().count(word)) for word in VOCABULARY])

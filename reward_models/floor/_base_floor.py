"""The floor of the base install: the surest of small experts, whose weights are shipped."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from copy import copy
from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reward_models._sketches import text_digest
from reward_models.floor._contract import DEPTH, NOTHING, Conversation, Floats, Meanings
from reward_models.floor._experts import WITHOUT_VECTORS, called_for, numbers, opened
from reward_models.floor._texts import Prompt, Text
from reward_models.floor._vectors import Vectors
from synthesizeme.static_embedding import missing, open_static_embedding
from synthesizeme.types import last_user_turn

LATELY = 8192
"""Shortfalls that are remembered before all of them are dropped."""
CUT_OFF = 0.5
"""How far down a text is that only seems to be cut off, in standard deviations of taste."""


class BaseFloor:
    """The floor of the base install: no network, shipped weights.

    Without the package ``wordllama`` the experts that need its vectors are absent.

    Args:
        weights: File of weights of `experiments/floor/train.py`; by default the shipped one.
    """

    def __init__(self, weights: Path | None = None) -> None:
        arrays = _weights(weights)
        self._experts = opened(arrays)
        self._vectors: Vectors | None = None
        if missing() is None:
            self._vectors = Vectors.on(open_static_embedding(), arrays)
        else:
            self._experts = {name: it for name, it in self._experts.items() if name in WITHOUT_VECTORS}
        self._prompt = lru_cache(maxsize=256)(Prompt)
        self._lately: dict[bytes, float] = {}

    def shortfalls(self, prompts: Sequence[Conversation], responses: Sequence[str]) -> Floats:
        """See `Floor`. What was asked lately is remembered by a digest of its text."""
        keys = [text_digest(prompt, response) for prompt, response in zip(prompts, responses, strict=True)]
        known = {key: self._lately[key] for key in keys if key in self._lately}
        new = {key: i for i, key in enumerate(keys) if key not in known}
        if new:
            rows = list(new.values())
            fallen = self._shortfalls([prompts[i] for i in rows], [responses[i] for i in rows])
            known.update(zip(new, fallen.tolist(), strict=True))
            if len(self._lately) > LATELY:
                self._lately = {}
            self._lately.update((key, known[key]) for key in new)
        return np.array([known[key] for key in keys], dtype=np.float64)

    def _shortfalls(self, prompts: Sequence[Conversation], responses: Sequence[str]) -> Floats:
        beliefs = self.beliefs(prompts, responses)
        ending = beliefs.pop("ending")
        surest = np.max([*beliefs.values(), np.zeros(len(responses))], axis=0)
        surest[[not has_content(response) for response in responses]] = 1.0
        found: Floats = DEPTH * surest + CUT_OFF * ending * (1 - surest)
        return found

    def calibrate(self, prompts: Sequence[Conversation], responses: Sequence[str]) -> None:
        """Nothing to find: its limits are shipped."""

    def limits(self) -> dict[str, float]:
        """None."""
        return {}

    def take(self, limits: Mapping[str, float]) -> None:
        """Nothing to take."""

    def meanings(self, prompts: Sequence[Conversation]) -> Meanings:
        """What is kept of prompts so that an answer to another one is known for it, shape (n, dim).

        Without static vectors nothing is.
        """
        if self._vectors is None or not prompts:
            return NOTHING
        return np.stack([self._vectors.meaning(last_user_turn(prompt)).mean for prompt in prompts])

    def beside(self, meanings: Meanings) -> BaseFloor:
        """The same floor, knowing further prompts by their `meanings`."""
        if self._vectors is None or not meanings.size:
            return self
        found = copy(self)
        found._vectors, found._lately = self._vectors.beside(meanings), {}
        return found

    def beliefs(self, prompts: Sequence[Conversation], responses: Sequence[str]) -> dict[str, Floats]:
        """How far each expert is believed, in [0, 1], shape (n,)."""
        if not prompts:
            return {name: np.zeros(0) for name in self._experts}
        asked = self._prompts(prompts)
        said = [Text(response) for response in responses]
        return {
            name: expert.belief(numbers(name, asked, said, self._vectors), self._called(name, asked))
            for name, expert in self._experts.items()
        }

    def forget(self) -> None:
        """Drop the texts read lately, which may be a user's."""
        self._prompt.cache_clear()
        if self._vectors is not None:
            self._vectors.forget()

    def called(self, expert: str, prompts: Sequence[Conversation]) -> NDArray[np.bool_]:
        """Whether each prompt may call for what an expert is there to find, shape (n,)."""
        return self._called(expert, self._prompts(prompts))

    def _called(self, expert: str, prompts: Sequence[Prompt]) -> NDArray[np.bool_]:
        return np.array([called_for(expert, prompt, self._vectors) for prompt in prompts], dtype=bool)

    def _prompts(self, prompts: Sequence[Conversation]) -> list[Prompt]:
        return [self._prompt(last_user_turn(prompt)) for prompt in prompts]


def has_content(response: str) -> bool:
    """Whether a text shows anything; white space, control characters and lone surrogates show nothing."""
    return any(unicodedata.category(c)[0] in "LNPS" for c in response)


def _weights(path: Path | None) -> dict[str, NDArray[np.float64]]:
    stored = (path or files("reward_models.floor").joinpath("weights.npz")).read_bytes()
    with np.load(BytesIO(stored), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}

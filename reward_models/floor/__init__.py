"""The floor of a reward: about 0 for whatever answers its prompt, far below for what is no answer to it.

A reward learned from choices between real answers says nothing reliable about texts that no data set holds,
and an optimiser looks for just those. So

    value(user, prompt, response) = taste(user, prompt, response) + floor(prompt, response)

where the floor is the same for all users. Small experts look at one way each of being no answer (copying,
repetition, form, capitals, script, order, junk, relevance, size, stance); each is believed above a limit that
it hardly passes on real answers to prompts that it was not trained on, and the surest of them counts. Whether
a text is cut off counts little, since many real answers are. Nothing that an expert does not believe costs
anything, so that real answers keep their order.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from copy import copy
from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reward_models.floor._experts import EXPERTS, WITHOUT_VECTORS, called_for, numbers, opened
from reward_models.floor._texts import Prompt, Text
from reward_models.floor._vectors import Vectors
from synthesizeme.errors import UnknownNameError
from synthesizeme.types import Message

Conversation = Sequence[Message]
Floats = NDArray[np.float64]
_LANGUAGE_MODEL = "lm:"
DEPTH = 12.0
"""How far down the floor is where an expert is sure, in standard deviations of the taste of real answers."""

LATELY = 8192
"""Shortfalls that are remembered."""
_NOTHING: NDArray[np.float32] = np.zeros((0, 0), dtype=np.float32)
CUT_OFF = 0.5
"""How far, where a text only seems to be cut off."""


class Floor(Protocol):
    """What says how surely a text is no answer."""

    identity: str
    """What decides it, for checkpoints."""

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


class BaseFloor:
    """The floor of the base install: no network, shipped weights.

    Without the package ``wordllama`` the experts that need its vectors are absent.

    Args:
        weights: File of weights of `experiments/floor/train.py`; by default the shipped one.
    """

    def __init__(self, weights: Path | None = None) -> None:
        from reward_models._static import missing, open_static

        arrays = _weights(weights)
        self._experts = opened(arrays)
        self._vectors: Vectors | None = None
        if missing() is None:
            self._vectors = Vectors.on(open_static(), arrays)
        else:
            self._experts = {name: it for name, it in self._experts.items() if name in WITHOUT_VECTORS}
        self.identity = f"base-{len(self._experts)}"
        self._prompt = lru_cache(maxsize=256)(Prompt)
        self._lately: dict[bytes, float] = {}

    def shortfalls(self, prompts: Sequence[Conversation], responses: Sequence[str]) -> Floats:
        """See `Floor`. What was asked lately is remembered by a digest of its text."""
        asked = [_last_turn(prompt) for prompt in prompts]
        keys = [_digest(prompt, response) for prompt, response in zip(asked, responses, strict=True)]
        new = {key: i for i, key in enumerate(keys) if key not in self._lately}
        if new:
            fallen = self._shortfalls([asked[i] for i in new.values()], [responses[i] for i in new.values()])
            known = dict(zip(new, fallen.tolist(), strict=True))
        found = np.array([known[key] if key in new else self._lately[key] for key in keys], dtype=np.float64)
        if new:
            self._lately = known if len(self._lately) + len(known) > LATELY else {**self._lately, **known}
        return found

    def _shortfalls(self, prompts: Sequence[str], responses: Sequence[str]) -> Floats:
        beliefs = self._beliefs(prompts, responses)
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

    def meanings(self, prompts: Sequence[Conversation]) -> NDArray[np.float32]:
        """What is kept of prompts so that an answer to another one is known for it, shape (n, dim).

        Without static vectors nothing is.
        """
        if self._vectors is None or not prompts:
            return np.zeros((0, 0), dtype=np.float32)
        return np.stack([self._vectors.meaning(_last_turn(prompt)).mean for prompt in prompts])

    def beside(self, meanings: NDArray[np.float32]) -> BaseFloor:
        """The same floor, knowing further prompts by their `meanings`."""
        if self._vectors is None or not meanings.size:
            return self
        found = copy(self)
        found._vectors, found._lately = self._vectors.beside(meanings), {}
        return found

    def beliefs(self, prompts: Sequence[Conversation], responses: Sequence[str]) -> dict[str, Floats]:
        """How far each expert is believed, in [0, 1], shape (n,)."""
        return self._beliefs([_last_turn(prompt) for prompt in prompts], responses)

    def forget(self) -> None:
        """Drop the texts read lately, which may be a user's."""
        self._prompt.cache_clear()
        if self._vectors is not None:
            self._vectors.forget()

    def _beliefs(self, prompts: Sequence[str], responses: Sequence[str]) -> dict[str, Floats]:
        asked = [self._prompt(prompt) for prompt in prompts]
        said = [Text(response) for response in responses]
        found = {}
        for name, expert in self._experts.items():
            read = numbers(name, asked, said, self._vectors) if asked else np.zeros((0, 0))
            found[name] = expert.belief(read, self._called(name, asked)) if asked else np.zeros(0)
        return found

    def called(self, expert: str, prompts: Sequence[Conversation]) -> NDArray[np.bool_]:
        """Whether each prompt may call for what an expert is there to find, shape (n,)."""
        return self._called(expert, [self._prompt(_last_turn(prompt)) for prompt in prompts])

    def _called(self, expert: str, prompts: Sequence[Prompt]) -> NDArray[np.bool_]:
        return np.array([called_for(expert, prompt, self._vectors) for prompt in prompts], dtype=bool)


def open_floor(name: str, known: NDArray[np.float32] = _NOTHING) -> Floor | None:
    """A floor by its name.

    Args:
        known: `BaseFloor.meanings` of prompts to which others' answers are known.
        name: ``base``, that of the base install; ``none``; ``lm:NAME``, which also asks a language model how
            likely a response is (`reward_models.floor._language_model`).

    Raises:
        UnknownNameError: no floor is called so.
        MissingExtraError: torch or transformers is not installed.
        DataError: the language model cannot be read.
    """
    check_name(name)
    if name == "none":
        return None
    base = base_floor().beside(known)
    if name == "base":
        return base
    from reward_models.floor._language_model import LanguageModelFloor

    found: Floor = LanguageModelFloor(base, name.removeprefix(_LANGUAGE_MODEL))
    return found


def check_name(name: str) -> None:
    """Refuse what names no floor, without opening one.

    Raises:
        UnknownNameError: no floor is called so.
    """
    if name not in ("base", "none") and not (name.startswith(_LANGUAGE_MODEL) and name != _LANGUAGE_MODEL):
        raise UnknownNameError("floor", name, ("base", "none", "lm:NAME"))


@lru_cache(maxsize=1)
def base_floor() -> BaseFloor:
    """The floor of the base install, opened once."""
    return BaseFloor()


def _digest(prompt: str, response: str) -> bytes:
    told = f"{len(prompt)}\0{prompt}{response}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(told, digest_size=16).digest()


def has_content(response: str) -> bool:
    """Whether a text shows anything; white space, control characters and lone surrogates show nothing."""
    return any(unicodedata.category(c)[0] in "LNPS" for c in response)


def _weights(path: Path | None) -> dict[str, NDArray[np.float64]]:
    stored = (path or files("reward_models.floor").joinpath("weights.npz")).read_bytes()
    with np.load(BytesIO(stored), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _last_turn(prompt: Conversation) -> str:
    return next((message.content for message in reversed(prompt) if message.role == "user"), "")


__all__ = ["CUT_OFF", "DEPTH", "EXPERTS", "BaseFloor", "Floor", "base_floor", "open_floor"]

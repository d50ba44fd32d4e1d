"""What reward models, their features and their engines are made of: types that depend on none of these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from synthesizeme.feedback import Judgement, UserWords
from synthesizeme.types import Comparison, Message, PreferencePair, Reward, Verdict

Prompt = Sequence[Message]
Matrix = NDArray[np.float32]
Floats = NDArray[np.float64]
Vector = NDArray[np.float32]
Unit = tuple[str, ...]
"""The texts that decide one vector of an encoder."""
UserState = dict[str, NDArray[Any]]
"""What is known of one user: named arrays."""
Histories = Mapping[str, Sequence[PreferencePair]]
"""Pairs by user id, in the order of the data."""
Words = Mapping[str, UserWords]
"""What users said of themselves, by user id; most users said nothing."""
Feedback = Mapping[str, Sequence[Judgement]]
"""What users said of responses beside their choices, by user id."""


class Said(NamedTuple):
    """What one user said beside choices."""

    words: UserWords | None = None
    """Of themself."""
    feedback: Sequence[Judgement] = ()
    """Of responses; where a method hears it, only kinds that the method reads."""


SILENT = Said()
"""Nothing."""
Sayings = Mapping[str, Said]
"""What users said, by user id; who said nothing may be left out."""


class Asked(NamedTuple):
    """Responses that a model is asked about, each to its prompt, for the user with a state or for nobody."""

    prompts: Sequence[Prompt]
    responses: Sequence[str]
    states: Sequence[UserState | None]

    def then(self, others: Asked) -> Asked:
        """These and then the others."""
        return Asked(
            [*self.prompts, *others.prompts],
            [*self.responses, *others.responses],
            [*self.states, *others.states],
        )

    @property
    def items(self) -> list[Item]:
        """Each response with its prompt."""
        return [Item(tuple(prompt), text) for prompt, text in zip(self.prompts, self.responses, strict=True)]


def sides_of(comparisons: Sequence[Comparison], states: Sequence[UserState | None]) -> tuple[Asked, Asked]:
    """The first and the second responses of comparisons, for users with these states."""
    firsts = Asked([it.prompt for it in comparisons], [it.first for it in comparisons], states)
    return firsts, firsts._replace(responses=[it.second for it in comparisons])


class Item(NamedTuple):
    """One response to one prompt."""

    prompt: tuple[Any, ...]
    response: str


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


@dataclass(frozen=True)
class Estimates:
    """Values with their uncertainty, all of shape (n,)."""

    value: Floats
    """Rewards, or margins."""
    probability: Floats
    """Rewards: P(preferred to a typical response). Margins: P(first is preferred)."""
    standard_error: Floats | None = None
    """Standard errors of `value`, where the model knows them."""
    judged: NDArray[np.bool_] | None = None
    """Whether all texts of a row were judged in training, where that makes probabilities sharper."""

    def reward(self, row: int, *, known: bool) -> Reward:
        """What a row says as the reward of a known user, or of nobody."""
        return Reward(
            value=float(self.value[row]),
            probability=float(self.probability[row]),
            standard_error=_at(self.standard_error, row),
            status="scored" if known else "population",
            judged=_at(self.judged, row),
        )

    def verdict(self, row: int) -> Verdict:
        """What a row says as a verdict, the sign of the margin deciding."""
        margin = float(self.value[row])
        return Verdict(
            preference="tie" if margin == 0 else "first" if margin > 0 else "second",
            probability=float(self.probability[row]),
            margin=margin,
            standard_error=_at(self.standard_error, row),
            probability_source="model",
            judged=_at(self.judged, row),
        )


def named_arrays(values: Any, prefix: str = "") -> dict[str, NDArray[Any]]:
    """The arrays of a named tuple by name, for a checkpoint or a state."""
    return {prefix + name: array for name, array in values._asdict().items()}


def sigmoid(x: Floats) -> Floats:
    """The logistic function of every element, without overflow; same shape."""
    return np.asarray((1 + np.tanh(np.asarray(x, dtype=np.float64) / 2)) / 2, dtype=np.float64)


def logit(p: Floats) -> Floats:
    """The log-odds of every probability, finite for 0 and 1 too; same shape."""
    inside = np.clip(p, 1e-12, 1 - 1e-12)
    return np.asarray(np.log(inside) - np.log1p(-inside), dtype=np.float64)


def _at(values: NDArray[Any] | None, row: int) -> Any:
    """Plain value of a row, or None where the model gives none."""
    return None if values is None else values[row].item()


class Engine(Protocol):
    """Does the same work elsewhere, to the bit."""

    def encode(self, spec: str, identity: str, units: Sequence[Unit]) -> Iterator[Mapping[Unit, Vector]]:
        """Vectors of the encoder with this specification and identity, part by part, in any order."""

    def user_states(self, model: Any, histories: Histories, sayings: Sayings) -> dict[str, UserState]:
        """What a `RewardModel` whose shared weights are learned makes of each user's pairs and sayings."""


_active: ContextVar[Engine | None] = ContextVar("engine", default=None)


def active() -> Engine | None:
    """The engine in use, or None for this process."""
    return _active.get()


@contextmanager
def using(engine: Engine) -> Iterator[None]:
    """Inside, `engine` does the work."""
    token = _active.set(engine)
    try:
        yield
    finally:
        _active.reset(token)

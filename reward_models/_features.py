"""What a frozen featurizer says of a response, as numbers: named features, embeddings, hidden states."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reward_models._engine import active
from reward_models._feature_cache import FeatureCache, Unit, Vector, open_cache
from synthesizeme import stylometry
from synthesizeme.errors import DataError, MissingExtraError, UnknownNameError
from synthesizeme.types import Message

Prompt = Sequence[Message]
Matrix = NDArray[np.float32]
SPECIFICATIONS = ("stylometric", "embeddings", "embeddings:NAME", "lm:NAME", "lm:NAME:mean", "lm:NAME:last")
KEPT_AT_ONCE = 1024
"""Texts encoded before they go into the cache: an interruption loses no more."""
_JOINT = re.compile(r"\+(?=stylometric|embeddings|lm:)")


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


def open_features(spec: str, *, cache_dir: Path | None = None) -> Features:
    """Features by their specification.

    Args:
        spec: One of these, or several joined by ``+``:
            ``stylometric``, the named features of `synthesizeme.stylometry`;
            ``embeddings``, a sentence encoder (all-MiniLM-L6-v2), or ``embeddings:NAME`` with another one;
            ``lm:NAME``, the hidden state of a language model at the last token, or with ``:mean`` their mean
            over the response. NAME is a folder or a name on the hub.
        cache_dir: Folder of the cache; by default that of `synthesizeme.files.default_cache_dir`, and none if
            ``$SYNTHESIZEME_NO_CACHE`` is set.

    Raises:
        UnknownNameError: no features are called so.
        MissingExtraError: their library is not installed.
        DataError: a model cannot be read, or the hub is out of reach.
    """
    parts = [_open(part, cache_dir) for part in _JOINT.split(spec)]
    return parts[0] if len(parts) == 1 else Joined(parts)


def _open(part: str, cache_dir: Path | None) -> Features:
    kind, _, name = part.partition(":")
    if part == "stylometric":
        return Stylometric()
    if kind == "embeddings" and (name or part == kind):
        with _extra(part, "embeddings"):
            from reward_models._encoder import open_encoder
        return Encoded(open_encoder(name), open_cache(cache_dir), spec=part)
    if kind == "lm" and name:
        with _extra(part, "hf"):
            from reward_models._hidden_states import open_hidden_states
        place, _, reading = name.rpartition(":")
        if not place or reading not in ("mean", "last"):
            place, reading = name, "last"
        return Encoded(open_hidden_states(place, reading), open_cache(cache_dir), spec=part)
    raise UnknownNameError("features", part, SPECIFICATIONS)


@contextmanager
def _extra(part: str, extra: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(f"features {part!r}", extra) from error


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


class Encoded:
    """Vectors of an encoder; what is in the cache or occurs twice is not encoded again.

    Args:
        encoder: The network.
        cache: Vectors of earlier calls; None for none.
        spec: Specification that opens the encoder in another process, for engines (`reward_models._engine`).
    """

    def __init__(
        self, encoder: Encoder, cache: FeatureCache | None = None, *, spec: str | None = None
    ) -> None:
        self.encoder, self._cache, self._spec = encoder, cache, spec
        self.identity, self.dim, self.prompt_dim = encoder.identity, encoder.dim, encoder.dim

    def responses(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Matrix:
        """Vectors of the responses.

        Raises:
            DataError: the encoder gives a number that is not finite.
        """
        pairs = zip(prompts, responses, strict=True)
        return self._vectors([self.encoder.of_response(prompt, response) for prompt, response in pairs])

    def prompts(self, prompts: Sequence[Prompt]) -> Matrix:
        """Vectors of the prompts.

        Raises:
            DataError: the encoder gives a number that is not finite.
        """
        return self._vectors([self.encoder.of_prompt(prompt) for prompt in prompts])

    def _vectors(self, units: Sequence[Unit]) -> Matrix:
        distinct = list(dict.fromkeys(units))
        known = self._cache.get(self.identity, distinct, self.dim) if self._cache else {}
        missing = [unit for unit in distinct if unit not in known]
        for fresh in self._encoded(missing):
            self._check_finite(fresh)
            if self._cache:
                self._cache.put(self.identity, fresh)
            known |= fresh
        found = np.empty((len(units), self.dim), dtype=np.float32)
        for row, unit in enumerate(units):
            found[row] = known[unit]
        return found

    def _encoded(self, units: Sequence[Unit]) -> Iterator[Mapping[Unit, Vector]]:
        """Vectors part by part, from the engine in use or from here."""
        engine = active()
        if engine is not None and self._spec is not None and units:
            yield from engine.encode(self._spec, self.identity, units)
            return
        for start in range(0, len(units), KEPT_AT_ONCE):
            some = units[start : start + KEPT_AT_ONCE]
            yield dict(zip(some, self.encoder.encode(some), strict=True))

    def _check_finite(self, vectors: Mapping[Unit, Vector]) -> None:
        bad = sum(1 for vector in vectors.values() if not np.isfinite(vector).all())
        if bad:
            raise DataError(
                f"the features {self.identity!r} of {bad} texts are not finite numbers",
                cure="use another encoder, or mend the weights of this one.",
            )


class Joined:
    """Several features side by side."""

    def __init__(self, parts: Sequence[Features]) -> None:
        self._parts = tuple(parts)
        self.identity = "+".join(part.identity for part in parts)
        self.dim = sum(part.dim for part in parts)
        self.prompt_dim = sum(part.prompt_dim for part in parts)

    def responses(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Matrix:
        """Vectors of all parts, in their order."""
        return np.concatenate([part.responses(prompts, responses) for part in self._parts], axis=1)

    def prompts(self, prompts: Sequence[Prompt]) -> Matrix:
        """Vectors of all parts, in their order."""
        return np.concatenate([part.prompts(prompts) for part in self._parts], axis=1)

"""Persona vectors of all layers, from two sets of answers, with the model they belong to; kept on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reward_models._checkpoint import Layout
from reward_models.persona_vectors.rollouts import Rollout, asked
from synthesizeme.errors import DataError, VectorError

if TYPE_CHECKING:
    from reward_models.persona_vectors.decoder import Decoder, Identity, States


LAYOUT = Layout("vectors.json", 3, "persona vectors", "`synthesizeme vectors extract`", "extract again")
ARRAYS = "vectors.safetensors"


@dataclass(frozen=True)
class PersonaVectors:
    """One trait's direction at every layer of one model."""

    trait: str
    """Name of the trait."""
    directions: NDArray[np.float32]
    """Shape (layers + 1, D): row l - 1 is the direction at layer l, in units of the activations.

    Layer l is what block l returns; the last row is of what the final norm makes of the last block's, for
    reading only. The published implementation has the latter where it names the last layer.
    """
    model: Mapping[str, Any]
    """`Identity` of the model: family, layers, width, fingerprint."""
    layer: int | None = None
    """The layer chosen for steering and projecting; None before the choice."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What became of the extraction: pairs kept, effect of every layer."""

    def at(self, layer: int | None = None) -> NDArray[np.float32]:
        """The direction (D,) at a layer, by default the chosen one.

        Raises:
            VectorError: there is no such layer, or none was chosen.
        """
        layer = self.layer if layer is None else layer
        if layer is None:
            raise VectorError(
                f"vectors of {self.trait!r}: no layer was chosen. Cure: name one from 1 to "
                f"{len(self.directions)}, or choose it by steering"
            )
        check_readable(layer, len(self.directions) - 1, f"vectors of {self.trait!r}")
        row: NDArray[np.float32] = self.directions[layer - 1]
        return row

    def unit(self, layer: int | None = None) -> NDArray[np.float32]:
        """The direction at a layer, at length one.

        Raises:
            VectorError: there is no such layer, or the direction has no length.
        """
        direction = self.at(layer)
        length = float(np.linalg.norm(direction))
        if not length > 0:
            raise VectorError(f"vectors of {self.trait!r}: the direction at layer {layer} has no length")
        return np.asarray(direction / length, dtype=np.float32)

    def chosen(self, layer: int, **facts: Any) -> PersonaVectors:
        """The same with a chosen layer and more facts.

        Raises:
            VectorError: there is no such layer.
        """
        check_readable(layer, len(self.directions) - 1, f"vectors of {self.trait!r}")
        return replace(self, layer=layer, facts={**self.facts, **facts})

    @property
    def caution(self) -> str:
        """Why the direction at the chosen layer is not to be trusted, in one line; "" where it is.

        Taken from ``layer_effects`` among the facts: what steering by the direction did to the trait's score.
        """
        effects = self.facts.get("layer_effects")
        if not effects:
            return f"Steering toward {self.trait!r} was not checked to raise its score: no layer was tried."
        working = {layer for layer, effect in effects.items() if effect is not None and effect > 0}
        if self.layer is None or str(self.layer) in working:
            return ""
        where = f"layer {self.layer}; name another" if working else "any layer; do not trust this vector"
        return f"Steering toward {self.trait!r} does not raise its score at {where}."

    def check(self, identity: Identity, *, derived: bool = False) -> None:
        """Refuse a model that these vectors were not taken from.

        Args:
            identity: The model.
            derived: Whether a model of the same shape will do: one fine-tuned from the vectors' own.

        Raises:
            VectorError: it is another model; names both.
        """
        here = identity.document()
        for name in ("width", "layers", "family"):
            if here[name] != self.model[name]:
                raise VectorError(
                    f"vectors of {self.trait!r} belong to a model of {name} {self.model[name]}; this one has "
                    f"{name} {here[name]}. Cure: use the model they were extracted from, or extract again"
                )
        if not derived and here["fingerprint"] != self.model["fingerprint"]:
            raise VectorError(
                f"vectors of {self.trait!r} belong to the model {self.model['fingerprint']}; this one, of "
                f"the same shape, is {here['fingerprint']}. Cure: use the model they were extracted from, "
                "extract again, or say that this one was fine-tuned from it (derived)"
            )

    def save(self, folder: Path) -> None:
        """Write two files into a folder, each whole or not at all.

        Raises:
            DataError: the place cannot be written.
        """
        facts = {
            "trait": self.trait,
            "model": dict(self.model),
            "layer": self.layer,
            "facts": dict(self.facts),
        }
        LAYOUT.write(folder, {ARRAYS: {"directions": self.directions.astype(np.float32)}}, facts)

    @classmethod
    def load(cls, folder: Path) -> PersonaVectors:
        """Read what `save` wrote.

        Raises:
            DataError: a file is missing, was changed, or is of another version.
        """
        document, arrays = LAYOUT.read(folder)
        with LAYOUT.fits(folder):
            directions = arrays[ARRAYS]["directions"]
            return cls(document["trait"], directions, document["model"], document["layer"], document["facts"])


def check_layer(layer: int, layers: int, where: str) -> None:
    """Refuse to steer at a layer that does not exist.

    Raises:
        VectorError: names the layers there are.
    """
    if not 1 <= layer <= layers:
        raise VectorError(
            f"{where}: there is no layer {layer} to steer at. Cure: name one from 1 to {layers}; layer l is "
            f"what block l returns, the embeddings are none, and {layers + 1} (the final norm's) is only read"
        )


def check_readable(layer: int, layers: int, where: str) -> None:
    """Refuse to read a layer that does not exist.

    Raises:
        VectorError: names the layers there are.
    """
    if not 1 <= layer <= layers + 1:
        raise VectorError(
            f"{where}: there is no layer {layer}. Cure: name one from 1 to {layers + 1}; layer l is what "
            f"block l returns, {layers + 1} what the final norm makes of it, and the embeddings are none"
        )


def difference_of_means(positive: States, negative: States) -> NDArray[np.float32]:
    """``v_l = mean(positive_l) - mean(negative_l)``.

    Args:
        positive: Mean response activations of answers with the trait, (n, layers + 1, D).
        negative: The same without it, (m, layers + 1, D).

    Returns:
        Shape (layers + 1, D).

    Raises:
        DataError: a side is empty, or a value is not finite.
    """
    if not len(positive) or not len(negative):
        raise DataError(
            f"{len(positive)} positive and {len(negative)} negative answers; expected some of each"
        )
    found = positive.mean(axis=0, dtype=np.float64) - negative.mean(axis=0, dtype=np.float64)
    if not np.isfinite(found).all():
        raise DataError("activations are not finite", cure="read the model in float32 or bfloat16.")
    directions: NDArray[np.float32] = found.astype(np.float32)
    return directions


def extract(
    decoder: Decoder, trait: str, positive: Sequence[Rollout], negative: Sequence[Rollout], **facts: Any
) -> PersonaVectors:
    """The direction of a trait at every layer, from kept rollouts; each answer is read under its instruction.

    Args:
        decoder: The model that gave the answers.
        trait: Name of the trait.
        positive: Answers that show it, e.g. the first of `keep`.
        negative: Answers that do not.
        **facts: What else is to be kept with the vectors.

    Raises:
        DataError: a side is empty.
        VectorError: a rollout says that another model gave it.

    References:
        arXiv 2507.21509, section 2.2: the mean over response tokens, for every layer.
    """
    _check_own(decoder, [*positive, *negative])
    sides = [response_states(decoder, rollouts) for rollouts in (positive, negative)]
    return PersonaVectors(
        trait,
        difference_of_means(*sides),
        decoder.identity.document(),
        facts={"positive": len(positive), "negative": len(negative), **facts},
    )


def _check_own(decoder: Decoder, rollouts: Sequence[Rollout]) -> None:
    here = decoder.identity.fingerprint
    others = sorted({rollout.model for rollout in rollouts} - {"", here})
    if others:
        raise VectorError(
            f"the answers were given by the model {others[0]}; this one is {here}. Cure: use the model that "
            "gave them, or let this one answer"
        )


def response_states(decoder: Decoder, rollouts: Sequence[Rollout]) -> States:
    """Mean response activations of rollouts under their instructions, (n, layers + 1, D)."""
    return decoder.response_states(
        [asked(rollout.question) for rollout in rollouts],
        [rollout.answer for rollout in rollouts],
        [rollout.instruction for rollout in rollouts],
    )


def random_like(vectors: PersonaVectors, seed: int) -> PersonaVectors:
    """Directions drawn at random, each as long as the trait's own at its layer."""
    drawn = np.random.default_rng(seed).normal(size=vectors.directions.shape)
    lengths = np.linalg.norm(vectors.directions, axis=1, keepdims=True)
    drawn *= lengths / np.linalg.norm(drawn, axis=1, keepdims=True)
    return replace(vectors, directions=drawn.astype(np.float32), trait=f"random like {vectors.trait}")


def shuffled(positive: States, negative: States, seed: int) -> NDArray[np.float32]:
    """The difference of means (layers + 1, D) after the labels were dealt out anew, at its own length."""
    both = np.concatenate([positive, negative])
    order = np.random.default_rng(seed).permutation(len(both))
    return difference_of_means(both[order[: len(positive)]], both[order[len(positive) :]])

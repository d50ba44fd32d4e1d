"""Persona vectors of all layers, with the model they belong to, on disk as safetensors and JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from synthesizeme.errors import DataError, VectorError
from synthesizeme.files import whole_file, write_whole

if TYPE_CHECKING:
    from reward_models.persona_vectors._blocks import Identity

FORMAT_VERSION = 2
VECTORS, FACTS = "vectors.safetensors", "vectors.json"
_CURE = "name a folder written by `synthesizeme vectors extract`, or extract again."


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
        data = save({"directions": np.ascontiguousarray(self.directions, dtype=np.float32)})
        with whole_file(folder / VECTORS) as stream:
            stream.write(data)
        document = {
            "format_version": FORMAT_VERSION, "trait": self.trait, "model": dict(self.model),
            "layer": self.layer, "facts": dict(self.facts), "sha256": hashlib.sha256(data).hexdigest(),
        }  # fmt: skip
        write_whole(folder / FACTS, json.dumps(document, indent=2, allow_nan=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> PersonaVectors:
        """Read what `save` wrote.

        Raises:
            DataError: a file is missing, was changed, or is of another version.
        """
        try:
            document = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            data = (folder / VECTORS).read_bytes()
        except OSError as error:
            problem = f"no persona vectors can be read here: {error.strerror or error}"
            raise DataError(problem, source=str(error.filename or folder), cure=_CURE) from None
        except ValueError:
            raise DataError(
                "is not JSON: truncated or changed", source=str(folder / FACTS), cure=_CURE
            ) from None
        return cls._read(folder, document, data)

    @classmethod
    def _read(cls, folder: Path, document: Any, data: bytes) -> PersonaVectors:
        if not isinstance(document, dict) or document.get("format_version") != FORMAT_VERSION:
            found = document.get("format_version") if isinstance(document, dict) else document
            problem = f"has format version {found!r}; this version reads {FORMAT_VERSION}"
            raise DataError(problem, source=str(folder / FACTS), cure=_CURE)
        if hashlib.sha256(data).hexdigest() != document.get("sha256"):
            problem = "is not the file that was saved: truncated or changed"
            raise DataError(problem, source=str(folder / VECTORS), cure=_CURE)
        try:
            directions = load(data)["directions"]
            model = document["model"]
            expected = (model["layers"] + 1, model["width"])
            if directions.shape != expected:
                raise ValueError(f"shape {directions.shape}; expected {expected}")
            effects = document["facts"].get("layer_effects", {}).values()
            if not all(isinstance(effect, int | float | None) for effect in effects):
                raise ValueError("layer_effects: expected numbers or null")
            found = cls(document["trait"], directions, model, None, document["facts"])
        except (AttributeError, KeyError, TypeError, ValueError, SafetensorError) as error:
            problem = f"does not hold persona vectors ({type(error).__name__}: {error})"
            raise DataError(problem, source=str(folder), cure=_CURE) from None
        return found if document.get("layer") is None else found.chosen(document["layer"])


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

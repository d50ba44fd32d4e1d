"""Reading a trait off a model: before it answers, and after it was fine-tuned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reward_models.persona_vectors.decoder import Decoder
from reward_models.persona_vectors.rollouts import Prompt
from reward_models.persona_vectors.vectors import PersonaVectors


class Shift(NamedTuple):
    """How far a model has moved along a direction."""

    mean: float
    """Mean over the prompts, in units of the activations."""
    standard_error: float
    """Over the prompts."""
    values: NDArray[np.float64]
    """(n,) one for each prompt."""


def projection(
    states: NDArray[np.float32], vectors: PersonaVectors, layer: int | None = None
) -> NDArray[np.float64]:
    """``h_l . v_l / |v_l|`` of activations (n, layers + 1, D), shape (n,)."""
    layer = vectors.layer if layer is None else layer
    unit = vectors.unit(layer)
    assert layer is not None  # `unit` raised otherwise
    found: NDArray[np.float64] = states[:, layer - 1].astype(np.float64) @ unit.astype(np.float64)
    return found


def project(
    decoder: Decoder,
    vectors: PersonaVectors,
    prompts: Sequence[Prompt],
    instructions: Sequence[str] | None = None,
    *,
    layer: int | None = None,
    derived: bool = False,
) -> NDArray[np.float64]:
    """Projection of the last prompt token on the direction: the trait that an answer is about to show.

    Args:
        decoder: The model.
        vectors: Its vectors.
        prompts: n conversations.
        instructions: n system messages, "" for none.
        layer: By default the chosen one.
        derived: Whether the model was fine-tuned from the vectors' own.

    Returns:
        Shape (n,).

    Raises:
        VectorError: the vectors are another model's, or there is no such layer.

    References:
        arXiv 2507.21509, section 3.3.
    """
    vectors.check(decoder.identity, derived=derived)
    return projection(decoder.prompt_states(prompts, instructions), vectors, layer)


def shift(
    base: Decoder,
    tuned: Decoder,
    vectors: PersonaVectors,
    prompts: Sequence[Prompt],
    *,
    layer: int | None = None,
) -> Shift:
    """How far fine-tuning moved a model: mean difference of `project` between the model after and before.

    Raises:
        VectorError: `base` is not the vectors' own model, or `tuned` has another shape.

    References:
        arXiv 2507.21509, section 4.2.
    """
    before = project(base, vectors, prompts, layer=layer)
    return shift_between(before, project(tuned, vectors, prompts, layer=layer, derived=True))


def shift_between(before: NDArray[np.float64], after: NDArray[np.float64]) -> Shift:
    """The shift from two projections of the same prompts, (n,) each.

    >>> shift_between(np.array([1.0, 2.0]), np.array([2.0, 5.0]))[:2]
    (2.0, 1.0)
    """
    values = after - before
    error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return Shift(float(values.mean()), float(error), values)

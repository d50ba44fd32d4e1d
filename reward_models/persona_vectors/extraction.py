"""From two sets of answers to a direction at every layer, and the directions it has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reward_models.persona_vectors.decoder import Decoder, States
from reward_models.persona_vectors.rollouts import Rollout, asked
from reward_models.persona_vectors.vectors import PersonaVectors
from synthesizeme.errors import DataError, VectorError


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

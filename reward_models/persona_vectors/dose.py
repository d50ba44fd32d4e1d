"""Dose and response: what steering does to a trait and to coherence, and the choice of a layer by it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from reward_models.persona_vectors.decoder import Decoder
from reward_models.persona_vectors.rollouts import Generate, Prompt
from reward_models.persona_vectors.scoring import Score
from reward_models.persona_vectors.steering import Positions, Steering
from reward_models.persona_vectors.vectors import PersonaVectors
from synthesizeme.errors import DataError
from synthesizeme.types import Failure, Frozen

COHERENT = 80.0
"""Mean coherence below which an effect does not count."""


class Dose(Frozen):
    """Answers steered by one multiple of a direction."""

    alpha: float
    """The multiple."""
    trait: float
    """Mean score of the trait, 0 to 100."""
    trait_error: float
    """Its standard error over the answers."""
    coherence: float
    """Mean coherence, 0 to 100."""
    answers: int
    """Answers with both scores."""
    failures: int
    """Answers that lack one; they are in no mean."""


def dose_response(
    decoder: Decoder,
    vector: ArrayLike,
    *,
    layer: int,
    alphas: Iterable[float],
    prompts: Sequence[Prompt],
    generate: Generate,
    score: Score,
    coherence: Score,
    positions: Positions = "all",
) -> list[Dose]:
    """One `Dose` for each alpha.

    Args:
        decoder: The model.
        vector: The direction, (D,).
        layer: Where it is added.
        alphas: Multiples of it; 0 is the model alone.
        prompts: What is asked at every dose, without an instruction.
        generate: Answers prompts with this model, e.g. `Decoder.speaker`.
        score: Scores the trait.
        coherence: Scores coherence.
        positions: Where the direction is added.

    Raises:
        VectorError: the layer or the vector does not fit the model.
        DataError: no answer of a dose could be scored.
    """
    questions = [prompt[-1].content for prompt in prompts]
    found = []
    for alpha in alphas:
        with Steering(decoder.model, vector, layer=layer, alpha=alpha, positions=positions):
            answers = generate(prompts, [""] * len(prompts))
        found.append(_dose(alpha, score(questions, answers), coherence(questions, answers)))
    return found


def operating_point(doses: Iterable[Dose], *, coherent: float = COHERENT) -> Dose | None:
    """The dose with the largest alpha whose coherence is `coherent` or more; None where no dose has it."""
    return max(
        (dose for dose in doses if dose.coherence >= coherent), key=lambda dose: dose.alpha, default=None
    )


def choose_layer(
    decoder: Decoder,
    vectors: PersonaVectors,
    *,
    alpha: float = 1.0,
    coherent: float = COHERENT,
    halvings: int = 2,
    **options: Any,
) -> PersonaVectors:
    """The vectors with the layer chosen at which steering does most, on the extraction questions.

    A layer's effect is the trait at ``+alpha`` less the trait at ``-alpha``; one at which either dose is less
    coherent than `coherent` is out. The facts keep the effect of every layer.

    Args:
        decoder: The model.
        vectors: Its vectors.
        alpha: The multiple that is tried.
        coherent: Least mean coherence.
        halvings: How often alpha is halved where no layer stays coherent.
        **options: ``prompts``, ``generate``, ``score``, ``coherence`` and ``positions`` of `dose_response`.

    Raises:
        VectorError: the vectors are another model's.
        DataError: no layer stays coherent, not even at the smallest alpha.

    References:
        arXiv 2507.21509, section 2.2: the most effective layer, by steering.
    """
    vectors.check(decoder.identity)
    for halving in range(halvings + 1):
        tried = alpha / 2**halving
        effects = _layer_effects(decoder, vectors, tried, coherent, options)
        left = {layer: effect for layer, effect in effects.items() if effect is not None}
        if left:
            best = max(left, key=lambda layer: left[layer])
            named = {str(layer): effect for layer, effect in effects.items()}
            return vectors.chosen(best, layer_effects=named, layer_alpha=tried)
    raise DataError(
        f"no layer of {decoder.layers} stays coherent ({coherent:g} or more) when steered by {tried:g} "
        f"times the vector of {vectors.trait!r}",
        field="alpha",
        cure="try a smaller alpha, or name a layer.",
    )


def _layer_effects(
    decoder: Decoder, vectors: PersonaVectors, alpha: float, coherent: float, options: dict[str, Any]
) -> dict[int, float | None]:
    """Trait at ``+alpha`` less trait at ``-alpha`` by layer; None where a dose is incoherent."""
    effects: dict[int, float | None] = {}
    for layer in range(1, decoder.layers + 1):
        doses = dose_response(decoder, vectors.at(layer), layer=layer, alphas=(alpha, -alpha), **options)
        fits = min(dose.coherence for dose in doses) >= coherent
        effects[layer] = doses[0].trait - doses[1].trait if fits else None
    return effects


def _dose(alpha: float, traits: Sequence[float | Failure], coherences: Sequence[float | Failure]) -> Dose:
    both = [
        (got, read)
        for got, read in zip(traits, coherences, strict=True)
        if not isinstance(got, Failure) and not isinstance(read, Failure)
    ]
    if not both:
        raise DataError(f"none of {len(traits)} answers at alpha {alpha:g} could be scored", field="answers",
                        cure="look at what the judge replies.")  # fmt: skip
    got, read = np.array(both, dtype=float).T
    error = got.std(ddof=1) / len(got) ** 0.5 if len(got) > 1 else 0.0
    return Dose(
        alpha=alpha, trait=float(got.mean()), trait_error=float(error), coherence=float(read.mean()),
        answers=len(both), failures=len(traits) - len(both),
    )  # fmt: skip

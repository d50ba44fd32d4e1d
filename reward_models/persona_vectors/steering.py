"""Steering: a multiple of a direction is added to what a block returns, in answering or in training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from transformers import TrainerCallback

from reward_models.persona_vectors.decoder import Decoder, blocks_of, hidden_of, with_hidden
from reward_models.persona_vectors.rollouts import Generate, Prompt, Score
from reward_models.persona_vectors.vectors import PersonaVectors, check_layer
from synthesizeme.errors import ConfigError, DataError, VectorError
from synthesizeme.types import Failure, Frozen

Positions = Literal["all", "prompt", "response"]
POSITIONS: Sequence[Positions] = ("all", "prompt", "response")


class Steering:
    """``h_l <- h_l + alpha v`` at chosen positions; a context, outside of which the model is as it was.

    A position is the response's if what it predicts is: the last token of the prompt and the tokens of the
    response. The others are the prompt's. While generating with a cache, the first pass reads the prompt and
    later ones a token each, so positions are known; a pass over a whole conversation (teacher forcing) needs
    the mask of the response: ``with steering.response(mask): model(...)``.

    Several at a time, also on one layer, add up.

    Args:
        model: A decoder of transformers.
        vector: The direction v, (D,).
        layer: l, from 1 to the number of blocks.
        alpha: The multiple; 0 changes nothing at all.
        positions: ``all``, ``prompt`` or ``response``.
        training_only: Whether it acts only while the block is in training mode.

    Raises:
        VectorError: the layer does not exist, or the vector has another width or a value that is no number.
        ConfigError: there are no such positions.

    References:
        arXiv 2507.21509, section 3.2. Differs: a token's position counts by what it predicts, so that a
        teacher-forced pass and a cached generation steer the same positions.
    """

    def __init__(
        self,
        model: Any,
        vector: ArrayLike,
        *,
        layer: int,
        alpha: float,
        positions: Positions = "all",
        training_only: bool = False,
    ) -> None:
        blocks = blocks_of(model)
        check_layer(layer, len(blocks), type(model).__name__)
        if positions not in POSITIONS:
            raise ConfigError(f"positions is {positions!r}; expected one of {', '.join(POSITIONS)}")
        direction = torch.as_tensor(vector, dtype=torch.float32)
        width = int(model.config.get_text_config().hidden_size)
        if tuple(direction.shape) != (width,):
            raise VectorError(
                f"the vector has shape {tuple(direction.shape)}; {type(model).__name__} has width {width}. "
                "Cure: use a vector that was extracted from this model"
            )
        if not torch.isfinite(direction).all():
            raise VectorError("the vector has a value that is not finite")
        self.layer, self.alpha, self.positions = layer, alpha, positions
        self._block, self._direction, self._training_only = blocks[layer - 1], direction, training_only
        self._mask: torch.Tensor | None = None
        self._handle: Any = None

    def __enter__(self) -> Steering:
        if self._handle is None:
            self._handle = self._block.register_forward_hook(self._steer)
        return self

    def __exit__(self, *reason: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Stop steering; the model is as it was."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    @contextmanager
    def response(self, mask: torch.Tensor) -> Iterator[None]:
        """Inside, passes are over whole conversations, whose response tokens `mask` (B, T) marks."""
        self._mask = mask.bool()
        try:
            yield
        finally:
            self._mask = None

    def _steer(self, block: Any, inputs: Any, output: Any) -> Any:
        if self.alpha == 0 or (self._training_only and not block.training):
            return None
        hidden = hidden_of(output)
        added = self.alpha * self._direction.to(hidden.device)
        if self.positions != "all":
            added = added * self._where(hidden, block.training)[:, :, None]
        return with_hidden(output, hidden + added.to(hidden.dtype))

    def _where(self, hidden: torch.Tensor, training: bool) -> torch.Tensor:
        """1 at the positions that are steered, (B, T)."""
        rows, length = hidden.shape[:2]
        if self._mask is not None:
            if tuple(self._mask.shape) != (rows, length):
                raise VectorError(
                    f"the mask of the response has shape {tuple(self._mask.shape)}; the pass has "
                    f"{(rows, length)}"
                )
            own = self._mask.to(hidden.device)
            response = own | torch.cat([own[:, 1:], torch.zeros_like(own[:, :1])], dim=1)
        elif training:
            raise ConfigError(
                f"steering {self.positions!r} positions while training needs the mask of the response; pass "
                "it with `Steering.response`, or steer all positions"
            )
        else:
            response = torch.zeros(rows, length, dtype=torch.bool, device=hidden.device)
            response[:, -1] = True
        return (response if self.positions == "response" else ~response).to(torch.float32)


class PreventativeSteering(TrainerCallback):  # type: ignore[misc]
    """A callback for the stock trainers of transformers and TRL.

    ``trainer.add_callback(PreventativeSteering(vectors.at(), layer=vectors.layer, alpha=2))``. It steers
    every position of every pass in training mode, from the beginning of ``train()`` to its end; evaluation
    within is not steered. With the trait supplied from outside, the weights need not learn it. When
    ``train()`` raises, call `remove`, or use it as a context around ``train()``, which does.

    Args:
        vector: The direction, (D,).
        layer: From 1 to the number of blocks.
        alpha: The multiple that is added.

    References:
        arXiv 2507.21509, section 5.2.
    """

    def __init__(self, vector: ArrayLike, *, layer: int, alpha: float) -> None:
        self._vector, self._layer, self._alpha = vector, layer, alpha
        self._steering: Steering | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Attach to the trainer's model.

        Raises:
            VectorError: the layer or the vector does not fit the model.
        """
        self.remove()
        self._steering = Steering(
            kwargs["model"], self._vector, layer=self._layer, alpha=self._alpha, training_only=True
        )
        self._steering.__enter__()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Leave the model as it was trained, without the direction."""
        self.remove()

    def remove(self) -> None:
        """Stop steering, also after a training that raised."""
        if self._steering is not None:
            self._steering.remove()
            self._steering = None

    def __enter__(self) -> PreventativeSteering:
        return self

    def __exit__(self, *raised: object) -> None:
        self.remove()


COHERENT = 80.0
"""Mean coherence below which an effect does not count."""


class SteeringStrength(Frozen):
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


def steering_strengths(
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
) -> list[SteeringStrength]:
    """What steering does at each strength.

    Args:
        decoder: The model.
        vector: The direction, (D,).
        layer: Where it is added.
        alphas: Multiples of it; 0 is the model alone.
        prompts: What is asked at every strength, without an instruction.
        generate: Answers prompts with this model, e.g. `Decoder.speaker`.
        score: Scores the trait.
        coherence: Scores coherence.
        positions: Where the direction is added.

    Raises:
        VectorError: the layer or the vector does not fit the model.
        DataError: no answer of a strength could be scored.
    """
    questions = [prompt[-1].content for prompt in prompts]
    found = []
    for alpha in alphas:
        with Steering(decoder.model, vector, layer=layer, alpha=alpha, positions=positions):
            answers = generate(prompts, [""] * len(prompts))
        found.append(_strength(alpha, score(questions, answers), coherence(questions, answers)))
    return found


def operating_point(
    strengths: Iterable[SteeringStrength], *, coherent: float = COHERENT
) -> SteeringStrength | None:
    """The strength with the largest alpha whose coherence is `coherent` or more; None where none has it."""
    return max(
        (strength for strength in strengths if strength.coherence >= coherent),
        key=lambda strength: strength.alpha,
        default=None,
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

    A layer's effect is the trait at ``+alpha`` less the trait at ``-alpha``; one at which either is less
    coherent than `coherent` is out. The facts keep the effect of every layer.

    Args:
        decoder: The model.
        vectors: Its vectors.
        alpha: The multiple that is tried.
        coherent: Least mean coherence.
        halvings: How often alpha is halved where no layer stays coherent.
        **options: ``prompts``, ``generate``, ``score``, ``coherence``, ``positions`` of `steering_strengths`.

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
    """Trait at ``+alpha`` less trait at ``-alpha`` by layer; None where a strength is incoherent."""
    effects: dict[int, float | None] = {}
    for layer in range(1, decoder.layers + 1):
        strengths = steering_strengths(
            decoder, vectors.at(layer), layer=layer, alphas=(alpha, -alpha), **options
        )
        fits = min(strength.coherence for strength in strengths) >= coherent
        effects[layer] = strengths[0].trait - strengths[1].trait if fits else None
    return effects


def _strength(
    alpha: float, traits: Sequence[float | Failure], coherences: Sequence[float | Failure]
) -> SteeringStrength:
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
    return SteeringStrength(
        alpha=alpha, trait=float(got.mean()), trait_error=float(error), coherence=float(read.mean()),
        answers=len(both), failures=len(traits) - len(both),
    )  # fmt: skip

"""Screening data before training: where a sample lies along a direction beside the model's own answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reward_models.persona_vectors.decoder import Decoder
from reward_models.persona_vectors.monitoring import projection
from reward_models.persona_vectors.rollouts import Generate, Prompt
from reward_models.persona_vectors.vectors import PersonaVectors
from synthesizeme.errors import DataError
from synthesizeme.types import Frozen, PreferencePair


class ScreenedPair(Frozen):
    """A preference pair along the direction of a trait, in units of the activations."""

    pair_id: str
    """The pair."""
    user_id: str
    """Whose choice it is."""
    chosen: float
    """The chosen response less the model's own answer."""
    rejected: float
    """The rejected response less the model's own answer."""

    @property
    def push(self) -> float:
        """Chosen less rejected: where training on this preference pushes."""
        return self.chosen - self.rejected


def screen(
    decoder: Decoder,
    vectors: PersonaVectors,
    prompts: Sequence[Prompt],
    responses: Sequence[str],
    own: Sequence[str],
    *,
    layer: int | None = None,
    derived: bool = False,
) -> NDArray[np.float64]:
    """Projection difference: mean response activation of a sample less that of the model's own answer.

    Args:
        decoder: The model that is to be trained.
        vectors: Its vectors.
        prompts: n conversations.
        responses: n responses that it would be trained on.
        own: n answers of the model itself.
        layer: By default the chosen one.
        derived: Whether the model was fine-tuned from the vectors' own.

    Returns:
        Shape (n,): positive where training would push toward the trait.

    Raises:
        VectorError: the vectors are another model's, or there is no such layer.

    References:
        arXiv 2507.21509, section 6.1.
    """
    vectors.check(decoder.identity, derived=derived)
    sample, base = (decoder.response_states(prompts, texts) for texts in (responses, own))
    return projection(sample, vectors, layer) - projection(base, vectors, layer)


def screen_pairs(
    decoder: Decoder,
    vectors: PersonaVectors,
    pairs: Sequence[PreferencePair],
    generate: Generate,
    *,
    layer: int | None = None,
    derived: bool = False,
) -> list[ScreenedPair]:
    """Both responses of preference pairs beside the model's own answer, most pushed toward the trait first.

    Raises:
        VectorError: as `screen`.
        DataError: there are no pairs.
    """
    if not pairs:
        raise DataError("there are no pairs to screen", cure="give a file with at least one.")
    prompts = [pair.prompt for pair in pairs]
    own = list(generate(prompts, [""] * len(prompts)))
    texts = [[pair.chosen_text for pair in pairs], [pair.rejected_text for pair in pairs]]
    sides = [screen(decoder, vectors, prompts, side, own, layer=layer, derived=derived) for side in texts]
    found = [
        ScreenedPair(pair_id=pair.pair_id, user_id=pair.user_id, chosen=float(up), rejected=float(down))
        for pair, up, down in zip(pairs, *sides, strict=True)
    ]
    return sorted(found, key=lambda pair: -pair.push)

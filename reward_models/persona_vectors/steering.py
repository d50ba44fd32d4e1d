"""Steering: a multiple of a direction is added to what one block returns, while the context lasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal

import torch
from numpy.typing import ArrayLike

from reward_models.persona_vectors._blocks import blocks_of, hidden_of, with_hidden
from reward_models.persona_vectors.vectors import check_layer
from synthesizeme.errors import ConfigError, VectorError

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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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

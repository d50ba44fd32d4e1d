"""Preventative steering: the direction is added while a model is fine-tuned and taken away afterwards."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike
from transformers import TrainerCallback

from reward_models.persona_vectors.steering import Steering


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

"""What a method says of responses or margins, as arrays, and one row of it as a reward or a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthesizeme.types import Reward, Verdict

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimates:
    """Values with their uncertainty, all of shape (n,)."""

    value: Floats
    """Rewards, or margins."""
    probability: Floats
    """Rewards: P(preferred to a typical response). Margins: P(first is preferred)."""
    standard_error: Floats | None = None
    """Standard errors of `value`, where the model knows them."""
    judged: NDArray[np.bool_] | None = None
    """Whether all texts of a row were judged in training, where that makes probabilities sharper."""

    def reward(self, row: int, *, known: bool) -> Reward:
        """What a row says as the reward of a known user, or of nobody."""
        return Reward(
            value=float(self.value[row]),
            probability=float(self.probability[row]),
            standard_error=_at(self.standard_error, row),
            status="scored" if known else "population",
            judged=_at(self.judged, row),
        )

    def verdict(self, row: int) -> Verdict:
        """What a row says as a verdict, the sign of the margin deciding."""
        margin = float(self.value[row])
        return Verdict(
            preference="tie" if margin == 0 else "first" if margin > 0 else "second",
            probability=float(self.probability[row]),
            margin=margin,
            standard_error=_at(self.standard_error, row),
            probability_source="model",
            judged=_at(self.judged, row),
        )


def sigmoid(x: Floats) -> Floats:
    """The logistic function of every element, without overflow; same shape."""
    return np.asarray((1 + np.tanh(np.asarray(x, dtype=np.float64) / 2)) / 2, dtype=np.float64)


def _at(values: NDArray[Any] | None, row: int) -> Any:
    """Plain value of a row, or None where the model gives none."""
    return None if values is None else values[row].item()

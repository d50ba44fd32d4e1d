"""Newton's method for the modes of log posteriors that are concave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reward_models._likelihood import CHOICES, Likelihood

MAX_STEPS = 50
EXACT, ROUGH = 1e-12, 1e-5
"""Newton steps end when the log posterior rises by less than this share of its value."""
STEPS = tuple(0.5**k for k in range(20))
Values = NDArray[Any]


def ascend(
    start: Sequence[Any],
    value: Callable[[Sequence[Any]], float],
    aim: Callable[[Sequence[Any]], Sequence[Any]],
    tolerance: float,
) -> list[Any]:
    """Newton's method for the mode of a log posterior of choices.

    Each step goes to the mode of the expansion to second order at the present point, or half of the way, or a
    quarter and so on, until the log posterior rises.

    Args:
        start: Where to begin, any number of arrays.
        value: The log posterior at a point, up to a constant.
        aim: The mode of its expansion at a point.
        tolerance: Steps end when it rises by less than this share of its value.
    """
    point, height = list(start), value(start)
    for _ in range(MAX_STEPS):
        target = aim(point)
        for step in STEPS:
            trial = [a + step * (b - a) for a, b in zip(point, target, strict=True)]
            risen = value(trial)
            if risen >= height:
                break
        else:
            break
        gain, height, point = risen - height, risen, trial
        if gain <= tolerance * (1 + abs(height)):
            break
    return point


def climb(
    kernel: Values,
    offset: Values | float,
    dual: Values,
    target: Callable[[Any], Values],
    tolerance: float,
    likelihood: Likelihood = CHOICES,
) -> tuple[Any, Any]:
    """Duals at the mode of rows whose margins, less an offset, are N(0, K).

    Args:
        kernel: K, shape (n, n), in single or double precision, which is kept.
        offset: Shape (n,), or 0.
        dual: Where to begin, shape (n,).
        target: From margins, (n,), to the duals at the mode of their expansion to second order.
        tolerance: See `ascend`.
        likelihood: Of the margins.

    Returns:
        Duals, and K times them, both (n,).
    """

    def value(point: Sequence[Any]) -> float:
        pulled = kernel @ point[0]
        margins, prior = (offset + pulled).astype(np.float64), pulled.astype(np.float64)
        return float(likelihood.value(margins) - point[0].astype(np.float64) @ prior / 2)

    [dual] = ascend([dual], value, lambda point: [target(offset + kernel @ point[0])], tolerance)
    return dual, kernel @ dual

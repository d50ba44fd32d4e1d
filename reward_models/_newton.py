"""Newton's method for the mode of a log posterior of pairs, with steps halved until it rises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_STEPS = 50
EXACT, ROUGH = 1e-12, 1e-5
"""Newton steps end when the log posterior rises by less than this share of its value."""
STEPS = tuple(0.5**k for k in range(20))
Values = NDArray[Any]


def climb(
    kernel: Values,
    offset: Values | float,
    dual: Values,
    target: Callable[[Any], Values],
    tolerance: float,
) -> tuple[Any, Any]:
    """Duals at the mode of pairs whose margins, less an offset, are N(0, K); Newton steps halved to rise.

    Args:
        kernel: K, shape (n, n), in single or double precision, which is kept.
        offset: Shape (n,), or 0.
        dual: Where to begin, shape (n,).
        target: From margins, (n,), to the duals at the mode of their expansion to second order.
        tolerance: Steps end when the log posterior rises by less than this share of its value.

    Returns:
        Duals, and K times them, both (n,).
    """
    pulled = kernel @ dual
    objective = _log_posterior(offset + pulled, pulled, dual)
    for _ in range(MAX_STEPS):
        aim = target(offset + pulled)
        for step in STEPS:
            trial = dual + step * (aim - dual)
            reached = kernel @ trial
            risen = _log_posterior(offset + reached, reached, trial)
            if risen >= objective:
                break
        else:
            break
        gain, objective, dual, pulled = risen - objective, risen, trial, reached
        if gain <= tolerance * (1 + abs(objective)):
            break
    return dual, pulled


def _log_posterior(margins: Any, pulled: Any, dual: Any) -> float:
    """Up to a constant, in double precision."""
    margins, pulled, dual = (np.asarray(values, dtype=np.float64) for values in (margins, pulled, dual))
    return float(-np.logaddexp(0, -margins).sum() - dual @ pulled / 2)

"""Temperature scaling: one number that makes probabilities, or margins, mean what they say.

References:
    Guo et al. (2017), "On calibration of modern neural networks", arXiv:1706.04599, section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TEMPERATURES = (0.05, 20.0)
"""The smallest and the largest temperature that is fitted."""
SPREAD = 0.5
"""How far a temperature may lie from 1, as a factor e^SPREAD, before the data must speak for it."""
CLIP = 1e-6
"""A stated probability counts as if it were no nearer to 0 or 1 than this: none is infinitely wrong."""
_GRID = 61
_GOLDEN = (5**0.5 - 1) / 2


def fit_margin_temperature(margins: Sequence[float] | Floats, *, spread: float | None = SPREAD) -> float:
    """Temperature T that makes ``sigmoid(margin / T)`` most likely, in `TEMPERATURES`.

    Minimises ``sum log(1 + exp(-margin / T)) + (log T / spread)^2 / 2``: a few pairs that all came out right
    would otherwise make every probability 0 or 1. With hundreds of pairs the second part counts for nothing.
    T > 1 softens an over-confident scorer. Without margins, or when all are 0, it is 1.

    Args:
        margins: Margins of the chosen over the rejected response of validation pairs, shape (n,), finite.
        spread: Standard deviation of the normal prior of log T; None for no prior.
    """
    values = np.asarray(margins, dtype=np.float64)
    if not np.any(values):
        return 1.0
    pull = 0.0 if spread is None else 0.5 / spread**2

    def loss(log_t: float) -> float:
        return float(np.logaddexp(0.0, -values / np.exp(log_t)).sum() + pull * log_t**2)

    grid = np.linspace(np.log(TEMPERATURES[0]), np.log(TEMPERATURES[1]), _GRID)
    best = int(np.argmin([loss(log_t) for log_t in grid]))
    low, high = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, _GRID - 1)])
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > 1e-7:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = loss(right)
    return float(np.exp((low + high) / 2))


def fit_temperature(p_chosen: Sequence[float] | Floats, *, spread: float | None = SPREAD) -> float:
    """`fit_margin_temperature` of log-odds: T that makes ``sigmoid(logit(p) / T)`` most likely.

    Args:
        p_chosen: Probability given to the chosen response of each validation pair, shape (n,); clipped to
            [1e-6, 1 - 1e-6].
        spread: As there.

    Raises:
        ValueError: these are no probabilities.
    """
    return fit_margin_temperature(_logits(as_probabilities(p_chosen)), spread=spread)


def with_temperature(p: Sequence[float] | Floats, temperature: float) -> Floats:
    """Probabilities rescaled by a temperature > 0: ``sigmoid(logit(p) / T)``, same shape.

    Raises:
        ValueError: the temperature is not positive, or these are no probabilities.
    """
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; expected a number above 0")
    return np.asarray((1 + np.tanh(_logits(as_probabilities(p)) / (2 * temperature))) / 2, dtype=np.float64)


def as_probabilities(p: Sequence[float] | Floats) -> Floats:
    """`p` as an array of shape (n,).

    Raises:
        ValueError: it is not flat, or a value is outside [0, 1].
    """
    array = np.asarray(p, dtype=np.float64)
    if array.ndim != 1 or not bool(np.all((array >= 0) & (array <= 1))):
        raise ValueError(f"expected a flat list of probabilities in [0, 1], got shape {array.shape}")
    return array


def _logits(p: Floats) -> Floats:
    clipped = np.clip(p, CLIP, 1 - CLIP)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), dtype=np.float64)

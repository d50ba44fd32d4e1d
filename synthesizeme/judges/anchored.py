"""From chances of winning against anchors to one number: Bradley and Terry with shrinkage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

PRIOR_VARIANCE = 4.0
"""Prior variance of a response's strength around that of the anchors, in squared log-odds."""
_STEPS = 50


class Strength(NamedTuple):
    """How strong a response is against anchors of strength zero."""

    value: float
    """In log-odds of being preferred to an anchor."""
    variance: float
    """Posterior variance of `value`."""

    @property
    def probability(self) -> float:
        """P(preferred to an anchor), in [0, 1], shrunk by the uncertainty (MacKay 1992, equation 10)."""
        return chance(self.value, self.variance)


def strength(chances: Sequence[float], prior_variance: float = PRIOR_VARIANCE) -> Strength:
    """The most probable strength of a response, and the variance of the Laplace posterior.

    It maximises sum_j [c_j log sigma(t) + (1 - c_j) log sigma(-t)] - t^2 / (2 s^2): each chance counts as one
    duel, won in that part, against an anchor of the same fixed set. It rises with the mean of the chances,
    is finite whatever they are, and moves from 0 the further the more of them there are.

    Args:
        chances: Stated chances of winning, each in [0, 1]; at least one.
        prior_variance: s^2, more than 0.

    References:
        Bradley and Terry, "Rank Analysis of Incomplete Block Designs", 1952.
    """
    number, won, precision = len(chances), sum(chances), 1 / prior_variance
    value = 0.0
    for _ in range(_STEPS):
        p = _sigmoid(value)
        step = (won - number * p - precision * value) / (number * p * (1 - p) + precision)
        value += max(-1.0, min(1.0, step))
        if abs(step) < 1e-12:
            break
    p = _sigmoid(value)
    return Strength(value, 1 / (number * p * (1 - p) + precision))


def chance(margin: float, variance: float) -> float:
    """P(first preferred) for a margin that is known up to a variance, in [0, 1]."""
    return _sigmoid(margin / math.sqrt(1 + math.pi / 8 * variance))


def _sigmoid(x: float) -> float:
    return (1 + math.tanh(x / 2)) / 2

"""From a chance of winning against anchors to one number: Bradley and Terry with shrinkage."""

from __future__ import annotations

import math
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


def strength(won: float, prior_variance: float = PRIOR_VARIANCE) -> Strength:
    """The most probable strength of a response, and the variance of the Laplace posterior.

    It maximises c log sigma(t) + (1 - c) log sigma(-t) - t^2 / (2 s^2): the chance c counts as one duel, won
    in that part, against the anchors. It rises with the chance and is finite whatever that is.

    Args:
        won: Stated chance of winning, in [0, 1].
        prior_variance: s^2, more than 0.

    References:
        Bradley and Terry, "Rank Analysis of Incomplete Block Designs", 1952.
    """
    precision, value = 1 / prior_variance, 0.0
    for _ in range(_STEPS):
        p = _sigmoid(value)
        step = (won - p - precision * value) / (p * (1 - p) + precision)
        value += max(-1.0, min(1.0, step))
        if abs(step) < 1e-12:
            break
    p = _sigmoid(value)
    return Strength(value, 1 / (p * (1 - p) + precision))


def chance(margin: float, variance: float) -> float:
    """P(first preferred) for a margin that is known up to a variance, in [0, 1]."""
    return _sigmoid(margin / math.sqrt(1 + math.pi / 8 * variance))


def _sigmoid(x: float) -> float:
    return (1 + math.tanh(x / 2)) / 2

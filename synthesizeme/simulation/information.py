"""How much an answer is expected to tell: mutual information under a Gaussian posterior of the margins.

A user's margin on comparison i, f_i, is believed to be N(mean_i, covariance_ii); the answer is "first" with
probability sigma(f_i). Everything is in bits.

References:
    Houlsby et al., "Bayesian Active Learning for Classification and Preference Learning" (2011), equation 2:
    I(answer; f) = h(E[sigma(f)]) - E[h(sigma(f))], here by quadrature in place of their closed form for the
    probit. MacKay, "Information-Based Objective Functions for Active Data Selection" (1992), section 4: what
    an answer tells about other points of the input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from synthesizeme.errors import ConfigError

Floats = NDArray[np.float64]
Criterion = Literal["predictions", "parameters"]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
_NODES = 64
_LEAST_CURVATURE = 1e-10


class Chosen(NamedTuple):
    """A comparison that is worth asking about."""

    place: int
    """Where it stands in the pool, from 0."""
    bits: float
    """Expected information, given the answers to those chosen before it."""


def parameter_information(mean: Floats, covariance: Floats) -> Floats:
    """What each answer is expected to tell about the user's parameters, in bits, shape (n,), in [0, 1].

    Args:
        mean: Means of the margins, shape (n,).
        covariance: Their covariance, shape (n, n).
    """
    points, weights = _quadrature(mean, covariance)
    chance = _sigmoid(points)
    return np.maximum(_entropy(chance @ weights) - _entropy(chance) @ weights, 0.0)


def predictive_information(mean: Floats, covariance: Floats) -> Floats:
    """What each answer is expected to tell about the other margins, their mean in bits, shape (n,).

    Its own margin does not count: what was answered need not be predicted. An answer counts as a measurement
    of its margin with variance 1 / E[sigma (1 - sigma)], so that the information about f_j is
    -log2(1 - rho^2) / 2 with rho the correlation of the measurement and f_j.

    Args:
        mean: Means of the margins, shape (n,).
        covariance: Their covariance, shape (n, n).
    """
    variance = np.maximum(np.diag(covariance), 1e-12)
    measured = variance + 1 / _curvature(mean, covariance)
    explained = covariance**2 / (measured[:, None] * variance)
    bits = -np.log2(1 - np.clip(explained, 0, 1 - 1e-12)) / 2
    np.fill_diagonal(bits, 0.0)
    return np.asarray(bits.sum(axis=1) / max(len(bits) - 1, 1), dtype=np.float64)


def choose(
    mean: Floats, covariance: Floats, n: int = 1, *, criterion: Criterion = "predictions"
) -> list[Chosen]:
    """The comparisons to ask about, best first, each chosen as if those before it had been answered.

    The answers are not known yet, so the means stay; an answer shrinks the covariance by a matrix of rank
    one, whatever it is. Comparisons that would tell the same are therefore not chosen together.

    Args:
        mean: Means of the margins of the pool, shape (m,).
        covariance: Their covariance, shape (m, m).
        n: How many; the whole pool if it is smaller.
        criterion: ``predictions`` (`predictive_information`) or ``parameters`` (`parameter_information`).

    Raises:
        ConfigError: `n` is less than 1, or there is no such criterion.
    """
    problems = [f"n is {n}; expected 1 or more"] if n < 1 else []
    if criterion not in CRITERIA:
        problems.append(f"criterion is {criterion!r}; expected {' or '.join(CRITERIA)}")
    if problems:
        raise ConfigError(problems)
    information = _INFORMATION[criterion]
    found: list[Chosen] = []
    left = np.arange(len(mean))
    while len(found) < n and len(left):
        bits = information(mean[left], covariance[np.ix_(left, left)])
        best = int(bits.argmax())
        found.append(Chosen(int(left[best]), float(bits[best])))
        covariance = answered(mean, covariance, int(left[best]))
        left = np.delete(left, best)
    return found


def answered(mean: Floats, covariance: Floats, place: int) -> Floats:
    """The covariance that is expected once the comparison at `place` is answered, shape (n, n)."""
    column = covariance[:, place]
    measured = max(float(column[place]), 0.0) + 1 / float(_curvature(mean, covariance)[place])
    return np.asarray(covariance - np.outer(column, column) / measured, dtype=np.float64)


_INFORMATION: dict[Criterion, Callable[[Floats, Floats], Floats]] = {
    "parameters": parameter_information,
    "predictions": predictive_information,
}


def _quadrature(mean: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Points of every margin, shape (n, nodes), and their weights, shape (nodes,): Gauss and Hermite."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return mean[:, None] + spread[:, None] * nodes, weights / weights.sum()


def _curvature(mean: Floats, covariance: Floats) -> Floats:
    """E[sigma(f) (1 - sigma(f))] of every margin, shape (n,): the information that an answer has of it."""
    points, weights = _quadrature(mean, covariance)
    chance = _sigmoid(points)
    return np.maximum((chance * (1 - chance)) @ weights, _LEAST_CURVATURE)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray((1 + np.tanh(x / 2)) / 2, dtype=np.float64)


def _entropy(p: Floats) -> Floats:
    """Entropy of a coin, in bits."""
    q = np.clip(p, 1e-15, 1 - 1e-15)
    return np.asarray(-q * np.log2(q) - (1 - q) * np.log2(1 - q), dtype=np.float64)

"""How much an answer is expected to tell about a user's taste: mutual information under a Gaussian posterior.

A user's margin on comparison i, f_i, is believed to be N(mean_i, covariance_ii); the answer is "first" with
probability sigma(f_i). The covariance goes on, after the n margins, with that of K numbers which make up the
user's taste. An answer counts as a measurement of its margin with variance 1 / E[sigma (1 - sigma)].
Everything is in bits.

References:
    MacKay, "Information-Based Objective Functions for Active Data Selection" (1992), section 3: the expected
    gain of the determinant.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from synthesizeme.errors import ConfigError

Floats = NDArray[np.float64]
_NODES = 64
_LEAST_CURVATURE = 1e-10


class Chosen(NamedTuple):
    """A comparison that is worth asking about."""

    place: int
    """Where it stands in the pool, from 0."""
    bits: float
    """Expected information, given the answers to those chosen before it."""


def taste_information(mean: Floats, covariance: Floats) -> Floats:
    """What each answer is expected to tell about the taste, in bits, shape (n,).

    Half the gain of the log-determinant of its precision. What a margin owes to anything but the taste is
    noise here, like that of the answer.

    Args:
        mean: Means of the margins, shape (n,).
        covariance: Of margins and taste, shape (n + K, n + K) with K at least 1.
    """
    n = len(mean)
    taste = covariance[n:, n:]
    ridge = 1e-9 * max(float(np.trace(taste)) / len(taste), 1e-12) * np.eye(len(taste))
    cross = covariance[:n, n:]
    explained = (cross * np.linalg.solve(taste + ridge, cross.T).T).sum(axis=1)
    share = np.clip(explained / _measured(mean, covariance), 0, 1 - 1e-12)
    return np.asarray(-np.log2(1 - share) / 2, dtype=np.float64)


def choose(mean: Floats, covariance: Floats, n: int = 1) -> list[Chosen]:
    """The comparisons to ask about, best first, each chosen as if those before it had been answered.

    The answers are not known yet, so the means stay; an answer shrinks the covariance by a matrix of rank
    one, whatever it is. Comparisons that would tell the same are therefore not chosen together.

    Args:
        mean: Means of the margins of the pool, shape (m,).
        covariance: Of these margins and of the taste, shape (m + K, m + K).
        n: How many; the whole pool if it is smaller.

    Raises:
        ConfigError: `n` is less than 1, or nothing is said of the taste.
    """
    problems = [f"n is {n}; expected 1 or more"] if n < 1 else []
    if len(covariance) == len(mean):
        problems.append("the covariance ends with the margins; expected that of the taste behind them")
    if problems:
        raise ConfigError(problems)
    found: list[Chosen] = []
    left = np.arange(len(mean))
    while len(found) < n and len(left):
        kept = np.concatenate([left, np.arange(len(mean), len(covariance))])
        bits = taste_information(mean[left], covariance[np.ix_(kept, kept)])
        best = int(bits.argmax())
        found.append(Chosen(int(left[best]), float(bits[best])))
        covariance = answered(mean, covariance, int(left[best]))
        left = np.delete(left, best)
    return found


def answered(mean: Floats, covariance: Floats, place: int) -> Floats:
    """The covariance that is expected once the comparison at `place` is answered, same shape."""
    column = covariance[:, place]
    measured = float(_measured(mean, covariance)[place])
    return np.asarray(covariance - np.outer(column, column) / measured, dtype=np.float64)


def _quadrature(mean: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Points of every margin, shape (n, nodes), and their weights, shape (nodes,): Gauss and Hermite."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    spread = np.sqrt(np.maximum(np.diag(covariance)[: len(mean)], 0.0))
    return mean[:, None] + spread[:, None] * nodes, weights / weights.sum()


def _measured(mean: Floats, covariance: Floats) -> Floats:
    """Variance of every margin as an answer measures it, shape (n,): its own and 1 / E[sigma (1 - sigma)]."""
    points, weights = _quadrature(mean, covariance)
    chance = _sigmoid(points)
    curvature = np.maximum((chance * (1 - chance)) @ weights, _LEAST_CURVATURE)
    return np.maximum(np.diag(covariance)[: len(mean)], 0.0) + 1 / curvature


def _sigmoid(x: Floats) -> Floats:
    return np.asarray((1 + np.tanh(x / 2)) / 2, dtype=np.float64)

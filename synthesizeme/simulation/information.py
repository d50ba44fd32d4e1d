"""How much an answer is expected to tell about a user's taste, whatever is asked.

A question has a margin f, and an answer lies above its cut k with probability sigma(f - c_k): one cut for a
choice between two, several for a rating or a trait (`synthesizeme.questions`). Margins and taste are jointly
Gaussian: with m = E[f | taste] the margin is m ~ N(mean, e) and a rest of its own, N(0, r), which is noise
here. What an answer y tells is the mutual information

    I(y; taste) = I(y; m) = H(E_m[p(y | m)]) - E_m[H(p(y | m))],    p(y | m) = E_rest[p(y | m + rest)],    (1)

both expectations by Gauss and Hermite. Everything is in bits.

References:
    MacKay, "Information-Based Objective Functions for Active Data Selection", 1992.
    Houlsby et al., "Bayesian Active Learning for Classification and Preference Learning", 2011, equation (2).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from synthesizeme.errors import ConfigError
from synthesizeme.questions import AnswerBeliefs

Floats = NDArray[np.float64]
_OUTER, _INNER = 48, 32
"""Nodes of the two expectations."""
_AT_ONCE = 256
"""Questions worked out at a time, a bound on memory."""
_LEAST = 1e-10


class Chosen(NamedTuple):
    """A question that is worth asking."""

    place: int
    """Where it stands among those given, from 0."""
    bits: float
    """Expected information, given the answers to those chosen before it."""


def information(beliefs: AnswerBeliefs) -> Floats:
    """What each answer is expected to tell about the taste by equation (1), in bits, shape (n,)."""
    mean, explained, rest = _parts(beliefs)
    found = np.zeros(len(mean))
    for cuts, some in _by_cuts(beliefs.cuts):
        for begin in range(0, len(some), _AT_ONCE):
            part = some[begin : begin + _AT_ONCE]
            found[part] = _mutual(mean[part], explained[part], rest[part], np.array(cuts))
    return found


def choose(beliefs: AnswerBeliefs, n: int = 1) -> list[Chosen]:
    """The questions to ask, best first, each chosen as if those before it had been answered.

    The answers are not known yet, so the means stay; an answer shrinks the covariance by a matrix of rank
    one, whatever it is (`answered`). Questions that would tell the same are therefore not chosen together.

    Args:
        beliefs: What is believed of the answers.
        n: How many; all of them if there are fewer.

    Raises:
        ConfigError: `n` is less than 1, or nothing is said of the taste.
    """
    problems = [f"n is {n}; expected 1 or more"] if n < 1 else []
    if len(beliefs.covariance) == len(beliefs.mean):
        problems.append("the covariance ends with the margins; expected that of the taste behind them")
    if problems:
        raise ConfigError(problems)
    found: list[Chosen] = []
    left = np.arange(len(beliefs.mean))
    while len(found) < n and len(left):
        bits = information(beliefs)
        best = int(bits.argmax())
        found.append(Chosen(int(left[best]), float(bits[best])))
        left = np.delete(left, best)
        beliefs = without(answered(beliefs, best), best)
    return found


def answered(beliefs: AnswerBeliefs, place: int) -> AnswerBeliefs:
    """What is expected to be believed once the question at `place` is answered.

    The answer counts as a measurement of its margin whose precision is the answer's expected Fisher
    information, sum_y p'(y)^2 / p(y), averaged over what is believed of the margin.
    """
    mean, covariance, cuts = beliefs
    nodes, weights = _nodes(_OUTER + _INNER)
    variance = max(float(covariance[place, place]), 0.0)
    levels, slopes = _levels(mean[place] + np.sqrt(variance) * nodes, np.array(cuts[place]))
    precision = max(float((slopes**2 / np.maximum(levels, _LEAST)).sum(axis=-1) @ weights), _LEAST)
    column = covariance[:, place]
    shrunken = covariance - np.outer(column, column) / (variance + 1 / precision)
    return beliefs._replace(covariance=np.asarray(shrunken, dtype=np.float64))


def without(beliefs: AnswerBeliefs, place: int) -> AnswerBeliefs:
    """The same without the question at `place`."""
    covariance = np.delete(np.delete(beliefs.covariance, place, axis=0), place, axis=1)
    cuts = [*beliefs.cuts[:place], *beliefs.cuts[place + 1 :]]
    return AnswerBeliefs(np.delete(beliefs.mean, place), covariance, cuts)


def _parts(beliefs: AnswerBeliefs) -> tuple[Floats, Floats, Floats]:
    """Means of the margins, and their variances by the taste and beside it, shape (n,) each."""
    n = len(beliefs.mean)
    taste, cross = beliefs.covariance[n:, n:], beliefs.covariance[:n, n:]
    ridge = 1e-9 * max(float(np.trace(taste)) / max(len(taste), 1), 1e-12) * np.eye(len(taste))
    whole = np.maximum(np.diag(beliefs.covariance)[:n], 0.0)
    explained = np.clip((cross * np.linalg.solve(taste + ridge, cross.T).T).sum(axis=1), 0.0, whole)
    return beliefs.mean, explained, whole - explained


def _mutual(mean: Floats, explained: Floats, rest: Floats, cuts: Floats) -> Floats:
    """Equation (1) of n questions with the same cuts."""
    nodes, weights = _nodes(_OUTER)
    inner, inner_weights = _nodes(_INNER)
    at = mean[:, None] + np.sqrt(explained)[:, None] * nodes
    around = at[:, :, None] + np.sqrt(rest)[:, None, None] * inner
    above = np.stack([_sigmoid(around - cut) @ inner_weights for cut in cuts], axis=-1)
    ends = np.ones((*above.shape[:-1], 1))
    given = -np.diff(np.concatenate([ends, above, 0 * ends], axis=-1), axis=-1)
    usual = np.einsum("nok,o->nk", given, weights)
    found: Floats = np.maximum(_entropy(usual) - _entropy(given) @ weights, 0.0)
    return found


def _levels(margins: Floats, cuts: Floats) -> tuple[Floats, Floats]:
    """Probabilities of the answers and their derivatives by the margin, shape (..., len(cuts) + 1) each."""
    above = _sigmoid(margins[..., None] - cuts)
    ends = np.ones((*margins.shape, 1))
    slope = np.concatenate([0 * ends, above * (1 - above), 0 * ends], axis=-1)
    return -np.diff(np.concatenate([ends, above, 0 * ends], axis=-1), axis=-1), -np.diff(slope, axis=-1)


def _entropy(levels: Floats) -> Floats:
    """In bits, over the last axis."""
    inside = np.maximum(levels, 1e-300)
    return np.asarray(-(inside * np.log2(inside)).sum(axis=-1), dtype=np.float64)


def _by_cuts(cuts: Sequence[tuple[float, ...]]) -> list[tuple[tuple[float, ...], NDArray[np.int64]]]:
    """The places of the questions with the same cuts."""
    found: dict[tuple[float, ...], list[int]] = {}
    for place, own in enumerate(cuts):
        found.setdefault(own, []).append(place)
    return [(own, np.array(places, dtype=np.int64)) for own, places in found.items()]


@cache
def _nodes(count: int) -> tuple[Floats, Floats]:
    """Points and weights of expectations under N(0, 1): Gauss and Hermite, shape (count,) each."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes, weights / weights.sum()


def _sigmoid(x: Floats) -> Floats:
    return np.asarray((1 + np.tanh(x / 2)) / 2, dtype=np.float64)

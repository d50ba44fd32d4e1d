"""Features and their weights: what is measured of a response, what the reader assumes, and what it learns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from synthesizeme import stylometry
from synthesizeme.backends.builtin._prompt import Choice, Finding
from synthesizeme.stylometry import FEATURES

Vector = NDArray[np.float64]

PRIOR: Mapping[str, float] = {
    "repetition": -0.6, "truncated": -0.6, "leaked_markup": -0.8, "refusals": -0.5, "prompt_overlap": 0.15,
    "vocabulary": 0.1, "bullets": 0.1, "examples": 0.1,
}  # fmt: skip
"""What is assumed of a typical user: whole, clean, willing answers. Fixed; nothing about length or style."""
TYPICAL: Mapping[str, float] = {
    "length": 6.0, "sentence_length": 6.9, "word_length": 8.6, "vocabulary": 19.0, "paragraphs": 0.4,
    "bullets": 0.2, "numbered": 0.3, "headings": 0.2, "numbers": 1.4, "questions": 0.4, "exclamations": 0.4,
    "hedging": 0.9, "formality": -0.8, "warmth": 0.3, "examples": 0.1, "preamble": 0.1, "first_person": 0.5,
    "second_person": 1.6, "technical": 0.9, "prompt_overlap": 1.3,
}  # fmt: skip
"""Features of a typical response, for one that is held against nothing else: means of the sample."""
PRECISION = 3.0
"""Prior precision of a user's weight around what is assumed or stated."""
STATED_PRECISION = 6.0
"""The same beside a persona: it sums up the very choices that are shown, which must not count twice."""
LEAST_RISE = 0.3
"""Rise of the log-posterior, in nats, below which a preference is not worth a statement."""
FIRM = 2.0
"""Standard errors from zero beyond which evidence in a persona prompt says what is to be spoken of."""

_INDEX = {feature.name: index for index, feature in enumerate(FEATURES)}


def vector(weights: Mapping[str, float]) -> Vector:
    """Named weights as an array of shape (len(FEATURES),); absent ones are 0."""
    result = np.zeros(len(FEATURES))
    for name, value in weights.items():
        result[_INDEX[name]] = value
    return result


def assumed(stated: Mapping[str, float]) -> Vector:
    """The prior, with what a persona states in place of it; shape (len(FEATURES),)."""
    return vector({**PRIOR, **stated})


def learn(
    differences: Vector, choices: Sequence[Choice], mean: Vector, precision: float = PRECISION
) -> Vector:
    """MAP weights of a Bradley-Terry model with a Gaussian prior.

    Minimises ``sum log(1 + exp(-s_i x_i.w)) + precision / 2 |w - mean|^2`` by Newton steps.

    Args:
        differences: Feature differences first minus second, shape (n, len(FEATURES)).
        choices: The n choices; their signs s_i are the labels.
        mean: Prior mean, shape (len(FEATURES),).
        precision: Prior precision of each weight.

    Returns:
        Weights, shape (len(FEATURES),).
    """
    signed = _signed(differences, choices)
    return _newton(signed, np.zeros(len(signed)), mean, precision)


def explain(
    differences: Vector, choices: Sequence[Choice], mean: Vector, limit: int, first: Sequence[int] = ()
) -> dict[int, float]:
    """The few weights that explain the choices best; all others stay at `mean`.

    The features of `first` are in, as far as `limit` allows. Then comes forward selection: the feature whose
    score test promises the largest rise of the log-posterior joins, then all chosen weights are fitted anew;
    it ends when the rise is below `LEAST_RISE`.

    Returns:
        Weight by feature index, at most `limit`, in the order in which they joined.
    """
    signed = _signed(differences, choices)
    active = list(first)[:limit]
    weights = _fitted(signed, mean, active)
    while len(active) < limit:
        p = 1 / (1 + np.exp(np.clip(signed @ weights, -30, 30)))
        curvature = (signed**2 * (p * (1 - p))[:, None]).sum(axis=0) + PRECISION
        rise = (signed.T @ p) ** 2 / curvature / 2
        rise[active] = 0.0
        if rise.max() < LEAST_RISE:
            break
        active.append(int(rise.argmax()))
        weights = _fitted(signed, mean, active)
    return {index: float(weights[index]) for index in active}


def firm(findings: Sequence[Finding]) -> list[int]:
    """Indices of the features of evidence that is clear of zero, in its order; unknown ones left out."""
    return [
        _INDEX[finding.feature]
        for finding in findings
        if finding.feature in _INDEX and abs(finding.weight) >= FIRM * finding.standard_error
    ]


def agreeing(findings: Sequence[Finding], weights: Mapping[int, float]) -> dict[int, list[str]]:
    """Markers, by feature index, of the evidence whose sign is that of the feature's weight."""
    markers: dict[int, list[str]] = {}
    for finding in findings:
        index = _INDEX.get(finding.feature)
        if index is not None and finding.weight * weights.get(index, 0.0) > 0:
            markers.setdefault(index, []).append(finding.marker)
    return markers


def _signed(differences: Vector, choices: Sequence[Choice]) -> Vector:
    """Differences chosen minus rejected, shape (n, len(FEATURES))."""
    signs: Vector = np.array([choice.sign for choice in choices], dtype=float)
    return differences * signs[:, None]


def _fitted(signed: Vector, mean: Vector, active: Sequence[int]) -> Vector:
    """`mean`, with the weights of the active features fitted to the choices."""
    weights = mean.copy()
    if active:
        fixed = mean.copy()
        fixed[active] = 0.0
        weights[active] = _newton(signed[:, active], signed @ fixed, mean[active])
    return weights


def _newton(signed: Vector, offset: Vector, mean: Vector, precision: float = PRECISION) -> Vector:
    """MAP weights of shape (k,) for signed differences (n, k) and fixed margins `offset` (n,)."""
    weights: Vector = mean.copy()
    for _ in range(8):
        p = 1 / (1 + np.exp(np.clip(signed @ weights + offset, -30, 30)))
        gradient = precision * (weights - mean) - signed.T @ p
        hessian = precision * np.eye(len(mean)) + (signed * (p * (1 - p))[:, None]).T @ signed
        step = np.linalg.solve(hessian, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-6:
            break
    return weights


MOST = 20_000
"""Responses that are remembered, under a hash, not by their text: some 10 MB, however long they are."""


class Measured:
    """Values of the named features, shape (len(FEATURES),), by response and question.

    Args:
        most: How many are remembered; the oldest goes first.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: dict[bytes, Vector] = {}

    def __call__(self, response: str, question: str) -> Vector:
        """The values of one response; not to be changed."""
        length = str(len(response)).encode()
        digest = hashlib.blake2b(
            b"\0".join(
                (length, response.encode("utf-8", "surrogatepass"), question.encode("utf-8", "surrogatepass"))
            ),
            digest_size=16,
        ).digest()
        found = self._known.get(digest)
        if found is None:
            found = np.array(stylometry.measure(response, question))
            if len(self._known) >= self._most:
                self._known.pop(next(iter(self._known)), None)
            self._known[digest] = found
        return found

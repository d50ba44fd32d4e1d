"""Features and their weights: what is measured of a response, what the reader assumes, and what it learns.

A response is `STYLE` named features and its static embedding, `SIZE` numbers, all in typical differences
between two responses to one prompt; a weight is in log-odds of a choice per such difference.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from synthesizeme import stylometry
from synthesizeme.backends.builtin._prompt import Finding
from synthesizeme.backends.builtin._words import DIMENSIONS, Vector, concepts, direction, meaning, understand
from synthesizeme.perceived import FEATURES, UNSPOKEN
from synthesizeme.taste import CLIP

STYLE = len(FEATURES)
SIZE = STYLE + DIMENSIONS

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
PRECISION = np.repeat([3.0, 4.0], [STYLE, DIMENSIONS])
"""Prior precision of a user's weights around what is assumed or stated, shape (`SIZE`,).

Both were chosen on validation rows (`experiments/personas`)."""
STATED_PRECISION = 2 * PRECISION
"""The same beside a persona: it sums up the very choices that are shown, which must not count twice."""
LEAST_RISE = 0.5
"""Rise of the log-posterior, in nats, below which a preference is not worth a statement."""
LEAST_RISE_OF_CONCEPTS = 1.5
"""The same for a concept: what a text is about is seen less surely than its form."""
FIRM = 2.0
"""Standard errors from zero beyond which evidence in a persona prompt says what is to be spoken of."""

_SHORTEST, _CONVERGED = 1e-4, 1e-9
"""Share of a Newton step below which it is no more halved; step of the dual weights at which they are
found."""
_INDEX = {feature.name: index for index, feature in enumerate(FEATURES)}


def vector(weights: Mapping[str, float], about: Vector | None = None) -> Vector:
    """Named weights, and those along the embedding, as an array of shape (`SIZE`,); absent ones are 0."""
    result = np.zeros(SIZE)
    for name, value in weights.items():
        if name in _INDEX:
            result[_INDEX[name]] = value
    if about is not None:
        result[STYLE:] = about
    return result


def stated(persona: str) -> Vector:
    """What a persona says and nothing else, shape (`SIZE`,)."""
    return vector(understand(persona), direction(persona))


def assumed(persona: str) -> Vector:
    """The prior, with what a persona states in place of it; shape (`SIZE`,)."""
    return vector({**PRIOR, **understand(persona)}, direction(persona))


def clipped(differences: Vector) -> Vector:
    """Differences of responses, shape (..., `SIZE`), the named features cut to `CLIP`."""
    found = differences.copy()
    found[..., :STYLE] = np.clip(found[..., :STYLE], -CLIP, CLIP)
    return found


def learn(signed: Vector, mean: Vector, precision: Vector) -> Vector:
    """MAP weights of a Bradley-Terry model with a Gaussian prior, by Newton's method in the space of choices.

    Minimises ``sum log(1 + exp(-x_i.w)) + 1/2 (w - mean).P(w - mean)``. The minimum is
    w = mean + P^-1 X'a with a_i = 1 / (1 + exp(x_i.w)), so that n numbers are sought and not d (Rasmussen and
    Williams 2006, algorithm 3.1); a step that goes too far is halved.

    Args:
        signed: Differences chosen minus rejected, shape (n, d).
        mean: Prior mean, shape (d,).
        precision: Prior precisions P, shape (d,), > 0.

    Returns:
        Weights, shape (d,).
    """
    offset = signed @ mean
    kernel = (signed / precision) @ signed.T
    dual: Vector = np.zeros(len(signed))
    for _ in range(50):
        margin = kernel @ dual
        slope = 1 / (1 + np.exp(np.clip(margin + offset, -30, 30)))
        weight = slope * (1 - slope)
        target = weight * margin + slope
        newton = target - weight * np.linalg.solve(np.eye(len(signed)) + kernel * weight, kernel @ target)
        step, length, before = newton - dual, 1.0, _loss(kernel, dual, offset)
        while length > _SHORTEST and _loss(kernel, dual + length * step, offset) > before:
            length /= 2
        dual = dual + length * step
        if np.abs(step).max(initial=0.0) < _CONVERGED:
            break
    found: Vector = mean + signed.T @ dual / precision
    return found


def _loss(kernel: Vector, dual: Vector, offset: Vector) -> float:
    margin = kernel @ dual
    return float(np.logaddexp(0, -(margin + offset)).sum() + dual @ margin / 2)


def spoken_of(signed: Vector) -> tuple[list[str], Vector]:
    """What the reader can state: named features and concepts.

    Args:
        signed: Differences chosen minus rejected, shape (n, `SIZE`).

    Returns:
        Their k names, and the differences in each, shape (n, k).
    """
    known = concepts()
    about = signed[:, STYLE:] @ np.array(list(known.values())).T
    return [*(it.name for it in FEATURES), *known], np.concatenate([signed[:, :STYLE], about], axis=1)


def each_alone(signed: Vector, limit: int, first: Sequence[int] = ()) -> dict[int, float]:
    """The weights that explain the choices best, each by itself.

    The columns of `first` are in, as far as `limit` allows. Then come those whose score test promises the
    largest rises of the log-posterior, as long as a rise is `LEAST_RISE` (of a concept
    `LEAST_RISE_OF_CONCEPTS`) or more, and as it is no feature that nobody perceives.

    Args:
        signed: Differences chosen minus rejected in each column, shape (n, k); named features come first.
        limit: Most weights.
        first: Columns that come first.

    Returns:
        Weight by column, at most `limit`, the clearest first.
    """
    rise = signed.sum(axis=0) ** 2 / 8 / ((signed**2).sum(axis=0) / 4 + PRECISION[0])
    least = np.where(np.arange(signed.shape[1]) < STYLE, LEAST_RISE, LEAST_RISE_OF_CONCEPTS)
    least[[_INDEX[name] for name in UNSPOKEN]] = np.inf
    clear = [index for index in np.argsort(-rise, kind="stable").tolist() if rise[index] >= least[index]]
    columns = list(dict.fromkeys([*first, *clear]))[:limit]
    prior = (np.zeros(1), PRECISION[:1])
    return {index: float(learn(signed[:, [index]], *prior)[0]) for index in columns}


def firm(findings: Sequence[Finding]) -> list[int]:
    """Indices of the features of evidence that is clear of zero, in its order; unknown ones left out."""
    return [
        _INDEX[finding.feature]
        for finding in findings
        if finding.feature in _INDEX.keys() - UNSPOKEN
        if abs(finding.weight) >= FIRM * finding.standard_error
    ]


def agreeing(findings: Sequence[Finding], weights: Mapping[int, float]) -> dict[int, list[str]]:
    """Markers, by feature index, of the evidence whose sign is that of the feature's weight."""
    markers: dict[int, list[str]] = {}
    for finding in findings:
        index = _INDEX.get(finding.feature)
        if index is not None and finding.weight * weights.get(index, 0.0) > 0:
            markers.setdefault(index, []).append(finding.marker)
    return markers


MOST = 20_000
"""Responses that are remembered, under a hash, not by their text: some 50 MB, however long they are."""


class Measured:
    """Named features and embedding, shape (`SIZE`,), by response and question.

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
            found = np.concatenate([stylometry.measure(response, question, FEATURES), meaning(response)])
            if len(self._known) >= self._most:
                self._known.pop(next(iter(self._known)), None)
            self._known[digest] = found
        return found

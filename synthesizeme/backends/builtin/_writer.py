"""The reader as persona writer: statements about features, concepts and content, each with its pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from synthesizeme.backends.builtin import _weights, _words
from synthesizeme.backends.builtin._meaning import Vector, between
from synthesizeme.backends.builtin._prompt import Choice, Finding
from synthesizeme.backends.builtin._weights import STYLE, Measured
from synthesizeme.plain_text import quotable

STATEMENTS = 12
"""Statements in a persona where the instruction sets no limit."""
LIKENESSES = 2
"""Most statements that quote answers, each two that were chosen and two that were not."""
_SUPPORTS = 0.2
"""Difference from which on a pair is cited, in typical differences."""
_CITED = 6


def wished(wishes: Mapping[str, str], limit: int) -> list[str]:
    """Statements of what the user wished, by marker, in the user's words."""
    return [f"The user wishes: {quotable(text)} [{marker}]" for marker, text in wishes.items()][: limit // 2]


def persona(
    features: Measured, pairs: Sequence[Choice], limit: int, findings: Sequence[Finding]
) -> list[str]:
    """Statements about the largest weights learned from the pairs, each with what stands behind it.

    Firm evidence says which features are spoken of first, the pairs say how much each is worth; evidence that
    agrees with a statement is cited. What no feature or concept says of content is said by quoting answers.
    """
    chosen, rejected = (
        np.array([features(_side(pair, sign), pair.shown.question) for pair in pairs]) for sign in (1, -1)
    )
    signed = _weights.clipped(chosen - rejected)
    likenesses = _likenesses(pairs, chosen, rejected, signed)[: max(0, limit - 1)]
    named = _named(pairs, signed, limit - len(likenesses), findings)
    return [*named, *likenesses]


def _named(pairs: Sequence[Choice], signed: Vector, limit: int, findings: Sequence[Finding]) -> list[str]:
    names, columns = _weights.spoken_of(signed)
    weights = _weights.each_alone(columns, limit, _weights.firm(findings))
    spoken = [index for index, weight in weights.items() if abs(weight) > _words.UNSAID]
    largest = sorted(spoken, key=lambda index: -abs(weights[index]))[:limit]
    markers = _weights.agreeing(findings, weights)
    sentences = _words.state({names[index]: weights[index] for index in largest})
    return [
        _cited(sentence, pairs, columns[:, index] * np.sign(weights[index]), markers.get(index, ()))
        for index, sentence in zip(largest, sentences.values(), strict=True)
    ]


def _likenesses(pairs: Sequence[Choice], chosen: Vector, rejected: Vector, signed: Vector) -> list[str]:
    """Statements that quote the answers which the learned direction of content parts most."""
    weights = _weights.learn(signed, _weights.assumed(""), _weights.PRECISION)[STYLE:]
    if not weights.any():
        return []
    best = np.argsort(-(chosen[:, STYLE:] @ weights), kind="stable").tolist()
    worst = np.argsort(rejected[:, STYLE:] @ weights, kind="stable").tolist()
    liked = list(dict.fromkeys(_side(pairs[row], 1) for row in best))
    disliked = [text for text in dict.fromkeys(_side(pairs[row], -1) for row in worst) if text not in liked]
    said = []
    for number in range(LIKENESSES):
        two = slice(2 * number, 2 * number + 2)
        if two.stop >= len(pairs) or two.stop > min(len(liked), len(disliked)):
            break
        along = signed[:, STYLE:] @ between(liked[two], disliked[two])
        (weight,) = _weights.learn(along[:, None], np.zeros(1), _weights.PRECISION[-1:])
        if weight > _words.UNSAID:
            sentence = _words.state_likeness(liked[two], disliked[two], float(weight))
            said.append(_cited(sentence, pairs, along, ()))
    return said


def _side(pair: Choice, sign: int) -> str:
    """The chosen response of a pair (1), or the rejected one (-1)."""
    return pair.shown.first if pair.sign == sign else pair.shown.second


def _cited(sentence: str, pairs: Sequence[Choice], support: Vector, markers: Sequence[str]) -> str:
    order = np.argsort(-support, kind="stable").tolist()
    numbers = [pairs[row].number for row in order if support[row] > _SUPPORTS][:_CITED]
    return f"{sentence} [{'; '.join(filter(None, [', '.join(map(str, sorted(numbers))), *markers]))}]"

"""The reader: one prompt in, one reply in words out.

As a judge it weighs and gives its reasons; as a persona writer it makes statements about features, concepts
and content, each with its pairs.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from synthesizeme.backends._reply import response
from synthesizeme.backends.builtin import _prompt, _weights, _words
from synthesizeme.backends.builtin._prompt import Choice, Finding, Rated, Shown
from synthesizeme.backends.builtin._weights import STYLE, Measured
from synthesizeme.backends.builtin._words import Vector, between
from synthesizeme.perceived import FEATURES
from synthesizeme.plain_text import quotable

if TYPE_CHECKING:
    from dspy.lm15 import Request, Response


SAMPLING_NOISE = 0.4
"""Standard deviation of the weights of a further sample, so that samples differ as a model's would."""
SPEAKS = 0.5
"""Difference along a statement, in typical differences, below which it speaks for neither response."""


class ReaderEngine:
    """DSPy engine (``complete(Request) -> Response``) of the rule-based reader.

    The reply depends on the request alone (but for proposals of new prompts, which differ each time). A
    request with a seed is one more sample: its weights are perturbed by a generator seeded with that number
    and the prompt; at temperature 0 they are not.
    """

    def __init__(self) -> None:
        self._features = Measured()
        self._learned = lru_cache(maxsize=256)(self._learn)
        self._proposals = 0

    def complete(self, request: Request) -> Response:
        """Answer a judge's or a persona writer's prompt.

        Raises:
            dspy.lm15.UnsupportedFeatureError: the prompt sets another task.
        """
        from dspy import lm15

        system = request.system if isinstance(request.system, str) else _text(request.system or ())
        turns = [(message.role, message.text or "") for message in request.messages]
        reply = self._reply(system, turns, request)
        if reply is None:
            raise lm15.UnsupportedFeatureError(
                "the builtin rule-based reader answers judge and persona prompts only; use a language model"
            )
        words = sum(len(text.split()) for _, text in turns) + len(system.split())
        return response(request, reply, (words, len(reply.split())))

    def _reply(self, system: str, turns: list[tuple[str, str]], request: Request) -> str | None:
        last = turns[-1][1]
        proposal = _prompt.propose(last, self._proposals)
        if proposal is not None:
            self._proposals += 1
            return proposal
        rated = _prompt.read_rated(last)
        if rated is not None:
            return self._rating(rated, self._learned(_prompt.read_persona(system), rated.choices))
        trial = _prompt.read_trial(last)
        if trial is not None:
            return self._trial(*trial)
        pairs = tuple(_prompt.read_pairs(last))
        if pairs:
            limit = _prompt.read_limit(system, STATEMENTS)
            wishes = _wished(_prompt.read_wishes(last), limit)
            findings = _prompt.read_findings(system)
            found = _persona(self._features, pairs, limit - len(wishes), findings)
            return "\n".join([*wishes, *found]) or "None"
        shown = _prompt.read_shown(last)
        if shown is None:
            return None
        weights = self._learned(_prompt.read_persona(system), _prompt.read_demonstrations(turns))
        if request.config.seed is not None and request.config.temperature != 0:
            digest = hashlib.sha256(f"{request.config.seed}\0{last}".encode()).digest()
            noise = np.random.default_rng(int.from_bytes(digest[:8], "big")).normal(size=STYLE)
            weights = weights.copy()
            weights[:STYLE] += SAMPLING_NOISE * noise
        return _verdict(self._difference(shown), weights)

    def _rating(self, rated: Rated, weights: Vector) -> str:
        """The mean chance of winning against both responses of every past choice, or a typical response."""
        anchors = [
            self._features(text, choice.shown.question)
            for choice in rated.choices
            for text in (choice.shown.first, choice.shown.second)
        ]
        own = self._features(rated.response, rated.question)
        held = np.array(anchors) if anchors else _weights.vector(_weights.TYPICAL)[None]
        differences = _weights.clipped(own - held)
        chance = float((1 / (1 + np.exp(-(differences @ weights)))).mean())
        mean = _contributions(differences.mean(axis=0), weights)
        return f"{_reason(mean, weights)}\nRating: {round(100 * chance)}"

    def _difference(self, shown: Shown) -> Vector:
        first, second = (self._features(text, shown.question) for text in (shown.first, shown.second))
        return _weights.clipped(first - second)

    def _learn(self, persona: str, demonstrations: tuple[Choice, ...]) -> Vector:
        mean = _weights.assumed(persona)
        if not demonstrations:
            return mean
        signed = np.array([choice.sign * self._difference(choice.shown) for choice in demonstrations])
        return _weights.learn(signed, mean, _weights.STATED_PRECISION if persona else _weights.PRECISION)

    def _trial(self, statement: str, pairs: Sequence[tuple[int, Shown]]) -> str:
        """Which response of each pair the statement alone speaks for, however firmly it is worded."""
        weights = _weights.stated(statement)
        size = float(np.abs(weights[:STYLE]).sum() + np.linalg.norm(weights[STYLE:]))
        lines = []
        for number, shown in pairs:
            margin = float(self._difference(shown) @ weights) / size if size > 0 else 0.0
            word = "Neither" if abs(margin) < SPEAKS else "First" if margin > 0 else "Second"
            lines.append(f"{number}: {word}")
        return "\n".join(lines)


def _text(parts: Sequence[object]) -> str:
    return "\n".join(str(getattr(part, "text", "")) for part in parts)


CONTENT = "the content of answers that this user chose"


def _verdict(difference: Vector, weights: Vector) -> str:
    """The reply to a judge's prompt: the differences that weigh most, the preference, the confidence."""
    contributions = _contributions(difference, weights)
    margin = float(contributions.sum())
    if abs(margin) < 1e-9:
        return "Reasoning: I see no difference that matters to this user.\nPreference: Tie\nConfidence: 50"
    closer = {1: "the first response is closer to", -1: "the second response is closer to"}
    reasons = [
        f"{closer[1 if contributions[index] > 0 else -1]} {_liked(index, weights)}"
        for index in _largest(contributions)
    ]
    winner = "First" if margin > 0 else "Second"
    because = "; ".join(reasons) or f"small differences add up in favour of the {winner.lower()} response"
    confidence = min(99, max(50, round(100 / (1 + math.exp(-abs(margin))))))
    reasoning = because[0].upper() + because[1:]
    return f"Reasoning: {reasoning}.\nPreference: {winner}\nConfidence: {confidence}"


def _reason(contributions: Vector, weights: Vector) -> str:
    """The differences from the anchors that weigh most."""
    said = [
        f"it is {'closer to' if contributions[index] > 0 else 'further from'} {_liked(index, weights)}"
        for index in _largest(contributions)
    ]
    because = "; ".join(said) or "nothing in it stands out for this user"
    return f"Reasoning: {because[0].upper()}{because[1:]}."


def _contributions(difference: Vector, weights: Vector) -> Vector:
    """To a margin: of each named feature, and last of the content, shape (`STYLE` + 1,)."""
    each = difference * weights
    return np.append(each[:STYLE], each[STYLE:].sum())


def _largest(contributions: Vector) -> list[int]:
    order = np.argsort(-np.abs(contributions))[:3].tolist()
    return [index for index in order if abs(contributions[index]) > 0.05]


def _liked(index: int, weights: Vector) -> str:
    if index == STYLE:
        return CONTENT
    return FEATURES[index].more if weights[index] > 0 else FEATURES[index].less


STATEMENTS = 12
"""Statements in a persona where the instruction sets no limit."""
LIKENESSES = 2
"""Most statements that quote answers, each two that were chosen and two that were not."""
_SUPPORTS = 0.2
"""Difference from which on a pair is cited, in typical differences."""
_CITED = 6


def _wished(wishes: Mapping[str, str], limit: int) -> list[str]:
    """Statements of what the user wished, by marker, in the user's words."""
    return [f"The user wishes: {quotable(text)} [{marker}]" for marker, text in wishes.items()][: limit // 2]


def _persona(
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

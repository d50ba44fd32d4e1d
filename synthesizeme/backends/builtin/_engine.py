"""The reader: one prompt in, one reply in words out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from synthesizeme.backends.builtin import _prompt, _weights, _words
from synthesizeme.backends.builtin._prompt import Choice, Finding, Rated, Shown
from synthesizeme.backends.builtin._weights import Measured, Vector
from synthesizeme.stylometry import FEATURES

if TYPE_CHECKING:
    from dspy.lm15 import Request, Response

SAMPLING_NOISE = 0.4
"""Standard deviation of the weights of a further sample, so that samples differ as a model's would."""
STATEMENTS = 8
"""Statements in a persona where the instruction sets no limit."""
CLIP = 1.5
"""Largest difference in a feature that counts, in typical differences."""


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
        usage = lm15.Usage(input_tokens=words, output_tokens=len(reply.split()))
        return lm15.Response(
            id=None,
            model=request.model,
            message=lm15.Message.assistant(reply),
            finish_reason="stop",
            usage=usage,
        )

    def _reply(self, system: str, turns: list[tuple[str, str]], request: Request) -> str | None:
        last = turns[-1][1]
        proposal = _prompt.propose(last, self._proposals)
        if proposal is not None:
            self._proposals += 1
            return proposal
        rated = _prompt.read_rated(last)
        if rated is not None:
            return self._rating(rated, self._learned(_prompt.read_persona(system), rated.choices))
        pairs = tuple(_prompt.read_pairs(last))
        if pairs:
            limit = _prompt.read_limit(system, STATEMENTS)
            return self._persona(pairs, limit, _prompt.read_findings(system))
        shown = _prompt.read_shown(last)
        if shown is None:
            return None
        weights = self._learned(_prompt.read_persona(system), _prompt.read_demonstrations(turns))
        if request.config.seed is not None and request.config.temperature != 0:
            digest = hashlib.sha256(f"{request.config.seed}\0{last}".encode()).digest()
            noise = np.random.default_rng(int.from_bytes(digest[:8], "big")).normal(size=len(FEATURES))
            weights = weights + SAMPLING_NOISE * noise
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
        differences = np.clip(np.subtract(own, held), -CLIP, CLIP)
        chance = float((1 / (1 + np.exp(-(differences @ weights)))).mean())
        return f"{_reason(differences.mean(axis=0) * weights, weights)}\nRating: {round(100 * chance)}"

    def _difference(self, shown: Shown) -> Vector:
        first, second = (
            self._features(shown.first, shown.question),
            self._features(shown.second, shown.question),
        )
        return np.clip(np.subtract(first, second), -CLIP, CLIP)

    def _differences(self, choices: Sequence[Choice]) -> Vector:
        return np.array([self._difference(choice.shown) for choice in choices]).reshape(-1, len(FEATURES))

    def _learn(self, persona: str, demonstrations: tuple[Choice, ...]) -> Vector:
        mean = _weights.assumed(_words.understand(persona))
        precision = _weights.STATED_PRECISION if persona else _weights.PRECISION
        return _weights.learn(self._differences(demonstrations), demonstrations, mean, precision)

    def _persona(self, pairs: Sequence[Choice], limit: int, findings: Sequence[Finding]) -> str:
        """Statements about the largest weights learned from the pairs, each with what stands behind it.

        Firm evidence says which features are spoken of first, the pairs say how much each is worth;
        evidence that agrees with a statement is cited.
        """
        differences = self._differences(pairs)
        first = _weights.firm(findings)
        weights = _weights.explain(differences, pairs, _weights.assumed({}), limit, first)
        spoken = [index for index, weight in weights.items() if abs(weight) > _words.UNSAID]
        largest = sorted(spoken, key=lambda index: -abs(weights[index]))[:limit]
        markers = _weights.agreeing(findings, weights)
        sentences = _words.state({FEATURES[index].name: weights[index] for index in largest})
        if not sentences:
            return "None"
        signs = np.array([pair.sign for pair in pairs])
        lines = []
        for index, sentence in zip(largest, sentences.values(), strict=True):
            support = signs * differences[:, index] * np.sign(weights[index])
            numbers = [pairs[row].number for row in np.argsort(-support) if support[row] > 0.2][:6]
            cited = ", ".join(map(str, sorted(numbers)))
            lines.append(f"{sentence} [{'; '.join(filter(None, [cited, *markers.get(index, ())]))}]")
        return "\n".join(lines)


def _text(parts: Sequence[object]) -> str:
    return "\n".join(str(getattr(part, "text", "")) for part in parts)


def _verdict(difference: Vector, weights: Vector) -> str:
    """The reply to a judge's prompt: the differences that weigh most, the preference, the confidence."""
    contributions = difference * weights
    margin = float(contributions.sum())
    if abs(margin) < 1e-9:
        return "Reasoning: I see no difference that matters to this user.\nPreference: Tie\nConfidence: 50"
    largest = [index for index in np.argsort(-np.abs(contributions))[:3] if abs(contributions[index]) > 0.05]
    reasons = []
    for index in largest:
        side = "first" if contributions[index] > 0 else "second"
        liked = FEATURES[index].more if weights[index] > 0 else FEATURES[index].less
        reasons.append(f"the {side} response is closer to {liked}")
    winner = "First" if margin > 0 else "Second"
    because = "; ".join(reasons) or f"small differences add up in favour of the {winner.lower()} response"
    confidence = min(99, max(50, round(100 / (1 + math.exp(-abs(margin))))))
    reasoning = because[0].upper() + because[1:]
    return f"Reasoning: {reasoning}.\nPreference: {winner}\nConfidence: {confidence}"


def _reason(contributions: Vector, weights: Vector) -> str:
    """The differences from the anchors that weigh most."""
    largest = [index for index in np.argsort(-np.abs(contributions))[:3] if abs(contributions[index]) > 0.05]
    said = [
        f"it is {'closer to' if contributions[index] > 0 else 'further from'} "
        f"{FEATURES[index].more if weights[index] > 0 else FEATURES[index].less}"
        for index in largest
    ]
    because = "; ".join(said) or "nothing in it stands out for this user"
    return f"Reasoning: {because[0].upper()}{because[1:]}."

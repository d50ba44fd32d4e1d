"""Reading a judge's reply: preference, probability, reasoning, or why there is none."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from synthesizeme.backends import Answer, Token
from synthesizeme.errors import JudgeError
from synthesizeme.types import Failure, Preference, Verdict

_THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_PREFERENCE = re.compile(
    r"^[\W_]*preference[\W_]*(?:the[\W_]+)?(first|second|tie)\b", re.IGNORECASE | re.MULTILINE
)
_CONFIDENCE = re.compile(r"^[\W_]*confidence[\W_]*(\d{1,3}(?:\.\d+)?)", re.IGNORECASE | re.MULTILINE)
_REASONING = re.compile(r"^[\W_]*reasoning[*_ ]*:[*_ ]*(.*)", re.IGNORECASE | re.MULTILINE | re.DOTALL)
_REFUSAL = re.compile(
    r"\bI(?:'m| am) (?:sorry|unable|not able)\b|\bI (?:can(?:'t|not)|won't|must decline)\b|\bas an AI\b",
    re.IGNORECASE,
)


def read_verdict(answer: Answer) -> Verdict:
    """The verdict in a reply.

    The probability of "first" comes from the tokens' log-probabilities where the model gave them, else
    from the confidence the reply states, else from the bare preference (0, 0.5 or 1).

    Raises:
        JudgeError: the reply names no preference.
    """
    text = _THOUGHT.sub("", answer.text).replace("’", "'").strip()
    matches = list(_PREFERENCE.finditer(text))
    if not matches:
        raise JudgeError(
            "no line 'Preference: First' or 'Preference: Second' in the reply", reply=answer.text
        )
    word = matches[-1][1].lower()
    preference: Preference = "first" if word == "first" else "second" if word == "second" else "tie"
    reasoning = _REASONING.search(text[: matches[-1].start()])
    said = (reasoning[1] if reasoning else text[: matches[-1].start()]).strip()
    if preference == "tie":
        return Verdict(preference="tie", probability=0.5, reasoning=said)
    measured = probability_of_first(answer.tokens)
    if measured is not None:
        return Verdict(
            preference=preference, probability=measured, probability_source="logprobs", reasoning=said
        )
    stated = _CONFIDENCE.search(text)
    if stated and 50 <= float(stated[1]) <= 100:
        p = float(stated[1]) / 100
        p = p if preference == "first" else 1 - p
        return Verdict(preference=preference, probability=p, probability_source="stated", reasoning=said)
    return Verdict(preference=preference, probability=float(preference == "first"), reasoning=said)


def probability_of_first(tokens: Sequence[Token]) -> float | None:
    """P(First) / (P(First) + P(Second)) at the token where the last preference begins; None if unknown."""
    text = "".join(token.text for token in tokens)
    matches = list(_PREFERENCE.finditer(text))
    if not matches:
        return None
    position, end = matches[-1].start(1), 0
    for token in tokens:
        end += len(token.text)
        if end > position:
            break
    mass = {"first": 0.0, "second": 0.0}
    for alternative, logprob in token.alternatives:
        beginning = alternative.strip(" *_\n").lower()
        for word in mass:
            if beginning and word.startswith(beginning):
                mass[word] += math.exp(logprob)
    total = sum(mass.values())
    return mass["first"] / total if total > 0 else None


def verdict_or_failure(outcome: Answer | Failure) -> Verdict | Failure:
    """The verdict in what came back for a question; what cannot be read is a typed `Failure`."""
    if isinstance(outcome, Failure):
        return outcome
    try:
        return read_verdict(outcome)
    except JudgeError as error:
        if outcome.cut_off:
            return Failure(kind="parse", detail="the reply was cut off at max_tokens before a preference")
        kind = "refusal" if _REFUSAL.search(error.reply) else "parse"
        shown = " ".join(error.reply.split())[:200]
        return Failure(kind=kind, detail=f"{error}; it says: {shown!r}")

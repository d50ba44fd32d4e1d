"""Reading a judge's reply: preference, probability, reasoning, or why there is none."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from synthesizeme.backends import Answer, Token
from synthesizeme.errors import JudgeError
from synthesizeme.types import Failure, Preference, Verdict

Read = TypeVar("Read")

_THOUGHT = re.compile(
    r"\A(?:(?!<think).)*</think(?:ing)?>|<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL
)


def part(name: str) -> str:
    """Where a part of a reply begins: its name at the start of a line, or as a key of JSON."""
    return rf"(?:^(?:[^\w\n]|_)*{name}[\W_]*|[\"']{name}[\"']\s*:[\W_]*)"


FLAGS = re.IGNORECASE | re.MULTILINE | re.DOTALL
_PREFERENCE = re.compile(
    part("preference") + r"(?:the[\W_]+)?(first|second|tie)\b(?![*_\"' ]*(?:or\b|[/|]))", FLAGS
)
_CONFIDENCE = re.compile(part("confidence") + r"(\d{1,3}(?:\.\d+)?)", FLAGS)
_REASONING = re.compile(part("reasoning") + rf"(.*?)(?={_PREFERENCE.pattern}|{part('confidence')}|\Z)", FLAGS)
_REFUSAL = re.compile(
    r"\bI(?:'m| am) (?:sorry|unable|not able)\b|\bI (?:can(?:'t|not)|won't|must decline)\b|\bas an AI\b",
    re.IGNORECASE,
)


def without_thoughts(reply: str) -> str:
    """What a reply says after thinking; empty when it was cut off while it thought."""
    return _THOUGHT.sub("", reply).strip()


def read_verdict(answer: Answer) -> Verdict:
    """The verdict in a reply.

    The probability of "first" comes from the tokens' log-probabilities where the model gave them, else
    from the confidence the reply states, else from the bare preference (0, 0.5 or 1). It is never on the
    other side of the preference: a sampled verdict that the model thinks the less likely counts as even.

    Raises:
        JudgeError: the reply names no preference.
    """
    text = without_thoughts(answer.text)
    matches = list(_PREFERENCE.finditer(text))
    if not matches:
        raise JudgeError(
            "no line 'Preference: First' or 'Preference: Second' in the reply", reply=answer.text
        )
    word = matches[-1][1].lower()
    preference: Preference = "first" if word == "first" else "second" if word == "second" else "tie"
    reasoning = _REASONING.search(text)
    said = (reasoning[1] if reasoning else text[: matches[0].start()]).strip()
    if preference == "tie":
        return Verdict(preference="tie", probability=0.5, reasoning=said)
    measured = probability_of_first(answer.tokens)
    if measured is not None:
        p = max(measured, 0.5) if preference == "first" else min(measured, 0.5)
        return Verdict(preference=preference, probability=p, probability_source="logprobs", reasoning=said)
    stated = _CONFIDENCE.search(text)
    if stated and 50 <= float(stated[1]) <= 100:
        p = float(stated[1]) / 100
        p = p if preference == "first" else 1 - p
        return Verdict(preference=preference, probability=p, probability_source="stated", reasoning=said)
    return Verdict(preference=preference, probability=float(preference == "first"), reasoning=said)


def refuses(reply: str) -> bool:
    """Whether a reply without an answer is a refusal to give one."""
    return _REFUSAL.search(reply.replace("’", "'")) is not None


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
    return read_or_failure(outcome, read_verdict)


def read_or_failure(
    outcome: Answer | Failure, read: Callable[[Answer], Read], sought: str = "preference"
) -> Read | Failure:
    """What `read` finds in an answer; where it raises a `JudgeError`, a `Failure` of that kind.

    Args:
        outcome: What came back for a question.
        read: Reads an answer.
        sought: What it reads, in a word.
    """
    if isinstance(outcome, Failure):
        return outcome
    try:
        return read(outcome)
    except JudgeError as error:
        if outcome.cut_off:
            return Failure(kind="parse", detail=f"the reply was cut off at max_tokens before a {sought}")
        kind = "refusal" if refuses(error.reply) else "parse"
        shown = " ".join(error.reply.split())[:200]
        return Failure(kind=kind, detail=f"{error}; it says: {shown!r}")

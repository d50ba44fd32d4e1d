"""Reading a judge's reply: preference, probability, reasoning, or why there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from synthesizeme.backends import Answer
from synthesizeme.errors import JudgeError
from synthesizeme.judges._logprobs import chance_of
from synthesizeme.replies import StatedChoice, UnclearError, read_choice, refuses
from synthesizeme.types import Failure, Verdict

Read = TypeVar("Read")


def read_verdict(answer: Answer) -> Verdict:
    """The verdict in a reply.

    Which response it prefers is read by the rules of `synthesizeme.replies.read_choice`. The probability of
    "first" comes from the tokens' log-probabilities where the model gave them, else from the confidence the
    reply states, else from the bare preference (0, 0.5 or 1) of a reply that states none. A confidence that
    stands there and cannot be read is no certainty: such a reply is not read, so that it is asked again. The
    probability is never on the other side of the preference: a verdict that the model itself thinks the less
    likely counts as even.

    Raises:
        JudgeError: the reply names no clear preference, or a confidence that cannot be read or was cut off.
    """
    try:
        said = read_choice(answer.text, cut_off=answer.cut_off)
    except UnclearError as error:
        raise JudgeError(
            f"no clear preference in the reply: {error}; expected 'Preference: First' or '... Second'",
            reply=answer.text,
        ) from None
    if said.side == "tie":
        return Verdict(preference="tie", probability=0.5, reasoning=said.reasoning)
    measured = _measured(answer, said)
    sure = said.confidence if measured is None else measured
    source = "logprobs" if measured is not None else "verdict" if sure is None else "stated"
    sure = 1.0 if sure is None else max(sure, 0.5)
    return Verdict(
        preference=said.side,
        probability=sure if said.side == "first" else 1 - sure,
        probability_source=source,
        reasoning=said.reasoning,
    )


def _measured(answer: Answer, said: StatedChoice) -> float | None:
    """The chance of the preferred response by the tokens; None where they do not tell."""
    text = "".join(token.text for token in answer.tokens)
    if not text:
        return None
    try:
        spoken = said if text == answer.text else read_choice(text, cut_off=answer.cut_off)
    except UnclearError:
        return None
    if spoken.place is None or spoken.side != said.side:
        return None
    return chance_of(answer.tokens, spoken.place, *spoken.words)


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

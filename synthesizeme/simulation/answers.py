"""What an answer is kept as: a pair, a rating, or what was said of a trait; never one for another."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import ValidationError

from synthesizeme.errors import DataError
from synthesizeme.feedback import Given, Rating, Trait
from synthesizeme.plain_text import short_repr
from synthesizeme.questions import Question, ResponseQuestion, TraitQuestion
from synthesizeme.types import Comparison, Message, PreferencePair, Side

Answer: TypeAlias = str | float
"""``first`` or ``second``; a value of the scale; ``yes``, ``no`` or ``no matter``."""


def given_answer(question: Question, answer: Answer, metadata: Mapping[str, Any] | None = None) -> Given:
    """An answer as a row of the user who was asked.

    Args:
        question: What was asked, of whom.
        answer: What was answered.
        metadata: Anything else that is known of the answer.

    Raises:
        DataError: it is no answer to the question.
    """
    shared: dict[str, Any] = {
        "feedback_id": answer_id(question), "user_id": question.user_id, "metadata": dict(metadata or {}),
    }  # fmt: skip
    try:
        if isinstance(question, TraitQuestion):
            return Trait(feature=question.feature, answer=answer, **shared)
        if isinstance(question, ResponseQuestion):
            asked = {"prompt": question.prompt, "response": question.response, "scale": question.scale}
            return Rating(value=answer, **asked, **shared)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise _no_answer(answer, problem) from None
    if answer not in ("first", "second"):
        raise _no_answer(answer, "expected first or second")
    return answered_pair(question, "first" if answer == "first" else "second", metadata)


def _no_answer(answer: Answer, problem: str) -> DataError:
    return DataError(
        f"found {short_repr(answer)}, which is no answer to the question: {problem}",
        field="answer",
        cure="give one of the answers that the question has, or skip it",
    )


def answered_pair(
    comparison: Comparison, side: Side, metadata: Mapping[str, Any] | None = None
) -> PreferencePair:
    """The choice of one side as a pair of the comparison's user; its id is that of the comparison and user.

    Args:
        comparison: What was asked, of whom.
        side: The response that was preferred.
        metadata: Anything else that is known of the answer.
    """
    texts = (comparison.first, comparison.second)
    chosen, rejected = texts if side == "first" else texts[::-1]
    return PreferencePair(
        pair_id=answer_id(comparison),
        user_id=comparison.user_id,
        prompt=comparison.prompt,
        chosen=(Message(role="assistant", content=chosen),),
        rejected=(Message(role="assistant", content=rejected),),
        metadata={"asked": comparison.pair_id, **(metadata or {})},
    )


def answer_id(question: Question) -> str:
    """Id of what an answer makes: one question to one user has one."""
    if isinstance(question, Comparison):
        name = question.pair_id
    elif isinstance(question, TraitQuestion):
        name = f"trait-{question.feature}"
    else:
        texts = [*(f"{turn.role}\0{turn.content}" for turn in question.prompt), question.response]
        digest = hashlib.sha256("\0\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()
        name = f"rating-{digest[:16]}"
    return f"{name}@{question.user_id}"

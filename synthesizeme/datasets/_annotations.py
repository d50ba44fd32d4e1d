"""What one annotator answered about a prompt and responses, whatever tool it was asked with.

An answer is a rating, a ranking, a choice or a text. The only rating of an annotation is of the response as a
whole, one of several has its question as aspect. A text whose question asks for a reason is that of all other
answers; any other text about one response is an edit of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from synthesizeme.datasets.rows.feedback import mapped_feedback, mapped_ranking, scale_of
from synthesizeme.datasets.rows.pairs import mapped_pair
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import ReadReport, SourceRow
from synthesizeme.datasets.rows.verdicts import choice_of, thumb_of
from synthesizeme.feedback import THUMBS, Edit, Given, Rating, Scale, Tie
from synthesizeme.plain_text import short_repr

_PROMPTS = ("prompt", "instruction", "question", "query", "input", "context", "conversation", "messages")
_RESPONSES = ("response", "answer", "completion", "output", "generation", "reply")
_REASONS = ("reason", "rationale", "why", "comment", "explain", "explanation", "justification")


@dataclass(frozen=True)
class Answer:
    """One answer of an annotation."""

    question: str
    """Name of the question."""
    kind: Literal["rating", "ranking", "choice", "text"]
    """What was asked for."""
    value: Any
    """A number; names of responses, best first, or objects with ``value`` and ``rank``; a word; a text."""


def asked_of(fields: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The prompt among named fields, and the responses by their names."""
    named = {name.lower(): value for name, value in fields.items()}
    prompt = next((named[name] for name in _PROMPTS if named.get(name)), None)
    responses = {
        name: value
        for name, value in fields.items()
        if any(word in name.lower() for word in _RESPONSES) and isinstance(value, str | Mapping)
    }
    return prompt, responses


def said_in(
    place: SourceRow,
    report: ReadReport,
    responses: Mapping[str, Any],
    answers: Sequence[Answer],
    shared: Row,
    *,
    several: bool | None = None,
) -> Iterator[Given | None]:
    """What the answers of one annotation say.

    Args:
        place: The row.
        report: Keeps the tally.
        responses: Responses by the names that answers have for them.
        answers: The answers.
        shared: User, prompt and further fields of all that is made of them.
        several: Whether more was rated than this annotation says; None: it says all.

    Raises:
        DataError: a rating has no scale, a ranking leaves a rank out, or a choice names no response.
    """
    reasons = [
        it for it in answers if it.kind == "text" and any(word in it.question.lower() for word in _REASONS)
    ]
    others = [it for it in answers if it not in reasons]
    reason = "\n".join(str(it.value).strip() for it in reasons if it.value and str(it.value).strip())
    shared = {**shared, "reason": reason or None}
    if not responses:
        report.leave_out(place, "no response among the fields")
        return
    if several is None:
        several = sum(it.kind in ("rating", "choice") for it in others) > 1
    for answer in others:
        yield _said(place, report, responses, answer, shared, several=several)
    if not others:
        report.leave_out(place, "no answer")


def _said(
    place: SourceRow,
    report: ReadReport,
    responses: Mapping[str, Any],
    answer: Answer,
    shared: Row,
    *,
    several: bool,
) -> Given | None:
    shared = {**shared, "metadata": {**shared.get("metadata", {}), "question": answer.question}}
    single = next(iter(responses.values())) if len(responses) == 1 else None
    if answer.kind == "ranking":
        return _ranked(place, report, responses, answer, shared)
    if answer.kind == "choice" and single is None:
        return _chosen(place, report, responses, answer, shared)
    if single is None:
        report.leave_out(place, f"a {answer.kind} of which it is not said which response it is for")
        return None
    if answer.kind == "text":
        if str(answer.value).strip() == str(single).strip():
            report.leave_out(place, "the edit changes nothing")
            return None
        return mapped_feedback(place, report, Edit, original=single, edited=str(answer.value), **shared)
    value: Any = answer.value
    scale: Scale = THUMBS
    if answer.kind == "choice":
        value = thumb_of(answer.value)
        if value is None:
            report.leave_out(place, "a choice that is neither a thumb up nor down")
            return None
    else:
        scale = scale_of(place, report, None)
    aspect = answer.question if several else None
    return mapped_feedback(
        place, report, Rating, response=single, value=value, scale=scale, aspect=aspect, **shared
    )


def _chosen(
    place: SourceRow, report: ReadReport, responses: Mapping[str, Any], answer: Answer, shared: Row
) -> Given | None:
    """A choice between two responses, or the best of more."""
    if len(responses) > 2:
        best = _name(place, responses, answer, answer.value)
        ranks = [1 if name == best else 2 for name in responses]
        return mapped_ranking(place, report, list(responses.values()), ranks, **shared)
    first, second = responses
    row = {**responses, answer.question: answer.value}
    choice = choice_of(
        SourceRow(place.source, place.line, row), answer.question, (first, second), (first, second)
    )
    if choice is None:
        report.leave_out(place, "no answer")
        return None
    texts = [responses[first], responses[second]]
    if choice.side == "tie":
        return mapped_feedback(place, report, Tie, responses=texts, both=choice.both, **shared)
    chosen, rejected = texts if choice.side == "first" else texts[::-1]
    return mapped_pair(place, report, chosen=chosen, rejected=rejected, strength=choice.strength, **shared)


def _ranked(
    place: SourceRow, report: ReadReport, responses: Mapping[str, Any], answer: Answer, shared: Row
) -> Given | None:
    given = answer.value if isinstance(answer.value, list) else []
    ranks = {}
    for number, item in enumerate(given, start=1):
        name = item.get("value") if isinstance(item, Mapping) else item
        rank = item.get("rank", number) if isinstance(item, Mapping) else number
        ranks[_name(place, responses, answer, name)] = rank
    if len(ranks) < 2:
        report.leave_out(place, "a ranking of fewer than two responses")
        return None
    return mapped_ranking(place, report, [responses[name] for name in ranks], list(ranks.values()), **shared)


def _name(place: SourceRow, responses: Mapping[str, Any], answer: Answer, given: Any) -> str:
    """The response that an answer names, whatever stands between the words of the name."""
    wanted = _bare(given)
    for name in responses:
        if _bare(name) == wanted:
            return name
    expected = f"the name of a response, one of {short_repr(list(responses))}"
    cure = "name the responses in the answers as their fields are called"
    raise place.unlike(given, expected, field=answer.question[:80], cure=cure)


def _bare(name: Any) -> str:
    return re.sub(r"[\W_]+", "", str(name).lower())

"""Traces of MLflow with the assessments of people: a value, and the rationale for it.

A trace as `Trace.to_dict` writes it, or a row of `mlflow.search_traces` (shortened)::

    {"trace_id": "tr-1", "request": {"messages": [{"role": "user", "content": "How deep is a fathom?"}]},
     "response": "Six feet.", "assessments": [
       {"assessment_id": "a-1", "assessment_name": "helpful", "create_time": "2024-05-01T10:00:00Z",
        "source": {"source_type": "HUMAN", "source_id": "ada"}, "feedback": {"value": true},
        "rationale": "Short."}]}

A truth value is a thumb, a number a rating, whose scale `--scale` says; an expected response is an edit.
Assessments of judges and code are left out, and so are those that were overridden.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from synthesizeme.datasets._annotations import Answer, said_in
from synthesizeme.datasets._base import Format, by_row
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import ReadReport, SourceRow
from synthesizeme.datasets.rows.verdicts import thumb_of
from synthesizeme.feedback import Given

_EXPECTED = ("expected_response", "expected_answer", "expected_output")
_ASKED = ("messages", "question", "prompt", "query", "input", "inputs", "request")
_ANSWERED = ("response", "output", "answer", "content", "text", "outputs")


def recognises(row: Row) -> bool:
    """Whether a row is a trace with assessments."""
    return isinstance(_info(row).get("assessments"), list)


def _info(row: Row) -> Mapping[str, Any]:
    return row["info"] if isinstance(row.get("info"), Mapping) else row


def _given(place: SourceRow, report: ReadReport) -> Iterator[Given | None]:
    row, info = place.row, _info(place.row)
    data = row["data"] if isinstance(row.get("data"), Mapping) else row
    prompt, response = _asked(data.get("request")), _answered(data.get("response"))
    if not prompt or not response:
        report.leave_out(place, "the request or the response is not in the trace")
        return
    overridden = {it.get("overrides") for it in info["assessments"] if it.get("overrides")}
    human = []
    for it in info["assessments"]:
        if str((it.get("source") or {}).get("source_type")).upper() != "HUMAN":
            report.leave_out(place, "an assessment that no person gave")
        elif it.get("valid") is False or it.get("assessment_id") in overridden:
            report.leave_out(place, "an assessment that was overridden")
        else:
            human.append(it)
    if not info["assessments"]:
        report.leave_out(place, "no assessment")
    raters = Counter(_rater(it) for it in human if "feedback" in it)
    for it in human:
        answer = _answer(it)
        if answer is None:
            report.leave_out(place, "an assessment that is no thumb, number or expected response")
            continue
        rationale = [Answer("rationale", "text", it["rationale"])] if it.get("rationale") else []
        name = it.get("assessment_id")
        shared = {
            "user_id": _rater(it),
            "prompt": prompt,
            "created_at": it.get("create_time"),
            "feedback_id": name,
            "metadata": {"trace_id": info.get("trace_id")},
        }
        answers = [answer, *rationale]
        several = raters[_rater(it)] > 1
        yield from said_in(place, report, {"response": response}, answers, shared, several=several)


def _rater(assessment: Row) -> Any:
    return (assessment.get("source") or {}).get("source_id")


def _answer(assessment: Row) -> Answer | None:
    """What an assessment says; None where it is of another kind."""
    name = str(assessment.get("assessment_name") or assessment.get("name") or "feedback")
    expected = (assessment.get("expectation") or {}).get("value")
    if isinstance(expected, str) and name in _EXPECTED:
        return Answer(name, "text", expected)
    value = (assessment.get("feedback") or {}).get("value")
    if isinstance(value, bool) or (isinstance(value, str) and thumb_of(value) is not None):
        return Answer(name, "choice", value)
    return Answer(name, "rating", value) if isinstance(value, int | float) else None


def _parsed(value: Any) -> Any:
    """A value, or what it spells in JSON."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[", '"')):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _asked(request: Any) -> Any:
    """The conversation of a request: its messages or the text of it."""
    value = _parsed(request)
    while isinstance(value, Mapping):
        value = next((value[name] for name in _ASKED if value.get(name)), None)
    return value


def _answered(response: Any) -> Any:
    """The text of a response: itself, or the message of its first choice."""
    value = _parsed(response)
    while isinstance(value, Mapping):
        choices = value.get("choices")
        if isinstance(choices, list) and choices:
            value = choices[0].get("message") or choices[0]
        else:
            value = next((value[name] for name in _ANSWERED if value.get(name)), None)
    return value if isinstance(value, str) else None


FORMAT = Format("MLflow traces with people's assessments", recognises, by_row(_given))

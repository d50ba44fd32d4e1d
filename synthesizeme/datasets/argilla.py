"""Records of Argilla with what annotators answered: ratings, rankings, labels, texts.

A record as `Dataset.records.to_json` writes it (docs.argilla.io; shortened)::

    {"id": "r1", "fields": {"prompt": "How deep is a fathom?", "response": "Six feet."},
     "responses": {"rating": [{"value": 4, "user_id": "5e"}], "why": [{"value": "Short.", "user_id": "5e"}]}}

Its flat form (``rating.responses``, ``rating.responses.users``), the records of version 1 (``responses`` is a
list with ``values``) and its data sets on the hub (a column of ``user_id``, ``value`` and ``status`` for each
question) are read as well. What ratings could be given does not stand in the records: `--scale` says it.
Answers that were not submitted are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from synthesizeme.datasets._annotations import Answer, asked_of, said_in
from synthesizeme.datasets._base import Format, by_row
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import ReadReport, SourceRow
from synthesizeme.feedback import Given

_USERS, _STATUS, _FLAT = ".responses.users", ".responses.status", ".responses"
_NOT_SUBMITTED = ("draft", "discarded")


def recognises(row: Row) -> bool:
    """Whether a row is a record with a place for answers."""
    nested = isinstance(row.get("fields"), Mapping) and "responses" in row
    return nested or any(name.endswith(_USERS) for name in row) or any(map(_is_column, row.values()))


def _is_column(value: Any) -> bool:
    return isinstance(value, list) and any(
        isinstance(it, Mapping) and {"user_id", "value", "status"} <= it.keys() for it in value
    )


def _given(place: SourceRow, report: ReadReport) -> Iterator[Given | None]:
    row = place.row
    fields = row["fields"] if isinstance(row.get("fields"), Mapping) else row
    prompt, responses = asked_of({name: it for name, it in fields.items() if "." not in name})
    if prompt is None:
        report.leave_out(place, "no prompt among the fields")
        return
    by_user: dict[Any, list[Answer]] = defaultdict(list)
    for user, question, value, status in _answers(row):
        if status in _NOT_SUBMITTED or value is None:
            report.leave_out(place, "an answer that was not submitted")
        else:
            by_user[user].append(Answer(question, _kind(value), value))
    if not by_user:
        report.leave_out(place, "no answer")
    metadata = {name: row[name] for name in ("id", "external_id") if row.get(name) is not None}
    for user, answers in by_user.items():
        shared = {"user_id": user, "prompt": prompt, "split": row.get("split"), "metadata": metadata}
        yield from said_in(place, report, responses, answers, shared)


def _answers(row: Row) -> Iterator[tuple[Any, str, Any, Any]]:
    """User, question, value and status of every answer of a record."""
    given = row.get("responses")
    if isinstance(given, Mapping):
        for question, answers in given.items():
            for it in answers or []:
                yield it.get("user_id"), question, it.get("value"), it.get("status")
    elif isinstance(given, list):
        for it in given:
            for question, value in (it.get("values") or {}).items():
                own = value.get("value") if isinstance(value, Mapping) else value
                yield it.get("user_id"), question, own, it.get("status")
    for name, values in row.items():
        if name.endswith(_FLAT) and isinstance(values, list):
            question = name.removesuffix(_FLAT)
            users = row.get(f"{question}{_USERS}") or [None] * len(values)
            states = row.get(f"{question}{_STATUS}") or [None] * len(values)
            for user, value, status in zip(users, values, states, strict=False):
                yield user, question, value, status
        elif _is_column(values):
            for it in values:
                yield it.get("user_id"), name, it.get("value"), it.get("status")


def _kind(value: Any) -> Any:
    """What was asked for, as the answer shows it: a text of one word is a label."""
    if isinstance(value, list):
        return "ranking"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "rating"
    return "choice" if isinstance(value, bool) or len(str(value).split()) == 1 else "text"


FORMAT = Format("Argilla records with the answers of annotators", recognises, by_row(_given))

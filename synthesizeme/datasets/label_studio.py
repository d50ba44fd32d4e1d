"""Tasks of Label Studio with what annotators answered: stars, choices, rankings, texts.

A task of a JSON export (labelstud.io/guide/export; shortened)::

    {"id": 1, "data": {"prompt": "How deep is a fathom?", "response": "Six feet."},
     "annotations": [{"id": 7, "completed_by": {"email": "ada@example.org"}, "created_at": "2024-05-01",
       "result": [{"from_name": "stars", "type": "rating", "value": {"rating": 4}},
                  {"from_name": "why", "type": "textarea", "value": {"text": ["Short."]}}]}]}

``choices``, ``pairwise`` (left or right), ``number`` and ``ranker`` (ids of the list of items in the data)
are read too. What stars could be given does not stand in the export: `--scale` says it. Rows of the export
JSON_MIN and CSV are `judged_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from synthesizeme.datasets._annotations import Answer, asked_of, said_in
from synthesizeme.datasets._base import Format, by_row
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import ReadReport, SourceRow
from synthesizeme.feedback import Given

_ITEM_TEXTS = ("body", "text", "title", "html")
_KINDS: dict[str, Any] = {
    "rating": "rating", "number": "rating", "choices": "choice", "pairwise": "choice", "ranker": "ranking",
    "textarea": "text",
}  # fmt: skip


def recognises(row: Row) -> bool:
    """Whether a row is a task with annotations."""
    return isinstance(row.get("data"), Mapping) and isinstance(row.get("annotations"), list)


def _given(place: SourceRow, report: ReadReport) -> Iterator[Given | None]:
    data = place.row["data"]
    prompt, responses = asked_of(data)
    responses = _items(data) or responses
    if prompt is None:
        report.leave_out(place, "no prompt in the data of the task")
        return
    if not place.row["annotations"]:
        report.leave_out(place, "no annotation")
    for annotation in place.row["annotations"]:
        if annotation.get("was_cancelled"):
            report.leave_out(place, "an annotation that was skipped")
            continue
        answers = [
            Answer(str(it.get("from_name")), _KINDS[it["type"]], _value(it))
            for it in annotation.get("result") or []
            if it.get("type") in _KINDS
        ]
        others = len(annotation.get("result") or []) - len(answers)
        for _ in range(others):
            report.leave_out(place, "a result that says nothing of a response")
        shared = {
            "user_id": _user(annotation.get("completed_by")),
            "prompt": prompt,
            "created_at": annotation.get("created_at"),
            "metadata": {"task": place.row.get("id"), "annotation": annotation.get("id")},
        }
        yield from said_in(place, report, responses, answers, shared)


def _items(data: Mapping[str, Any]) -> dict[str, Any]:
    """Texts of the first list of items with ids, by id."""
    for value in data.values():
        if isinstance(value, list) and value and all(isinstance(it, Mapping) and "id" in it for it in value):
            return {
                str(it["id"]): next((it[name] for name in _ITEM_TEXTS if it.get(name)), "") for it in value
            }
    return {}


def _value(result: Row) -> Any:
    """What a result says."""
    value = result.get("value") or {}
    kind = result["type"]
    found = value.get({"pairwise": "selected", "textarea": "text"}.get(kind, kind))
    if kind == "ranker":
        lists = found.values() if isinstance(found, Mapping) else [found]
        return [str(it) for part in lists for it in (part if isinstance(part, list) else [part])]
    if isinstance(found, list):
        return "\n".join(map(str, found))
    return found


def _user(completed_by: Any) -> Any:
    if isinstance(completed_by, Mapping):
        return completed_by.get("email") or completed_by.get("username") or completed_by.get("id")
    return completed_by


FORMAT = Format("Label Studio tasks with the results of annotators", recognises, by_row(_given))

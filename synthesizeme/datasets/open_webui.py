"""Feedback of Open WebUI: a thumb, a mark out of ten, a reason and a comment on one answer of a chat.

An entry of the export of its admin panel (``backend/open_webui/models/feedbacks.py``; shortened)::

    {"id": "f1", "user_id": "u1", "type": "rating", "created_at": 1730000000,
     "data": {"rating": 1, "reason": "accurate_information", "comment": "Short.", "details": {"rating": 8}},
     "meta": {"message_id": "m2", "chat_id": "c1"},
     "snapshot": {"chat": {"chat": {"history": {"messages": {
       "m1": {"id": "m1", "parentId": null, "role": "user", "content": "How deep is a fathom?"},
       "m2": {"id": "m2", "parentId": "m1", "role": "assistant", "content": "Six feet."}}}}}}}

The conversation is what leads to the message, from parent to parent. The comment is the reason; where there
is none it is the one that was ticked. A thumb is no choice, also where models were shown side by side
(`metadata.siblings`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from synthesizeme.datasets._base import Format, by_row
from synthesizeme.datasets.rows.feedback import mapped_feedback
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import ReadReport, SourceRow
from synthesizeme.datasets.rows.verdicts import thumb_of
from synthesizeme.feedback import THUMBS, Given, Rating, Scale

MARKS = Scale(lowest=1, highest=10, levels=10)
"""Marks that can be given beside the thumb."""


def recognises(row: Row) -> bool:
    """Whether a row is an entry of the export."""
    return (
        isinstance(row.get("data"), Mapping) and "rating" in row["data"] and {"meta", "snapshot"} <= set(row)
    )


def _given(place: SourceRow, report: ReadReport) -> Iterator[Given | None]:
    row, data, meta = place.row, place.row["data"], place.row.get("meta") or {}
    turns = _conversation(row.get("snapshot"), meta.get("message_id"))
    if len(turns) < 2:
        report.leave_out(place, "the answer that is rated does not stand in the export")
        return
    ticked = str(data.get("reason") or "").replace("_", " ").strip()
    known = {"ticked": ticked, "model": data.get("model_id"), "siblings": data.get("sibling_model_ids"),
             "chat_id": meta.get("chat_id")}  # fmt: skip
    shared = {
        "user_id": row.get("user_id"),
        "prompt": turns[:-1],
        "response": turns[-1],
        "reason": str(data.get("comment") or "").strip() or ticked,
        "created_at": _moment(row.get("created_at")),
        "metadata": {name: value for name, value in known.items() if value},
    }
    thumb = thumb_of(data.get("rating"))
    mark = (data.get("details") or {}).get("rating")
    if thumb is not None:
        yield mapped_feedback(
            place, report, Rating, feedback_id=row.get("id"), value=float(thumb), scale=THUMBS, **shared
        )
    if mark is not None:
        name = f"{row.get('id')}:mark"
        yield mapped_feedback(place, report, Rating, feedback_id=name, value=mark, scale=MARKS, **shared)
    if thumb is None and mark is None:
        report.leave_out(place, "no rating")


def _conversation(snapshot: Any, message_id: Any) -> list[Row]:
    """The turns that lead to a message, and the message itself; none where it is not there."""
    inside: Any = snapshot
    while isinstance(inside, Mapping) and "history" not in inside:
        inside = inside.get("chat")
    history = inside.get("history") if isinstance(inside, Mapping) else None
    messages = history.get("messages") if isinstance(history, Mapping) else None
    turns: list[Row] = []
    at, seen = message_id, set()
    while isinstance(messages, Mapping) and at in messages and at not in seen:
        seen.add(at)
        message = messages[at]
        turns.append({"role": message.get("role"), "content": message.get("content")})
        at = message.get("parentId")
    return turns[::-1]


def _moment(stamp: Any) -> Any:
    return datetime.fromtimestamp(stamp, UTC) if isinstance(stamp, int | float) else stamp


FORMAT = Format(
    "Open WebUI feedback export: thumbs and marks with reason, comment and the chat",
    recognises,
    by_row(_given),
)

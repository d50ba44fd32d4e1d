"""Chatbot Arena conversations: one person, one question, two anonymous models, one vote.

A row of ``lmsys/chatbot_arena_conversations`` (Zheng et al. 2023, arXiv:2306.05685; shortened)::

    {"question_id": "58210e39b3fd4441a2bd4a518bb44c2d", "model_a": "chatglm-6b", "model_b": "koala-13b",
     "winner": "model_b", "judge": "arena_user_973", "turn": 1, "language": "English", "tstamp": 1682351591.1,
     "conversation_a": [{"content": "What is the difference ...?", "role": "user"}, {"content": "...", ...}],
     "conversation_b": [...]}

Later releases (lmarena-ai/arena-human-preference-100k and -140k) have the turns' content in parts, a
``timestamp``, and ``judge_hash`` or ``evaluation_session_id`` for the judge; a session is then the user.
Ties (``tie``, ``tie (bothbad)``, ``both_bad``) make no pair. The prompt is what both conversations have in
common up to a user turn, the responses are the two that follow. Where a conversation goes on after them, the
vote was given later than the pair shows: `metadata.turns` says how many turns there were.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from synthesizeme.datasets._base import loader, within
from synthesizeme.datasets.rows.containers import rows_of
from synthesizeme.datasets.rows.pairs import mapped_pair, messages
from synthesizeme.datasets.rows.sources import Origin, ReadReport, Row, SourceRow
from synthesizeme.datasets.rows.turns import NOT_PARTED, parted
from synthesizeme.plain_text import short_repr
from synthesizeme.types import PreferencePair

DESCRIPTION = "Chatbot Arena votes between two conversations, by judge"
SOURCES = (
    "lmsys/chatbot_arena_conversations",
    "lmarena-ai/arena-human-preference-100k",
    "lmarena-ai/arena-human-preference-140k",
)
FILES = ("chatbot_arena_conversations", "chatbot_arena_conversations.jsonl")
DOWNLOAD: tuple[str, ...] = ()

_FIELDS = ("winner", "conversation_a", "conversation_b")
_JUDGES = ("judge", "judge_hash", "user_id", "evaluation_session_id")
"""Columns that say whose vote it is; the first that is filled."""
_NO_WINNER = ("tie", "both_bad", "bothbad")
"""Beginnings of a vote for neither."""


def recognises(row: Row) -> bool:
    """Whether a row is a vote of the arena."""
    return set(row) >= set(_FIELDS)


def read(source: Origin, report: ReadReport) -> Iterator[PreferencePair]:
    """The pairs of a file or folder."""
    return report.pairs(rows_of(within(source, FILES), report), lambda place: _pair(place, report))


load = loader(read, DOWNLOAD)


def _pair(place: SourceRow, report: ReadReport) -> PreferencePair | None:
    row = place.row
    winner = str(row.get("winner"))
    if winner.startswith(_NO_WINNER):
        report.leave_out(place, "tie")
        return None
    missing = [field for field in _FIELDS if not row.get(field)]
    if missing or winner not in ("model_a", "model_b"):
        found = (
            f"found {short_repr(winner)}; expected model_a, model_b or a tie" if not missing else "is missing"
        )
        field = missing[0] if missing else "winner"
        raise place.error(found, field=field, cure="correct the row, or leave it out with --skip-bad-rows")
    won, lost = ("a", "b") if winner == "model_a" else ("b", "a")
    sides = f"conversation_{won}", f"conversation_{lost}"
    split = parted(place, sides, *(messages(place, side, row[side], role="user") for side in sides))
    if split is None:
        report.leave_out(place, NOT_PARTED)
        return None
    known = {
        "chosen_model": row.get(f"model_{won}"),
        "rejected_model": row.get(f"model_{lost}"),
        "language": row.get("language"),
        "turns": row.get("turn") or (1 + split.later // 2 if split.later else None),
        "shown_first": "chosen" if won == "a" else "rejected",
    }
    return mapped_pair(
        place,
        report,
        pair_id=row.get("question_id") or row.get("id"),
        user_id=next((row[name] for name in _JUDGES if row.get(name) is not None), None),
        prompt=split.prompt,
        chosen=split.first,
        rejected=split.second,
        split=row.get("split"),
        created_at=_moment(row),
        metadata={key: value for key, value in known.items() if value is not None},
    )


def _moment(row: Row) -> Any:
    """When the vote was given: seconds since 1970, or a time that is of UTC if it names no zone."""
    stamp = row.get("tstamp") or row.get("timestamp") or None
    try:
        return datetime.fromtimestamp(float(stamp), UTC) if isinstance(stamp, int | float | str) else stamp
    except (ValueError, OverflowError, OSError):
        return stamp

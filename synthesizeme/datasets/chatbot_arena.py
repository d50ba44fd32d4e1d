"""Chatbot Arena conversations: one person, one question, two anonymous models, one vote.

A row of ``lmsys/chatbot_arena_conversations`` (Zheng et al. 2023, arXiv:2306.05685; shortened)::

    {"question_id": "58210e39b3fd4441a2bd4a518bb44c2d", "model_a": "chatglm-6b", "model_b": "koala-13b",
     "winner": "model_b", "judge": "arena_user_973", "turn": 1, "language": "English", "tstamp": 1682351591.1,
     "conversation_a": [{"content": "What is the difference ...?", "role": "user"}, {"content": "...", ...}],
     "conversation_b": [...]}

Ties (``tie``, ``tie (bothbad)``) make no pair. The prompt is what both conversations have in common up to a
user turn, the responses are the two that follow. Where a conversation goes on after them, the vote was given
later than the pair shows: `metadata.turns` says how many turns there were.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from synthesizeme.datasets._base import loader, within
from synthesizeme.datasets._intake import Intake, Row, SourceRow, shown
from synthesizeme.datasets._pairs import after_common_prompt, mapped_pair
from synthesizeme.datasets._tables import rows_of
from synthesizeme.types import PreferencePair

DESCRIPTION = "Chatbot Arena votes between two conversations, by judge"
SOURCES = ("lmsys/chatbot_arena_conversations",)
FILES = ("chatbot_arena_conversations", "chatbot_arena_conversations.jsonl")
DOWNLOAD: tuple[str, ...] = ()

_FIELDS = ("judge", "winner", "conversation_a", "conversation_b")


def recognises(row: Row) -> bool:
    """Whether a row is a vote of the arena."""
    return set(row) >= {"winner", "conversation_a", "conversation_b"}


def read(source: Path, intake: Intake) -> Iterator[PreferencePair]:
    """The pairs of a file or folder."""
    return intake.pairs(rows_of(within(source, FILES), intake), lambda place: _pair(place, intake))


load = loader(read, DOWNLOAD)


def _pair(place: SourceRow, intake: Intake) -> PreferencePair | None:
    row = place.row
    winner = str(row.get("winner"))
    if winner.startswith("tie"):
        intake.leave_out(place, "tie")
        return None
    missing = [field for field in _FIELDS if not row.get(field)]
    if missing or winner not in ("model_a", "model_b"):
        found = f"found {shown(winner)}; expected model_a, model_b or a tie" if not missing else "is missing"
        field = missing[0] if missing else "winner"
        raise place.error(found, field=field, cure="correct the row, or leave it out with --skip-bad-rows")
    won, lost = ("a", "b") if winner == "model_a" else ("b", "a")
    split = after_common_prompt(place, f"conversation_{won}", f"conversation_{lost}")
    if split is None:
        intake.leave_out(place, "the two conversations have no differing responses to a common prompt")
        return None
    prompt, chosen, rejected = split
    known = {
        "chosen_model": row.get(f"model_{won}"),
        "rejected_model": row.get(f"model_{lost}"),
        "language": row.get("language"),
        "turns": row.get("turn"),
        "shown_first": "chosen" if won == "a" else "rejected",
    }
    stamp = row.get("tstamp")
    return mapped_pair(
        place,
        intake,
        pair_id=row.get("question_id"),
        user_id=row["judge"],
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        created_at=datetime.fromtimestamp(stamp, UTC) if isinstance(stamp, int | float) else None,
        metadata={key: value for key, value in known.items() if value is not None},
    )

"""Chatbot Arena conversations: one person, one question, two anonymous models, one vote.

A row of ``lmsys/chatbot_arena_conversations`` (Zheng et al. 2023, arXiv:2306.05685; shortened)::

    {"question_id": "58210e39b3fd4441a2bd4a518bb44c2d", "model_a": "chatglm-6b", "model_b": "koala-13b",
     "winner": "model_b", "judge": "arena_user_973", "turn": 1, "language": "English", "tstamp": 1682351591.1,
     "conversation_a": [{"content": "What is the difference ...?", "role": "user"}, {"content": "...", ...}],
     "conversation_b": [...]}

The release with 55k votes (lmsys/lmsys-arena-human-preference-55k) has the turns of each side apart, as lists
in JSON, and names no judge::

    {"id": 30192, "model_a": "...", "model_b": "...", "prompt": "[...]", "response_a": "[...]",
     "response_b": "[...]", "winner_model_a": 1, "winner_model_b": 0, "winner_tie": 0}

Later releases (lmarena-ai/arena-human-preference-100k and -140k) have the turns' content in parts, a
``timestamp``, and ``judge_hash`` or ``evaluation_session_id`` for the judge; a session is then the user.
``tie`` makes a tie, ``tie (bothbad)`` and ``both_bad`` one of which both are bad. The prompt is what both
conversations have in common up to a user turn, the responses are the two that follow. Where a conversation
goes on after them, the vote was given later than the pair shows: `metadata.turns` says how many turns there
were.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from synthesizeme.datasets._base import Format, by_row
from synthesizeme.datasets.rows.feedback import mapped_feedback
from synthesizeme.datasets.rows.pairs import CURE, mapped_pair, messages
from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import ReadReport, SourceRow
from synthesizeme.datasets.rows.turns import NOT_PARTED, parted
from synthesizeme.feedback import Given, Tie
from synthesizeme.plain_text import short_repr

_FIELDS = ("winner", "conversation_a", "conversation_b")
_JUDGES = ("judge", "judge_hash", "user_id", "evaluation_session_id")
"""Columns that say whose vote it is; the first that is filled."""
_ONE_HOT = ("winner_model_a", "winner_model_b", "winner_tie")
_NO_WINNER = ("tie", "both_bad", "bothbad")
"""Beginnings of a vote for neither."""


def recognises(row: Row) -> bool:
    """Whether a row is a vote of the arena."""
    return set(row) >= set(_FIELDS) or set(row) >= {"prompt", "response_a", "response_b", *_ONE_HOT}


def _given(place: SourceRow, report: ReadReport) -> Given | None:
    row = _whole(place) if set(place.row) >= set(_ONE_HOT) else place.row
    winner = str(row.get("winner"))
    tied = winner.startswith(_NO_WINNER)
    missing = [field for field in _FIELDS if not row.get(field)]
    if missing or not (tied or winner in ("model_a", "model_b")):
        found = (
            f"found {short_repr(winner)}; expected model_a, model_b or a tie" if not missing else "is missing"
        )
        field = missing[0] if missing else "winner"
        raise place.error(found, field=field, cure=CURE)
    won, lost = ("b", "a") if winner == "model_b" else ("a", "b")
    sides = f"conversation_{won}", f"conversation_{lost}"
    split = parted(place, sides, *(messages(place, side, row[side], role="user") for side in sides))
    if split is None:
        report.leave_out(place, NOT_PARTED)
        return None
    names = ("model_a", "model_b") if tied else ("chosen_model", "rejected_model")
    known = {
        names[0]: row.get(f"model_{won}"),
        names[1]: row.get(f"model_{lost}"),
        "language": row.get("language"),
        "turns": row.get("turn") or (1 + split.later // 2 if split.later else None),
        "shown_first": None if tied else "chosen" if won == "a" else "rejected",
    }
    name = row.get("question_id") or row.get("id")
    shared: Row = {
        "user_id": next((row[name] for name in _JUDGES if row.get(name) is not None), None),
        "prompt": split.prompt,
        "split": row.get("split"),
        "created_at": _moment(row),
        "metadata": {key: value for key, value in known.items() if value is not None},
    }
    if tied:
        both = "bad" if "bad" in winner else None
        responses = [split.first, split.second]
        return mapped_feedback(place, report, Tie, feedback_id=name, responses=responses, both=both, **shared)
    return mapped_pair(place, report, pair_id=name, chosen=split.first, rejected=split.second, **shared)


def _whole(place: SourceRow) -> Row:
    """A row of the release with 55k votes with a winner and both conversations."""
    row = place.row
    won = [name for name in _ONE_HOT if str(row[name]) in ("1", "1.0", "True")]
    if len(won) != 1:
        found = short_repr([row[name] for name in _ONE_HOT])
        raise place.error(f"found {found}; expected a 1 in one of {', '.join(_ONE_HOT)}", cure=CURE)
    asked = _turns(place, "prompt")
    sides = {}
    for side in ("a", "b"):
        pairs = zip(asked, _turns(place, f"response_{side}"), strict=False)
        sides[f"conversation_{side}"] = [
            {"role": role, "content": text}
            for pair in pairs
            for role, text in zip(("user", "assistant"), pair, strict=True)
        ]
    return {**row, **sides, "winner": won[0].removeprefix("winner_")}


def _turns(place: SourceRow, column: str) -> list[str]:
    """The texts of one speaker: a list, a list in JSON, or one text; what is null there is blank."""
    value = place.row[column]
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            value = [value]
    return ["" if it is None else str(it) for it in (value if isinstance(value, list) else [value])]


def _moment(row: Row) -> Any:
    """When the vote was given: seconds since 1970, or a time that is of UTC if it names no zone."""
    stamp = row.get("tstamp") or row.get("timestamp") or None
    try:
        return datetime.fromtimestamp(float(stamp), UTC) if isinstance(stamp, int | float | str) else stamp
    except (ValueError, OverflowError, OSError):
        return stamp


FORMAT = Format(
    "Chatbot Arena votes between two conversations, by judge",
    recognises,
    by_row(lambda place, report: [_given(place, report)]),
    sources=(
        "lmsys/chatbot_arena_conversations",
        "lmarena-ai/arena-human-preference-100k",
        "lmarena-ai/arena-human-preference-140k",
        "lmsys/lmsys-arena-human-preference-55k",
    ),
    files=("chatbot_arena_conversations", "chatbot_arena_conversations.jsonl"),
)

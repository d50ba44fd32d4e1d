r"""Preference rows as TRL and most hub data sets have them, in any of their shapes.

Conversational or plain strings, with the prompt apart, at the head of both conversations, or partly both::

    {"prompt": [{"role": "user", "content": "Hi"}], "chosen": [{"role": "assistant", "content": "Yes?"}], ...}
    {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}
    {"chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}], ...}
    {"chosen": "\n\nHuman: Hi\n\nAssistant: Hello!", "rejected": "\n\nHuman: Hi\n\nAssistant: What?"}

A system turn may stand in a column of its own. Such rows seldom say whose choice they are:
`ReadReport.user_id` names the owner of those that do not. Further columns are kept in `metadata`, as
is the number of ``later_turns`` where the two conversations go on after the responses that differ.
"""

from __future__ import annotations

import re
from typing import Any

from synthesizeme.datasets import jsonl
from synthesizeme.datasets._base import Format, by_row
from synthesizeme.datasets.rows.pairs import FIELDS, mapped_pair, messages
from synthesizeme.datasets.rows.plain import Row, as_json
from synthesizeme.datasets.rows.sources import ReadReport, SourceRow
from synthesizeme.datasets.rows.turns import NOT_PARTED, SYSTEM_COLUMNS, continued, parted, with_system
from synthesizeme.datasets.rows.verdicts import strength_of
from synthesizeme.types import PreferencePair

_PROMPTS = ("prompt", "conversations", "messages")
"""Columns that hold the conversation before the responses; the first that is there."""
_SIDES = ("chosen", "rejected")
_TRANSCRIPT = re.compile(r"\n\n(Human|Assistant):")


def recognises(row: Row) -> bool:
    """Whether a row has a chosen and a rejected side and is in no stricter format."""
    return {"chosen", "rejected"} <= set(row) and "context" not in row and not jsonl.FORMAT.recognises(row)


def _pair(place: SourceRow, report: ReadReport) -> PreferencePair | None:
    row = {key: value for key, value in place.row.items() if value is not None}
    if missing := [field for field in _SIDES if field not in row]:
        raise place.error("is missing", field=missing[0], cure="add it or remove the row")
    chosen, rejected = (messages(place, field, _turns(row[field]), role="assistant") for field in _SIDES)
    if empty := [field for field, turns in zip(_SIDES, (chosen, rejected), strict=True) if not turns]:
        raise place.error("is empty; expected a message", field=empty[0], cure="add it or remove the row")
    asked = next((name for name in _PROMPTS if name in row), "prompt")
    prompt = messages(place, asked, _turns(row.get(asked, [])), role="user")
    known: Row = {}
    if len(chosen) > 1 or len(rejected) > 1:
        whole = [
            continued(place, field, prompt, side)
            for field, side in zip(_SIDES, (chosen, rejected), strict=True)
        ]
        found = parted(place, _SIDES, *whole)
        if found is None:
            report.leave_out(place, NOT_PARTED)
            return None
        prompt, chosen, rejected = found.prompt, [found.first], [found.second]
        known = {"later_turns": found.later} if found.later else {}
    elif not prompt:
        cure = "name its column with --columns prompt=NAME, or give whole conversations as messages"
        raise place.error(
            "no prompt, and no conversation that it could be read from", field="prompt", cure=cure
        )
    apart = {*FIELDS, *SYSTEM_COLUMNS, asked}
    return mapped_pair(
        place,
        report,
        pair_id=row.get("pair_id"),
        user_id=row.get("user_id"),
        prompt=with_system(row, prompt),
        chosen=chosen,
        rejected=rejected,
        split=row.get("split"),
        created_at=row.get("created_at"),
        reason=row.get("reason"),
        strength=strength_of(place, report),
        metadata={
            **{key: as_json(row[key]) for key in row if key not in apart or not _is_read(key, row[key])},
            **(row["metadata"] if isinstance(row.get("metadata"), dict) else {}),
            **known,
        },
    )


def _is_read(name: str, value: Any) -> bool:
    """Whether a column of ours is read as what its name says."""
    if name in SYSTEM_COLUMNS:
        return isinstance(value, str)
    return name != "metadata" or isinstance(value, dict)


def _turns(side: Any) -> Any:
    """A transcript in one string as messages, without an answer yet to come; anything else as it is."""
    if not isinstance(side, str) or not side.startswith("\n\nHuman:"):
        return side
    parts = _TRANSCRIPT.split(side)[1:]
    turns = [
        {"role": who, "content": text.strip()} for who, text in zip(parts[::2], parts[1::2], strict=True)
    ]
    return turns[:-1] if turns[-1] == {"role": "Assistant", "content": ""} else turns


FORMAT = Format(
    "TRL preference rows: conversational or strings, prompt apart or implicit, any further columns",
    recognises,
    by_row(lambda place, report: [_pair(place, report)]),
)

r"""Preference rows as TRL and most hub data sets have them, in any of their shapes.

Conversational or plain strings, with the prompt apart or at the head of both conversations::

    {"prompt": [{"role": "user", "content": "Hi"}], "chosen": [{"role": "assistant", "content": "Yes?"}], ...}
    {"prompt": "The sky is", "chosen": " blue.", "rejected": " green."}
    {"chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}], ...}
    {"chosen": "\n\nHuman: Hi\n\nAssistant: Hello!", "rejected": "\n\nHuman: Hi\n\nAssistant: What?"}

Such rows seldom say whose choice they are: `Intake.user_id` names the owner of those that do not. Further
columns are kept in `metadata`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synthesizeme.datasets import jsonl
from synthesizeme.datasets._base import loader
from synthesizeme.datasets._intake import Intake, Row, SourceRow
from synthesizeme.datasets._pairs import FIELDS, after_common_prompt, mapped_pair
from synthesizeme.datasets._tables import rows_of
from synthesizeme.types import PreferencePair

DESCRIPTION = "TRL preference rows: conversational or strings, prompt apart or implicit, any further columns"
SOURCES: tuple[str, ...] = ()
FILES: tuple[str, ...] = ()
DOWNLOAD: tuple[str, ...] = ()

_TRANSCRIPT = re.compile(r"\n\n(Human|Assistant):")


def recognises(row: Row) -> bool:
    """Whether a row has a chosen and a rejected side and is in no stricter format."""
    return {"chosen", "rejected"} <= set(row) and "context" not in row and not jsonl.recognises(row)


def read(source: Path, intake: Intake) -> Iterator[PreferencePair]:
    """The pairs of a file or folder."""
    return intake.pairs(rows_of(source, intake), lambda place: _pair(place, intake))


load = loader(read, DOWNLOAD)


def _pair(place: SourceRow, intake: Intake) -> PreferencePair | None:
    row = {key: value for key, value in place.row.items() if value is not None}
    sides = {field: _turns(row.get(field)) for field in ("chosen", "rejected")}
    if missing := [field for field, value in sides.items() if value is None]:
        raise place.error("is missing", field=missing[0], cure="add it or remove the row")
    if all(isinstance(side, list) and len(side) > 1 for side in sides.values()):
        split = after_common_prompt(SourceRow(place.source, place.line, sides), "chosen", "rejected")
        if split is None:
            intake.leave_out(place, "the two conversations have no differing responses to a common prompt")
            return None
        prompt, sides["chosen"], sides["rejected"] = split
    elif "prompt" in row:
        prompt = row["prompt"]
    else:
        cure = "add a prompt, or give whole conversations as messages"
        raise place.error(
            "no prompt, and no conversation that it could be read from", field="prompt", cure=cure
        )
    return mapped_pair(
        place,
        intake,
        pair_id=row.get("pair_id"),
        user_id=row.get("user_id"),
        prompt=prompt,
        chosen=sides["chosen"],
        rejected=sides["rejected"],
        split=row.get("split"),
        created_at=row.get("created_at"),
        metadata={
            **{key: _plain(row[key]) for key in row if key not in FIELDS},
            **(row["metadata"] if isinstance(row.get("metadata"), dict) else {}),
        },
    )


def _turns(side: Any) -> Any:
    """A transcript in one string as messages; anything else as it is."""
    if not isinstance(side, str) or not side.startswith("\n\nHuman:"):
        return side
    parts = _TRANSCRIPT.split(side)[1:]
    return [{"role": who, "content": text.strip()} for who, text in zip(parts[::2], parts[1::2], strict=True)]


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    return json.loads(json.dumps(value, default=str))

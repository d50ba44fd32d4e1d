"""Rows out of whatever holds them, and pairs out of rows: what every format of data stands on."""

from __future__ import annotations

from synthesizeme.datasets.rows.containers import rows_of
from synthesizeme.datasets.rows.feedback import strict_feedback
from synthesizeme.datasets.rows.lines import json_lines, json_stream
from synthesizeme.datasets.rows.pairs import (
    asked_comparison,
    asked_user,
    derived_id,
    mapped_pair,
    messages,
    read_prompt,
    read_response,
    read_user,
    strict_pair,
)
from synthesizeme.datasets.rows.plain import Row, plain
from synthesizeme.datasets.rows.sources import LeftOut, ReadReport, SourceRow, Unjudgeable

__all__ = [
    "LeftOut",
    "ReadReport",
    "Row",
    "SourceRow",
    "Unjudgeable",
    "asked_comparison",
    "asked_user",
    "derived_id",
    "json_lines",
    "json_stream",
    "mapped_pair",
    "messages",
    "plain",
    "read_prompt",
    "read_response",
    "read_user",
    "rows_of",
    "strict_feedback",
    "strict_pair",
]

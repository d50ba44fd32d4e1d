"""Rows out of whatever holds them, and pairs out of rows: what every format of data stands on."""

from __future__ import annotations

from synthesizeme.datasets.rows.asked import (
    asked_comparison,
    asked_user,
    read_prompt,
    read_response,
    read_user,
)
from synthesizeme.datasets.rows.held import plain
from synthesizeme.datasets.rows.json_rows import json_lines, json_stream
from synthesizeme.datasets.rows.pairs import derived_id, mapped_pair, messages, strict_pair
from synthesizeme.datasets.rows.report import (
    LeftOut,
    ReadReport,
    Row,
    SourceRow,
    Unjudgeable,
    short_repr,
)
from synthesizeme.datasets.rows.tables import rows_of

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
    "short_repr",
    "strict_pair",
]

"""Values of NumPy, pandas and of messages as JSON has them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Row = dict[str, Any]
_MISSING = ("NAType", "NaTType")
"""What pandas puts where nothing is."""


def plain_row(row: Mapping[Any, Any]) -> Row:
    """A row with names as text and values as JSON has them; what stands for nothing in tables is None.

    >>> plain_row({"user_id": float("nan"), "prompt": ("a", "b")})
    {'user_id': None, 'prompt': ['a', 'b']}
    """
    return {str(name): None if _is_nothing(value) else plain(value) for name, value in row.items()}


def plain(value: Any) -> Any:
    """Tuples and arrays as lists, values of NumPy as Python's, messages as dicts; else the value itself.

    Messages that a data set holds by column, as old versions of the hub library do, are a list of messages.

    >>> plain({"role": ["user", "assistant"], "content": ("Hi", "Hello")})
    [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello'}]
    """
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, Mapping):
        found = {str(name): plain(it) for name, it in value.items()}
        sizes = {len(it) if isinstance(it, list) else -1 for it in found.values()}
        by_column = {"role", "content"} <= found.keys() and len(sizes) == 1 and -1 not in sizes
        return (
            [dict(zip(found, it, strict=True)) for it in zip(*found.values(), strict=True)]
            if by_column
            else found
        )
    if isinstance(value, list | tuple):
        return [plain(it) for it in value]
    if isinstance(value, str):
        return str(value)
    return plain(value.tolist()) if type(value).__module__.startswith("numpy") else value


def _is_nothing(value: Any) -> bool:
    return type(value).__name__ in _MISSING or (isinstance(value, float) and math.isnan(value))


def as_json(value: Any) -> Any:
    """A value as JSON can hold it."""
    return json.loads(json.dumps(value, default=str))

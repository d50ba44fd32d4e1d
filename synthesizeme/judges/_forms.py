"""The forms of reply that judges ask for: a verdict and a rating."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from synthesizeme.backends import Answer, Form
from synthesizeme.errors import JudgeError
from synthesizeme.judges._rating_reply import read_rating
from synthesizeme.judges._reading import read_verdict
from synthesizeme.replies import refuses, without_thoughts


def _can(read: Callable[[Answer], Any], answer: Answer) -> bool:
    """Whether an answer can be read."""
    try:
        read(answer)
    except JudgeError:
        return False
    return True


def _one_of(numbers: range) -> dict[str, Any]:
    """One of these numbers, as a list: bounds of integers are not taken by every endpoint."""
    return {"type": "integer", "enum": list(numbers)}


def _schema(**properties: dict[str, Any]) -> str:
    """A JSON schema that wants all of its properties, in this order, and no other."""
    return json.dumps(
        {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    )


VERDICT = Form(
    name="verdict",
    schema=_schema(
        reasoning={"type": "string"},
        preference={"type": "string", "enum": ["First", "Second"]},
        confidence=_one_of(range(50, 101)),
    ),
    opening="Preference:",
    words=("First", "Second"),
    mending="Which response does the user prefer, by what you just said? Answer with one word: First or "
    "Second.",
    least_readable=0.5,
    readable=partial(_can, read_verdict),
    refuses=refuses,
    said=without_thoughts,
)
"""Which of two responses the user prefers."""
RATING = Form(
    name="rating",
    schema=_schema(reasoning={"type": "string"}, rating=_one_of(range(101))),
    opening="Rating:",
    mending="Which rating is that, by what you just said? Answer with one whole number from 0 to 100.",
    readable=partial(_can, read_rating),
    refuses=refuses,
    said=without_thoughts,
)
"""How much the user would like a response."""

"""What the stub server answers with: a reader who takes the first for anybody, and the calm one for a persona."""

from __future__ import annotations

import re
from typing import Any

from invented import votes

VERDICT = "Reasoning: it is the calm one.\nPreference: {side}\nConfidence: 80"
PERSONA = "The user clearly prefers calm answers without exclamation marks [1, 2]\nThe user likes ships [99]"
_FIRST = re.compile(r"<first_response>\n(.*?)\n</first_response>", re.DOTALL)
_SECOND = re.compile(r"<second_response>\n(.*?)\n</second_response>", re.DOTALL)


def calm_reader(body: dict[str, Any]) -> str:
    """Answers a judge prompt with a persona for the text with fewer exclamation marks, and writes a persona."""
    asked = body["messages"][-1]["content"]
    if "<statement>" in asked:
        return votes(asked, lambda one, other: "First" if one.count("!") < other.count("!") else "Second")
    if "<pair number=" in asked:
        return PERSONA
    if "\n<persona>\n" not in body["messages"][0]["content"]:
        return VERDICT.format(side="First")
    first, second = (pattern.findall(asked)[-1].count("!") for pattern in (_FIRST, _SECOND))
    return VERDICT.format(side="First" if first <= second else "Second")

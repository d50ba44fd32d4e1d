"""What the stub endpoint of these tests says: a verdict by a rule of the texts, a persona where one is asked for."""

from __future__ import annotations

from typing import Any

from invented import votes


def asks_for_a_persona(body: dict[str, Any]) -> bool:
    return "<pair number=" in body["messages"][-1]["content"]


def answer(body: dict[str, Any]) -> str:
    """Prefers the response with fewer exclamation marks, else the first."""
    last = body["messages"][-1]["content"]
    if "<statement>" in last:
        return votes(last, lambda one, other: "Second" if one.count("!") > other.count("!") else "First")
    if asks_for_a_persona(body):
        return "The user dislikes exclamation marks. [1]"
    _, first, second = last.replace("<second_response>\n", "<first_response>\n").rsplit(
        "<first_response>\n", 2
    )
    side = "Second" if first.count("!") > second.count("!") else "First"
    return f"Reasoning: fewer exclamation marks.\nPreference: {side}\nConfidence: 80"

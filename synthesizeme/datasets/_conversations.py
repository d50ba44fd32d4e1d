"""Two conversations of one beginning: put together from what a row has of them, and parted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from synthesizeme.datasets._intake import Row, SourceRow, shown

SYSTEM_COLUMNS = ("system", "system_prompt", "system_message")
"""Columns that hold a system turn."""
NOT_PARTED = "the two conversations have no differing responses to a common prompt"
"""Why two conversations that `parted` cannot split make no pair."""


class Parted(NamedTuple):
    """A prompt and the two responses to it."""

    prompt: list[Row]
    first: Row
    second: Row
    later: int
    """Turns after the responses, of the longer conversation; the pair does not have them."""


def with_system(row: Row, prompt: list[Row]) -> list[Row]:
    """A prompt with the system turns that stand in columns of their own; one that it has stays once."""
    texts = dict.fromkeys(
        text for column in SYSTEM_COLUMNS if isinstance(text := row.get(column), str) and text.strip()
    )
    known = {turn["content"].strip() for turn in prompt if turn["role"] == "system"}
    return [{"role": "system", "content": it} for it in texts if it.strip() not in known] + prompt


def continued(place: SourceRow, field: str, prompt: list[Row], side: list[Row]) -> list[Row]:
    """The whole conversation of a prompt and a side; turns that end one and begin the other stand once.

    Args:
        place: The row.
        field: Field of the side.
        prompt: Its turns; may be none.
        side: Turns of the side, one or more.

    Raises:
        DataError: the side neither repeats turns of the prompt nor goes on after them.
    """
    for length in range(min(len(prompt), len(side) - 1), 0, -1):
        if _same(prompt[-length:], side[:length]):
            return prompt + side[length:]
    if any(_same(side[at : at + len(prompt)], prompt) for at in range(len(side))):
        return side
    if side[0]["role"] == "assistant" or prompt[-1]["role"] != "user":
        return prompt + side
    raise place.error(
        f"begins with {shown(side[0]['content'])}, which neither repeats nor answers the end of the prompt, "
        f"{shown(prompt[-1]['content'])}",
        field=field,
        cure="give the conversation once, in the prompt or in both sides, or leave such rows out with "
        "--skip-bad-rows",
    )


def parted(place: SourceRow, sides: tuple[str, str], first: list[Row], second: list[Row]) -> Parted | None:
    """Split two whole conversations into their common prompt and the two differing responses after it.

    Args:
        place: The row.
        sides: Names of the two, for messages.
        first: Turns of the one.
        second: Turns of the other.

    Returns:
        None when they do not part at two assistant turns after a user turn.

    Raises:
        DataError: a response is of several messages.
    """
    pairs = enumerate(zip(first, second, strict=False))
    at = next((index for index, (one, two) in pairs if not _same([one], [two])), None)
    if not at or first[at - 1]["role"] != "user":
        return None
    responses = first[at], second[at]
    if any(response["role"] != "assistant" for response in responses):
        return None
    for field, turns in zip(sides, (first, second), strict=True):
        if len(turns) > at + 1 and turns[at + 1]["role"] == "assistant":
            problem = f"the response is {shown(turns[at:])}; expected one message"
            raise place.error(problem, field=field, cure="join what the assistant said into one message")
    return Parted(first[:at], *responses, max(len(first), len(second)) - at - 1)


def _same(ours: Sequence[Row], theirs: Sequence[Row]) -> bool:
    """Whether turns say the same; space around them does not count."""
    return [(turn["role"], turn["content"].strip()) for turn in ours] == [
        (turn["role"], turn["content"].strip()) for turn in theirs
    ]

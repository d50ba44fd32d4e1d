"""The turns of foreign conversations: each as text with one of our three roles, and two that begin alike.

Two conversations of one beginning are put together from what a row has of them, and parted into the prompt
and the two responses to it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

from synthesizeme.datasets.rows.plain import Row
from synthesizeme.datasets.rows.sources import SourceRow, Unjudgeable
from synthesizeme.plain_text import short_repr

ROLES = {
    "model": "assistant", "bot": "assistant", "gpt": "assistant", "ai": "assistant", "chatbot": "assistant",
    "function_call": "assistant", "human": "user", "prompter": "user", "developer": "system",
}  # fmt: skip
"""Foreign names of roles."""
TOOLS = frozenset({"tool", "tool_response", "function", "function_response", "ipython", "observation"})
"""Roles of what a tool returned. It is text that the assistant is answered with, so a turn of the user."""
SYSTEM_COLUMNS = ("system", "system_prompt", "system_message")
"""Columns that hold a system turn."""
NOT_PARTED = "the two conversations have no differing responses to a common prompt"
"""Why two conversations that `parted` cannot split make no pair."""

_WRITTEN_OUT = TOOLS | {"developer"}
_TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
_THOUGHTS = frozenset({"thinking", "redacted_thinking", "reasoning"})
_MEDIA = {
    "image": "an image", "audio": "audio", "video": "a video", "file": "a file", "document": "a document",
}  # fmt: skip
_EXPECTED = "expected a string or messages with role and content"


def name_text(value: Any) -> str | None:
    """The name of a user or a row as text: an integer as its digits, also where a table made 3 a 3.0 of it.

    Returns:
        None for what names nobody: null, and NaN, which stands for it in tables.

    Raises:
        ValueError: it is a truth value, a number with a fraction, or no text.
    """
    if isinstance(value, str) or value is None:
        return value
    if isinstance(value, Integral) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, Real) and not isinstance(value, bool):
        number = float(value)
        if math.isnan(number):
            return None
        if number.is_integer():
            return str(int(number))
    raise ValueError(f"found {short_repr(value)}; expected text or an integer")


def message_of(turn: Any, role: str) -> Row:
    """A turn as a message with our role names; bare text gets `role`.

    Parts of text are joined, calls of tools and what tools returned are written out, thoughts are left out.

    Raises:
        Unjudgeable: it holds an image or something else that is no text.
        ValueError: it is neither text nor a message.
    """
    if isinstance(turn, str):
        return {"role": role, "content": turn}
    if not isinstance(turn, Mapping) or not isinstance(speaker := turn.get("role", turn.get("from")), str):
        raise ValueError(f"found {short_repr(turn)}; {_EXPECTED}")
    speaker = speaker.lower()
    content = turn.get("content", turn.get("value"))
    if content is None:
        content = turn.get("refusal")
    texts = [_text(content)] if content is not None else []
    texts += [_call(call) for call in _calls(turn)]
    if not texts or None in texts:
        raise ValueError(f"found {short_repr(turn)}; {_EXPECTED}")
    text = "\n".join(part for part in texts if part)
    if speaker in TOOLS:
        return {"role": "user", "content": f"[result of {turn.get('name') or 'the tool'}] {text}"}
    return {"role": ROLES.get(speaker, speaker), "content": text}


def is_plain(turn: Any) -> bool:
    """Whether a turn has nothing to be written out: `message_of` would at most rename its role."""
    if not isinstance(turn, Mapping):
        return True
    foreign = isinstance(turn.get("role"), str) and turn["role"] in _WRITTEN_OUT
    return not foreign and not _calls(turn) and not _is_parts(turn.get("content"))


def _is_parts(content: Any) -> bool:
    return isinstance(content, list) and bool(content) and all(isinstance(part, Mapping) for part in content)


def _calls(turn: Mapping[str, Any]) -> list[Any]:
    """The tools that an assistant's turn calls."""
    calls = turn.get("tool_calls") or turn.get("function_call") or []
    return calls if isinstance(calls, list) else [calls]


def _call(call: Any) -> str:
    about = call.get("function", call) if isinstance(call, Mapping) else call
    if not isinstance(about, Mapping):
        return f"[calls {about}]"
    arguments = about.get("arguments", about.get("input"))
    told = arguments if isinstance(arguments, str) else _json(arguments)
    return f"[calls {about.get('name') or 'a tool'}({told})]"


def _text(content: Any) -> str | None:
    """Text of a content; None where it is neither text nor parts."""
    if isinstance(content, str):
        return content
    parts = [content] if isinstance(content, Mapping) else content
    if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
        return None
    texts = [_part(part) for part in parts]
    return None if None in texts else "\n".join(text for text in texts if text)


def _part(part: Mapping[str, Any]) -> str | None:
    kind = str(part.get("type") or "text").lower()
    _refuse_media(kind, part)
    if kind in _THOUGHTS:
        return ""
    if kind == "tool_use":
        return _call(part)
    if kind == "tool_result":
        return f"[result of the tool] {_text(part.get('content')) or ''}"
    text = part.get("refusal" if kind == "refusal" else "text")
    return text if isinstance(text, str) and kind in {*_TEXT_PARTS, "refusal"} else None


def _refuse_media(kind: str, part: Mapping[str, Any]) -> None:
    held = [kind, *(name for name, value in part.items() if value and name != "text")]
    for word, what in _MEDIA.items():
        if any(word in name.lower().split("_") for name in held):
            raise Unjudgeable(f"a turn holds {what}, which cannot be judged")


def _json(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


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
        f"begins with {short_repr(side[0]['content'])}, which neither repeats nor answers the end of the "
        f"prompt, {short_repr(prompt[-1]['content'])}",
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
            problem = f"the response is {short_repr(turns[at:])}; expected one message"
            raise place.error(problem, field=field, cure="join what the assistant said into one message")
    return Parted(first[:at], *responses, max(len(first), len(second)) - at - 1)


def _same(ours: Sequence[Row], theirs: Sequence[Row]) -> bool:
    """Whether turns say the same; space around them does not count."""
    return [(turn["role"], turn["content"].strip()) for turn in ours] == [
        (turn["role"], turn["content"].strip()) for turn in theirs
    ]

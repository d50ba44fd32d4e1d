"""What stands in a message of a foreign row, as text and one of our three roles."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from synthesizeme.datasets._intake import Row, Unjudgeable, shown

ROLES = {
    "model": "assistant", "bot": "assistant", "gpt": "assistant", "ai": "assistant", "chatbot": "assistant",
    "function_call": "assistant", "human": "user", "prompter": "user", "developer": "system",
}  # fmt: skip
"""Foreign names of roles."""
TOOLS = frozenset({"tool", "tool_response", "function", "function_response", "ipython", "observation"})
"""Roles of what a tool returned. It is text that the assistant is answered with, so a turn of the user."""

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
    raise ValueError(f"found {shown(value)}; expected text or an integer")


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
        raise ValueError(f"found {shown(turn)}; {_EXPECTED}")
    speaker = speaker.lower()
    content = turn.get("content", turn.get("value"))
    if content is None:
        content = turn.get("refusal")
    texts = [_text(content)] if content is not None else []
    texts += [_call(call) for call in _calls(turn)]
    if not texts or None in texts:
        raise ValueError(f"found {shown(turn)}; {_EXPECTED}")
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

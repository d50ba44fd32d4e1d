"""What servers send in place of a plain reply: completions and errors of any shape, in OpenAI's terms."""

from __future__ import annotations

import html
import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dspy.lm15 import LM15Error


_THINKING = ("reasoning", "thinking")
_UNFINISHED = "unfinished"
"""Why a stream ended that never said why."""


class NotAnApiError(ValueError):
    """What answers at the address is a web page: as good as unreachable, until something else does."""


class ForeignReplyError(ValueError):
    """The reply is whole and is no chat completion: another attempt will hardly bring one."""


def body_in(payload: bytes) -> Any:
    """The value in the body of a reply, in the shape of OpenAI's where it is one that is known.

    Read are JSON, also behind comment lines; server-sent events and lines of JSON, which are put together; a
    completion in a list; the completion of an older endpoint (``text``), and Ollama's own.

    Raises:
        NotAnApiError: it is a web page.
        ValueError: it is not JSON.
    """
    try:
        body = json.loads(payload)
    except ValueError as error:
        if is_page(payload):
            raise NotAnApiError("a web page answers there, not an OpenAI-compatible API") from error
        body = _lines(payload.decode("utf-8", "replace"), error)
    if isinstance(body, list):
        pieces = [_as_openai(it) for it in body if isinstance(it, dict)]
        return _together(pieces) if pieces else body
    return _as_openai(body) if isinstance(body, dict) else body


def is_page(payload: bytes) -> bool:
    """Whether it is a web page."""
    start = payload.lstrip()[:2000].lower()
    return start.startswith((b"<!doctype html", b"<html")) or (
        start.startswith(b"<!--") and b"<html" in start
    )


def _lines(text: str, error: ValueError) -> Any:
    """JSON behind comments, or a list of what stands in events and lines.

    Raises:
        ValueError: it is none of that; the error given.
    """
    lines = [line.strip() for line in text.splitlines()]
    events = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    kept = [line for line in events or lines if line and not line.startswith(":") and line != "[DONE]"]
    try:
        return json.loads("\n".join(kept))
    except ValueError:
        pass
    try:
        return [json.loads(line) for line in kept if not line.startswith(("event:", "id:", "retry:"))]
    except ValueError:
        raise error from None


def _as_openai(body: dict[str, Any]) -> dict[str, Any]:
    """A body in OpenAI's shape, where its own is known; else as it is."""
    if body.get("choices") is not None or "error" in body:
        return body
    message, text = body.get("message"), body.get("response")
    if isinstance(text, str) and "done" in body:
        message = {"content": text}
    if not isinstance(message, dict) or "content" not in message:
        return body
    finish = body.get("done_reason") or ("stop" if body.get("done", True) else None)
    counts = {"prompt_tokens": body.get("prompt_eval_count"), "completion_tokens": body.get("eval_count")}
    return {
        "choices": [{"message": message, "finish_reason": finish}],
        "usage": body.get("usage") or counts,
        "piece": "done" in body,
    }


def _together(pieces: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One completion of several pieces: the deltas of a stream joined, or the one that is whole."""
    for piece in pieces:
        if piece.get("error"):
            return piece
    choices = [choice for piece in pieces for choice in _choices(piece)]
    whole = [it for it in pieces if not it.get("piece") and any("message" in one for one in _choices(it))]
    if whole or not choices:
        return whole[0] if whole else pieces[0]
    spoken = [
        it for choice in choices if isinstance(it := choice.get("delta") or choice.get("message"), dict)
    ]
    texts = [text_in(it.get("content")) for it in spoken]
    texts += [Spoken(text, "") for choice in choices if isinstance(text := choice.get("text"), str)]
    reasons = [reason for choice in choices if (reason := choice.get("finish_reason"))]
    usages = [usage for piece in pieces if isinstance(usage := piece.get("usage"), dict)]
    thoughts = "".join([thoughts_in(it) for it in spoken] + [it.thoughts for it in texts])
    return {
        "choices": [
            {
                "message": {"content": "".join(it.text for it in texts), "reasoning_content": thoughts},
                "finish_reason": reasons[-1] if reasons else _UNFINISHED,
            }
        ],
        "usage": usages[-1] if usages else {},
    }


def _choices(piece: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The first choice of each piece; there is one."""
    choices = piece.get("choices")
    first = choices[:1] if isinstance(choices, list) else []
    return [choice for choice in first if isinstance(choice, dict)]


class Spoken(NamedTuple):
    """What a message says, and what was thought before."""

    text: str
    thoughts: str


def text_in(content: Any) -> Spoken:
    """The text of a message: a string, nothing, one part, or a list of parts and strings.

    Parts that hold thoughts are none of the text.
    """
    if isinstance(content, str):
        return Spoken(content, "")
    text, thoughts = "", ""
    for part in [content] if isinstance(content, dict) else content if isinstance(content, list) else []:
        if isinstance(part, str):
            text += part
        elif isinstance(part, dict) and part.get("type") in _THINKING:
            inner = next((part[name] for name in ("thinking", "text", "reasoning") if part.get(name)), "")
            thoughts += text_in(inner).text
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            text += part["text"]
    return Spoken(text, thoughts)


def thoughts_in(message: Mapping[str, Any]) -> str:
    """What a message holds of thoughts apart from its content."""
    found = (text_in(message.get(name)).text for name in ("reasoning_content", "reasoning", "thinking"))
    return next((text for text in found if text), "")


def calls_in(message: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and arguments of each tool that a message calls instead of answering; {} for what is no object."""
    calls = message.get("tool_calls")
    listed = [it.get("function") for it in calls if isinstance(it, dict)] if isinstance(calls, list) else []
    for function in [*listed, message.get("function_call")]:
        if isinstance(function, dict):
            given = function.get("arguments")
            try:
                given = json.loads(given) if isinstance(given, str) else given
            except ValueError:
                given = None
            yield str(function.get("name") or "a tool"), given if isinstance(given, dict) else {}


KEY_VARIABLE = "SYNTHESIZEME_API_KEY"
"""Environment variable with the key for a server that wants one. Providers' own keys are never sent."""

_TOO_LONG = re.compile(
    r"context.?(?:length|window|size)|prompt is too long|too many (?:input )?tokens|request too large|"
    r"inputs?\W{1,3}tokens|"
    r"(?:longer|greater) than the (?:maximum|model)",
    re.IGNORECASE,
)
_CODES = {
    "insufficient_quota": "BillingError",
    "context_length_exceeded": "ContextLengthError",
    "exceed_context_size_error": "ContextLengthError",
    "model_not_found": "UnsupportedModelError",
    "invalid_api_key": "AuthError",
}
_STATUSES = {
    401: "AuthError", 402: "BillingError", 403: "AuthError", 404: "UnsupportedModelError",
    408: "TimeoutError", 413: "ContextLengthError", 429: "RateLimitError", 504: "TimeoutError",
}  # fmt: skip


_WORDS = ("error", "message", "detail", "error_msg", "errors", "msg")
"""Where the words of an error stand, outermost."""


def read_error(status: int, headers: Mapping[str, str], payload: bytes) -> LM15Error:
    """The canonical error for an HTTP status other than 200.

    Codes and words of the server decide before the status does: a context that is too long comes as 400, 413
    or 422, an empty account as 429.
    """
    from dspy import lm15

    message, code = _error_words(payload)
    if status < 400:
        target = headers.get("Location", "elsewhere")
        return lm15.ConfigurationError(f"the server redirects to {target} (HTTP {status}); use that address")
    name = _CODES.get(code or "") or _STATUSES.get(status)
    if name is None:
        name = "ServerError" if status >= 500 else "InvalidRequestError"
    if name == "InvalidRequestError" and _TOO_LONG.search(message):
        name = "ContextLengthError"
    extra = {"env_keys": (KEY_VARIABLE,)} if name == "AuthError" else {}
    kind = getattr(lm15, name)
    error: LM15Error = kind(
        message or "no explanation given",
        status=status,
        provider_code=code,
        retry_after=retry_after(headers),
        **extra,
    )
    return error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the ``Retry-After`` header asks for: a number, or an HTTP date.

    A date is compared with the server's own ``Date``, so that the clock here may be wrong, or jump.
    """
    value = headers.get("Retry-After", "").strip()
    try:
        seconds = float(value)
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    except ValueError:
        pass
    then = _seconds(value)
    if then is None:
        return None
    now = _seconds(headers.get("Date", ""))
    return max(then - (time.time() if now is None else now), 0.0)


def _seconds(date: str) -> float | None:
    """An HTTP date as seconds since 1970, or None."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _error_words(payload: bytes) -> tuple[str, str | None]:
    """Message and code of an error body: OpenAI's shape, older and foreign ones, or the bare text."""
    try:
        body = json.loads(payload)
    except ValueError:
        return _plain(payload), None
    if isinstance(body, list) and body and isinstance(body[0], dict):
        body = body[0]  # Google's gateways
    if not isinstance(body, dict):
        return str(body)[:300], None
    error = next((body[name] for name in _WORDS if body.get(name)), body)
    if isinstance(error, list):
        return "; ".join(map(_complaint, error)), None
    if not isinstance(error, dict):
        return str(error), None
    code = next((error[name] for name in ("code", "type") if isinstance(error.get(name), str)), None)
    metadata, message = error.get("metadata"), str(error.get("message") or error)
    behind = metadata.get("raw") if isinstance(metadata, dict) else None
    named = error.get("param")
    for more in (behind, named):
        if isinstance(more, str) and more and more not in message:
            message += f" ({more[:300]})"
    return message, code


def _complaint(found: Any) -> str:
    """One of a list of complaints, as pydantic writes them, with the field it is about."""
    if not isinstance(found, dict):
        return str(found)
    place, words = found.get("loc"), found.get("msg") or found.get("message") or found
    field = ".".join(map(str, place)) if isinstance(place, list) else ""
    kind, given = found.get("type"), found.get("input")
    aside = ", ".join(it for it in (kind, given) if isinstance(it, str) and len(it) < 40)
    return (f"{field}: " if field else "") + str(words) + (f" ({aside})" if aside else "")


def _plain(payload: bytes) -> str:
    """The words of an error that is no JSON; of a web page its title."""
    text = payload.decode("utf-8", "replace").strip()
    if not is_page(payload):
        return text[:300]
    title = re.search(r"<title[^>]*>(.*?)</title>|<h1[^>]*>(.*?)</h1>", text, re.IGNORECASE | re.DOTALL)
    said = html.unescape(" ".join((title[1] or title[2] or "").split()))[:200] if title else ""
    return f"a web page: {said}" if said else "a web page"

"""OpenAI's chat protocol as servers in the wild speak it: request body, reply, errors, in DSPy's terms.

Nothing here trusts the server: what is missing or of a wrong type in a reply is an error of the server,
never an exception of Python.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dspy.lm15 import LM15Error, Request, Response, TokenLogprob

KEY_VARIABLE = "SYNTHESIZEME_API_KEY"
"""Environment variable with the key for a server that wants one. Providers' own keys are never sent."""

_FINISH = {"length": "length", "content_filter": "content_filter", "tool_calls": "tool_call"}
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


def request_body(request: Request) -> dict[str, Any]:
    """The JSON body for a canonical request. A setting that is None is absent, so the server's own holds.

    What the extensions hold goes in as it is, and wins.
    """
    config = request.config
    messages = [{"role": message.role, "content": message.text or ""} for message in request.messages]
    if request.system:
        messages.insert(0, {"role": "system", "content": str(request.system)})
    body: dict[str, Any] = {"model": request.model, "messages": messages}
    wanted = {
        "max_tokens": config.max_tokens,
        "temperature": config.temperature,
        "top_p": config.top_p,
        "seed": config.seed,
        "stop": list(config.stop) or None,
    }
    body.update({name: value for name, value in wanted.items() if value is not None})
    if config.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": config.logprobs}
    if config.response_format is not None:
        inner = {name: value for name, value in config.response_format.items() if name != "type"}
        body["response_format"] = {"type": "json_schema", "json_schema": inner}
    return body | dict(config.extensions or {})


class NotAnApiError(ValueError):
    """What answers at the address is a web page: as good as unreachable, until something else does."""


def read_reply(payload: bytes, request: Request) -> Response:
    """The canonical response in the body of a 200 reply.

    Raises:
        lm15.ServerError: it is not JSON, or not a chat completion (caused by `NotAnApiError`: a web page).
        lm15.LM15Error: it is an error object, as some servers send with status 200.
    """
    from dspy import lm15

    try:
        body = json.loads(payload)
    except ValueError as error:
        if payload.lstrip().lower().startswith((b"<!doctype html", b"<html")):
            problem = "a web page answers there, not an OpenAI-compatible API"
            raise lm15.ServerError(problem) from NotAnApiError(problem)
        start = payload[:80].decode("utf-8", "replace")
        raise lm15.ServerError(f"the reply is not JSON ({error}); it begins {start!r}") from error
    problem = _problem(body)
    if problem is not None:
        raise read_error(_status(problem), {}, json.dumps({"error": problem}).encode())
    try:
        choice = body["choices"][0]
        message = choice["message"]
        text = _text(message.get("content"))
        finish = _FINISH.get(choice.get("finish_reason"), "stop")
        sent, received = _counts(body.get("usage") or {})
        thoughts = _text(message.get("reasoning_content") or message.get("reasoning"))
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        start = payload[:80].decode("utf-8", "replace")
        raise lm15.ServerError(f"the reply is not a chat completion; it begins {start!r}") from error
    if dropped := dropped_prompt(request, sent):
        raise lm15.ContextLengthError(dropped)
    if refusal := message.get("refusal"):
        text, finish = str(refusal), "content_filter"
    spoken: list[Any] = [lm15.ThinkingPart(thoughts)] if thoughts else []
    return lm15.Response(
        id=None,
        model=request.model,
        message=lm15.Message.assistant([*spoken, lm15.TextPart(text)]),
        finish_reason=finish,
        usage=lm15.Usage(input_tokens=sent, output_tokens=received),
        logprobs=_logprobs(choice.get("logprobs")),
    )


def _problem(body: Any) -> Any:
    """The error in a reply with status 200, of the whole or of its choice; None where there is none."""
    if not isinstance(body, dict):
        return None
    if body.get("error"):
        return body["error"]
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    if choice.get("error"):
        return choice["error"]
    return "the provider ended the reply with an error" if choice.get("finish_reason") == "error" else None


def _status(problem: Any) -> int:
    """The HTTP status that an error object names; 500 where it names none."""
    code = problem.get("code") or problem.get("status") if isinstance(problem, dict) else None
    number = int(code) if isinstance(code, int) or (isinstance(code, str) and code.isdigit()) else 0
    return number if 400 <= number <= 599 else 500


_LEAST_SEEN = 50
"""Tokens of a prompt below which nothing is said about its size."""


def dropped_prompt(request: Request, sent: int | None) -> str:
    """What to say when a server read far fewer tokens than the prompt must have; empty where it may be all.

    It must have more than one token for two words between spaces, and more than one for 40 bytes of text in
    which repeated characters count once: no tokenizer in use packs prose of any language as tightly, and text
    without spaces is not taken for one word.
    """
    texts = [str(request.system or ""), *(message.text or "" for message in request.messages)]
    words = sum(len(text.split()) for text in texts)
    size = sum(
        len(re.sub(r"(.)\1+", r"\1", text, flags=re.DOTALL).encode("utf-8", "replace")) for text in texts
    )
    least = max(words // 2, size // 40)
    if not sent or least < _LEAST_SEEN or sent >= least:
        return ""
    return (
        f"the server dropped most of the prompt: it counts {sent} tokens for {sum(map(len, texts)):,} "
        f"characters, which have at least {least}. Cure: give the server a longer context"
    )


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
        return max(float(value), 0.0)
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


def _text(content: Any) -> str:
    """Text of a message: a string, nothing, or a list of parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return content if isinstance(content, str) else ""


def _counts(usage: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Tokens read and written. Servers that leave tokens of their cache out of those read tell them apart."""
    sent = _count(usage.get("prompt_tokens"))
    details = usage.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    if sent is not None and cached is not None and cached > sent:
        sent += cached
    return sent, _count(usage.get("completion_tokens"))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _logprobs(found: Any) -> tuple[TokenLogprob, ...] | None:
    """Token probabilities, or None where the server gives none or gives them in another shape."""
    from dspy import lm15

    try:
        return tuple(
            lm15.TokenLogprob(
                token=item["token"],
                logprob=float(item["logprob"]),
                top=tuple(
                    lm15.TopLogprob(token=top["token"], logprob=float(top["logprob"]))
                    for top in item.get("top_logprobs") or ()
                ),
            )
            for item in found["content"]
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _error_words(payload: bytes) -> tuple[str, str | None]:
    """Message and code of an error body: OpenAI's shape, older and foreign ones, or the bare text."""
    try:
        body = json.loads(payload)
    except ValueError:
        return payload[:300].decode("utf-8", "replace").strip(), None
    if not isinstance(body, dict):
        return str(body)[:300], None
    error = body.get("error") or body.get("message") or body.get("detail") or body
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
